// The worker's half of boot.js: runs the same compiled program that the page runs. wasm_exec.js stands in front of this text.
"use strict";
onmessage = async ({ data }) => {
  onmessage = null;
  let why = "the program ended"; // a Go program ends only by a fault, out of memory for one
  try {
    const go = new Go();
    await go.run(await WebAssembly.instantiate(data, go.importObject));
  } catch (err) {
    why = String(err);
  }
  postMessage({ kind: "crash", id: 0, why });
};
