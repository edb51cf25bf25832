package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func page(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"index.html": "<!doctype html>", "app.0123abcd.wasm": "\x00asm", "app.0123abcd.wasm.gz": "\x1f\x8bpacked", "boot.js": "let a", ".gitkeep": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func start(t *testing.T, o Options) (*Server, *httptest.Server) {
	t.Helper()
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Web == "" {
		o.Web = page(t)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(h.Close)
	return s, h
}

func get(t *testing.T, u string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest("GET", u, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	// Asking for an encoding by hand keeps the client from unpacking by itself.
	if r.Header.Get("Accept-Encoding") == "" {
		r.Header.Set("Accept-Encoding", "identity")
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestPage(t *testing.T) {
	_, h := start(t, Options{Embed: []string{"https://docs.example.org"}})
	res, body := get(t, h.URL+"/")
	if res.StatusCode != 200 || body != "<!doctype html>" || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("/: %s %q %q", res.Status, body, res.Header)
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "frame-ancestors 'none'",
		"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if frame, _ := get(t, h.URL+"/embed.html"); frame.Header.Get("Content-Security-Policy") != "frame-ancestors 'self' https://docs.example.org" {
		t.Errorf("embed.html: %q", frame.Header)
	}
	if res, _ := get(t, h.URL+"/", "If-None-Match", res.Header.Get("ETag")); res.StatusCode != 304 {
		t.Errorf("unchanged page: %s", res.Status)
	}
	res, body = get(t, h.URL+"/app.0123abcd.wasm")
	if body != "\x00asm" || res.Header.Get("Content-Type") != "application/wasm" || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("wasm: %q %v", body, res.Header)
	}
	res, body = get(t, h.URL+"/app.0123abcd.wasm", "Accept-Encoding", "br, gzip;q=0.9")
	if body != "\x1f\x8bpacked" || res.Header.Get("Content-Encoding") != "gzip" || res.Header.Get("Content-Type") != "application/wasm" {
		t.Errorf("packed wasm: %q %v", body, res.Header)
	}
	if res, body = get(t, h.URL+"/app.0123abcd.wasm", "Accept-Encoding", "gzip", "Range", "bytes=1-2"); res.StatusCode != 206 || body != "as" {
		t.Errorf("range: %s %q", res.Status, body)
	}
	for _, p := range []string{"/nothing", "/.gitkeep", "/../server.go", "/%2e%2e/x", "/api/ls?path=x"} {
		if res, _ := get(t, h.URL+p); res.StatusCode != 404 && res.StatusCode/100 != 3 {
			t.Errorf("%s: %s", p, res.Status)
		}
	}
	if res, _ := get(t, h.URL+"/", "Range", "bytes="+strings.Repeat("0-1,", 16)+"0-1"); res.StatusCode != 416 {
		t.Errorf("17 ranges: %s", res.Status)
	}
}

func TestHost(t *testing.T) {
	_, h := start(t, Options{Hosts: []string{"models.example.org"}})
	for host, want := range map[string]int{
		"localhost:8080": 200, "127.0.0.1": 200, "[::1]:80": 200, "192.168.1.5:8080": 200, "models.example.org": 200,
		"evil.example.org": 403, "localhost.evil.org:8080": 403, "": 200, // an absent one becomes the address
	} {
		if host == "" {
			host = strings.TrimPrefix(h.URL, "http://")
		}
		if res, _ := get(t, h.URL+"/", "Host", host); res.StatusCode != want {
			t.Errorf("host %q: %s, want %d", host, res.Status, want)
		}
	}
}

func TestToken(t *testing.T) {
	s, h := start(t, Options{Addr: "0.0.0.0:0"})
	token := s.opts.Token
	if len(token) < 20 || len(s.Notes()) == 0 {
		t.Fatalf("token %q, notes %q", token, s.Notes())
	}
	if res, _ := get(t, h.URL+"/"); res.StatusCode != 401 {
		t.Errorf("without: %s", res.Status)
	}
	if res, _ := get(t, h.URL+"/?token=wrong"); res.StatusCode != 401 {
		t.Errorf("wrong: %s", res.Status)
	}
	if res, _ := get(t, h.URL+"/", "Authorization", "Bearer "+token); res.StatusCode != 200 {
		t.Errorf("bearer: %s", res.Status)
	}
	res, _ := get(t, h.URL+"/?src=a&token="+url.QueryEscape(token))
	if res.StatusCode != 303 || res.Header.Get("Location") != "/?src=a" {
		t.Fatalf("handing over: %s to %q", res.Status, res.Header.Get("Location"))
	}
	c := res.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("cookie %v", c)
	}
	if res, _ := get(t, h.URL+"/", "Cookie", c.Name+"="+c.Value); res.StatusCode != 200 {
		t.Errorf("cookie: %s", res.Status)
	}
	if s, _ := start(t, Options{Addr: "localhost:0"}); s.opts.Token != "" {
		t.Error("a loopback address asks for a token")
	}
}

func TestAPIRefuses(t *testing.T) {
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "root"), 0o777)
	os.WriteFile(filepath.Join(dir, "secret.pth"), []byte("secret"), 0o666)
	os.WriteFile(filepath.Join(dir, "root", "page.pth"), []byte("<html>"), 0o666)
	os.Symlink("../secret.pth", filepath.Join(dir, "root", "link.pth"))
	_, h := start(t, Options{Root: filepath.Join(dir, "root")})
	for path, want := range map[string]int{
		"page.pth": 422, "none.pth": 404, "link.pth": 403, "../secret.pth": 400, "/etc/passwd": 400, "": 400, ".": 422, "a\x00": 400,
	} {
		res, body := get(t, h.URL+"/api/ls?path="+url.QueryEscape(path))
		var e struct {
			Error struct{ Code, Message, Hint string }
		}
		if err := json.Unmarshal([]byte(body), &e); res.StatusCode != want || err != nil || e.Error.Code == "" {
			t.Errorf("%q: %s, want %d: %s", path, res.Status, want, body)
		}
		if strings.Contains(body, dir) || strings.Contains(body, "goroutine") {
			t.Errorf("%q: the answer says too much: %s", path, body)
		}
	}
	res, body := get(t, h.URL+"/api/files")
	if res.StatusCode != 200 || !strings.Contains(body, `"page.pth"`) || strings.Contains(body, "link") {
		t.Errorf("files: %s %s", res.Status, body)
	}
	for _, typ := range []string{"text/plain", "", "application/x-www-form-urlencoded"} {
		res, err := http.Post(h.URL+"/api/plan", typ, strings.NewReader(`{"path": "page.pth"}`))
		if err != nil || res.StatusCode != 415 {
			t.Errorf("type %q: %v %v", typ, res.Status, err)
		}
	}
	res, err := http.Post(h.URL+"/api/plan", "application/json", strings.NewReader(`{"path": "`+strings.Repeat("x", maxBody)+`"}`))
	if err != nil || res.StatusCode != 413 {
		t.Errorf("large body: %v %v", res.Status, err)
	}
}

func TestBusy(t *testing.T) {
	s, h := start(t, Options{Root: t.TempDir()})
	for range slots {
		s.slots <- struct{}{}
	}
	if res, _ := get(t, h.URL+"/api/files"); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("busy: %s", res.Status)
	}
	<-s.slots
	if res, _ := get(t, h.URL+"/api/files"); res.StatusCode != 200 {
		t.Errorf("free again: %s", res.Status)
	}
}

func TestRunStops(t *testing.T) {
	s, err := New(Options{Addr: "127.0.0.1:0", Web: page(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err = s.Run(ctx, func(u string) {
		go func() {
			if res, _ := get(t, u); res.StatusCode != 200 {
				t.Errorf("%s: %s", u, res.Status)
			}
			cancel()
		}()
	})
	if err != nil {
		t.Error(err)
	}
}
