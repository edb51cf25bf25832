package pagetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// press sends a key to the tree.
func (b *tab) press(keys ...string) {
	b.Helper()
	for _, k := range keys {
		b.str("(tree.focus(), tree.dispatchEvent(new KeyboardEvent('keydown', {key: $1, bubbles: true})))", k)
	}
}

// inspected waits until the row under the cursor is on show.
func (b *tab) inspected(path string) {
	b.Helper()
	b.until("document.querySelector('.inspect-path')?.innerText === $1 && document.querySelector('[data-role=inspector]').ariaBusy === 'false'", path)
}

func (b *tab) fact(name string) string {
	b.Helper()
	return b.str("document.querySelector('[data-fact='+$1+'] dd')?.innerText", name)
}

// selectRow clicks on a row, wherever it is in the tree.
func (b *tab) selectRow(path string) {
	b.Helper()
	js[bool](b, `(async () => {
		for (let i = 0; i < 60; i++) {
			const row = [...document.querySelectorAll("[role=row][data-path]")].find(r => !r.hidden && r.dataset.path === $1 && r.dataset.kind !== "group");
			if (row) { row.click(); return true }
			tree.scrollTop = i && tree.scrollTop + 150;
			await new Promise(f => requestAnimationFrame(() => requestAnimationFrame(f)));
		}
		throw "no row " + $1;
	})()`, path)
	b.inspected(path)
}

// The inspector says what the codec says; its map has the colours of the values.
func TestInspector(t *testing.T) {
	b := newTab(t)
	b.choose(fixture("dataparallel_sgd.pth"))
	if b.str("document.querySelector('[data-role=inspector]').hidden") != "true" {
		t.Error("the inspector shows a row that nobody chose")
	}
	b.selectRow("state_dict.module.conv.weight")
	b.shot("inspect-light")
	for name, want := range map[string]string{"type": "float32", "offset": "0", "nan": "undefined"} {
		if got := b.fact(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"shape", "stride", "device", "storage", "bytes", "mean", "std", "min", "max", "zeros"} {
		if got := b.fact(name); got == "" || got == "undefined" {
			t.Errorf("no %s", name)
		}
	}
	if got := b.fact("sha256"); len(got) != 64 {
		t.Errorf("hash %q", got)
	}
	if got := b.str("document.querySelectorAll('.histogram i').length"); got != "64" {
		t.Errorf("%s bars", got)
	}
	// The first cell of the grid and the colour of the first pixel belong together.
	want := b.str(`(() => {
		const x = parseFloat(document.querySelector('.cells td:nth-of-type(1):not(:empty)').innerText), reach = parseFloat(document.querySelector('.heat-legend .high').innerText);
		const end = x < 0 ? [33, 102, 172] : [178, 24, 43], p = Math.abs(x) / reach;
		return [247, 247, 247].map((m, i) => Math.round(m + p * (end[i] - m))) })()`)
	got := b.str(`[...document.querySelector('.heat-canvas').getContext('2d').getImageData(0, 0, 1, 1).data].slice(0, 3)`)
	if got != want {
		t.Errorf("the first pixel is %s, its value has the colour %s", got, want)
	}
	b.dark(true)
	b.str("document.querySelector('.heat').scrollIntoView()")
	b.shot("inspect-dark")
	b.dark(false)
	// An edit keeps the selection, and what it makes is said to be no part of the file.
	b.selectRow("epoch")
	if got := b.str("document.querySelector('.inspect-value').innerText"); got == "" {
		t.Error("the object has no value")
	}
	b.clean()
}

// Tied tensors link to each other.
func TestInspectorTied(t *testing.T) {
	b := newTab(t)
	b.choose(fixture("tied_strided_views.pth"))
	b.until("document.querySelector('.tag:not(:empty)')")
	path := b.str("[...document.querySelectorAll('[role=row][data-path]')].find(r => !r.hidden && r.querySelector('.tag').innerText === 'tied').dataset.path")
	b.selectRow(path)
	other := b.str("document.querySelector('.sharers button').innerText")
	b.shot("inspect-tied")
	b.str("document.querySelector('.sharers button').click()")
	b.inspected(other)
	if !strings.Contains(b.str("document.querySelector('.sharers').innerText"), path) {
		t.Errorf("%s does not link back to %s", other, path)
	}
	b.clean()
}

// With hostile names in every row the inspector shows text and nothing else.
func TestInspectorHostile(t *testing.T) {
	names := []string{`<img src=x onerror="window.hacked=1">`, "a\u202egnp.exe", "__proto__", "constructor", strings.Repeat("long", 50000), "line\nbreak", "tab\tkey", "</script><script>window.hacked=1</script>", ""}
	b := newTab(t)
	b.choose(safetensors(t, names...))
	for range names {
		b.press("ArrowDown")
		b.until("document.querySelector('[data-role=inspector]').hidden || document.querySelector('[data-role=inspector]').ariaBusy === 'false'")
		if got := b.str("window.hacked"); got != "undefined" {
			t.Fatal("a name ran")
		}
		if wide := b.str("document.documentElement.scrollWidth > innerWidth || document.querySelector('.side').scrollWidth > document.querySelector('.side').clientWidth"); wide != "false" {
			t.Errorf("the layout breaks at %q", b.str("document.querySelector('.inspect-path')?.innerText.slice(0, 40)"))
		}
	}
	b.shot("inspect-hostile")
	b.clean()
}

// The views of the inspector hold with the hostile files of the corpus as well.
func TestInspectorHostileFiles(t *testing.T) {
	corpus := os.Getenv("WEIGHTROOM_CORPUS")
	if corpus == "" {
		t.Skip("WEIGHTROOM_CORPUS is not set")
	}
	files, _ := filepath.Glob(filepath.Join(corpus, "hostile", "*key*"))
	more, _ := filepath.Glob(filepath.Join(corpus, "hostile", "*name*"))
	files = append(files, more...)
	if len(files) > 6 {
		files = files[:6]
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			b := newTab(t)
			b.choose(f)
			if b.str("document.documentElement.dataset.state") != "ready" {
				return
			}
			for range 12 {
				b.press("ArrowDown")
				b.until("document.querySelector('[data-role=inspector]').hidden || document.querySelector('[data-role=inspector]').ariaBusy === 'false'")
			}
			if b.str("window.hacked") != "undefined" || b.str("document.querySelector('.side').scrollWidth > document.querySelector('.side').clientWidth") != "false" {
				t.Error("a name ran, or broke the layout")
			}
			b.clean()
		})
	}
}

// A search by words, dtype, shape and size; what matches is marked, n and N go from match to match.
func TestSearch(t *testing.T) {
	b := newTab(t)
	b.choose(fixture("dataparallel_sgd.pth"))
	b.set("#filter", "bn wei")
	if got := b.str("[...document.querySelectorAll('.row:not([hidden]) mark')].map(m => m.innerText).join()"); got != "bn,wei" {
		t.Errorf("marked %q", got)
	}
	b.shot("search")
	b.set("#filter", "dtype:float32 shape:[*,*,*,*]")
	if got := strings.Join(b.paths("tensor"), " "); got != "state_dict.module.conv.weight optimizer.state.0.momentum_buffer" {
		t.Errorf("found %q", got)
	}
	b.str("document.querySelector('#filter').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}))")
	b.inspected("state_dict.module.conv.weight")
	b.press("n")
	b.inspected("optimizer.state.0.momentum_buffer")
	b.press("N")
	b.inspected("state_dict.module.conv.weight")
	b.set("#filter", "")
	b.edit("strip-prefix", "prefix", "module.")
	b.set("#filter", "changed:")
	if got := b.role("matches"); got != "9 matches" {
		t.Errorf("changed: finds %q", got)
	}
	b.clean()
}

// The code of a TorchScript file is text.
func TestCode(t *testing.T) {
	b := newTab(t)
	b.choose(fixture("torchscript.pt"))
	b.until("document.querySelector('.code-text')?.textContent.includes('def forward')")
	b.str("document.querySelector('.code summary').click()")
	b.str("document.querySelector('.codes').scrollIntoView()")
	b.shot("code")
	b.clean()
}

// The page speaks what the browser prefers, and another language on demand, with a file open.
func TestLanguages(t *testing.T) {
	b := newTab(t)
	b.choose(fixture("dataparallel_sgd.pth"))
	b.selectRow("state_dict.module.conv.weight")
	speak := func(tag string) {
		b.speak(tag)
		b.inspected("state_dict.module.conv.weight")
	}
	for tag, want := range map[string]string{"zh-Hant": "9 個鍵", "zh-Hans": "9 个键", "en": "9 keys"} {
		speak(tag)
		if got := b.str("[...document.querySelectorAll('.row')].find(r => !r.hidden && r.dataset.path === 'state_dict').querySelector('.c-shape').innerText"); got != want {
			t.Errorf("in %s the tree says %q", tag, got)
		}
		if got := b.str("document.documentElement.lang"); got != tag {
			t.Errorf("the page says it is in %q", got)
		}
		b.shot("language-" + tag)
	}
	speak("zh-Hant")
	b.size(390, 844)
	b.str("document.querySelector('[data-action=tab-edit]').click()")
	b.shot("language-phone")
	b.clean()
}

// A line of the shrink report becomes a step, and goes again.
func TestShrink(t *testing.T) {
	b := newTab(t)
	b.choose(fixture("dataparallel_sgd.pth"))
	b.str("document.querySelector('.shrink summary').click()")
	b.until("document.querySelectorAll('.saving-line').length === 2")
	before := b.role("shrink-total")
	b.str("document.querySelector('[data-saving=\"0\"]').click()")
	b.until("document.querySelectorAll('[data-role=steps] > .step').length === 1 && document.querySelector('[data-role=shrink-total]').innerText !== $1", before)
	if got := b.str("document.querySelector('[data-saving=\"0\"]').checked"); got != "true" {
		t.Error("the switch is off")
	}
	b.str("document.querySelector('.shrink').scrollIntoView()")
	b.shot("shrink")
	b.str("document.querySelector('[data-saving=\"0\"]').click()")
	b.until("document.querySelectorAll('[data-role=steps] > .step').length === 0 && document.querySelector('[data-role=shrink-total]').innerText === $1", before)
	b.clean()
}

// A visitor without a file opens the example, and no request goes out for it.
func TestExample(t *testing.T) {
	b := newTab(t)
	b.shot("welcome")
	loaded := len(b.requested())
	b.click("example")
	b.until("document.documentElement.dataset.state === 'ready' && document.documentElement.hasAttribute('data-open')")
	if got := b.role("file-name"); got != "example.ckpt" {
		t.Errorf("opened %q", got)
	}
	if n := len(b.requested()); n != loaded {
		t.Errorf("requests %q", b.requested()[loaded:])
	}
	b.shot("example")
	b.clean()
}
