// Keeps the page for use without a network: one cache for each build, of files that hash to what the build manifest says.
// scripts/build-wasm.sh puts the manifest in the place of the empty one, so every build has another text.
"use strict";
const build = { version: "", files: [] };
const scope = new URL(registration.scope);
const family = `weightroom ${scope.pathname} `; // several copies of the page may share an origin
const files = new Map(build.files.filter((f) => !/\.gz$|^embed\.js$/.test(f.path)).map((f) => [f.path, f]));
const packed = new Set(build.files.map((f) => f.path).filter((p) => p.endsWith(".gz")));
const types = { wasm: "application/wasm", webmanifest: "application/manifest+json" };
const kept = ["content-type", "content-security-policy", "x-content-type-options", "referrer-policy",
  "cross-origin-embedder-policy", "cross-origin-opener-policy", "cross-origin-resource-policy"];

// Some servers redirect index.html to the folder, and a redirected answer cannot stand for a page.
const address = (path) => new URL(path === "index.html" ? "." : path, scope).href;
const cache = () => caches.open(family + build.version);

const right = async (data, path) => {
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(sum, (b) => b.toString(16).padStart(2, "0")).join("") === files.get(path).sha256;
};

/** The places where a file may be found, cheapest first. */
const places = (path) => [
  async () => { // what another build kept
    for (const name of (await caches.keys()).filter((n) => n.startsWith(family))) {
      const res = await (await caches.open(name)).match(address(path));
      if (res && (await right(await res.clone().arrayBuffer(), path))) return res;
    }
  },
  () => fetch(address(path), { cache: "only-if-cached", mode: "same-origin" }), // what the browser has of loading the page
  async () => {
    if (!packed.has(path + ".gz")) return;
    const zip = await fetch(address(path + ".gz"));
    if (!zip.ok || zip.headers.get("content-encoding")) return zip; // unpacked by the browser
    return new Response(zip.body.pipeThrough(new DecompressionStream("gzip")), { headers: { "content-type": types.wasm } });
  },
  () => fetch(address(path), { cache: "reload" }),
];

/** Fetches a file and keeps it; undefined if no copy anywhere is the one that the build has. */
const keep = async (path) => {
  for (const place of places(path)) {
    try {
      const res = await place();
      const data = res?.ok && (await res.arrayBuffer());
      if (!data || !(await right(data, path))) continue;
      const headers = new Headers(kept.filter((h) => res.headers.has(h)).map((h) => [h, res.headers.get(h)]));
      const type = types[path.split(".").pop()];
      if (type) headers.set("content-type", type);
      const good = new Response(data, { headers });
      await (await cache()).put(address(path), good.clone());
      return good;
    } catch {
      // not in the browser's cache, or no network: the next place
    }
  }
};

/** A file as it was kept. It is hashed again, some 30 ms for the program, and replaced when it is damaged. */
const serve = async (request, path) => {
  const store = await cache();
  let res = await store.match(address(path));
  if (res && !(await right(await res.clone().arrayBuffer(), path))) {
    console.warn(`${path}: the stored copy is damaged and is fetched again`);
    await store.delete(address(path));
    res = undefined;
  }
  res ??= await keep(path);
  if (res) return res;
  // Nobody has this file any more: let go of the whole build, so that the next load takes the current one.
  await caches.delete(family + build.version);
  return fetch(request);
};

// Files that another program shares with the page are handed on from memory; the page asks for them once it runs.
let shared = [];
const share = async (request) => {
  shared = (await request.formData()).getAll("files");
  return Response.redirect(new URL("./?shared", scope), 303);
};

addEventListener("install", (ev) => ev.waitUntil((async () => {
  for (const path of files.keys()) {
    if (!(await keep(path))) throw new Error(`${path} is not what the build manifest says`);
  }
})()));

addEventListener("activate", (ev) => ev.waitUntil((async () => {
  for (const name of await caches.keys()) {
    if (name.startsWith(family) && name !== family + build.version) await caches.delete(name);
  }
  await clients.claim();
})()));

addEventListener("fetch", (ev) => {
  const url = new URL(ev.request.url);
  if (url.origin !== scope.origin || !url.pathname.startsWith(scope.pathname)) return;
  const path = url.pathname.slice(scope.pathname.length) || "index.html";
  if (ev.request.method === "POST" && path === "share") ev.respondWith(share(ev.request));
  else if (ev.request.method === "GET" && files.has(path)) ev.respondWith(serve(ev.request, path));
});

addEventListener("message", (ev) => {
  if (ev.data === "update") skipWaiting();
  if (ev.data === "shared") ev.source.postMessage({ shared: shared.splice(0) });
});
