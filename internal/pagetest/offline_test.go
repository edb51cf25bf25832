package pagetest

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/weightroom/weightroom/statedict"
)

// site is a static server with a log. It can be stopped, and started again at the same address.
type site struct {
	*httptest.Server
	addr string
	h    http.Handler
	mu   sync.Mutex
	log  []string
}

func newSite(t *testing.T, dir, prefix string) *site {
	t.Helper()
	s := &site{}
	files := http.StripPrefix(prefix, http.FileServer(http.Dir(dir)))
	s.h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.log = append(s.log, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		if strings.Contains(r.URL.Path, "/assets/") {
			w.Header().Set("Cache-Control", "max-age=31536000, immutable")
		}
		files.ServeHTTP(w, r)
	})
	s.Server = httptest.NewServer(s.h)
	s.addr = s.Listener.Addr().String()
	t.Cleanup(func() { s.Server.Close() })
	return s
}

func (s *site) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.log...)
}

func (s *site) stop() {
	s.CloseClientConnections()
	s.Server.Close()
}

// offline waits until the page is stored on this computer.
func (b *tab) offline() {
	b.Helper()
	b.wait("ready")
	b.until("document.documentElement.hasAttribute('data-offline')")
}

// Load once; after that nothing is asked of the server, and without it everything works.
func TestOffline(t *testing.T) {
	s := newSite(t, dist, "/some/where/")
	b := emptyTab(t)
	b.do(chromedp.Navigate(s.URL + "/some/where/"))
	b.offline()
	if got := b.role("notice-text"); !strings.Contains(got, "Works offline now") {
		t.Errorf("the page says %q", got)
	}
	b.shot("offline")
	loaded := len(s.requests())
	file := safetensors(t, "module.a", "module.b")
	work := func() {
		b.choose(file)
		b.edit("strip-prefix", "prefix", "module.")
		got := b.export("safetensors", "out.safetensors")
		if want := native(t, file, `{"recipe":1,"steps":[{"strip_prefix":"module."}]}`, statedict.Safetensors); !bytes.Equal(got, want) {
			t.Errorf("%d bytes saved, want %d others", len(got), len(want))
		}
		os.Remove(filepath.Join(b.downloads, "out.safetensors"))
	}
	work()
	time.Sleep(300 * time.Millisecond)
	if log := s.requests()[loaded:]; len(log) > 0 {
		t.Errorf("requests after loading: %q", log)
	}
	b.do(chromedp.Click(chromedp.CSS(".status [data-action=privacy]")))
	if got := b.role("privacy-count"); got != "No request since the page was loaded." {
		t.Errorf("the page counts %q", got)
	}
	if got := b.role("privacy-policy"); !strings.Contains(got, "connect-src 'none'") {
		t.Errorf("policy %q", got)
	}
	b.shot("privacy")
	b.click("close-privacy")

	s.stop()
	b.do(chromedp.Reload())
	b.offline()
	if !js[bool](b, "document.querySelector('[data-role=notice]').hidden") {
		t.Errorf("the page says again: %q", b.role("notice-text"))
	}
	work()
	for _, page := range []string{"", "index.html", "remote.html", "embed.html", "?source=pwa"} {
		b.do(chromedp.Navigate(s.URL + "/some/where/" + page))
		b.wait("ready")
	}
	b.clean()
}

// A stored file that is damaged is noticed and replaced.
func TestOfflineRepair(t *testing.T) {
	s := newSite(t, dist, "/")
	b := emptyTab(t)
	b.do(chromedp.Navigate(s.URL))
	b.offline()
	damage := `(async () => {
		const [name] = await caches.keys(), cache = await caches.open(name);
		const [req] = (await cache.keys()).filter(r => r.url.endsWith(".css"));
		const text = await (await cache.match(req)).text();
		if ($1) await cache.put(req, new Response(text.replace("row", "rot"), {headers: {"content-type": "text/css"}}));
		return text.length + " " + text.includes("rot");
	})()`
	good := js[string](b, damage, true)
	b.do(chromedp.Navigate("about:blank"))
	b.do(chromedp.Navigate(s.URL))
	b.offline()
	if got := js[string](b, damage, false); got != good {
		t.Errorf("stored: %s, want %s", got, good)
	}
	b.clean()
}

// A new build: the page asks, loads the new version when told to, and the old one is gone.
func TestUpdate(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(dist)); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, dir, "/")
	b := emptyTab(t)
	b.do(chromedp.Navigate(s.URL))
	b.offline()
	old := js[[]string](b, "caches.keys()")
	rebuild(t, dir)
	b.do(chromedp.Reload())
	b.wait("ready")
	// A browser looks for a new build in its own time after a navigation; here it is asked to.
	js[bool](b, "navigator.serviceWorker.getRegistration().then(r => r.update()).then(() => true, () => true)")
	b.until("!document.querySelector('[data-role=notice]').hidden")
	if got := b.role("notice-text"); !strings.Contains(got, "new version") {
		t.Errorf("the page says %q", got)
	}
	if got := b.str("document.title"); got != "Weightroom" {
		t.Errorf("the new version came unasked: %q", got)
	}
	b.shot("update")
	b.click("update")
	b.until("document.title === 'Weightroom, newer'")
	b.wait("ready")
	b.until("caches.keys().then(k => k.length === 1 && k[0] !== $1)", old[0])
	b.clean()
}

// rebuild changes the built page: another title, and the hashes that go with it.
func rebuild(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "index.html")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	after := bytes.Replace(before, []byte("<title>Weightroom</title>"), []byte("<title>Weightroom, newer</title>"), 1)
	sw, err := os.ReadFile(filepath.Join(dir, "sw.js"))
	if err != nil {
		t.Fatal(err)
	}
	was, is := hash(before), hash(after)
	next := strings.Replace(string(sw), was, is, 1)
	version := next[strings.Index(next, `"version": "`)+12:][:16]
	next = strings.Replace(next, version, is[:16], 1)
	for name, data := range map[string]string{"index.html": string(after), "sw.js": next} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
