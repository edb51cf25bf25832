package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"
)

// assets is the page: every file in memory with its hash, so that a browser fetches each once.
type assets struct{ files map[string]*asset }

type asset struct {
	data, gz []byte // gz is nil where the build made no compressed copy
	mime     string
	etag     string
	forever  bool // the name carries the content's hash
}

// mimes does not ask the system, whose answers differ: a browser streams WebAssembly only as application/wasm.
var mimes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".wasm": "application/wasm", ".json": "application/json", ".webmanifest": "application/manifest+json",
	".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".txt": "text/plain; charset=utf-8",
	".woff2": "font/woff2", ".yaml": "application/yaml", ".map": "application/json",
}

var hashedName = regexp.MustCompile(`[.-][0-9a-f]{8,64}\.[a-z0-9]+$`)

func newAssets(page fs.FS) (*assets, error) {
	a := &assets{files: make(map[string]*asset)}
	packed := make(map[string][]byte)
	err := fs.WalkDir(page, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		data, err := fs.ReadFile(page, name)
		if err != nil {
			return err
		}
		if plain, ok := strings.CutSuffix(name, ".gz"); ok {
			packed[plain] = data
		}
		sum := sha256.Sum256(data)
		f := &asset{data: data, mime: mimes[path.Ext(name)], etag: hex.EncodeToString(sum[:12]), forever: hashedName.MatchString(name)}
		if f.mime == "" {
			f.mime = "application/octet-stream"
		}
		a.files["/"+name] = f
		return nil
	})
	for name, gz := range packed {
		if f := a.files["/"+name]; f != nil {
			f.gz = gz
		}
	}
	return a, err
}

func (a *assets) empty() bool { return a.files["/index.html"] == nil }

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path
	if strings.HasSuffix(name, "/") {
		name += "index.html"
	}
	f := a.files[name]
	if f == nil {
		writeError(w, http.StatusNotFound, "E_NOT_FOUND", "no such page", "")
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		writeError(w, http.StatusMethodNotAllowed, "E_USAGE", "only GET", "")
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.mime)
	h.Set("Cache-Control", "no-cache")
	if f.forever {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	data, etag := f.data, f.etag
	if f.gz != nil {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r) && r.Header.Get("Range") == "" {
			h.Set("Content-Encoding", "gzip")
			data, etag = f.gz, etag+"-gz"
		}
	}
	h.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func acceptsGzip(r *http.Request) bool {
	for _, part := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name == "gzip" && strings.ReplaceAll(q, " ", "") != "q=0" {
			return true
		}
	}
	return false
}
