package pagetest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// docs is a page of another site than the viewer's: of localhost, while that is at 127.0.0.1.
func docs(t *testing.T, policy, html string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		if policy != "" {
			w.Header().Set("Content-Security-Policy", policy)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!doctype html><html><head><title>Docs</title><link rel=icon href=data:,></head>"+html+"</html>")
	}))
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
}

// record keeps the events of all viewers in window.got.
const record = `
window.got = [];
for (const type of ["open", "error", "select", "export"]) {
	addEventListener("weightroom-" + type, e => got.push({type, id: e.target.id, ...e.detail}));
}`

// untilSoon waits longer than until: a frame starts a browser process of its own.
func (b *tab) untilSoon(expr string, args ...any) {
	b.Helper()
	for start := time.Now(); !js[bool](b, "!!("+expr+")", args...); time.Sleep(30 * time.Millisecond) {
		if time.Since(start) > patience {
			b.shot("failed")
			b.clean()
			b.Fatalf("never true: %s %v", expr, args)
		}
	}
}

// A plain page of another site, with a policy that allows nothing but the viewer: two elements, events, themes, laziness.
func TestEmbed(t *testing.T) {
	model, err := os.ReadFile(fixture("dataparallel_sgd.pth"))
	if err != nil {
		t.Fatal(err)
	}
	files := newHost(t, give(bytes.NewReader(model), int64(len(model))))
	viewer := newSite(t, dist, "/")
	host := docs(t, "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src "+viewer.URL+"; frame-src "+viewer.URL,
		`<body style="font: 16px sans-serif; max-width: 900px; margin: 2em auto; background: #fff">
		<h1>A checkpoint in the docs</h1><p>Trained with DataParallel; its prefix is taken off.</p>
		<weightroom-viewer id="one" src="`+files.URL+`/model.pth" height="300" readonly></weightroom-viewer>
		<p>The same, to edit:</p>
		<weightroom-viewer id="two" src="`+files.URL+`/model.pth" recipe='{"recipe":1,"steps":[{"strip_prefix":"module."}]}' height="auto"></weightroom-viewer>
		<div style="height: 3000px"></div>
		<weightroom-viewer id="three" src="`+files.URL+`/missing.pth"></weightroom-viewer>
		<script src="`+viewer.URL+`/embed.js"></script></body>`)
	b := emptyTab(t)
	command(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: record})
	b.size(1280, 1200)
	b.do(chromedp.Navigate(host))
	b.untilSoon("got.filter(e => e.type === 'open').length === 2")
	t.Logf("%s", js[string](b, "JSON.stringify(got)"))
	for _, id := range []string{"one", "two"} {
		e := js[map[string]any](b, "got.find(e => e.type === 'open' && e.id === $1)", id)
		if e["name"] != "model.pth" || e["format"] != "torch-zip" || e["local"] != false || e["keys"].(float64) < 1 {
			t.Errorf("%s: %v", id, e)
		}
	}
	b.untilSoon("document.getElementById('two').offsetHeight !== 320")
	if got := js[int](b, "document.getElementById('three').shadowRoot.querySelectorAll('iframe').length"); got != 0 {
		t.Error("a viewer far below was loaded")
	}
	b.shot("embed-light")
	js[bool](b, `(document.body.style.background = "#1b1b1d", document.body.style.color = "#eee", true)`)
	b.untilSoon("document.querySelector('#one').shadowRoot.querySelector('iframe').style.colorScheme === 'dark'")
	b.shot("embed-dark")

	// The window and the origin that a message comes from both count; TestMessages has the shapes.
	before := js[int](b, "got.length")
	js[bool](b, `(() => {
		const m = {weightroom: 1, type: "open", name: "evil", format: "x", keys: 1, nbytes: 1, local: false};
		const f = document.querySelector("#one").shadowRoot.querySelector("iframe");
		dispatchEvent(new MessageEvent("message", {data: m, origin: "https://evil.example", source: f.contentWindow}));
		dispatchEvent(new MessageEvent("message", {data: m, origin: new URL(f.src).origin, source: window}));
		return dispatchEvent(new MessageEvent("message", {data: {weightroom: 1, type: "error", code: "E_X", message: "m"}, origin: new URL(f.src).origin, source: f.contentWindow}));
	})()`)
	if got := js[string](b, "got.slice($1).map(e => e.code ?? e.name).join()", before); got != "E_X" {
		t.Errorf("of three messages these were believed: %s", got)
	}

	js[bool](b, "(document.getElementById('three').scrollIntoView(), true)")
	b.untilSoon("got.some(e => e.type === 'open' && e.id === 'three')")
	// A click on a key in the frame.
	b.inside("readonly=1").selectRow("state_dict.module.conv.weight")
	b.untilSoon("got.some(e => e.type === 'select' && e.id === 'one' && e.key && e.dtype)")
	b.clean()
}

// Several viewers on one page fetch the program once, where the browser keeps what it fetched: one with a profile on disk, as
// people have, and not the private windows of the other tests, which keep nothing of that size.
func TestEmbedShared(t *testing.T) {
	if missing != "" {
		t.Skip(missing)
	}
	model := mustRead(t, fixture("dataparallel_sgd.pth"))
	files := newHost(t, give(bytes.NewReader(model), int64(len(model))))
	viewer := newSite(t, dist, "/")
	ctx, cancel := chromedp.NewContext(chromium)
	t.Cleanup(cancel)
	ctx, cancelTime := context.WithTimeout(ctx, 4*patience)
	t.Cleanup(cancelTime)
	b := &tab{T: t, ctx: ctx}
	command(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: record})
	one := `<weightroom-viewer src="` + files.URL + `/model.pth" height="150"></weightroom-viewer>`
	b.do(chromedp.Navigate(docs(t, "", `<body>`+one+one+one+`<script src="`+viewer.URL+`/embed.js"></script></body>`)))
	b.untilSoon("got.filter(e => e.type === 'open').length === 3")
	fetched := map[string]int{}
	for _, r := range viewer.requests() {
		if strings.Contains(r, "/assets/") {
			fetched[r]++
		}
	}
	for r, n := range fetched {
		if n > 1 {
			t.Errorf("%s was asked for %d times", r, n)
		}
	}
	if len(fetched) < 5 {
		t.Errorf("only %v", fetched)
	}
}

// The page of the program does not run in a frame, even where no header forbids it, and asks for none of it; embed.html does.
func TestFraming(t *testing.T) {
	viewer := newSite(t, dist, "/")
	b := emptyTab(t)
	b.do(chromedp.Navigate(docs(t, "", `<body><iframe src="`+viewer.URL+`/?a"></iframe><iframe src="`+viewer.URL+`/remote.html"></iframe></body>`)))
	for _, mark := range []string{"/?a", "/remote.html"} {
		f := b.frame(viewer.addr + mark)
		f.until("document.documentElement.dataset.state === 'framed'")
		if got := f.str("document.body.innerText"); !strings.Contains(got, "does not run inside other pages") {
			t.Errorf("%s says %q", mark, got)
		}
	}
	for _, r := range viewer.requests() {
		if strings.HasSuffix(r, ".wasm") {
			t.Errorf("a framed page went on to load %s", r)
		}
	}
	b.shot("framed")
	b.do(chromedp.Navigate(docs(t, "", `<body><iframe src="`+viewer.URL+`/embed.html"></iframe></body>`)))
	b.frame(viewer.addr + "/embed.html").wait("ready")
}

// A frame whose address names another origin than that of the page around it stays silent and deaf.
func TestEmbedOrigin(t *testing.T) {
	viewer := newSite(t, dist, "/")
	src := viewer.URL + "/embed.html?origin=" + url.QueryEscape("https://docs.example.org")
	b := emptyTab(t)
	b.do(chromedp.Navigate(docs(t, "", `<body><script>addEventListener("message", e => { window.said = (window.said || 0) + 1 })</script><iframe src="`+src+`" width=800 height=400></iframe></body>`)))
	f := b.frame(viewer.addr)
	f.wait("ready")
	js[bool](f, "(window.heard = 0, addEventListener('message', () => heard++), true)")
	js[bool](b, `(document.querySelector("iframe").contentWindow.postMessage({weightroom: 1, type: "theme", theme: "dark"}, "*"), true)`)
	f.until("heard > 0")
	if got := f.str("document.documentElement.dataset.theme"); got == "dark" {
		t.Error("it listens to an origin that is not named")
	}
	if n := js[int](b, "window.said || 0"); n > 0 {
		t.Errorf("%d messages to an origin that is not named", n)
	}
}
