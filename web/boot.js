// Starts the Go program. It is fetched and compiled once; the page and its worker share the compiled module. Several frames of
// one site share it as well where the browser does so by itself: it knows the same bytes again.
//
// The worker starts from a blob: address, because only such a worker is bound by the content security policy of this page.
"use strict";
(async (names) => {
  if (!weightroom.start) return;
  const address = (name) => new URL(name, document.baseURI).href;

  // A host that sends the program raw, over a network, costs three times the bytes: then take the .gz beside it.
  const program = async () => {
    const stop = new AbortController();
    const near = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname) || navigator.serviceWorker?.controller;
    const raw = await fetch(address(names.wasm), { signal: stop.signal });
    if (!raw.ok) throw new Error(`${names.wasm}: ${raw.status}`);
    if (near || raw.headers.get("content-encoding")) return raw.body;
    const zip = await fetch(address(names.wasm + ".gz"));
    if (!zip.ok || zip.headers.get("content-encoding")) return raw.body;
    stop.abort();
    return zip.body.pipeThrough(new DecompressionStream("gzip"));
  };
  const compile = async () =>
    WebAssembly.compileStreaming(new Response(await program(), { headers: { "content-type": "application/wasm" } }));
  const source = async () => {
    const texts = await Promise.all([names.exec, names.imports, names.worker].map(async (n) => (await fetch(address(n))).text()));
    return URL.createObjectURL(new Blob(texts, { type: "text/javascript" }));
  };

  try {
    // Casts run on vectors where the browser has them, else in plain Go, with the same bits.
    const helper = WebAssembly.compileStreaming(fetch(address(names.vectors))).catch(() => null);
    const [module, worker, vectors] = await Promise.all([compile(), source(), helper]);
    weightroom.spawn = () => {
      const w = new Worker(weightroom.script(worker));
      w.postMessage({ module, vectors });
      return w;
    };
    weightroom.lock(worker);
    const go = new Go();
    weightroomSIMD(go);
    await go.run(await WebAssembly.instantiate(module, go.importObject));
    throw new Error("the program ended");
  } catch (err) {
    console.error(err);
    document.documentElement.dataset.state = "error";
    document.querySelector("[data-role=boot-error]").hidden = false;
  }
})(document.currentScript.dataset);
