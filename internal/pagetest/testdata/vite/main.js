import { setViewer, WeightroomViewer } from "@weightroom/viewer";

setViewer(import.meta.env.BASE_URL + "weightroom/");
addEventListener("weightroom-open", (ev) => {
  document.getElementById("told").textContent = `${ev.detail.name}: ${ev.detail.keys} keys, ${ev.target instanceof WeightroomViewer}`;
});
