package pagetest

import (
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// zipped serves a folder with every answer compressed by gzip, as netron.app's host does.
func zipped(dir string) http.Handler {
	files := http.FileServer(http.Dir(dir))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Range")
		z := gzip.NewWriter(w)
		defer z.Close()
		w.Header().Set("Content-Encoding", "gzip")
		files.ServeHTTP(zipWriter{w, z}, r)
	})
}

type zipWriter struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (w zipWriter) Write(b []byte) (int, error) { return w.z.Write(b) }
func (w zipWriter) WriteHeader(code int) {
	w.Header().Del("Content-Length")
	w.ResponseWriter.WriteHeader(code)
}

// What a visitor of netron's page waits for and fetches, measured as TestStart measures ours, up to its welcome: the
// reader of a format comes when a file is opened. WEIGHTROOM_NETRON is the folder of netron's index.html.
func TestStartNetron(t *testing.T) {
	dir := os.Getenv("WEIGHTROOM_NETRON")
	if dir == "" {
		t.Skip("WEIGHTROOM_NETRON is not set")
	}
	runs := 1
	if n, err := strconv.Atoi(os.Getenv("WEIGHTROOM_STARTS")); err == nil && n > 0 {
		runs = n
	}
	s := httptest.NewServer(zipped(dir))
	defer s.Close()
	var all []started
	for range runs {
		b := emptyTab(t)
		command(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: strings.ReplaceAll(watchStart,
			`document.documentElement?.dataset.state === "ready"`, `document.body?.matches(".welcome, .welcome *")`)})
		b.do(chromedp.Navigate(s.URL))
		b.until("start.ready && start['first-contentful-paint']")
		all = append(all, js[started](b, measureStart))
	}
	median := func(f func(started) float64) float64 { return medianStart(all, f) }
	t.Logf("| netron: first paint, after the HTML is there | %.0f ms |", median(func(s started) float64 { return s.Paint - s.HTML }))
	t.Logf("| netron: usable, after the navigation | %.0f ms |", median(func(s started) float64 { return s.Ready }))
	t.Logf("| netron: fetched, compressed | %.0f kB in %d requests |", median(func(s started) float64 { return float64(s.Bytes) })/1000, all[0].Requests)
}
