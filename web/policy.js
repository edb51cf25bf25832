// Runs before everything else and decides whether this page may start here, and whom it may talk to.
//
// The policy in the markup is what the page may do at most. A policy that a script adds can only take from it: so each page
// gives up here what its address doesn't need, and, once the program is loaded, all requests but those to its sources.
"use strict";
globalThis.weightroom = (() => {
  const root = document.documentElement;
  const page = root.dataset.page; // "app" for local files, "remote" for files of a server, "embed" within somebody's page
  const query = new URLSearchParams(location.search);

  const narrow = (policy) => {
    const meta = document.createElement("meta");
    meta.httpEquiv = "Content-Security-Policy";
    meta.content = policy;
    document.head.append(meta);
  };
  const quoted = (url) => url.href.replaceAll(";", "%3B").replaceAll(",", "%2C");

  // Where the files are that the address names. The Hub answers from other names of its own than it is asked by.
  const hub = /^https:\/\/(huggingface\.co|hf\.co)$/;
  const sources = new Set();
  for (const name of ["src", "recipe"]) {
    if (page === "app" || !query.has(name)) continue;
    if (!URL.canParse(query.get(name), location.href)) continue;
    const url = new URL(query.get(name), location.href);
    if (!/^https?:$/.test(url.protocol)) continue;
    sources.add(url.origin);
    if (hub.test(url.origin)) for (const o of ["https://huggingface.co", "https://*.huggingface.co", "https://*.hf.co"]) sources.add(o);
  }
  const list = [...sources].join(" ");

  const state = { page, sources: [...sources], start: true };
  if (page === "app" && (query.has("src") || query.has("recipe") || query.get("embed") === "1")) {
    state.start = false;
    location.replace(new URL((query.get("embed") === "1" ? "embed.html" : "remote.html") + location.search + location.hash, document.baseURI));
  } else if (page !== "embed" && window.top !== window) {
    // Where the host sends frame-ancestors, the browser never comes this far.
    state.start = false;
    root.dataset.state = "framed";
    document.body.replaceChildren("Weightroom does not run inside other pages. They can use embed.html.");
  }
  const offline = new URL("sw.js", document.baseURI);
  narrow(`worker-src blob: ${quoted(offline)}; connect-src 'self' ${list}`);

  // The only script addresses that this page accepts.
  const known = new Set([offline.href]);
  const check = (url) => {
    if (!known.has(url)) throw new TypeError("not a script of this page");
    return url;
  };
  const trusted = globalThis.trustedTypes?.createPolicy("weightroom", { createScriptURL: check });
  state.script = (url) => (trusted ? trusted.createScriptURL(url) : check(url));

  /** Called when all of the program is here: known is the worker's address, and nothing more is fetched but sources. */
  state.lock = (worker) => {
    known.add(worker);
    Object.freeze(state);
    narrow(`connect-src ${list || "'none'"}`);
  };
  // A frame of another site has no service worker of its own, and a page of a file: address has none either.
  if (page !== "embed" && navigator.serviceWorker) {
    state.keepOffline = () => navigator.serviceWorker.register(state.script(offline.href), { updateViaCache: "none" });
  }
  return state;
})();
