package pagetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// wide is what sticks out to the right of the page, or of the tree, the bar and the side panel.
const wide = `[document.documentElement, ...document.querySelectorAll('.keys-pane, #tree, [data-role=sticky], [data-role=selection], .side, .panel')].filter(e => e.getClientRects().length > 0 && (e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().right > innerWidth + 1)).map(e => e.className || e.tagName).join(' ')`

// harmless fails when a name has run, become markup or broken the layout. Nothing within the page may have a name that a
// character of the file could have made.
func (b *tab) harmless(where string) {
	b.Helper()
	if got := b.str("window.hacked"); got != "undefined" {
		b.Fatalf("%s: a name ran", where)
	}
	if got := b.str("document.querySelectorAll('main img, main script, main iframe, main a[href^=javascript], main [onerror]').length"); got != "0" {
		b.Errorf("%s: a name became markup", where)
	}
	if got := b.str(wide); got != "" {
		b.Errorf("%s: too wide: %s", where, got)
	}
	if got := b.str(`[...document.querySelectorAll('main .name, main bdi, main [data-role=selection-text]')].filter(e => /[\u0000-\u0008\u000b-\u001f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/.test(e.textContent)).length`); got != "0" {
		b.Errorf("%s: %s names are shown with characters that hide or turn text", where, got)
	}
}

// Names that want to be markup, to turn the text, to break the line or to be larger than the screen: in rows, in the groups
// that stay on top, in folded rows, in the bar and in what it offers.
func TestTreeHostile(t *testing.T) {
	evil := []string{`<img src=x onerror="window.hacked=1">`, "a\u202egnp.exe\u2066", "__proto__", "constructor", strings.Repeat("long", 250_000), "line\nbreak", "\x00\x1b[31m", "</script><script>window.hacked=1</script>", "toString", "\ufeff\u200b", "[0]", "re:(", "{a,b}", " ", "$1", strings.Repeat("w ", 200)}
	var names []string
	for i, e := range evil {
		names = append(names, e+".x", e+".y", e+".deep."+e+".z", fmt.Sprintf("%s.blocks.0.%s", e, e), fmt.Sprintf("%s.blocks.1.%s", e, e))
		if i%3 == 0 {
			names = append(names, e)
		}
	}
	deep := strings.Repeat("d.", 20_000) + "end"
	for _, width := range []int64{1280, 390} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			b := longTab(t, 3*time.Minute)
			b.do(chromedp.Navigate(server.URL + "/some/where/"))
			b.wait("ready")
			b.size(width, 800)
			b.choose(safetensors(t, append(names, deep)...))
			if got := b.str("document.documentElement.dataset.state"); got != "ready" {
				t.Fatalf("%s: %s", got, b.role("error"))
			}
			b.harmless("opened")
			b.press("=")
			b.wait("ready")
			b.until("[...document.querySelectorAll('[role=row] .tag')].some(t => t.innerText.includes('alike'))")
			b.harmless("folded")
			b.press("Home")
			for i := range 4 * len(evil) {
				b.press("ArrowDown")
				if i%9 == 0 {
					b.harmless(fmt.Sprint("row ", i))
				}
			}
			js[bool](b, "(tree.scrollTop = 90, new Promise(done => requestAnimationFrame(() => done(true))))")
			b.until("!document.querySelector('[data-role=sticky]').hidden")
			b.harmless("groups on top")
			b.shot(fmt.Sprintf("hostile-%d", width))
			b.press("End")
			b.harmless("end")
			b.str("document.querySelector('[data-sort=name]').click()")
			b.until("document.querySelector('[data-column=name]').ariaSort === 'ascending'")
			b.wait("ready")
			b.harmless("sorted")
			// Every operation on each of the groups, and on all.
			for _, e := range evil {
				for _, action := range []string{"drop", "rename", "strip-prefix"} {
					if width < 500 && action != "drop" {
						continue
					}
					js[bool](b, `(() => { const f = document.querySelector("#filter"); f.value = ""; f.dispatchEvent(new Event("input")); return true })()`)
					b.press("Home")
					if !b.find(e) {
						continue
					}
					b.str("document.querySelector('[data-action=pick-" + action + "]').click()")
					if b.str("!!document.querySelector('.panel')") != "true" {
						t.Errorf("%.40q: no form to %s", e, action)
						continue
					}
					b.until("document.querySelector('.preview-line').innerText !== '' || !document.querySelector('.preview-error').hidden")
					b.harmless(fmt.Sprintf("%s %.20q", action, e))
					b.press("Escape")
				}
			}
			b.str("document.querySelector('[data-action=tab-keys]').click()")
			b.str("document.querySelector('#tree').focus()")
			b.hold(chromedp.ModifierCtrl, "a")
			b.bar(len(names) + 1)
			b.harmless("all")
			b.clean()
		})
	}
}

// find puts the cursor on the group at the top whose path begins so, and selects it.
func (b *tab) find(name string) bool {
	b.Helper()
	b.press("1") // groups at the top only
	for range 40 {
		if js[bool](b, "document.querySelector('.row.current')?.dataset.path === $1 && document.querySelector('.row.current').dataset.kind === 'group'", name) {
			b.until("!document.querySelector('[data-role=selection]').hidden")
			return true
		}
		b.press("ArrowDown")
	}
	return false
}

// The files of the corpus with hostile names hold as well.
func TestTreeHostileFiles(t *testing.T) {
	dir := os.Getenv("WEIGHTROOM_CORPUS")
	if dir == "" {
		t.Skip("WEIGHTROOM_CORPUS is not set")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "hostile", "names-*"))
	more, _ := filepath.Glob("../../testdata/hostile/*name*")
	for _, f := range append(files, more...) {
		b := newTab(t)
		b.choose(f)
		if b.str("document.documentElement.dataset.state") != "ready" {
			continue
		}
		b.press("=", "Home")
		for range 20 {
			b.press("ArrowDown")
			b.harmless(filepath.Base(f))
		}
		b.str("document.querySelector('#tree').focus()")
		b.hold(chromedp.ModifierCtrl, "a")
		b.until("!document.querySelector('[data-role=selection]').hidden")
		b.str("document.querySelector('[data-action=pick-drop]:not([hidden]), [data-action=pick-drop-objects]:not([hidden])')?.click()")
		b.harmless(filepath.Base(f) + ", all")
		b.clean()
	}
}
