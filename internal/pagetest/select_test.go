package pagetest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

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

// A click on a title sorts, a second one the other way round, a third gives the order of the file back. Widths and what is
// hidden are there again after the page is loaded anew.
func TestColumns(t *testing.T) {
	b := newTab(t)
	b.size(1500, 800)
	file := sized(t, map[string]int{"b.2": 8, "b.10": 4, "a": 400, "b.1": 16, "c": 1})
	b.choose(file)
	rows := func() string {
		return b.str(`[...document.querySelectorAll('[role=row][data-path]')].filter(r => !r.hidden).sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map(r => r.dataset.path).join(' ')`)
	}
	sorted := func() string {
		return b.str("[...document.querySelectorAll('[role=columnheader][data-column]')].map(h => h.ariaSort[0]).join('')")
	}
	fileOrder := rows()
	for _, c := range []struct{ column, want, aria string }{
		{"size", "a b b.1 b.2 b.10 c", "nnnndn"}, {"size", "c b b.10 b.2 b.1 a", "nnnnan"}, {"size", fileOrder, "nnnnnn"},
		{"name", "a b b.1 b.2 b.10 c", "annnnn"}, {"name", "c b b.10 b.2 b.1 a", "dnnnnn"}, {"params", "a b b.1 b.2 b.10 c", "nnndnn"},
	} {
		b.str("document.querySelector('[data-sort=" + c.column + "]').click()")
		if rows() != c.want || sorted() != c.aria {
			t.Errorf("%s: rows %q, want %q; aria-sort %s, want %s", c.column, rows(), c.want, sorted(), c.aria)
		}
	}
	b.shot("sorted")
	width := func(column string) int {
		return js[int](b, "Math.round(document.querySelector('.columns .c-"+column+"').getBoundingClientRect().width)")
	}
	before := width("type")
	b.str("document.querySelector('[data-sort=type]').focus()")
	b.hold(chromedp.ModifierShift, kb.ArrowRight, kb.ArrowRight)
	if got := width("type"); got != before+16 {
		t.Errorf("by key from %d to %d", before, got)
	}
	before = width("size")
	at := js[[]float64](b, "(() => { const r = document.querySelector('.c-size .grip').getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()")
	for i, typ := range []input.DispatchMouseEventType{input.DispatchMouseEventTypeMousePressed, input.DispatchMouseEventTypeMouseMoved, input.DispatchMouseEventTypeMouseReleased} {
		command(b, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: typ, X: at[0] - float64(30*min(i, 1)), Y: at[1], Button: input.MouseButtonLeft, Buttons: int64(1 - i/2), ClickCount: 1})
	}
	if got := width("size"); got != before+30 {
		t.Errorf("dragged from %d to %d", before, got)
	}
	if sorted() != "nnndnn" {
		t.Error("dragging has sorted")
	}
	b.click("columns")
	b.shot("columns-menu")
	b.str("document.querySelector('[data-show=shape]').click()")
	b.keys(kb.Escape)
	b.until("document.querySelector('[data-role=columns-menu]').hidden")
	want := fmt.Sprint(width("type"), width("size"), width("shape"))
	if width("shape") != 0 {
		t.Error("the column is still there")
	}
	b.do(chromedp.Navigate(server.URL + "/some/where/"))
	b.wait("ready")
	b.choose(file)
	if got := fmt.Sprint(width("type"), width("size"), width("shape")); got != want {
		t.Errorf("after loading the page anew the widths are %s, they were %s", got, want)
	}
	b.clean()
}

// sized is a safetensors file of bytes, with so many to a key.
func sized(t *testing.T, sizes map[string]int) string {
	t.Helper()
	var names []string
	for name := range sizes {
		names = append(names, name)
	}
	slices.Sort(names)
	slices.Reverse(names)
	head, at := "{", 0
	for i, name := range names {
		head += fmt.Sprintf(`%s%q:{"dtype":"U8","shape":[%d],"data_offsets":[%d,%d]}`, map[bool]string{false: ","}[i == 0], name, sizes[name], at, at+sizes[name])
		at += sizes[name]
	}
	head += "}"
	data := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
	return write(t, "sized.safetensors", append(append(data, head...), make([]byte, at)...))
}

// Equal blocks fold into one row that stands for all of them.
func TestFold(t *testing.T) {
	b := newTab(t)
	var names []string
	for i := range 12 {
		for _, part := range []string{"attn.q.weight", "attn.q.bias", "mlp.up.weight", "mlp.down.weight"} {
			names = append(names, fmt.Sprintf("model.layers.%d.%s", i, part))
		}
	}
	names = append(append([]string{"model.embed.weight"}, names...), "model.layers.12.attn.q.weight", "head.weight")
	b.choose(safetensors(t, names...))
	b.click("fold")
	b.until("document.querySelector('[role=row] .tag:not(:empty)')?.innerText === '12 blocks alike'")
	if got := strings.Join(b.paths("group"), " "); !strings.Contains(got, "model.layers.0…11 model.layers.12") {
		t.Errorf("groups %q", got)
	}
	b.clickRow("model.layers.0…11", "ctrl")
	if got := b.bar(48); !strings.HasPrefix(got, "48 keys · 384 B: Drop 48") {
		t.Errorf("the run: %s", got)
	}
	b.shot("folded")
	b.str("document.querySelector('[data-action=pick-drop]').click()")
	if got := b.str("document.querySelector('[data-field=match]').value"); got != "model.layers.{0,1,2,3,4,5,6,7,8,9,10,11}.**" {
		t.Errorf("the pattern %q", got)
	}
	b.apply()
	if got := b.role("summary"); got != "3 keys · 24 B" {
		t.Errorf("dropped to %q", got)
	}
	b.click("undo")
	b.wait("ready")
	b.clickRow("model.layers.0…11", "")
	b.until("[...document.querySelectorAll('[role=row][data-path]')].some(r => !r.hidden && r.dataset.path === 'model.layers.7')")
	b.click("fold")
	b.until("![...document.querySelectorAll('[role=row] .tag')].some(t => t.innerText.includes('alike'))")
	b.clean()
}

// tabTo presses Tab until the focus is on what a selector names.
func (b *tab) tabTo(selector string) {
	b.Helper()
	for range 80 {
		if js[bool](b, "!!document.activeElement?.matches($1)", selector) {
			return
		}
		b.keys(kb.Tab)
	}
	b.Fatalf("Tab does not lead to %s", selector)
}

// The whole way without a mouse: the example, a search, several rows dropped, undone, folding, sorting, export.
func TestKeyboardStory(t *testing.T) {
	b := newTab(t)
	js[bool](b, `(() => { window.mice = 0; for (const typ of ["mousedown", "pointerdown", "touchstart"]) addEventListener(typ, () => mice++, true); return true })()`)
	b.tabTo("[data-action=example]")
	b.keys(kb.Enter)
	b.until("document.querySelector('[data-role=summary]')?.dataset.keys > 0")
	b.wait("ready")
	before := b.role("summary")
	// A whole press would type the character into the field that the key leads to.
	command(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeRawKeyDown, Key: "/"})
	b.until("document.activeElement.id === 'filter'")
	b.keys("model.bn")
	b.until("document.querySelectorAll('[role=row][data-kind=tensor]:not([hidden])').length === 5")
	b.keys(kb.Enter) // to the first match
	b.until("document.activeElement.id === 'tree'")
	b.hold(chromedp.ModifierShift, kb.ArrowDown)
	b.hold(chromedp.ModifierCtrl, kb.ArrowDown, kb.ArrowDown)
	b.keys(" ")
	if got := b.chosen(); got != "state_dict.model.bn.weight state_dict.model.bn.bias state_dict.model.bn.running_var" {
		t.Fatalf("selected %q", got)
	}
	b.bar(3)
	b.keys(kb.Delete)
	b.until("document.querySelectorAll('.preview .change').length === 3")
	if got := b.str("document.querySelector('[data-field=match]').value"); got != "model.bn.weight, model.bn.bias, model.bn.running_var" {
		t.Errorf("the patterns %q", got)
	}
	b.keys(kb.Enter)
	b.until("document.querySelectorAll('[data-role=steps] .step').length === 1")
	b.wait("ready")
	if b.role("summary") == before {
		t.Error("nothing was dropped")
	}
	b.tabTo("#tree")
	b.hold(chromedp.ModifierCtrl, "z")
	b.until("document.querySelectorAll('[data-role=steps] .step:not(.undone)').length === 0")
	b.wait("ready")
	if got := b.role("summary"); got != before {
		t.Errorf("undone to %q, it was %q", got, before)
	}
	b.keys(kb.Escape, kb.Escape)
	b.until("document.querySelector('#filter').value === ''")
	// The end of a range, all, a page.
	b.keys(kb.Home)
	b.hold(chromedp.ModifierShift, kb.End)
	all := js[int](b, "Number(document.querySelector('#tree').ariaRowCount) - 1")
	if got := len(strings.Fields(b.chosen())); got < min(all, 15) {
		t.Errorf("Shift and End select %d rows of %d", got, all)
	}
	b.keys(kb.Escape)
	if got := b.chosen(); got != "" {
		t.Errorf("Escape leaves %q", got)
	}
	b.keys("=")
	b.until("document.querySelector('[data-action=fold]').ariaPressed === 'true'")
	b.keys(kb.Tab)
	b.until("document.activeElement.dataset.sort === 'name'")
	b.keys(kb.ArrowRight, kb.ArrowRight, kb.ArrowRight)
	b.until("document.activeElement.dataset.sort === 'size'")
	b.keys(kb.Enter)
	b.until("document.querySelector('[data-column=size]').ariaSort === 'descending'")
	b.keys(kb.Escape)
	b.until("document.activeElement.id === 'tree'")
	b.keys("?")
	b.until("document.querySelector('[data-role=help]').open")
	b.shot("help")
	b.keys(kb.Escape)
	b.until("!document.querySelector('[data-role=help]').open")
	b.hold(chromedp.ModifierCtrl, "s")
	b.until("document.querySelector('.panel select[data-field=format]')")
	b.tabTo(".panel [data-field=name]")
	name := b.str("document.activeElement.value")
	b.keys(kb.Enter)
	b.until("!document.querySelector('.saved').hidden")
	b.wait("ready")
	b.saved(name)
	if n := js[int](b, "mice"); n != 0 {
		t.Errorf("%d presses of a mouse", n)
	}
	b.clean()
}

// The same of the tree: several rows selected, the menu of the columns, groups on top.
func TestAxeTree(t *testing.T) {
	b, check := axeTab(t)
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprintf("model.layers.%d.attn.weight", i), fmt.Sprintf("model.layers.%d.attn.bias", i))
	}
	b.choose(safetensors(t, names...))
	b.clickRow("model.layers.1.attn.weight", "")
	b.clickRow("model.layers.2.attn.bias", "ctrl")
	b.bar(2)
	b.str("tree.scrollTop = 600")
	b.until("!document.querySelector('[data-role=sticky]').hidden")
	check("selection and groups on top")
	b.click("columns")
	b.str("document.querySelector('[data-sort=size]').click()")
	check("columns")
}

// What the parts of the tree look like, for the eye: WEIGHTROOM_SHOTS names the folder.
func TestTreeShots(t *testing.T) {
	if os.Getenv("WEIGHTROOM_SHOTS") == "" {
		t.Skip("WEIGHTROOM_SHOTS is not set")
	}
	b := newTab(t)
	var names []string
	for i := range 24 {
		for _, part := range []string{"attn.q_proj.weight", "attn.k_proj.weight", "attn.v_proj.weight", "attn.out_proj.bias", "mlp.up.weight", "mlp.down.weight", "norm.weight"} {
			names = append(names, fmt.Sprintf("model.layers.%d.%s", i, part))
		}
	}
	b.choose(safetensors(t, append(names, "lm_head.weight")...))
	b.until("!document.querySelector('[data-role=notice]').hidden")
	b.str("document.querySelector('[data-action=dismiss-notice]').click()")
	b.click("expand-all")
	b.str("tree.scrollTop = 1500")
	b.until("!document.querySelector('[data-role=sticky]').hidden")
	js[bool](b, "new Promise(done => requestAnimationFrame(() => done(true)))")
	path := b.str(`[...document.querySelectorAll('[role=row][data-kind=tensor]')].filter(r => !r.hidden).sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)[12].dataset.path`)
	b.clickRow(path, "")
	b.press("ArrowDown")
	b.str("[1, 2, 3, 4, 5].map(() => tree.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowDown', shiftKey: true, bubbles: true})))")
	b.until("Number(document.querySelector('[data-role=selection-text]').dataset.rows) > 1")
	b.shot("tree-light")
	b.dark(true)
	b.str("document.querySelector('[data-action=pick-drop]').click()")
	b.until("document.querySelectorAll('.preview .change').length > 1")
	b.shot("tree-dark")
	b.press("Escape")
	b.speak("zh-Hant")
	b.click("fold")
	b.press("Home", "ArrowDown", "ArrowDown", "ArrowDown")
	b.dark(false)
	b.until("!document.querySelector('[data-role=selection]').hidden")
	b.shot("tree-zh-Hant")
	b.size(390, 844)
	b.str("document.querySelector('[data-action=tab-keys]').click()")
	b.shot("tree-phone")
	b.click("columns")
	b.shot("tree-phone-menu")
	b.clean()
}
