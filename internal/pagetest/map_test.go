package pagetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// openMap shows the maps and waits until they are drawn.
func (b *tab) openMap() {
	b.Helper()
	b.str("document.querySelector('[data-action=map]').click()")
	b.until("document.querySelector('.box') && document.querySelector('.strip').ariaValueText && document.querySelector('.map-legend li')")
}

// mapBox is a script for the box of a path.
const mapBox = "[...document.querySelectorAll('.box')].find(e => e.dataset.path === $1)"

// mapKey sends a key to a map.
func (b *tab) mapKey(role string, keys ...string) {
	b.Helper()
	for _, k := range keys {
		b.str("(e => (e.focus(), e.dispatchEvent(new KeyboardEvent('keydown', {key: $2, bubbles: true, cancelable: true}))))(document.querySelector('[data-role=' + $1 + ']'))", role, k)
	}
}

// The treemap and the strip show the row of the tree, and a click in them puts the cursor there.
func TestMap(t *testing.T) {
	b := newTab(t)
	b.choose(fixture("lightning_like.ckpt"))
	b.openMap()
	b.shot("map-light")
	b.str(mapBox+".click()", "state_dict.model.conv.weight")
	b.inspected("state_dict.model.conv.weight")
	if got := b.current(); got != "state_dict.model.conv.weight" {
		t.Errorf("the row of %q has the cursor", got)
	}
	if got := b.str("document.querySelector('.box.current')?.dataset.path"); got != "state_dict.model.conv.weight" {
		t.Errorf("the box of %q is marked", got)
	}
	if got := b.role("strip-reads"); !strings.Contains(got, "state_dict.model.conv.weight · float32 · 432 B") {
		t.Errorf("the strip says %q", got)
	}
	from, to, _ := strings.Cut(b.fact("bytes"), " – ")
	if got := b.role("strip-reads"); !strings.HasSuffix(got, "bytes "+from+" – "+to) {
		t.Errorf("the strip says %q, the inspector %s to %s", got, from, to)
	}
	// From the tree to the maps.
	b.selectRow("state_dict.model.fc.weight")
	b.until("document.querySelector('.box.current')?.dataset.path === 'state_dict.model.fc.weight'")
	if got := b.role("strip-reads"); !strings.Contains(got, "state_dict.model.fc.weight") {
		t.Errorf("the strip says %q", got)
	}
	// From the strip to the tree: where the bytes of a tensor lie.
	at := b.str("document.querySelector('.strip').ariaValueNow")
	b.selectRow("state_dict.model.conv.bias")
	b.mapKey("strip", "Home")
	for b.str("document.querySelector('.strip').ariaValueNow") != at {
		b.mapKey("strip", "ArrowRight")
	}
	b.mapKey("strip", "Enter")
	b.inspected("state_dict.model.fc.weight")
	b.str(`(() => { const s = document.querySelector('.strip'), r = s.getBoundingClientRect();
		for (const type of ['pointerdown', 'pointerup']) s.dispatchEvent(new PointerEvent(type, {clientX: r.left + 2, clientY: r.top + 9, pointerId: 1, bubbles: true})) })()`)
	if got := b.role("strip-reads"); !strings.HasPrefix(got, "Headers and directory") {
		t.Errorf("the first bytes are %q", got)
	}
	b.dark(true)
	b.shot("map-dark")
	b.dark(false)
	b.clean()
}

// Every group can be looked into and left again by keyboard alone; boxes of one group are as large as their bytes.
func TestMapKeyboard(t *testing.T) {
	b := newTab(t)
	b.choose(fixture("dataparallel_sgd.pth"))
	b.openMap()
	b.mapKey("treemap", "Home")
	first := b.current()
	b.mapKey("treemap", "ArrowDown")
	if second := b.current(); second == first || b.str("document.querySelector('.box[aria-selected=true]')?.dataset.path") != second {
		t.Errorf("from %q the cursor went to %q", first, second)
	}
	b.mapKey("treemap", "ArrowUp", "ArrowRight")
	inside := b.current()
	if !strings.HasPrefix(inside, first) || inside == first {
		t.Errorf("inside of %q is %q", first, inside)
	}
	b.mapKey("treemap", "ArrowLeft")
	if got := b.current(); got != first {
		t.Errorf("around %q is %q", inside, got)
	}
	b.mapKey("treemap", "Enter")
	crumbs := "[...document.querySelectorAll('.map-crumbs button')].map(e => e.innerText).join('.')"
	if got := b.str(crumbs); got != "All tensors."+first {
		t.Errorf("inside %q the way is %q", first, got)
	}
	if got := b.str("[...document.querySelectorAll('.box[data-path]')].every(e => e.dataset.path.startsWith($1))", first); got != "true" {
		t.Error("boxes of other groups are on show")
	}
	b.mapKey("treemap", "Escape")
	if got := b.str(crumbs); got != "All tensors" {
		t.Errorf("outside the way is %q", got)
	}
	// Two tensors of one group.
	ratio := js[float64](b, `(area => area('state_dict.module.fc.weight') / area('state_dict.module.fc.bias'))(p => { const s = [...document.querySelectorAll('.box')].find(e => e.dataset.path === p).style;
		return (parseFloat(s.width) + 1) * (parseFloat(s.height) + 1) })`)
	if ratio < 15 || ratio > 17 {
		t.Errorf("320 bytes have %.2f times the area of 20", ratio)
	}
	// The strip: zoomed in and out again.
	b.mapKey("strip", "End", "+", "+", "+")
	b.until("!document.querySelector('.strip-window').hidden")
	if got := b.role("strip-to"); got != "6,275" && got == b.role("strip-from") {
		t.Errorf("the window ends at %s", got)
	}
	b.mapKey("strip", "0")
	if got := b.role("strip-from"); got != "0" {
		t.Errorf("the whole strip begins at %s", got)
	}
	b.clean()
}

// What an edit leaves unreached shows, and what keys share; the legend says so.
func TestMapEdits(t *testing.T) {
	b := newTab(t)
	b.choose(fixture("tied_strided_views.pth"))
	b.openMap()
	legend := "[...document.querySelectorAll('.map-legend li')].map(e => e.innerText).join('|')"
	if got := b.str(legend); !strings.Contains(got, "Shared by several keys") {
		t.Errorf("the legend says %q", got)
	}
	b.shot("map-tied")
	b.edit("drop", "match", "**")
	b.until(legend + ".includes('No tensor reaches it')")
	if got := b.str("document.querySelectorAll('.box').length"); got != "0" {
		t.Errorf("%s boxes of no tensors", got)
	}
	b.click("undo")
	b.until("document.querySelectorAll('.box').length > 0")
	b.clean()
}

// With hostile names in every box, crumb, tooltip and line nothing runs and nothing breaks the layout.
func TestMapHostile(t *testing.T) {
	evil := `<img src=x onerror="window.hacked=1">`
	names := []string{evil + "." + evil + ".a", evil + "." + evil + ".b", "a\u202egnp.exe", "__proto__.x.y", "constructor.z", strings.Repeat("long", 50000) + ".w", "line\nbreak", "</script><script>window.hacked=1</script>", "", "[0].<b>"}
	files := []string{safetensors(t, names...)}
	if corpus := os.Getenv("WEIGHTROOM_CORPUS"); corpus != "" {
		more, _ := filepath.Glob(filepath.Join(corpus, "hostile", "*name*"))
		files = append(files, more[:min(3, len(more))]...)
	}
	for _, f := range files {
		b := newTab(t)
		b.choose(f)
		if b.str("document.documentElement.dataset.state") != "ready" {
			continue
		}
		for _, size := range [][2]int64{{1280, 800}, {390, 844}} {
			b.size(size[0], size[1])
			if b.str("document.querySelector('.map').hidden") == "true" {
				b.str("document.querySelector('[data-action=map]').click()")
			}
			b.until("document.querySelector('.strip').ariaValueText")
			b.mapKey("strip", "Home")
			for range 12 {
				b.mapKey("treemap", "ArrowDown")
				b.mapKey("strip", "ArrowRight")
				b.mapKey("treemap", "Enter", "ArrowRight", "Enter")
				if b.str("window.hacked") != "undefined" {
					t.Fatal("a name ran")
				}
				if wide := b.str("document.documentElement.scrollWidth > innerWidth || document.querySelector('.map').getBoundingClientRect().right > innerWidth || document.querySelector('.map').scrollWidth > document.querySelector('.map').clientWidth"); wide != "false" {
					t.Errorf("the layout breaks at %q", b.role("map-reads"))
				}
				b.mapKey("treemap", "Escape", "Escape")
			}
			if got := b.str("document.querySelectorAll('.map img, .map script, .map b').length"); got != "0" {
				t.Error("a name became markup")
			}
		}
		b.shot("map-hostile")
		b.clean()
	}
}

// The maps in other languages and at the width of a phone.
func TestMapPhone(t *testing.T) {
	b := newTab(t)
	b.size(390, 844)
	b.choose(fixture("lightning_like.ckpt"))
	b.openMap()
	b.str(mapBox+".click()", "state_dict.model.conv.weight")
	b.until("document.querySelector('.box.current')")
	if got := b.str("document.documentElement.scrollWidth > innerWidth || document.querySelector('.map').getBoundingClientRect().right > innerWidth"); got != "false" {
		t.Error("the page is wider than the phone")
	}
	b.shot("map-phone")
	b.speak("zh-Hant")
	b.until("document.querySelector('.strip-head h2').innerText === '在檔案中' && document.querySelector('.map-crumbs button').innerText === '所有張量'")
	b.size(1280, 800)
	b.shot("map-zh-Hant")
	b.clean()
}

// A hundred thousand keys: the maps have as many elements as the screen can show, and following the cursor takes no long task.
func TestMapMany(t *testing.T) {
	var names []string
	for i := range 100_000 {
		names = append(names, fmt.Sprintf("model.layers.%d.experts.%d.%s", i/1000, i/4%250, []string{"gate.weight", "up.weight", "down.weight", "norm"}[i%4]))
	}
	b := newTab(t)
	b.choose(safetensors(t, names...))
	b.tasks()
	start := time.Now()
	b.openMap()
	opened := time.Since(start)
	if n := js[int](b, "document.querySelectorAll('.box').length"); n < 20 || n > 361 {
		t.Errorf("%d boxes", n)
	}
	b.shot("map-100k")
	long := js[[]int](b, "longTasks")
	b.str("longTasks.length = 0")
	start = time.Now()
	b.mapKey("treemap", "Home")
	for range 20 {
		b.mapKey("treemap", "ArrowDown")
	}
	moved := time.Since(start) / 20
	b.mapKey("strip", "End", "+", "+", "+", "+", "Home", "PageDown", "Enter")
	b.until("document.querySelector('.box[aria-selected=true]')")
	// Times are for the log.
	t.Logf("opened in %v, long tasks %v; %v a step of the cursor, long tasks %v", opened, long, moved, js[[]int](b, "longTasks"))
	b.clean()
}
