package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weightroom/weightroom/wasm/message"
)

// native is a Fetcher on net/http that hides what a server hides from other origins.
type native struct {
	hide   bool // Content-Range and ETag
	origin string
}

func (n native) SameOrigin(url string) bool {
	return n.origin != "" && strings.HasPrefix(url, n.origin)
}

func (n native) Reachable(ctx context.Context, url string) bool { return true }

func (n native) Get(ctx context.Context, r Request) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", r.URL, nil)
	if err != nil {
		return nil, err
	}
	if r.From >= 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", r.From, r.To))
	}
	if r.IfRange != "" {
		req.Header.Set("If-Range", r.IfRange)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, ErrNoAnswer
	}
	defer res.Body.Close()
	a := &Answer{Status: res.StatusCode, URL: res.Request.URL.String(), Length: res.ContentLength, Modified: res.Header.Get("Last-Modified")}
	if !n.hide {
		a.ContentRange, a.ETag = res.Header.Get("Content-Range"), res.Header.Get("ETag")
	}
	if r.Headers || a.Status >= 400 {
		return a, nil
	}
	a.Body, err = io.ReadAll(io.LimitReader(res.Body, r.Limit+1))
	if err != nil {
		return a, ErrDropped
	}
	if int64(len(a.Body)) > r.Limit {
		return a, ErrTooLong
	}
	return a, nil
}

func quick(t *testing.T) {
	old := pauses
	pauses = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
	t.Cleanup(func() { pauses = old })
}

func randomBytes(n int) []byte {
	rnd := rand.New(rand.NewPCG(7, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

func openAt(url string, n native) (*Remote, error) {
	return OpenRemote(context.Background(), "x", url, n, context.Background)
}

func TestRemoteReads(t *testing.T) {
	quick(t)
	for _, size := range []int{0, 1, headSize - 1, headSize, headSize + 1, 3_000_000} {
		data := randomBytes(size)
		for name, c := range map[string]struct {
			n      native
			ranges bool
			busy   bool
		}{
			"plain": {ranges: true}, "hidden": {native{hide: true}, true, false}, "no ranges": {}, "busy": {ranges: true, busy: true},
		} {
			if size == 0 && name != "no ranges" {
				continue // a range of an empty file does not exist
			}
			var count atomic.Int32
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if k := count.Add(1); c.busy && k%3 != 0 {
					w.WriteHeader(503)
					return
				}
				if !c.ranges {
					w.Write(data)
					return
				}
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
			}))
			r, err := openAt(s.URL, c.n)
			if err != nil {
				t.Fatalf("%s, %d bytes: %v", name, size, err)
			}
			got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size+1))
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s, %d bytes: %d came, error %v", name, size, len(got), err)
			}
			s.Close()
		}
	}
}

// Each fault has a code of its own.
func TestRemoteFaults(t *testing.T) {
	quick(t)
	data := randomBytes(1 << 20)
	serve := func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}
	var state atomic.Int32
	for _, c := range []struct {
		code string
		same bool
		h    http.HandlerFunc
	}{
		{code: "E_REMOTE_STATUS", h: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404) }},
		{code: "E_REMOTE_STATUS", h: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }},
		{code: "E_REMOTE_RANGES", h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(maxWhole+1<<20))
			for range maxWhole>>20 + 1 {
				w.Write(data)
			}
		}},
		{code: "E_REMOTE_WRONG", h: func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Range", "bytes=5-100")
			serve(w, r)
		}},
		{code: "E_REMOTE_WRONG", h: func(w http.ResponseWriter, r *http.Request) {
			if state.Add(1) > 1 {
				r.Header.Set("Range", "bytes=7-65542")
			}
			serve(w, r)
		}},
		{code: "E_REMOTE_DROPPED", h: func(w http.ResponseWriter, r *http.Request) {
			if state.Add(1) == 1 {
				serve(w, r)
				return
			}
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(206)
			w.Write(data[:10])
		}},
		{code: "E_REMOTE_CHANGED", h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, state.Add(1)))
			r.Header.Del("If-Range")
			serve(w, r)
		}},
		{code: "E_REMOTE_CHANGED", same: true, h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, state.Add(1)))
			serve(w, r)
		}},
		{code: "E_REMOTE_CHANGED", h: func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data[:len(data)-int(state.Add(1))]))
		}},
	} {
		state.Store(0)
		s := httptest.NewServer(c.h)
		n := native{}
		if c.same {
			n.origin = s.URL
		}
		r, err := openAt(s.URL, n)
		if err == nil {
			_, err = r.ReadAt(make([]byte, 100), 500_000)
		}
		var me *message.Error
		if !errors.As(err, &me) || me.Code != c.code {
			t.Errorf("%v, want %s", err, c.code)
		}
		s.Close()
	}
}

// Stopping does not wait for the pauses, and a redirect that has run out is asked for again.
func TestRemoteStopAndRedirect(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }))
	defer s.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := OpenRemote(ctx, "x", s.URL, native{}, context.Background); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 200*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	data := randomBytes(1 << 20)
	var asked atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, fmt.Sprintf("/signed?n=%d", asked.Add(1)), 302)
	})
	mux.HandleFunc("/signed", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("n") != fmt.Sprint(asked.Load()) {
			w.WriteHeader(403)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	})
	s2 := httptest.NewServer(mux)
	defer s2.Close()
	r, err := openAt(s2.URL+"/file", native{})
	if err != nil {
		t.Fatal(err)
	}
	asked.Add(1)
	p := make([]byte, 10)
	if _, err := r.ReadAt(p, 700_000); err != nil || !bytes.Equal(p, data[700_000:700_010]) {
		t.Errorf("%v", err)
	}
}

func TestRemoteURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://huggingface.co/a/b/blob/main/x.safetensors":         "https://huggingface.co/a/b/resolve/main/x.safetensors",
		"https://huggingface.co/a/b/resolve/main/blob/x.safetensors": "https://huggingface.co/a/b/resolve/main/blob/x.safetensors",
		"https://example.org/blob/x.pth#part":                        "https://example.org/blob/x.pth",
		"http://localhost:8000/x%20y.pth?download=true":              "http://localhost:8000/x%20y.pth?download=true",
		"ftp://example.org/x":                                        "", "javascript:alert(1)": "", "https://user:pw@example.org/x": "", "x.pth": "", "": "",
	} {
		u, err := remoteURL(in)
		if (err != nil) != (want == "") || err == nil && u.String() != want {
			t.Errorf("%s: %v, %v", in, u, err)
		}
	}
}

func TestShards(t *testing.T) {
	for doc, want := range map[string]string{
		`{"weight_map": {"a": "m-2.safetensors", "b": "m-1.safetensors", "c": "m-1.safetensors"}}`: "m-1.safetensors m-2.safetensors",
		`{"weight_map": {"a": "../secret"}}`: "error",
		`{"weight_map": {"a": "/etc/x"}}`:    "error",
		`{"x": 1}`:                           "",
		`{`:                                  "",
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(doc))
		}))
		r, err := OpenRemote(context.Background(), "m.index.json", s.URL, native{}, context.Background)
		if err != nil {
			t.Fatal(err)
		}
		names, err := r.shards()
		got := strings.Join(names, " ")
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %s", doc, got)
		}
		s.Close()
	}
}

// An address that a server sends on to and that runs out in the middle of other failures is one failure more, and no end.
func TestRemoteExpires(t *testing.T) {
	quick(t)
	data := randomBytes(1 << 20)
	var asked atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		if asked.Load() > 0 {
			w.WriteHeader(503)
			return
		}
		http.Redirect(w, r, "/signed", 302)
	})
	mux.HandleFunc("/signed", func(w http.ResponseWriter, r *http.Request) {
		switch n := asked.Add(1); {
		case n == 1:
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		case int(n) <= 1+len(pauses):
			w.WriteHeader(503)
		default:
			w.WriteHeader(403)
		}
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	r, err := openAt(s.URL+"/file", native{})
	if err != nil {
		t.Fatal(err)
	}
	var me *message.Error
	if _, err := r.ReadAt(make([]byte, 10), 700_000); !errors.As(err, &me) || me.Code != "E_REMOTE_STATUS" {
		t.Errorf("%v", err)
	}
}

// Of a thousand shards the first that is missing ends it.
func TestShardMissing(t *testing.T) {
	quick(t)
	doc := `{"weight_map": {`
	for i := range 1000 {
		doc += fmt.Sprintf(`"k%d": "m-%04d.safetensors",`, i, i)
	}
	doc = strings.TrimSuffix(doc, ",") + "}}"
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if strings.HasSuffix(r.URL.Path, ".json") {
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(doc))
			return
		}
		http.NotFound(w, r)
	}))
	defer s.Close()
	_, err := OpenRemotes(context.Background(), s.URL+"/m.index.json", native{}, context.Background)
	var me *message.Error
	if !errors.As(err, &me) || me.Code != "E_REMOTE_STATUS" || !strings.HasPrefix(me.Message, "shard m-0") {
		t.Errorf("%v", err)
	}
	if n := asked.Load(); n > 1+2*abreast {
		t.Errorf("%d requests", n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := OpenRemotes(ctx, s.URL+"/m.index.json", native{}, context.Background); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}
