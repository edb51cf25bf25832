package pagetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weightroom/weightroom/statedict"
)

// tasks starts to collect the long tasks of the page, those over 50 ms.
func (b *tab) tasks() {
	js[bool](b, `(() => { window.longTasks = []; new PerformanceObserver(l => longTasks.push(...l.getEntries().map(e => Math.round(e.duration)))).observe({type: "longtask"}); return true })()`)
}

// scroll scrolls for 200 frames, mostly by three rows, and answers the longest frame and the long tasks.
func (b *tab) scroll() (worst float64, long []int) {
	b.Helper()
	frames := js[[]float64](b, `new Promise(done => {
		const tree = document.getElementById("tree"), at = [];
		let n = 0;
		longTasks.length = 0;
		tree.scrollTop = 0;
		const step = t => {
			at.push(t);
			if (++n > 200) return done(at.slice(1).map((x, i) => x - at[i]));
			tree.scrollTop += n % 20 ? 84 : 100000;
			requestAnimationFrame(step);
		};
		requestAnimationFrame(step);
	})`)
	for _, f := range frames {
		worst = max(worst, f)
	}
	return worst, js[[]int](b, "window.longTasks")
}

// A hundred thousand keys: they open, scroll, filter and can be edited, with as many elements as the screen needs.
func TestManyKeys(t *testing.T) {
	var keys []string
	for i := range 100_000 {
		keys = append(keys, fmt.Sprintf("model.layers.%d.experts.%d.%s", i/1000, i/4%250, []string{"gate.weight", "up.weight", "down.weight", "norm"}[i%4]))
	}
	file := safetensors(t, keys...)
	torch := write(t, "model.pth", native(t, file, `{"recipe":1,"steps":[]}`, statedict.TorchZip))
	b := newTab(t)
	start := time.Now()
	b.choose(torch)
	t.Logf("as a torch file: opened in %v, %s bytes read", time.Since(start), b.str("document.documentElement.dataset.bytesRead"))
	start = time.Now()
	b.choose(file)
	opened := time.Since(start)
	if got := b.role("summary"); got != "100,000 keys · 800 kB" {
		t.Errorf("summary %q", got)
	}
	if len(b.paths("tensor")) == 0 {
		t.Error("no tensor among the first rows")
	}
	b.shot("100k")
	b.click("expand-all")
	b.tasks()
	elements := func() int { return js[int](b, "document.querySelectorAll('*').length") }
	before := elements()
	worst, long := b.scroll()
	after := elements()
	// Times are for the log: what must hold is that rows are made for the screen and used again.
	t.Logf("opened in %v; scrolling: worst frame %.0f ms, long tasks %v; %d elements before, %d after", opened, worst, long, before, after)
	if after > before+500 {
		t.Errorf("%d elements before scrolling, %d after", before, after)
	}
	js[bool](b, "(document.getElementById('tree').scrollTop = 1e9, true)")
	b.until("[...document.querySelectorAll('[role=row][data-path]')].some(r => r.dataset.path.endsWith('layers.99.experts.249.norm'))")
	b.set("#filter", "layers.42. experts.7. norm")
	b.until("document.querySelector('[data-role=matches]').innerText === '1 match'")
	if got := b.paths("tensor"); strings.Join(got, " ") != "model.layers.42.experts.7.norm" {
		t.Errorf("filtered %q", got)
	}
	start = time.Now()
	b.edit("strip-prefix", "prefix", "model.")
	t.Logf("an edit took %v", time.Since(start))
	b.clean()
}
