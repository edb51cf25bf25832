package pagetest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// The browser finds nothing wrong with the manifest, would install the page, and would open the files that it is for with it. What
// the manifest names is there, below whatever path the page stands.
func TestInstallable(t *testing.T) {
	for _, prefix := range []string{"/", "/some/where/"} {
		s := newSite(t, dist, prefix)
		b := emptyTab(t)
		b.do(chromedp.Navigate(s.URL + prefix))
		b.offline()
		got := command(b, page.GetAppManifest, page.GetAppManifestParams{})
		if got.URL != s.URL+prefix+"manifest.webmanifest" || len(got.Errors) > 0 {
			t.Errorf("manifest %s, errors %+v", got.URL, got.Errors)
		}
		wrong := command(b, page.GetInstallabilityErrors, cdp.Empty{})
		for _, e := range wrong.InstallabilityErrors {
			if e.ErrorID != "in-incognito" { // the tests' windows are private
				t.Errorf("not installable: %+v", e)
			}
		}
		var m struct {
			StartURL, Scope string
			Icons           []struct{ Src, Sizes, Purpose string }
			FileHandlers    []struct {
				Action string
				Accept map[string][]string
			} `json:"file_handlers"`
			ShareTarget struct {
				Action, Method, Enctype string
				Params                  struct {
					Files []struct {
						Name   string
						Accept []string
					}
				}
			} `json:"share_target"`
		}
		if err := json.Unmarshal([]byte(got.Data), &m); err != nil {
			t.Fatal(err)
		}
		var endings []string
		for _, h := range m.FileHandlers {
			if at := below(t, got.URL, h.Action); at != s.URL+prefix {
				t.Errorf("files are opened by %s", at)
			}
			for _, list := range h.Accept {
				endings = append(endings, list...)
			}
		}
		slices.Sort(endings)
		if want := []string{".bin", ".ckpt", ".pt", ".pth", ".safetensors"}; !slices.Equal(endings, want) {
			t.Errorf("handles %q, want %q", endings, want)
		}
		if at := below(t, got.URL, m.ShareTarget.Action); at != s.URL+prefix+"share" || m.ShareTarget.Method != "POST" || m.ShareTarget.Enctype != "multipart/form-data" {
			t.Errorf("share target %+v at %s", m.ShareTarget, at)
		}
		sizes := map[string]bool{}
		for _, i := range m.Icons {
			sizes[i.Sizes+" "+i.Purpose] = true
			res, err := http.Get(below(t, got.URL, i.Src))
			if err == nil {
				res.Body.Close()
			}
			if err != nil || res.StatusCode != 200 {
				t.Errorf("icon %s: %v, %v", i.Src, res, err)
			}
		}
		if !sizes["192x192 "] || !sizes["512x512 "] || !sizes["512x512 maskable"] {
			t.Errorf("icons %v", sizes)
		}
	}
}

// below resolves an address of the manifest.
func below(t *testing.T, manifest, address string) string {
	t.Helper()
	base, err := url.Parse(manifest)
	if err != nil {
		t.Fatal(err)
	}
	u, err := base.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// A file that another program shares arrives as a POST that no server sees: the service worker hands it to the page, without a
// network as well.
func TestShareTarget(t *testing.T) {
	s := newSite(t, dist, "/some/where/")
	b := emptyTab(t)
	b.do(chromedp.Navigate(s.URL + "/some/where/"))
	b.offline()
	b.until("navigator.serviceWorker.controller")
	s.stop()
	shared := safetensors(t, "module.shared", "module.too")
	// As the system does it: a navigation by a form, here of a page without the policy of this one.
	form := docs(t, "", `<body><form method="post" enctype="multipart/form-data" action="`+s.URL+`/some/where/share"><input type="file" name="files" id="open" multiple><button id="go">Share</button></form></body>`)
	b.do(chromedp.Navigate(form), chromedp.SetUploadFiles(chromedp.CSS("#open"), []string{shared}), chromedp.Click(chromedp.CSS("#go")))
	b.until("document.querySelector('[data-role=file-name]')?.textContent === $1", path.Base(shared))
	b.wait("ready")
	if got := b.paths("tensor"); strings.Join(got, " ") != "module.shared module.too" {
		t.Errorf("rows %q", got)
	}
	if got := b.str("location.href"); got != s.URL+"/some/where/?shared" {
		t.Errorf("at %s", got)
	}
	// It is handed on once: loading the page again opens nothing.
	b.do(chromedp.Reload())
	b.offline()
	if got := b.str("document.documentElement.hasAttribute('data-open')"); got != "false" {
		t.Error("the file is still there after loading again")
	}
	b.clean()
}

// A double click on a file in the system starts the installed page with a handle; so does a second one while it runs.
func TestLaunch(t *testing.T) {
	b := emptyTab(t)
	command(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		window.launched = new Promise(done => Object.defineProperty(window, "launchQueue", {value: {setConsumer: f => done(f)}}));`})
	b.do(chromedp.Navigate(server.URL + "/some/where/"))
	b.wait("ready")
	launch := func(names ...string) {
		data := map[string]string{}
		for _, n := range names {
			data[n] = string(mustRead(t, safetensors(t, strings.TrimSuffix(n, ".safetensors")+".w")))
		}
		js[bool](b, `launched.then(f => (f({files: Object.entries($1).map(([name, text]) => ({kind: "file", name,
			getFile: async () => new File([Uint8Array.from(text, c => c.charCodeAt(0))], name)}))}), true))`, data)
	}
	for _, name := range []string{"first.safetensors", "second.safetensors"} {
		b.clean()
		launch(name)
		b.until("document.querySelector('[data-role=file-name]').textContent === $1", name)
		b.wait("ready")
		if got := strings.Join(b.paths("tensor"), " "); got != strings.TrimSuffix(name, ".safetensors")+".w" {
			t.Errorf("rows %q", got)
		}
	}
	// A handle whose file is gone is told; starting without a file opens none.
	js[bool](b, `launched.then(f => (f({files: []}), f({files: [{getFile: async () => { throw new DOMException("gone", "NotFoundError") }}]}), true))`)
	b.until("!document.querySelector('[data-role=error]').hidden")
	if got := b.role("file-name"); got != "second.safetensors" {
		t.Errorf("then the page shows %q", got)
	}
	b.clean()
}
