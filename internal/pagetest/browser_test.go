// Package pagetest drives the built page in a real Chromium.
package pagetest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// The page is built once, the browser started once; every test has a browser context of its own.
var (
	chromium context.Context
	server   *httptest.Server
	dist     string // the built page
	missing  string // why these tests cannot run
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	bin, err := findChromium()
	if err != nil {
		missing = err.Error()
		return m.Run()
	}
	dist, err = os.MkdirTemp("", "weightroom-page")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dist)
	build := exec.Command("bash", "../../scripts/build-wasm.sh", dist)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the page: %v\n%s", err, out)
		return 1
	}
	// Below a sub-path, as on a project site.
	mux := http.NewServeMux()
	mux.Handle("/some/where/", http.StripPrefix("/some/where/", http.FileServer(http.Dir(dist))))
	server = httptest.NewServer(mux)
	defer server.Close()

	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(bin), chromedp.NoSandbox, chromedp.Flag("headless", "new"), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("enable-unsafe-webgpu", true), chromedp.Flag("use-webgpu-adapter", "swiftshader"))
	alloc, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	defer cancel()
	var stop context.CancelFunc
	chromium, stop = chromedp.NewContext(alloc)
	defer stop()
	if err := chromedp.Do(chromium); err != nil {
		fmt.Fprintf(os.Stderr, "starting %s: %v\n", bin, err)
		return 1
	}
	return m.Run()
}

func findChromium() (string, error) {
	if bin := os.Getenv("WEIGHTROOM_CHROMIUM"); bin != "" {
		return bin, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if bin, err := exec.LookPath(name); err == nil {
			return bin, nil
		}
	}
	return "", fmt.Errorf("no Chromium found: install it, or name it in WEIGHTROOM_CHROMIUM")
}

// tab is a page of its own, with all that it asked for and complained about.
type tab struct {
	*testing.T
	ctx       context.Context
	downloads string

	mu       sync.Mutex
	requests []string
	problems []string // console errors, exceptions, violations of the policy
}

// patience is how long a test waits for one thing before it calls it never; a busy machine may need it.
const patience = 2 * time.Minute

// spy runs before the page: it reports what the policy blocked, keeps the workers, and lets a test ask one to fetch.
const spy = `
addEventListener("securitypolicyviolation", e => console.error("policy: " + e.violatedDirective + " " + e.blockedURI));
window.workers = [];
window.Worker = class extends Worker { constructor(...a) { super(...a); workers.push(this) } };
window.Blob = class extends Blob {
	constructor(parts, options) {
		if (options?.type === "text/javascript") parts = [window.prelude ?? "", "addEventListener('message', e => { if (!e.data?.reach) return; e.stopImmediatePropagation();" +
			"const tell = got => postMessage({kind: 'test', id: 0, got}); fetch(e.data.reach).then(() => tell('went out'), () => tell('blocked')) });\n", ...parts];
		super(parts, options);
	}
};
`

func newTab(t *testing.T) *tab {
	t.Helper()
	b := emptyTab(t)
	b.do(chromedp.Navigate(server.URL + "/some/where/"))
	b.wait("ready")
	return b
}

// emptyTab is a tab that shows nothing yet.
func emptyTab(t *testing.T) *tab {
	t.Helper()
	return longTab(t, 4*patience)
}

// longTab is an empty tab with a time limit of its own.
func longTab(t *testing.T, limit time.Duration) *tab {
	t.Helper()
	if missing != "" {
		t.Skip(missing)
	}
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	ctx, cancelTime := context.WithTimeout(ctx, limit)
	t.Cleanup(cancelTime)
	b := &tab{T: t, ctx: ctx, downloads: t.TempDir()}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	command(b, network.Enable, network.EnableParams{})
	command(b, runtime.Enable, cdp.Empty{})
	command(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: spy,
	})
	if _, err := chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: b.downloads, BrowserContextID: chromedp.FromContext(ctx).BrowserContextID,
	}); err != nil {
		t.Fatal(err)
	}
	b.size(1280, 800)
	return b
}

func (b *tab) listen(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(ev.Request.URL, "blob:") && !strings.HasPrefix(ev.Request.URL, "data:") {
			b.requests = append(b.requests, ev.Request.URL)
		}
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.ConsoleAPICalledTypeError || ev.Type == runtime.ConsoleAPICalledTypeLog { // Go's panics are logs
			var words []string
			for _, a := range ev.Args {
				words = append(words, string(a.Value)+a.Description)
			}
			b.problems = append(b.problems, strings.Join(words, " "))
		}
	case *runtime.EventExceptionThrown:
		text := ev.ExceptionDetails.Text
		if x := ev.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		b.problems = append(b.problems, text)
	}
}

// clean fails when the page complained about anything.
func (b *tab) clean() {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.Errorf("the page complained: %s", p)
	}
}

// forgive forgets the complaints so far.
func (b *tab) forgive() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = nil
}

func (b *tab) requested() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.requests...)
}

// command sends a command of the browser's protocol.
func command[P, R any](b *tab, c cdp.Command[P, R], params P) R {
	b.Helper()
	r, err := chromedp.Call(b.ctx, c, params)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.Fatal(err)
	}
}

// js evaluates an expression; arguments stand in it as $1, $2, ….
func js[T any](b *tab, expr string, args ...any) T {
	b.Helper()
	expr = argument.ReplaceAllStringFunc(expr, func(place string) string {
		v, err := json.Marshal(args[place[1]-'1'])
		if err != nil {
			b.Fatal(err)
		}
		return string(v)
	})
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expr, chromedp.EvalAwaitPromise, underPolicy))
	if err != nil {
		b.Fatalf("%s: %v", expr, err)
	}
	return v
}

// underPolicy lets the page's policy hold for what a test evaluates as well.
func underPolicy(p *runtime.EvaluateParams) {
	no := false
	p.AllowUnsafeEvalBlockedByCSP = &no
}

var argument = regexp.MustCompile(`\$[1-9]`)

func (b *tab) str(expr string, args ...any) string {
	b.Helper()
	return js[string](b, "String("+expr+")", args...)
}

// until waits for an expression to be true.
func (b *tab) until(expr string, args ...any) {
	b.Helper()
	start := time.Now()
	for {
		if js[bool](b, "!!("+expr+")", args...) {
			return
		}
		if time.Since(start) > patience {
			b.clean()
			b.Fatalf("never true: %s %v\nstate %s, error %q, in the panel %q", expr, args, b.str("document.documentElement.dataset.state"), b.role("error"),
				b.str("document.querySelector('.preview-error')?.innerText"))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// wait waits for a state of the page.
func (b *tab) wait(state string) {
	b.Helper()
	b.until("document.documentElement.dataset.state === $1", state)
}

func (b *tab) role(name string) string {
	return b.str("document.querySelector('[data-role='+$1+']')?.innerText", name)
}

// choose gives files to the file input and waits until they are open, or have failed to.
func (b *tab) choose(paths ...string) {
	b.Helper()
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#open"), paths))
	b.until("['ready','error'].includes(document.documentElement.dataset.state)")
}

func (b *tab) click(action string) {
	b.Helper()
	b.do(chromedp.Click(chromedp.CSS("[data-action=" + action + "]")))
}

// fill sets a field of the open panel as a script would.
func (b *tab) fill(field, value string) {
	b.Helper()
	b.set("[data-field="+field+"]", value)
}

// set does so for the element of a selector.
func (b *tab) set(selector, value string) {
	b.Helper()
	js[bool](b, `(() => { const f = document.querySelector($1); f.value = $2; return f.dispatchEvent(new Event("input", {bubbles: true})) })()`, selector, value)
}

// apply confirms the open panel and waits until it is done.
//
// It presses the button by script: it moves when the preview comes, and a click at a place may miss it.
func (b *tab) apply() {
	b.Helper()
	b.until("!document.querySelector('[data-action=apply]').disabled")
	js[bool](b, "(document.querySelector('[data-action=apply]').click(), true)")
	b.wait("ready")
}

// edit opens an operation, fills its fields (name, value, name, value) and applies it.
func (b *tab) edit(action string, fields ...string) {
	b.Helper()
	b.click(action)
	for i := 0; i+1 < len(fields); i += 2 {
		b.fill(fields[i], fields[i+1])
	}
	b.apply()
}

// paths is the data-path of the rows on show that have the given kind.
func (b *tab) paths(kind string) []string {
	b.Helper()
	return js[[]string](b, `[...document.querySelectorAll('[role=row][data-kind='+$1+']')].filter(r => !r.hidden).sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map(r => r.dataset.path)`, kind)
}

// pick chooses the format of the open export.
func (b *tab) pick(format string) {
	b.Helper()
	js[bool](b, `(() => { const f = document.querySelector('select[data-field=format]'); f.value = $1; return f.dispatchEvent(new Event("change", {bubbles: true})) })()`, format)
}

// export saves the open checkpoint and returns the bytes.
func (b *tab) export(format, name string) []byte {
	b.Helper()
	b.click("export")
	b.pick(format)
	b.fill("name", name)
	b.apply()
	path := filepath.Join(b.downloads, name)
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		data, err := os.ReadFile(path)
		if err == nil && len(data) > 0 {
			if rest, _ := filepath.Glob(filepath.Join(b.downloads, "*.crdownload")); len(rest) == 0 {
				return data
			}
		}
		if time.Since(start) > patience {
			b.Fatalf("%s was not downloaded: %v; error %q", name, err, b.role("error"))
		}
	}
}

// shot writes a picture of the page to the folder WEIGHTROOM_SHOTS, if that is set.
func (b *tab) shot(name string) {
	b.Helper()
	dir := os.Getenv("WEIGHTROOM_SHOTS")
	if dir == "" {
		return
	}
	time.Sleep(250 * time.Millisecond)
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.Fatal(err)
	}
}

// scale is device pixels for a CSS pixel.
const scale = 1

// dark and size change how the page is shown.
func (b *tab) dark(on bool) {
	value := "light"
	if on {
		value = "dark"
	}
	command(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}}})
}

// speak chooses the language of the page, "en" or "zh-Hant".
func (b *tab) speak(lang string) {
	b.Helper()
	b.str("(l => { if (l.value !== $1) { l.value = $1; l.dispatchEvent(new Event('change', {bubbles: true})) } })(document.querySelector('[data-field=language]'))", lang)
	b.until("document.documentElement.lang === $1", lang)
}

func (b *tab) size(width, height int64) {
	b.Helper()
	command(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: scale, Mobile: width < 500})
}
