// Defines <weightroom-viewer src recipe height theme lang readonly viewer>: a frame of embed.html, made once it comes into view.
// The folder of embed.html is the one this script was loaded from, or what the attribute viewer names.
//
// Host and frame exchange small messages {weightroom: 1, type, …}. Each side takes them only from the other's window and
// origin, and only in the shape that is written down here; bytes of files never cross.
"use strict";
(() => {
  if (typeof customElements === "undefined" || customElements.get("weightroom-viewer")) return;
  const script = document.currentScript?.src;

  const text = (v) => typeof v === "string" && v.length <= 4096;
  const count = (v) => Number.isSafeInteger(v) && v >= 0;
  const flag = (v) => typeof v === "boolean";
  const shapes = {
    ready: {},
    resize: { height: count },
    open: { name: text, format: text, keys: count, nbytes: count, local: flag },
    error: { code: text, message: text },
    select: { key: text, dtype: text, shape: text },
    export: { name: text, size: count },
  };
  /** The message without its mark, or undefined if it is none of these. */
  const read = (m) => {
    if (typeof m !== "object" || m === null || m.weightroom !== 1 || !text(m.type) || !Object.hasOwn(shapes, m.type)) return;
    const { weightroom, type, ...detail } = m;
    const shape = shapes[type], keys = Object.keys(detail);
    if (keys.length !== Object.keys(shape).length || !keys.every((k) => Object.hasOwn(shape, k) && shape[k](detail[k]))) return;
    return { type, detail };
  };

  /** Whether the page is dark where an element stands: by the first background behind it that is not clear. */
  const dark = (element) => {
    for (let e = element; e; e = e.parentElement ?? e.getRootNode().host) {
      const [r, g, b, a = 1] = getComputedStyle(e).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
      if (a > 0.5) return 0.299 * r + 0.587 * g + 0.114 * b < 128;
    }
    return matchMedia("(prefers-color-scheme: dark)").matches && getComputedStyle(document.documentElement).colorScheme.includes("dark");
  };
  const base64url = (s) =>
    btoa(String.fromCharCode(...new TextEncoder().encode(s))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

  class WeightroomViewer extends HTMLElement {
    /** Folder of embed.html for elements without the attribute viewer. */
    static viewer = script && new URL(".", script).href;
    static observedAttributes = ["src", "recipe", "height", "theme", "lang", "readonly", "viewer"];
    #box; // in the shadow tree: frameworks compare the markup outside with what they rendered
    #frame;
    #origin;
    #theme;
    #stop;
    #ready;
    // One frame starts after the other: the second finds the program in the browser's cache, compiled.
    static #turn = Promise.resolve();

    connectedCallback() {
      this.#stop = new AbortController();
      const { signal } = this.#stop;
      if (!this.#box) {
        this.#box = document.createElement("div");
        const look = new CSSStyleSheet();
        look.replaceSync(":host { display: block } :host([hidden]) { display: none }");
        const shadow = this.attachShadow({ mode: "open" });
        shadow.adoptedStyleSheets = [look];
        shadow.append(this.#box);
      }
      this.#resize();
      const seen = new IntersectionObserver((list) => {
        if (!list.some((e) => e.isIntersecting)) return;
        seen.disconnect();
        this.#queue();
      }, { rootMargin: "200px" });
      seen.observe(this);
      const theme = () => this.#follow();
      const changes = new MutationObserver(theme); // sites switch by an attribute of their root or body
      for (const e of [document.documentElement, document.body]) changes.observe(e, { attributes: true });
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme, { signal });
      addEventListener("message", (ev) => this.#hear(ev), { signal });
      signal.addEventListener("abort", () => {
        seen.disconnect();
        changes.disconnect();
      });
    }

    disconnectedCallback() {
      this.#stop.abort();
      this.#frame?.remove();
      this.#frame = undefined;
    }

    attributeChangedCallback(name, before, after) {
      if (!this.isConnected || !this.#box || before === after) return;
      if (name === "height") this.#resize();
      else if (name === "theme") this.#follow();
      else if (this.#frame) this.#queue();
    }

    #resize(wanted) {
      const height = this.getAttribute("height") ?? "480";
      if (height !== "auto") this.#box.style.height = /^\d+$/.test(height) ? `${height}px` : height;
      else this.#box.style.height = `${Math.min(Math.max(wanted ?? 320, 160), Math.max(320, 0.8 * innerHeight))}px`;
    }

    #now() {
      const theme = this.getAttribute("theme");
      return theme === "light" || theme === "dark" ? theme : dark(this) ? "dark" : "light";
    }

    #follow() {
      const theme = this.#now();
      if (!this.#frame || theme === this.#theme) return;
      this.#theme = theme;
      this.#frame.style.colorScheme = theme;
      this.#frame.contentWindow?.postMessage({ weightroom: 1, type: "theme", theme }, this.#origin);
    }

    #queue() {
      WeightroomViewer.#turn = WeightroomViewer.#turn.then(() => new Promise((done) => {
        if (!this.isConnected || !this.#load()) return done();
        this.#ready = done;
        setTimeout(done, 5000);
      }));
    }

    /** Makes the frame; false if that cannot be. */
    #load() {
      const folder = this.getAttribute("viewer") ?? WeightroomViewer.viewer;
      if (!folder) {
        this.#emit("error", { code: "E_VIEWER", message: "weightroom-viewer: the attribute viewer has to name the folder of embed.html" });
        return false;
      }
      const url = new URL("embed.html", new URL(folder.endsWith("/") ? folder : folder + "/", document.baseURI));
      const recipe = this.getAttribute("recipe")?.trim();
      const inline = recipe && (recipe.startsWith("{") || recipe.includes("\n"));
      const set = (name, value) => value && url.searchParams.set(name, value);
      set("src", this.getAttribute("src") && new URL(this.getAttribute("src"), document.baseURI).href);
      set("recipe", recipe && !inline && new URL(recipe, document.baseURI).href);
      set("lang", this.getAttribute("lang") ?? document.documentElement.lang);
      set("readonly", this.hasAttribute("readonly") && "1");
      set("origin", location.origin);
      set("theme", (this.#theme = this.#now()));
      if (inline) url.hash = "recipe=" + base64url(recipe);
      this.#origin = url.origin;

      const frame = document.createElement("iframe");
      frame.title = this.getAttribute("title") ?? "Weightroom";
      frame.allow = "clipboard-write";
      frame.referrerPolicy = "no-referrer";
      Object.assign(frame.style, { display: "block", width: "100%", height: "100%", border: "0", colorScheme: this.#theme });
      frame.src = url.href;
      this.#frame?.remove();
      this.#frame = frame;
      this.#box.append(frame);
      return true;
    }

    #hear(ev) {
      if (!this.#frame || ev.source !== this.#frame.contentWindow || ev.origin !== this.#origin) return;
      const m = read(ev.data);
      if (!m) return;
      if (m.type === "resize") this.#resize(m.detail.height);
      else if (m.type === "ready") {
        this.#ready?.();
        this.#theme = undefined;
        this.#follow();
      } else this.#emit(m.type, m.detail);
    }

    #emit(type, detail) {
      this.dispatchEvent(new CustomEvent(`weightroom-${type}`, { detail, bubbles: true, composed: true }));
    }
  }
  customElements.define("weightroom-viewer", WeightroomViewer);
})();
