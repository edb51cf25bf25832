// The element for bundlers. The folder of embed.html has to be named, since a bundler moves this file away from it.
import "./embed.js";

/** The class of <weightroom-viewer>; undefined where there are no elements, as when a site is rendered in Node. */
export const WeightroomViewer = globalThis.customElements?.get("weightroom-viewer");

/** Names the folder of embed.html for all elements without the attribute viewer. */
export function setViewer(folder) {
  if (WeightroomViewer) WeightroomViewer.viewer = new URL(folder.endsWith("/") ? folder : folder + "/", document.baseURI).href;
}
