package pagetest

import (
	"bytes"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// inside is the frame of embed.html in the page of b whose address holds mark, once it shows a file.
func (b *tab) inside(mark string) *tab {
	b.Helper()
	f := b.frame("/embed.html?", mark)
	f.until("document.documentElement.hasAttribute('data-open') && document.documentElement.dataset.state === 'ready'")
	js[bool](f, "(window.heard = 0, addEventListener('message', () => heard++), true)")
	return f
}

// frame is the frame in the page of b whose address holds all marks; it is of another site, so the browser has it as a target.
func (b *tab) frame(marks ...string) *tab {
	b.Helper()
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		got, err := chromedp.CallBrowser(b.ctx, target.GetTargets, target.GetTargetsParams{})
		if err != nil {
			b.Fatal(err)
		}
		for _, i := range got.TargetInfos {
			if i.Type != "iframe" || slices.ContainsFunc(marks, func(m string) bool { return !strings.Contains(i.URL, m) }) {
				continue
			}
			ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithTargetID(i.TargetID))
			b.Cleanup(cancel)
			return &tab{T: b.T, ctx: ctx}
		}
		if time.Since(start) > patience {
			b.Fatalf("no frame whose address holds %q", marks)
		}
	}
}

// frameState is all that a message could change in the frame.
const frameState = `JSON.stringify([document.documentElement.dataset.theme, document.documentElement.dataset.state, document.documentElement.lang,
	document.documentElement.hasAttribute("data-readonly"), document.querySelector("[data-role=file-name]").textContent, document.querySelector("[data-role=summary]").textContent,
	[...document.querySelectorAll("[data-role=steps] .step")].map(s => s.textContent), [...document.querySelectorAll("[role=row][data-path]")].map(r => r.dataset.path),
	document.querySelector("[data-role=error]").hidden, document.querySelector("[data-role=panel]").childElementCount, location.href])`

// wrongToFrame are messages that the frame must not heed; each would make it dark, or open or edit something, if it did.
const wrongToFrame = `[null, undefined, 1, true, "dark", "theme", [], [1, "theme", "dark"], new Map([["weightroom", 1]]), new Date(), new Uint8Array(8), {}, {type: "theme", theme: "dark"},
	{weightroom: "1", type: "theme", theme: "dark"}, {weightroom: 2, type: "theme", theme: "dark"}, {weightroom: [1], type: "theme", theme: "dark"},
	{weightroom: 1, type: "theme"}, {weightroom: 1, type: ["theme"], theme: "dark"}, {weightroom: 1, type: "theme", theme: ["dark"]}, {weightroom: 1, type: "theme", theme: {toString: "dark"}},
	{weightroom: 1, type: "theme", theme: "Dark"}, {weightroom: 1, type: "theme", theme: "dark "}, {weightroom: 1, type: "theme", theme: "dark", more: 1},
	{weightroom: 1, type: "theme", theme: "dark", more: "x".repeat(1e7)}, {weightroom: 1, type: "theme", theme: "dark".padEnd(1e7)}, {weightroom: 1, type: "theme", theme: "x".repeat(1e7)},
	{weightroom: 1, type: "__proto__", theme: "dark"}, JSON.parse('{"weightroom": 1, "__proto__": {"type": "theme"}, "theme": "dark"}'),
	{weightroom: 1, type: "open", src: "https://evil.example/x.pth"}, {weightroom: 1, type: "recipe", recipe: '{"recipe":1,"steps":[{"drop":"**"}]}'},
	{weightroom: 1, type: "export", name: "x"}, {weightroom: 1, type: "lang", lang: "zh-Hans"}, {weightroom: 1, type: "readonly", readonly: false}]`

// wrongToHost are messages that the element must not pass on.
const wrongToHost = `(m => [null, 1, "open", [], [m], {...m, weightroom: 2}, {...m, weightroom: "1"}, {...m, type: "__proto__"}, {...m, type: "constructor"}, {...m, type: "click"}, {...m, type: ["open"]},
	{...m, more: 1}, {...m, keys: "1"}, {...m, keys: -1}, {...m, keys: 1.5}, {...m, keys: 2 ** 60}, {...m, keys: NaN}, {...m, local: "yes"}, {...m, name: {}}, {...m, name: "x".repeat(4097)}, {...m, name: "x".repeat(1e7)},
	{...m, more: "x".repeat(1e7)}, {weightroom: 1, type: "open"}, {weightroom: 1, type: "select", key: "k", dtype: "float32", shape: ["x"]}, {weightroom: 1, type: "theme", theme: "dark"}])(
	{weightroom: 1, type: "open", name: "evil", format: "x", keys: 1, nbytes: 1, local: false})`

// Messages of another origin, of another shape and of any size change nothing in the frame and come to nobody's ears in the page
// around it; the right ones do.
func TestMessages(t *testing.T) {
	model, err := os.ReadFile(fixture("dataparallel_sgd.pth"))
	if err != nil {
		t.Fatal(err)
	}
	files := newHost(t, give(bytes.NewReader(model), int64(len(model))))
	viewer := newSite(t, dist, "/")
	b := emptyTab(t)
	command(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: record})
	b.do(chromedp.Navigate(docs(t, "", `<body style="background: #fff">
		<weightroom-viewer id="one" src="`+files.URL+`/model.pth" recipe='{"recipe":1,"steps":[{"strip_prefix":"module."}]}'></weightroom-viewer>
		<script src="`+viewer.URL+`/embed.js"></script></body>`)))
	b.untilSoon("got.some(e => e.type === 'open')")
	f := b.inside(viewer.addr)
	before, events := js[string](f, frameState), js[int](b, "got.length")
	if !strings.HasPrefix(before, `["light","ready"`) || !strings.Contains(before, "conv.weight") {
		t.Fatalf("at first: %s", before)
	}

	// Into the frame, from the window and the origin that it listens to.
	n := js[int](b, `(() => {
		const to = document.querySelector("#one").shadowRoot.querySelector("iframe").contentWindow, wrong = `+wrongToFrame+`;
		for (const m of wrong) to.postMessage(m, "*");
		return wrong.length;
	})()`)
	f.until("heard === $1", n)
	if after := js[string](f, frameState); after != before {
		t.Errorf("the frame changed: %s, before %s", after, before)
	}
	js[bool](b, `(document.querySelector("#one").shadowRoot.querySelector("iframe").contentWindow.postMessage({weightroom: 1, type: "theme", theme: "dark"}, "*"), true)`)
	f.until("document.documentElement.dataset.theme === 'dark'") // so the others would have been seen to work

	// Out of the frame, from its own window and origin; the last one is right.
	js[bool](f, `(() => {
		for (const m of `+wrongToHost+`) parent.postMessage(m, "*");
		parent.postMessage({weightroom: 1, type: "error", code: "E_LAST", message: "m"}, "*");
		return true;
	})()`)
	b.until("got.some(e => e.code === 'E_LAST')")
	if got := js[int](b, "got.length"); got != events+1 {
		t.Errorf("of the frame's messages %d were passed on: %s", got-events, js[string](b, "JSON.stringify(got).slice(0, 2000)"))
	}
	b.clean()
}

// A third site in the same page speaks the same language, to the frame and to the page; nobody listens.
func TestMessagesOfStrangers(t *testing.T) {
	model, err := os.ReadFile(fixture("dataparallel_sgd.pth"))
	if err != nil {
		t.Fatal(err)
	}
	files := newHost(t, give(bytes.NewReader(model), int64(len(model))))
	viewer := newSite(t, dist, "/")
	stranger := docs(t, "", `<body><script>
		onmessage = () => {
			const good = {weightroom: 1, type: "theme", theme: "dark"};
			for (let i = 0; i < parent.frames.length; i++) if (parent.frames[i] !== window) parent.frames[i].postMessage(good, "*");
			parent.postMessage({weightroom: 1, type: "open", name: "evil", format: "x", keys: 1, nbytes: 1, local: false}, "*");
			parent.postMessage("done", "*");
		};
	</script></body>`)
	b := emptyTab(t)
	command(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: record})
	// The frame stands in the page itself, where the stranger can reach it; in the element's shadow it could not even do that.
	host := docs(t, "", `<body style="background: #fff"><div id="at"></div><iframe id="stranger" src="`+stranger+`"></iframe>
		<weightroom-viewer id="one" src="`+files.URL+`/model.pth" theme="light"></weightroom-viewer><script src="`+viewer.URL+`/embed.js"></script>
		<script>addEventListener("message", e => { if (e.data === "done") window.done = true })</script></body>`)
	b.do(chromedp.Navigate(host))
	b.untilSoon("got.some(e => e.type === 'open')")
	src := viewer.URL + "/embed.html?plain=1&theme=light&origin=" + url.QueryEscape(strings.TrimSuffix(host, "/")) + "&src=" + url.QueryEscape(files.URL+"/model.pth")
	js[bool](b, `(at.append(Object.assign(document.createElement("iframe"), {src: $1, id: "plain"})), true)`, src)
	events := js[int](b, "got.length")
	f := b.inside("plain=1")
	before := js[string](f, frameState)
	js[bool](b, `(document.querySelector("#stranger").contentWindow.postMessage("go", "*"), true)`)
	b.until("window.done")
	f.until("heard === 1")
	if after := js[string](f, frameState); after != before || !strings.HasPrefix(after, `["light"`) {
		t.Errorf("the frame changed: %s, before %s", after, before)
	}
	if got := js[int](b, "got.length"); got != events {
		t.Errorf("the page was told %s", js[string](b, "JSON.stringify(got)"))
	}
	js[bool](b, `(document.querySelector("#plain").contentWindow.postMessage({weightroom: 1, type: "theme", theme: "dark"}, "*"), true)`)
	f.until("document.documentElement.dataset.theme === 'dark'")
	b.clean()
}
