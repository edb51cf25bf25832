// The worker's half of boot.js: runs the same compiled program that the page runs. wasm_exec.js stands in front of this text.
"use strict";
onmessage = async ({ data }) => {
  onmessage = null;
  const go = new Go();
  try {
    await go.run(await WebAssembly.instantiate(data, go.importObject));
  } finally {
    postMessage({ kind: "crash", id: 0 }); // a Go program ends only by a fault, out of memory for one
  }
};
