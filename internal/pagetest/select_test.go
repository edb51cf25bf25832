package pagetest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/weightroom/weightroom/statedict"
)

// clickRow clicks on the row of a path with these keys held: "ctrl", "shift" or none.
func (b *tab) clickRow(path, held string) {
	b.Helper()
	b.until(`[...document.querySelectorAll('[role=row][data-path]')].some(r => !r.hidden && r.dataset.path === $1)`, path)
	js[bool](b, `(() => {
		const r = [...document.querySelectorAll('[role=row][data-path]')].find(r => !r.hidden && r.dataset.path === $1);
		return r.querySelector('.name').dispatchEvent(new MouseEvent('click', {bubbles: true, ctrlKey: $2 === 'ctrl', shiftKey: $2 === 'shift'}));
	})()`, path, held)
}

// hold presses keys while a modifier is held.
func (b *tab) hold(m chromedp.Modifier, keys ...string) {
	b.Helper()
	for _, k := range keys {
		b.do(chromedp.KeyEvent(k, chromedp.KeyModifiers(m)))
	}
}

// chosen is the paths of the rows on show that say they are selected.
func (b *tab) chosen() string {
	b.Helper()
	return b.str(`[...document.querySelectorAll('[role=row][data-path][aria-selected=true]')].filter(r => !r.hidden).sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map(r => r.dataset.path).join(' ')`)
}

// bar is what the selection bar says and offers, once it says so of that many rows.
func (b *tab) bar(rows int) string {
	b.Helper()
	b.until("document.querySelector('[data-role=selection-text]').dataset.rows === String($1) && !document.querySelector('[data-role=selection]').hidden", rows)
	return b.str(`document.querySelector('[data-role=selection-text]').innerText + ': ' + [...document.querySelectorAll('[data-action^=pick-]')].filter(e => !e.hidden).map(e => e.innerText.trim().replace(/\s+/g, ' ')).join(', ')`)
}

// Selecting with the mouse: one row, several, a range; the bar says how many and what can be done with them.
func TestSelect(t *testing.T) {
	b := newTab(t)
	file := safetensors(t, "net.a.w", "net.a.b", "net.bn.n", "head.w", "head.bn.n", "last")
	b.choose(file)
	if b.str("document.querySelector('#tree').ariaMultiSelectable") != "true" {
		t.Error("the tree does not say that several rows can be selected")
	}
	if b.str("document.querySelector('[data-role=selection]').hidden") != "true" {
		t.Error("there is a bar before anything is selected")
	}
	b.clickRow("net.a.w", "")
	if got := b.bar(1); got != "1 key · 8 B: Drop, Keep only, Rename, Cast" {
		t.Errorf("one row: %s", got)
	}
	b.clickRow("net.bn.n", "ctrl")
	if got := b.chosen(); got != "net.a.w net.bn.n" {
		t.Errorf("Ctrl adds: %q", got)
	}
	b.clickRow("head.w", "shift")
	if got := b.chosen(); got != "net.bn net.bn.n head.w" && got != "net.bn.n head.w" {
		t.Errorf("Shift makes a range: %q", got)
	}
	b.clickRow("head.w", "ctrl")
	if got := b.chosen(); got != "net.bn.n" {
		t.Errorf("Ctrl takes out: %q", got)
	}
	// A group stands for its keys.
	b.clickRow("net", "")
	if got := b.bar(3); got != "3 keys · 24 B: Drop 3, Keep only 3, Extract 3, Strip prefix 3, Rename 3, Cast 3" {
		t.Errorf("a group: %s", got)
	}
	b.shot("select-group")
	for _, c := range []struct{ action, step string }{
		{"extract", `{"extract":"net"}`}, {"strip-prefix", `{"strip_prefix":"net."}`}, {"keep", `{"keep":"net.**"}`}, {"drop", `{"drop":"net.**"}`},
	} {
		b.str("document.querySelector('[data-action=pick-" + c.action + "]').click()")
		b.until("document.querySelectorAll('.preview .change').length > 0")
		b.apply()
		got := b.export("safetensors", c.action+".safetensors")
		if want := native(t, file, `{"recipe":1,"steps":[`+c.step+`]}`, statedict.Safetensors); !bytes.Equal(got, want) {
			t.Errorf("%s: keys %q, want %q", c.action, keys(openBytes(t, got)), keys(openBytes(t, want)))
		}
		b.click("undo")
		b.wait("ready")
		b.clickRow("net", "")
		b.bar(3)
	}
	// The keys that a search found, as one pattern.
	b.set("#filter", "bn n")
	b.str("document.querySelector('#tree').focus()")
	b.hold(chromedp.ModifierCtrl, "a")
	if got := b.bar(2); !strings.HasPrefix(got, "2 keys · 16 B: Drop 2, Keep only 2, Cast 2") {
		t.Errorf("all that was found: %s", got)
	}
	b.clean()
}
