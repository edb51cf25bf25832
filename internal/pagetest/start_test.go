package pagetest

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	serve "github.com/weightroom/weightroom/internal/server"
)

// watchStart notes when something is on the screen and when the page can be used, in milliseconds since the navigation.
const watchStart = `
window.start = {};
new PerformanceObserver(l => l.getEntries().forEach(e => start[e.name] = e.startTime)).observe({type: "paint", buffered: true});
new MutationObserver(() => { if (document.documentElement?.dataset.state === "ready") start.ready ??= performance.now() }).observe(document, {attributes: true, subtree: true, attributeFilter: ["data-state", "class"]});
`

// started is a start of the page: milliseconds from the navigation, and bytes as they crossed the network.
type started struct {
	HTML, Paint, Ready float64
	Bytes, Requests    int
}

// measureStart is a script for a start.
const measureStart = `(() => {
	const nav = performance.getEntriesByType("navigation")[0], all = [nav, ...performance.getEntriesByType("resource").filter(e => e.name.startsWith("http"))];
	return {HTML: nav.responseEnd, Paint: start["first-contentful-paint"], Ready: start.ready, Bytes: all.reduce((n, e) => n + e.transferSize, 0), Requests: all.length};
})()`

// medianStart is the middle of what f says of the starts.
func medianStart(all []started, f func(started) float64) float64 {
	slices.SortFunc(all, func(a, b started) int { return cmp.Compare(f(a), f(b)) })
	return f(all[len(all)/2])
}

// startOnce opens the page with nothing in any cache, from `weightroom serve`.
func startOnce(t *testing.T, url string) (s started) {
	b := emptyTab(t)
	command(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watchStart})
	b.do(chromedp.Navigate(url))
	b.wait("ready")
	b.until("start.ready && start['first-contentful-paint']")
	b.clean()
	return js[started](b, measureStart)
}

// What a visitor waits for and fetches, as scripts/bench-start.sh prints it. Times depend on the machine; the bytes do not.
func TestStart(t *testing.T) {
	if missing != "" {
		t.Skip(missing)
	}
	runs := 1
	if n, err := strconv.Atoi(os.Getenv("WEIGHTROOM_STARTS")); err == nil && n > 0 {
		runs = n
	}
	s, err := serve.New(serve.Options{Addr: "127.0.0.1:0", Web: dist})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	url, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- s.Run(ctx, func(u string) { url <- u }) }()
	defer func() {
		stop()
		<-done
	}()
	at := <-url
	var all []started
	for range runs {
		all = append(all, startOnce(t, at))
	}
	median := func(f func(started) float64) float64 { return medianStart(all, f) }
	t.Logf("| first paint, after the HTML is there | %.0f ms |", median(func(s started) float64 { return s.Paint - s.HTML }))
	t.Logf("| first paint, after the navigation | %.0f ms |", median(func(s started) float64 { return s.Paint }))
	t.Logf("| usable, after the navigation | %.0f ms |", median(func(s started) float64 { return s.Ready }))
	t.Logf("| fetched, compressed | %.0f kB in %d requests |", median(func(s started) float64 { return float64(s.Bytes) })/1000, all[0].Requests)
	if b := all[0].Bytes; b > compressedBudget+pageBudget {
		t.Errorf("the page fetches %d bytes", b)
	}
}
