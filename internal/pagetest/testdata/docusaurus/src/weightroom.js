import { setViewer } from "@weightroom/viewer";
import siteConfig from "@generated/docusaurus.config";

setViewer(siteConfig.baseUrl + "weightroom/");
