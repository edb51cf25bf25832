package pagetest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/weightroom/weightroom/statedict"
)

// host is a server of files for pages of other origins, as an object store is, with a count of what it gave.
type host struct {
	*httptest.Server
	requests, bytes atomic.Int64
	other           atomic.Int64 // requests that are no GET
}

type counted struct {
	http.ResponseWriter
	h *host
}

func (c counted) Write(p []byte) (int, error) {
	c.h.bytes.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

func newHost(t *testing.T, h http.HandlerFunc) *host {
	t.Helper()
	s := &host{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if r.Method != http.MethodGet {
			s.other.Add(1)
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "Content-Range, ETag")
		h(counted{w, s}, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// give serves data with everything that net/http does for ranges.
func give(data io.ReaderAt, size int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if w.Header().Get("ETag") == "" {
			w.Header().Set("ETag", `"1"`)
		}
		http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(data, 0, size))
	}
}

// remote opens the page for an address.
func remote(t *testing.T, src, more string) *tab {
	t.Helper()
	b := emptyTab(t)
	b.do(chromedp.Navigate(server.URL + "/some/where/?src=" + url.QueryEscape(src) + more))
	b.until("document.documentElement.dataset.page === 'remote' && ['ready','error'].includes(document.documentElement.dataset.state)")
	return b
}

// sparseFile is the file of a plan whose tensors are all zeros.
type sparseFile struct {
	at   []int64
	segs []statedict.Segment
	size int64
}

func (s *sparseFile) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), s.size-off))
	clear(p[:n])
	for i := sort.Search(len(s.at), func(i int) bool { return s.at[i]+s.segs[i].Len() > off }); i < len(s.at) && s.at[i] < off+int64(n); i++ {
		if lit, ok := s.segs[i].(statedict.Literal); ok {
			if d := s.at[i] - off; d >= 0 {
				copy(p[d:n], lit)
			} else {
				copy(p[:n], lit[-d:])
			}
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

type zeros struct{ head []byte }

func (z zeros) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(z.head)) {
		copy(p, z.head[off:])
	}
	return len(p), nil
}

// tenGB is a torch file of n tensors and 10 GB that takes no space.
func tenGB(t *testing.T, n int) *sparseFile {
	t.Helper()
	const side = 2896
	one := int64(side) * side * 4 * 300 / int64(n) / 4 * 4
	var head bytes.Buffer
	head.WriteByte('{')
	for i := range n {
		if i > 0 {
			head.WriteByte(',')
		}
		fmt.Fprintf(&head, `"module.layers.%d.weight":{"dtype":"F32","shape":[%d],"data_offsets":[%d,%d]}`, i, one/4, int64(i)*one, int64(i+1)*one)
	}
	head.WriteByte('}')
	for head.Len()%8 != 0 {
		head.WriteByte(' ')
	}
	z := zeros{append([]byte{byte(head.Len()), byte(head.Len() >> 8), byte(head.Len() >> 16), 0, 0, 0, 0, 0}, head.Bytes()...)}
	cp, err := statedict.Open(context.Background(), statedict.Source{Name: "x", R: z, Size: int64(len(z.head)) + one*int64(n)})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := statedict.NewPlan(cp, statedict.TorchZip, &statedict.PlanOptions{Name: "big.pth"})
	if err != nil {
		t.Fatal(err)
	}
	s := &sparseFile{segs: plan.Files[0].Segments}
	for _, seg := range s.segs {
		s.at = append(s.at, s.size)
		s.size += seg.Len()
	}
	return s
}

// Ten gigabytes are listed from a few requests, all of them closed ranges that need no leave.
func TestRemoteLists(t *testing.T) {
	for _, n := range []int{300, 3000} {
		big := tenGB(t, n)
		if big.size < 10e9 {
			t.Fatalf("%d bytes", big.size)
		}
		var odd atomic.Int32
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			var from, to int64
			if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err != nil || r.Header.Get("Cookie") != "" || r.Header.Get("Referer") != "" {
				odd.Add(1)
			}
			give(big, big.size)(w, r)
		})
		b := remote(t, h.URL+"/big.pth", "")
		want := fmt.Sprintf("%s keys · 10.1 GB", strings.Replace(fmt.Sprint(n), "3000", "3,000", 1))
		if got := b.role("summary"); got != want {
			t.Errorf("summary %q, error %q", got, b.role("error"))
		}
		t.Logf("%d tensors: %d requests, %d bytes", n, h.requests.Load(), h.bytes.Load())
		if h.requests.Load() > 6 || h.bytes.Load() > 8<<20 || odd.Load() > 0 || h.other.Load() > 0 {
			t.Errorf("%d requests, %d of another kind, %d odd, %d bytes", h.requests.Load(), h.other.Load(), odd.Load(), h.bytes.Load())
		}
		if got := b.role("status-text"); got != "Reads from "+h.URL+" only" {
			t.Errorf("the page says %q", got)
		}
		if n == 300 {
			b.shot("remote")
			control := newHost(t, func(w http.ResponseWriter, r *http.Request) {})
			if got := js[string](b, `fetch($1).then(() => "went out", () => "blocked")`, control.URL); got != "blocked" || control.requests.Load() > 0 {
				t.Errorf("another origin: %s", got)
			}
			continue
		}
		b.clean()
	}
}

// A recipe on a remote file, exported: the bytes of the codec.
func TestRemoteExport(t *testing.T) {
	path := fixture("dataparallel_sgd.pth")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	recipe := `{"recipe":1,"steps":[{"strip_prefix":"module."}]}`
	cp := open(t, path)
	if _, _, err := mustRecipe(t, recipe).Apply(cp, nil); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/recipe.yaml" {
			io.WriteString(w, "recipe: 1\nsteps:\n  - strip_prefix: module.\n")
			return
		}
		give(bytes.NewReader(data), int64(len(data)))(w, r)
	})
	for _, more := range []string{"&recipe=" + url.QueryEscape(h.URL+"/recipe.yaml"), "#recipe=" + base64.RawURLEncoding.EncodeToString([]byte(recipe))} {
		b := remote(t, h.URL+"/model.pth", more)
		if got := b.str("document.querySelectorAll('[data-role=steps] .step:not(.undone)').length"); got != "1" {
			b.clean()
			t.Fatalf("%s steps, state %s, error %q", got, b.str("document.documentElement.dataset.state"), b.role("error"))
		}
		got := b.export("torch", "model.pth")
		if want := nativeAs(t, path, recipe, statedict.TorchZip, "model"); !bytes.Equal(got, want) {
			t.Errorf("%d bytes saved, want %d", len(got), len(want))
		}
		link := js[string](b, `new Promise(done => { navigator.clipboard.writeText = async s => done(s); document.querySelector("[data-action=copy-link]").click() })`)
		if !strings.HasPrefix(link, server.URL+"/some/where/remote.html?src="+url.QueryEscape(h.URL+"/model.pth")+"#recipe=") {
			t.Errorf("link %s", link)
		}
		b.clean()
	}
}

func mustRecipe(t *testing.T, doc string) *statedict.Recipe {
	t.Helper()
	r, err := statedict.ParseRecipe([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// An index with its shards beside it.
func TestRemoteShards(t *testing.T) {
	files := map[string][]byte{}
	weights := map[string]string{}
	for i, keys := range [][]string{{"a.w", "a.b"}, {"b.w"}, {"c.w", "c.b"}} {
		name := fmt.Sprintf("model-%05d-of-00003.safetensors", i+1)
		data, err := os.ReadFile(safetensors(t, keys...))
		if err != nil {
			t.Fatal(err)
		}
		files["/hub/resolve/main/"+name] = data
		for _, k := range keys {
			weights[k] = name
		}
	}
	index, err := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 40}, "weight_map": weights})
	if err != nil {
		t.Fatal(err)
	}
	files["/hub/resolve/main/model.safetensors.index.json"] = index
	h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
		data, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		give(bytes.NewReader(data), int64(len(data)))(w, r)
	})
	b := remote(t, h.URL+"/hub/resolve/main/model.safetensors.index.json", "")
	if got := b.role("summary"); got != "5 keys · 40 B" {
		t.Errorf("summary %q, error %q", got, b.role("error"))
	}
	b.clean()
	delete(files, "/hub/resolve/main/model-00002-of-00003.safetensors")
	b = remote(t, h.URL+"/hub/resolve/main/model.safetensors.index.json", "")
	if got := b.role("error"); !strings.Contains(got, "model-00002-of-00003.safetensors") || !strings.Contains(got, "404") {
		t.Errorf("a shard that is missing is told as %q", got)
	}
}

// Every fault of a server has a sentence of its own, and the page goes on.
func TestRemoteFaults(t *testing.T) {
	big := tenGB(t, 300)
	small, err := os.ReadFile(safetensors(t, "a"))
	if err != nil {
		t.Fatal(err)
	}
	ok := give(big, big.size)
	for name, c := range map[string]struct {
		serve func(n int32, w http.ResponseWriter, r *http.Request)
		want  string // of the error; "" for none
	}{
		"no ranges, small": {func(n int32, w http.ResponseWriter, r *http.Request) { w.Write(small) }, ""},
		"busy at first": {func(n int32, w http.ResponseWriter, r *http.Request) {
			if n < 3 {
				w.WriteHeader(503)
				return
			}
			ok(w, r)
		}, ""},
		"hidden size": {func(n int32, w http.ResponseWriter, r *http.Request) {
			w.Header().Del("Access-Control-Expose-Headers")
			ok(w, r)
		}, ""},
		"no ranges": {func(n int32, w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			ok(w, r)
		}, "does not give parts of this file"},
		"wrong ranges": {func(n int32, w http.ResponseWriter, r *http.Request) {
			if n > 1 {
				r.Header.Set("Range", "bytes=7-65542")
			}
			ok(w, r)
		}, "other bytes than it was asked for"},
		"dropped": {func(n int32, w http.ResponseWriter, r *http.Request) {
			if n > 1 {
				w.Header().Set("Content-Length", "65536")
				w.Header().Set("Content-Range", "bytes 0-65535/"+fmt.Sprint(big.size))
				w.WriteHeader(206)
				w.Write(make([]byte, 100))
				w.(counted).ResponseWriter.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			ok(w, r)
		}, "broke off 5 times"},
		"changed": {func(n int32, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n))
			ok(w, r)
		}, "not the one that was opened"},
		"no CORS": {func(n int32, w http.ResponseWriter, r *http.Request) {
			w.Header().Del("Access-Control-Allow-Origin")
			ok(w, r)
		}, "does not let pages of other sites"},
		"not found": {func(n int32, w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, "there is no such file"},
		"sent elsewhere": {func(n int32, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://localhost:1/x", 302)
		}, "sends the browser on to another origin"},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			h := newHost(t, func(w http.ResponseWriter, r *http.Request) { c.serve(n.Add(1), w, r) })
			b := emptyTab(t)
			b.do(chromedp.Navigate(server.URL + "/some/where/remote.html?src=" + url.QueryEscape(h.URL+"/model.pth")))
			b.until("['ready','error'].includes(document.documentElement.dataset.state)")
			got := b.role("error-message")
			t.Logf("%s | %s | %d requests", got, b.role("error-hint"), n.Load())
			if state := b.str("document.documentElement.dataset.state"); (state == "error") != (c.want != "") || !strings.Contains(got, c.want) {
				t.Errorf("%s: %q", state, got)
			}
			if c.want == "" && !strings.Contains(b.role("summary"), "key") {
				t.Errorf("summary %q", b.role("summary"))
			}
		})
	}
}

// A request that does not come to its end is stopped at once.
func TestRemoteCancel(t *testing.T) {
	gone := make(chan bool, 10)
	h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		gone <- true
	})
	b := emptyTab(t)
	b.do(chromedp.Navigate(server.URL + "/some/where/remote.html?src=" + url.QueryEscape(h.URL+"/model.pth")))
	b.until("!document.querySelector('[data-role=opening]').hidden")
	b.shot("remote-opening")
	b.click("cancel")
	b.wait("ready")
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("the request goes on")
	}
	b.choose(safetensors(t, "a"))
	if got := b.role("summary"); got != "1 key · 8 B" {
		t.Errorf("summary %q", got)
	}
}

// A link shows its steps, applies them to the file, and does not when they do not fit.
func TestRecipeLink(t *testing.T) {
	link := "#recipe=" + base64.RawURLEncoding.EncodeToString([]byte(`{"recipe":1,"steps":[{"strip_prefix":"module."},{"cast":{"to":"float16"}}]}`))
	b := emptyTab(t)
	b.do(chromedp.Navigate(server.URL + "/some/where/" + link))
	b.wait("ready")
	if got := b.role("linked"); !strings.Contains(got, "2 steps") || !strings.Contains(got, "module.") {
		t.Errorf("before a file: %q", got)
	}
	b.shot("link")
	b.choose(safetensors(t, "module.secret.w"))
	if got := strings.Join(b.paths("tensor"), " "); got != "secret.w" {
		t.Errorf("rows %q, error %q", got, b.role("error"))
	}
	copied := js[string](b, `new Promise(done => { navigator.clipboard.writeText = async s => done(s); document.querySelector("[data-action=copy-link]").click() })`)
	doc, err := base64.RawURLEncoding.DecodeString(copied[strings.Index(copied, "=")+1:])
	if err != nil || !strings.HasPrefix(copied, server.URL+"/some/where/#recipe=") || strings.Contains(string(doc), "secret") {
		t.Errorf("copied %s: %s", copied, doc)
	}
	b.choose(safetensors(t, "other"))
	b.until("document.querySelector('[data-role=error-title]').innerText.includes('does not fit')")
	if got := b.role("summary"); got != "1 key · 8 B" {
		t.Errorf("a file that the recipe does not fit: %q", got)
	}
	b.clean()
}

// nativeAs is native with the stem that the output's records carry.
func nativeAs(t *testing.T, path, recipe string, format statedict.Format, name string) []byte {
	t.Helper()
	cp, _, err := mustRecipe(t, recipe).Apply(open(t, path), nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := statedict.NewPlan(cp, format, &statedict.PlanOptions{Name: name + filepath.Ext(path)})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := plan.Files[0].Write(context.Background(), &out, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
