// The worker's half of boot.js: runs the same compiled program that the page runs. wasm_exec.js and simd.js stand in
// front of this text.
"use strict";
onmessage = async ({ data }) => {
  onmessage = null;
  let why = "the program ended"; // a Go program ends only by a fault, out of memory for one
  try {
    const go = new Go();
    const simd = weightroomSIMD(go);
    const instance = await WebAssembly.instantiate(data.module, go.importObject);
    if (data.vectors) simd.attach(instance, data.vectors);
    await go.run(instance);
  } catch (err) {
    why = String(err);
  }
  postMessage({ kind: "crash", id: 0, why });
};
