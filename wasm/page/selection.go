//go:build js

package page

import (
	"strings"
	"time"

	"github.com/weightroom/weightroom/wasm/page/model"
)

// revealRow puts the cursor on the row with that path, selects it and scrolls it into sight; a filter goes away if it hides
// the row. False where there is no such row.
func (a *app) revealRow(path string, kind model.Kind) bool {
	v := a.tree.view
	node := v.Tree.Find(path, kind)
	if node < 0 {
		return false
	}
	if !v.Reveal(node) {
		find(root, "#filter").Set("value", "")
		a.tree.drawFilter(v.Filter("", nil))
		if !v.Reveal(node) { // what is compared hides it as well
			a.reference.only = ""
			a.drawReference()
			a.filterFit()
			v.Reveal(node)
		}
	}
	v.SelectCursor()
	a.tree.touched = true
	a.tree.refresh()
	a.tree.reveal()
	return true
}

// rest is how long the selection must stay as it is before the bar is drawn anew: an arrow that is held down does not wait
// for it.
const rest = 40 * time.Millisecond

// selectionBar says what is selected and offers what can be done with it.
type selectionBar struct {
	app     *app
	el      element
	buttons map[string]element // by the operation's data-action
	view    *model.View        // that was drawn, with its Changes then
	drawn   int
	waiting bool
	picked  model.Picked
	offers  []model.Offer
}

func (a *app) listenSelection() {
	b := &selectionBar{app: a, el: role("selection"), buttons: map[string]element{}}
	for _, e := range list(b.el.Call("querySelectorAll", "[data-action^=pick-]")) {
		b.buttons[strings.TrimPrefix(e.Get("dataset").Get("action").String(), "pick-")] = wrap(e)
	}
	a.bar = b
	a.tree.onSelect = append(a.tree.onSelect, b.soon)
}

// soon draws the bar in a moment, if the selection is another.
func (b *selectionBar) soon() {
	if b.waiting || b.view == b.app.tree.view && b.drawn == b.view.Changes {
		return
	}
	b.waiting = true
	go func() {
		time.Sleep(rest)
		b.waiting = false
		b.draw(breathing())
	}()
}

func (b *selectionBar) draw(breathe model.Breathe) {
	a := b.app
	if a.open == nil {
		return
	}
	view := a.tree.view
	picked, ok := view.PickedAtLeisure(a.open.state.At, breathe)
	if !ok || a.open == nil || view != a.tree.view {
		b.soon()
		return
	}
	b.view, b.drawn, b.picked = view, view.Changes, picked
	p := &b.picked
	b.offers = nil
	shown := p.Rows > 0 && a.tree.touched && !a.place.readonly
	if shown {
		b.offers = p.Offers()
	}
	appears := shown && !visible(b.el)
	show(b.el, shown)
	for _, e := range b.buttons {
		show(e, false)
	}
	if !shown {
		return
	}
	text := role("selection-text")
	live := "polite"
	if p.Rows == 1 {
		live = "off" // the row says it
	}
	text.SetAttribute("aria-live", live)
	var parts []string
	if p.Tensors > 0 {
		parts = append(parts, a.keys(p.Tensors), model.Bytes(p.NBytes))
	}
	if n := p.Rows - p.Tensors; n > 0 {
		parts = append(parts, a.text.Count("selection.objects", int64(n), count(n)))
	}
	if n := p.Tensors - p.Keys; n > 0 && p.Keys > 0 {
		parts = append(parts, a.text.Count("selection.outside", int64(n), count(n)))
	}
	if p.Hidden > 0 {
		parts = append(parts, a.text.Count("selection.hidden", int64(p.Hidden), count(p.Hidden)))
	}
	setText(text, strings.Join(parts, " · "))
	text.SetAttribute("data-rows", itoa(p.Rows))
	for _, o := range b.offers {
		e := b.buttons[o.Op.Spec.Action]
		show(e, true)
		setText(find(e, ".n"), count(o.N))
		show(find(e, ".n"), p.Rows > 1)
	}
	if appears {
		a.tree.reveal() // the bar takes room
	}
}

// actSelection is act for the controls of the bar.
func (a *app) actSelection(action string) {
	switch action {
	case "deselect":
		a.tree.deselect()
		return
	}
	name, ok := strings.CutPrefix(action, "pick-")
	if !ok {
		return
	}
	a.bar.draw(nil) // it may be of a moment ago
	for _, o := range a.bar.offers {
		if o.Op.Spec.Action == name {
			a.openForm(o.Op, 0)
		}
	}
}

// deselect leaves nothing selected; the cursor stays.
func (t *treeView) deselect() {
	t.view.Deselect()
	t.box.Focus()
	t.refresh()
}
