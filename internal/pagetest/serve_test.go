package pagetest

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"

	serve "github.com/weightroom/weightroom/internal/server"
	"github.com/weightroom/weightroom/statedict"
)

// The folder of the page behind `weightroom serve`: it works as behind any server, is kept offline, and its headers let embed.html
// into the pages that --embed names and into no others.
func TestServe(t *testing.T) {
	if missing != "" {
		t.Skip(missing)
	}
	model := mustRead(t, fixture("dataparallel_sgd.pth"))
	files := newHost(t, give(bytes.NewReader(model), int64(len(model))))
	// The docs name its address, and its options name the docs: so it gets its handler last.
	site := httptest.NewServer(nil)
	t.Cleanup(site.Close)
	named := docs(t, "", `<body><weightroom-viewer src="`+files.URL+`/model.pth"></weightroom-viewer><script src="`+site.URL+`/embed.js"></script></body>`)
	stranger := docs(t, "", `<body><iframe src="`+site.URL+`/embed.html" onload="window.loaded = true"></iframe></body>`)
	s, err := serve.New(serve.Options{Addr: "127.0.0.1:0", Web: dist, Embed: []string{strings.TrimSuffix(named, "/")}})
	if err != nil {
		t.Fatal(err)
	}
	var assets atomic.Int32
	h := s.Handler()
	site.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/assets/") {
			assets.Add(1)
		}
		h.ServeHTTP(w, r)
	})

	b := emptyTab(t)
	b.do(chromedp.Navigate(site.URL))
	b.offline()
	file := safetensors(t, "module.a", "module.b")
	b.choose(file)
	b.edit("strip-prefix", "prefix", "module.")
	if got, want := b.export("safetensors", "out.safetensors"), native(t, file, `{"recipe":1,"steps":[{"strip_prefix":"module."}]}`, statedict.Safetensors); !bytes.Equal(got, want) {
		t.Errorf("%d bytes saved, want %d", len(got), len(want))
	}
	b.clean()

	// A page that is not named gets the browser's own error page into the frame, and nothing of the viewer runs.
	before := assets.Load()
	out := emptyTab(t)
	out.do(chromedp.Navigate(stranger))
	out.until("window.loaded")
	if n := assets.Load() - before; n > 0 {
		t.Errorf("%d files of the page went into the frame of a stranger", n)
	}
	in := emptyTab(t)
	in.do(chromedp.Navigate(named))
	in.inside(strings.TrimPrefix(site.URL, "http://"))
	if assets.Load() == before {
		t.Error("nothing of the page went into the frame of the page that is named")
	}
	in.clean()
}
