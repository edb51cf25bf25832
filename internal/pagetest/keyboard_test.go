package pagetest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/weightroom/weightroom/statedict"
)

// focusOn walks with Tab until the focus is on the element of a selector, as somebody without a mouse does.
func (b *tab) focusOn(selector string) {
	b.Helper()
	for range 120 {
		if js[bool](b, "!!document.activeElement?.matches($1)", selector) {
			return
		}
		b.keys(kb.Tab)
	}
	b.Fatalf("Tab never reaches %s; the focus is on %s", selector, b.str("document.activeElement.outerHTML.slice(0, 120)"))
}

// typeIn replaces what a field holds.
func (b *tab) typeIn(text string) {
	b.Helper()
	js[bool](b, "(document.activeElement.select?.(), true)")
	b.do(chromedp.KeyEvent(text))
}

// The recipe and the export by keyboard alone: two steps, their order, one changed, one taken out and back, and the file.
func TestRecipeByKeyboard(t *testing.T) {
	b := newTab(t)
	file := safetensors(t, "module.a.w", "module.b.w", "module.c.w")
	b.choose(file)
	b.focusOn("[data-action=strip-prefix]")
	b.keys(kb.Enter)
	b.until("document.activeElement.matches('[data-field=prefix]')")
	b.typeIn("module.")
	b.keys(kb.Enter)
	b.until("document.querySelectorAll('[data-role=steps] .step').length === 1")
	b.wait("ready")
	b.focusOn("[data-action=drop]")
	b.keys(" ")
	b.until("document.activeElement.matches('[data-field=match]')")
	b.typeIn("re:c.w$")
	b.keys(kb.Enter)
	b.until("document.querySelectorAll('[data-role=steps] .step').length === 2")
	b.wait("ready")
	if got := b.steps(); got != "Strip prefix module.; Drop re:c.w$" {
		t.Fatalf("steps %q", got)
	}
	// Which keys a step touched, before and after.
	b.focusOn("[data-index='0'] summary")
	b.keys(kb.Enter)
	b.until("document.querySelector('[data-index=\"0\"] details').open")
	if got := b.str("document.querySelector('[data-index=\"0\"] .change').innerText.replace('\\n', ' > ')"); got != "module.a.w > a.w" {
		t.Errorf("the first step shows %q", got)
	}
	// Move the second up: with its button, and back with Alt and an arrow.
	b.focusOn("[data-index='1'] [data-step=up]")
	b.keys(kb.Enter)
	b.until("document.querySelector('[data-index=\"0\"] .step-name').innerText === 'Drop'")
	b.wait("ready")
	b.until("document.activeElement.closest('[data-index=\"0\"]')")
	js[bool](b, "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowDown', altKey: true, bubbles: true}))")
	b.until("document.querySelector('[data-index=\"0\"] .step-name').innerText === 'Strip prefix'")
	b.wait("ready")
	// Change the pattern of the second.
	b.focusOn("[data-index='1'] [data-step=edit]")
	b.keys(kb.Enter)
	b.until("document.activeElement.matches('[data-field=match]')")
	b.typeIn("b.w")
	b.keys(kb.Enter)
	b.until("document.querySelector('[data-index=\"1\"] .step-args').innerText === 'b.w'")
	b.wait("ready")
	// Take it out, undo that.
	b.focusOn("[data-index='1'] [data-step=remove]")
	b.keys(kb.Enter)
	b.until("document.querySelectorAll('[data-role=steps] .step').length === 1")
	b.wait("ready")
	js[bool](b, "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'z', ctrlKey: true, bubbles: true}))")
	b.until("document.querySelectorAll('[data-role=steps] .step:not(.undone)').length === 2")
	b.wait("ready")
	// A ready-made recipe that has nothing to do cannot be chosen, and the menu opens by key.
	b.focusOn("[data-role=presets] summary")
	b.keys(kb.Enter)
	b.until("document.querySelector('[data-preset=dataparallel]')?.disabled")

	js[bool](b, "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 's', ctrlKey: true, bubbles: true}))")
	b.until("document.activeElement.matches('[data-field=format]')")
	b.focusOn("[data-field=name]")
	b.typeIn("keys.safetensors")
	b.until("!document.querySelector('[data-action=apply]').disabled && document.querySelector('.fact')")
	b.keys(kb.Enter)
	got := b.saved("keys.safetensors")
	b.wait("ready")
	if want := native(t, file, `{"recipe":1,"steps":[{"strip_prefix":"module."},{"drop":"b.w"}]}`, statedict.Safetensors); !bytes.Equal(got, want) {
		t.Errorf("keys %q, want %q", strings.Join(keys(openBytes(t, got)), " "), keys(openBytes(t, want)))
	}
	b.keys(kb.Escape)
	b.until("!document.querySelector('.panel')")
	b.clean()
}
