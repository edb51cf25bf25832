package pagetest

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// copied is what a control puts on the clipboard.
func (b *tab) copied(action string) string {
	b.Helper()
	return js[string](b, `new Promise(done => { navigator.clipboard.writeText = async s => done(s); document.querySelector("[data-action=" + $1 + "]").click() })`, action)
}

// A link that one person copies brings another the steps, and nothing of the file: not its name, nor a key, nor what it says.
func TestCopyLink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Geheim-2024.safetensors")
	if err := os.WriteFile(path, mustRead(t, safetensors(t, "module.geheim.a", "module.geheim.b")), 0o644); err != nil {
		t.Fatal(err)
	}
	b := newTab(t)
	b.choose(path)
	b.edit("strip-prefix", "prefix", "module.")
	b.edit("rename", "from", "re:^(.*)\\.b$", "to", "$1.bias")
	link := b.copied("copy-link")
	if !strings.HasPrefix(link, server.URL+"/some/where/#recipe=") {
		t.Fatalf("link %s", link)
	}
	doc, err := base64.RawURLEncoding.DecodeString(link[strings.Index(link, "=")+1:])
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{link, string(doc)} {
		if strings.Contains(strings.ToLower(text), "geheim") {
			t.Errorf("the link holds something of the file: %s", text)
		}
	}
	other := emptyTab(t)
	other.do(chromedp.Navigate(link))
	other.wait("ready")
	if got := other.role("linked"); !strings.Contains(got, "2 steps") || !strings.Contains(got, "module.") {
		t.Errorf("before a file: %q", got)
	}
	if got := other.str("document.documentElement.hasAttribute('data-open')"); got != "false" {
		t.Error("a link opens a file")
	}
	other.choose(safetensors(t, "module.x.a", "module.x.b"))
	other.until("document.querySelectorAll('[data-role=steps] .step').length === 2")
	other.wait("ready")
	if got := strings.Join(other.paths("tensor"), " "); got != "x.a x.bias" {
		t.Errorf("rows %q", got)
	}
	b.clean()
	other.clean()
}

// A recipe address that never ends is given up after a megabyte; the page says so, and opens the file as it is.
func TestEndlessRecipe(t *testing.T) {
	data := mustRead(t, safetensors(t, "module.a"))
	h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/recipe.yaml" {
			give(bytes.NewReader(data), int64(len(data)))(w, r)
			return
		}
		for part := bytes.Repeat([]byte("# \n"), 10_000); r.Context().Err() == nil; {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	})
	b := remote(t, h.URL+"/model.safetensors", "&recipe="+url.QueryEscape(h.URL+"/recipe.yaml"))
	b.until("document.querySelector('[data-role=file-name]').textContent === 'model.safetensors'")
	if got := strings.Join(b.paths("tensor"), " "); got != "module.a" {
		t.Errorf("rows %q", got)
	}
	if n := h.bytes.Load(); n > 64<<20 {
		t.Errorf("%d bytes were taken", n)
	}
	if got := b.role("error-message"); !strings.Contains(got, "longer than a megabyte") {
		t.Errorf("the page says %q", got)
	}
}
