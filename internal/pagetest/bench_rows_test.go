package pagetest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/weightroom/weightroom/statedict"
)

// observer keeps both programs' memory at hand, and the time at which a file was chosen.
const observer = `{
	const keep = "const make = WebAssembly.instantiate; WebAssembly.instantiate = async (...a) => { const r = await make(...a); self.program = r.instance ?? r; return r };\n";
	const make = WebAssembly.instantiate;
	WebAssembly.instantiate = async (...a) => { const r = await make.apply(WebAssembly, a); if ((r.instance ?? r).exports.mem) window.program = r.instance ?? r; return r };
	window.prelude = keep + "addEventListener('message', e => { if (!e.data?.weigh) return; e.stopImmediatePropagation(); postMessage({kind: 'test', id: 0, got: self.program.exports.mem.buffer.byteLength}) });\n";
	addEventListener("change", e => { if (e.target.id === "open") window.chosen = performance.now() }, true);
	window.firstRow = () => new Promise(done => {
		const look = () => document.documentElement.dataset.state === "ready" && [...document.querySelectorAll("[role=row][data-kind=tensor]")].some(r => !r.hidden) ? done(performance.now() - chosen) : requestAnimationFrame(look);
		look();
	});
	window.frames = (n, each) => new Promise(done => {
		const at = [];
		const step = t => {
			at.push(t);
			if (at.length > n) return done(at.slice(1).map((x, i) => x - at[i]));
			each(at.length);
			requestAnimationFrame(step);
		};
		requestAnimationFrame(step);
	});
}`

// 200,000 rows in Chromium: how long until they are there, how they scroll, and the memory of both programs. Times are for
// the reader; scripts/bench-page.sh runs this.
func TestBenchPage(t *testing.T) {
	if os.Getenv("WEIGHTROOM_BENCH_PAGE") == "" {
		t.Skip("WEIGHTROOM_BENCH_PAGE is not set")
	}
	const rows = 200_000
	var keys []string
	for i := range rows {
		keys = append(keys, fmt.Sprintf("model.layers.%d.experts.%d.%s", i/2000, i/4%500, []string{"gate.weight", "up.weight", "down.weight", "norm"}[i%4]))
	}
	file := safetensors(t, keys...)
	torch := write(t, "model.pth", native(t, file, `{"recipe":1,"steps":[]}`, statedict.TorchZip))
	fmt.Println("| 200,000 rows | rows after | scrolling, p95 frame | processor a frame | worst frame | tasks over 50 ms while scrolling | JS heap | WASM page | WASM worker |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
	for _, path := range []string{file, torch} {
		kind := path[strings.LastIndexByte(path, '.')+1:]
		b := longTab(t, 5*time.Minute)
		command(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: observer})
		b.do(chromedp.Navigate(server.URL + "/some/where/"))
		b.wait("ready")
		command(b, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks})
		b.do(chromedp.SetUploadFiles(chromedp.CSS("#open"), []string{path}))
		open := js[float64](b, "firstRow()")
		b.str("document.querySelector('[data-action=expand-all]').click()")
		b.until("document.querySelector('#tree').scrollHeight > 5e6")
		b.tasks()
		js[bool](b, "new Promise(done => setTimeout(() => { longTasks.length = 0; tree.scrollTop = 0; done(true) }, 1000))")
		spent := b.processor()
		frames := js[[]float64](b, "frames(400, n => { tree.scrollTop += n % 25 ? 84 : 200000 })")
		spent = (b.processor() - spent) / float64(len(frames))
		slices.Sort(frames)
		long := js[[]int](b, "longTasks")
		heap := command(b, runtime.GetHeapUsage, cdp.Empty{})
		js[bool](b, "new Promise(done => { workers.at(-1).addEventListener('message', e => { if (e.data.kind === 'test') { window.weight = e.data.got; done(true) } }); workers.at(-1).postMessage({weigh: 1}) })")
		mb := func(n float64) string { return fmt.Sprintf("%.0f MB", n/1e6) }
		fmt.Printf("| %s | %.0f ms | %.1f ms | %.1f ms | %.1f ms | %v | %s | %s | %s |\n", kind, open,
			frames[len(frames)*95/100], spent, frames[len(frames)-1], long, mb(heap.UsedSize), mb(js[float64](b, "program.exports.mem.buffer.byteLength")), mb(js[float64](b, "weight")))
		// What a user does next, each with its longest task.
		for _, c := range []struct{ what, do, done string }{
			{"search", "(f => { f.value = 'experts.7. norm'; f.dispatchEvent(new Event('input')) })(document.querySelector('#filter'))", "document.querySelector('[data-role=matches]').innerText.includes('match')"},
			{"search ends", "(f => { f.value = ''; f.dispatchEvent(new Event('input')) })(document.querySelector('#filter'))", "tree.scrollHeight > 5e6"},
			{"arrow down", "tree.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowDown'}))", "document.querySelector('.row[aria-selected=true]:not([hidden])')"},
			{"select all", "tree.dispatchEvent(new KeyboardEvent('keydown', {key: 'a', ctrlKey: true}))", "document.querySelector('[data-role=selection-text]').dataset.rows === '200000'"},
			{"sort by size", "document.querySelector('[data-sort=size]').click()", "document.querySelector('[data-column=size]').ariaSort === 'descending'"},
			{"close all", "document.querySelector('[data-action=collapse-all]').click()", "tree.scrollHeight < 1e5"},
			{"open all", "document.querySelector('[data-action=expand-all]').click()", "tree.scrollHeight > 5e6"},
			{"fold", "document.querySelector('[data-action=fold]').click()", "document.querySelector('[data-action=fold]').ariaPressed === 'true'"},
			{"unfold", "document.querySelector('[data-action=fold]').click()", "document.querySelector('[data-action=fold]').ariaPressed === 'false'"},
		} {
			b.longest(kind, c.what, c.do, c.done)
		}
		b.longest(kind, "rest", "(window.rested = false, setTimeout(() => rested = true, 2500))", "rested")
		b.click("add-prefix")
		b.fill("prefix", "student.")
		b.until("!document.querySelector('[data-action=apply]').disabled")
		b.longest(kind, "add a prefix", "document.querySelector('[data-action=apply]').click()", "document.querySelector('.row[data-path^=student]:not([hidden])') && document.documentElement.dataset.state === 'ready'")
		b.longest(kind, "rest", "(window.rested = false, setTimeout(() => rested = true, 2500))", "rested")
		b.longest(kind, "undo", "document.querySelector('[data-action=undo]').click()", "!document.querySelector('.row[data-path^=student]:not([hidden])') && document.documentElement.dataset.state === 'ready'")
		b.clean()
	}
}

// longest does something in the page and tells what it took, with its longest tasks.
func (b *tab) longest(kind, what, do, done string) {
	b.Helper()
	spent := b.processor()
	js[bool](b, "(longTasks.length = 0, "+do+", true)")
	b.until(done)
	js[bool](b, "new Promise(done => requestAnimationFrame(() => setTimeout(() => done(true), 300)))")
	fmt.Printf("%s, %s: %.0f ms of processor, tasks over 50 ms: %v\n", kind, what, b.processor()-spent, js[[]int](b, "longTasks"))
}

// processor is the time that the page's thread has had of a processor so far, in milliseconds. Other programs on a busy
// machine do not count in it.
func (b *tab) processor() float64 {
	b.Helper()
	for _, m := range command(b, performance.GetMetrics, cdp.Empty{}).Metrics {
		if m.Name == "ThreadTime" {
			return 1000 * m.Value
		}
	}
	b.Fatal("the browser does not tell the time of its threads")
	return 0
}
