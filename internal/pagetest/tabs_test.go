package pagetest

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// tabNames are the open files, the one on show with a star, those with unsaved steps with a dot.
func (b *tab) tabNames() string {
	b.Helper()
	return b.str(`document.querySelector('[data-role=tabs]').hidden ? '' : [...document.querySelectorAll('.tab')].map(t => (t.ariaCurrent ? '*' : '') + t.querySelector('bdi').innerText + (t.querySelector('.tab-dot').hidden ? '' : '.')).join(' ')`)
}

// fileNamed is a safetensors file under a name.
func fileNamed(t *testing.T, name string, keys ...string) string {
	t.Helper()
	return write(t, name, mustRead(t, safetensors(t, keys...)))
}

// Each tab keeps its recipe, its history and what is open and selected; closing one asks while it has unsaved steps.
func TestTabs(t *testing.T) {
	b := newTab(t)
	b.choose(fileNamed(t, "a.safetensors", "module.x.w", "module.y.w"))
	if got := b.tabNames(); got != "" {
		t.Errorf("one file has tabs: %q", got)
	}
	b.edit("strip-prefix", "prefix", "module.")
	b.edit("drop", "match", "y.**")
	b.press("End")
	b.until("document.querySelector('.row.current')?.dataset.path === 'x.w'")
	b.choose(fileNamed(t, "b.safetensors", "fc.w", "fc.b"))
	if got := b.tabNames(); got != "a.safetensors. *b.safetensors" {
		t.Errorf("tabs %q", got)
	}
	if got := strings.Join(b.paths("tensor"), " "); got != "fc.w fc.b" || b.steps() != "" {
		t.Errorf("rows %q, steps %q", got, b.steps())
	}
	b.shot("tabs")
	b.edit("add-prefix", "prefix", "net.")
	b.pressAt("[data-role=tab-list] li:first-child .tab")
	b.until("document.querySelector('[data-role=file-name]').innerText === 'a.safetensors'")
	b.wait("ready")
	if got := strings.Join(b.paths("tensor"), " "); got != "x.w" || b.steps() != "Strip prefix module.; Drop y.**" || b.current() != "x.w" {
		t.Errorf("back on the first: rows %q, steps %q, cursor %q", got, b.steps(), b.current())
	}
	b.click("undo")
	b.wait("ready")
	if got := strings.Join(b.paths("tensor"), " "); got != "x.w y.w" {
		t.Errorf("undone to %q", got)
	}
	b.click("redo")
	b.wait("ready")

	// The export is that of the tab on show.
	if got := keys(openBytes(t, b.export("safetensors", "out.safetensors"))); strings.Join(got, " ") != "x.w" {
		t.Errorf("exported %q", got)
	}
	b.click("close-panel")
	if got := b.tabNames(); got != "*a.safetensors b.safetensors." {
		t.Errorf("after the export: tabs %q", got)
	}
	// By keyboard to the other, and away with it: that asks.
	js[bool](b, "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'PageDown', altKey: true, bubbles: true}))")
	b.until("document.querySelector('[data-role=file-name]').innerText === 'b.safetensors'")
	b.wait("ready")
	b.click("close-file")
	b.until("document.querySelector('[data-role=ask]').open")
	b.shot("tab-ask")
	b.click("ask-no")
	if got := b.tabNames(); got != "a.safetensors *b.safetensors." {
		t.Errorf("after no: tabs %q", got)
	}
	b.click("close-file")
	b.click("ask-yes")
	b.until("document.querySelector('[data-role=file-name]').innerText === 'a.safetensors'")
	b.wait("ready")
	if got := b.tabNames(); got != "" {
		t.Errorf("tabs %q", got)
	}
	// The last one leaves the page as it was at first.
	b.click("close-file")
	b.until("!document.querySelector('[data-role=welcome]').hidden && document.querySelector('[data-role=work]').hidden")
	b.wait("ready")
	b.choose(fileNamed(t, "c.safetensors", "z"))
	if got := strings.Join(b.paths("tensor"), " "); got != "z" || b.tabNames() != "" {
		t.Errorf("opened after all were closed: rows %q, tabs %q", got, b.tabNames())
	}
	b.clean()
}

// A file opened beside another one can become its reference or a source of keys with one click.
func TestOffer(t *testing.T) {
	b := newTab(t)
	b.choose(fileNamed(t, "a.safetensors", "x.w", "y.w"))
	b.choose(fileNamed(t, "b.safetensors", "x.w", "z.w"))
	b.until("!document.querySelector('[data-role=offers]').hidden")
	b.shot("offer")
	b.pressAt("[data-action=offer-compare]")
	b.until("document.querySelector('[data-action=fit-missing] b').innerText === '1'")
	if got := b.tabNames(); got != "*a.safetensors b.safetensors" {
		t.Errorf("tabs %q", got)
	}
	// Now that the page knows the tab, it can be merged as well, and outlives its tab while a step names it.
	b.more()
	b.click("merge")
	b.fill("policy", "keep")
	b.apply()
	b.until("document.querySelector('[data-role=summary]').dataset.keys === '3'")
	b.pressAt("[data-role=tab-list] li:last-child .tab-close")
	b.until("document.querySelector('[data-role=tabs]').hidden")
	b.wait("ready")
	b.edit("drop", "match", "x.**")
	if got := strings.Join(b.paths("tensor"), " "); got != "y.w z.w" {
		t.Errorf("rows %q", got)
	}
	b.clean()
}

// drop drops a file on the element of a selector.
func (b *tab) drop(selector, name string, data []byte) {
	b.Helper()
	js[bool](b, `(() => {
		const data = new DataTransfer();
		data.items.add(new File([Uint8Array.from(atob($2), c => c.charCodeAt(0))], $1));
		document.querySelector("#tree").dispatchEvent(new DragEvent("dragenter", {bubbles: true, cancelable: true, dataTransfer: data}));
		const at = document.querySelector($3);
		at.dispatchEvent(new DragEvent("dragover", {bubbles: true, cancelable: true, dataTransfer: data}));
		window.dropped = () => at.dispatchEvent(new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: data}));
		return true;
	})()`, name, data, selector)
	b.shot("drop-" + strings.Trim(selector, "[]"))
	js[bool](b, "(window.dropped(), true)")
}

// While a file hangs over the page, the page offers what to do with it.
func TestDropPlaces(t *testing.T) {
	b := newTab(t)
	b.choose(fileNamed(t, "a.safetensors", "x.w", "y.w"))
	other := mustRead(t, safetensors(t, "x.w", "z.w"))
	b.drop("[data-drop=reference]", "ref.safetensors", other)
	b.until("document.querySelector('[data-action=fit-missing] b').innerText === '1'")
	b.wait("ready")
	b.drop("[data-drop=merge]", "more.safetensors", other)
	b.until("document.querySelector('select[data-field=from]')?.value === 'more.safetensors'")
	b.click("close-panel")
	b.drop("[data-drop=tab]", "tab.safetensors", other)
	b.until("document.querySelector('[data-role=file-name]').innerText === 'tab.safetensors'")
	b.wait("ready")
	if got := b.tabNames(); got != "a.safetensors *tab.safetensors" {
		t.Errorf("tabs %q", got)
	}
	b.clean()
}

// After a fault of the worker all tabs come back, with their steps and what they compare with.
func TestCrashOfTabs(t *testing.T) {
	b := newTab(t)
	b.choose(fileNamed(t, "a.safetensors", "module.x", "module.y"))
	b.edit("strip-prefix", "prefix", "module.")
	b.other(fileNamed(t, "model.safetensors", "x", "y"))
	b.until("document.querySelector('[data-action=fit-ok] b').innerText === '2'")
	b.choose(fileNamed(t, "b.safetensors", "fc.w"))
	b.edit("add-prefix", "prefix", "net.")
	js[bool](b, `(workers.at(-1).postMessage(null), true)`)
	b.until("document.querySelector('[data-role=error-title]').innerText === 'The reader stopped'")
	b.wait("ready")
	b.forgive()
	if got := strings.Join(b.paths("tensor"), " "); got != "net.fc.w" || b.tabNames() != "a.safetensors. *b.safetensors." {
		t.Errorf("rows %q, tabs %q", got, b.tabNames())
	}
	b.pressAt("[data-role=tab-list] li:first-child .tab")
	b.until("document.querySelector('[data-action=fit-ok] b').innerText === '2'")
	b.wait("ready")
	b.click("undo")
	b.wait("ready")
	if got := strings.Join(b.paths("tensor"), " "); got != "module.x module.y" {
		t.Errorf("undone to %q", got)
	}
	b.do(chromedp.Focus(chromedp.CSS("#tree")))
	b.clean()
}
