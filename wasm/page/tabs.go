//go:build js

package page

import (
	"context"
	"errors"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// maxTabs bounds the open files; the one that was opened first goes when it has nothing unsaved.
const maxTabs = 20

// shown is what a tab looked like when another took its place.
type shown struct {
	view      *model.View
	touched   bool
	filter    string
	scroll    float64
	reference reference
}

// unsaved tells whether the steps done were not exported.
func (w *workspace) unsaved() bool {
	return w.recipe.Done > 0 && string(w.recipe.Document()) != w.saved
}

// same tells whether these are the files of w, unchanged.
func (w *workspace) same(files []js.Value) bool {
	if len(files) != len(w.files) {
		return false
	}
	for i, f := range files {
		for _, field := range []string{"name", "size", "lastModified"} {
			if !f.Get(field).Equal(w.files[i].Get(field)) {
				return false
			}
		}
	}
	return true
}

// placeTab makes w a tab and shows it. The same file without unsaved steps gives its place up.
func (a *app) placeTab(w *workspace) {
	before := a.open
	at := len(a.tabs)
	for i, t := range a.tabs {
		if t.url == w.url && t.same(w.files) && !t.unsaved() {
			at = i
		}
	}
	if at < len(a.tabs) {
		old := a.tabs[at]
		a.tabs[at] = w
		if old == a.open {
			a.open = nil // nothing of it is kept
		}
		if before == old {
			before = nil
		}
		a.forget(old)
	} else {
		a.tabs = append(a.tabs, w)
	}
	for _, t := range a.tabs {
		if len(a.tabs) > maxTabs && t != w && t != before && !t.unsaved() {
			a.removeTab(t)
			break
		}
	}
	a.turnTo(w)
	if before != nil && before.url == "" && w.url == "" {
		a.offer(before, w)
	}
}

// stow keeps what is on show with its tab.
func (a *app) stow() {
	w := a.open
	if w == nil {
		return
	}
	w.shown = &shown{view: a.tree.view, touched: a.tree.touched, filter: value(find(root, "#filter")), scroll: a.tree.box.Get("scrollTop").Float(), reference: a.reference}
}

// turnTo shows a tab: the whole page follows from it.
func (a *app) turnTo(w *workspace) {
	if w == a.open || !a.closePanel() {
		return
	}
	a.stow()
	a.hideDiff()
	a.open, a.reference = w, reference{}
	pause()
	a.emptyInspector()
	a.tree.reset()
	if s := w.shown; s != nil {
		a.reference = s.reference
		a.reference.marks = nil // the answer comes anew
		a.tree.view, a.tree.touched = s.view, s.touched
		find(root, "#filter").Set("value", s.filter)
	}
	a.tree.set(w.rows)
	if w.shown != nil {
		a.tree.box.Set("scrollTop", w.shown.scroll)
	}
	a.draw()
	a.drawTabs()
	a.readCode()
	a.tellOpen()
}

// emptyInspector takes the row of another tab away.
func (a *app) emptyInspector() {
	in := &a.inspect
	in.forget()
	in.stop()
	in.el, in.heat, in.filter = nil, nil, nil
	in.busy(false)
	clear(role("inspector-body"))
	show(role("inspector"), false)
}

// forget lets go of what the worker holds of a tab.
func (a *app) forget(w *workspace) {
	go a.worker.do(context.Background(), message.Close, message.CloseRequest{Handle: w.about.Handle}, nil, nil, nil)
	a.letGo()
}

func (a *app) removeTab(w *workspace) {
	for i, t := range a.tabs {
		if t == w {
			a.tabs = append(a.tabs[:i:i], a.tabs[i+1:]...)
			break
		}
	}
	a.forget(w)
}

// closeTab closes a file, and asks before unsaved steps are lost.
func (a *app) closeTab(w *workspace) {
	if w == nil {
		return
	}
	if w.unsaved() {
		n := w.recipe.Done
		a.ask(a.text.Text("tab.ask.title", "name", model.Visible(w.about.Name)), a.text.Count("tab.ask", int64(n), count(n)), a.text.Text("tab.discard"), func() { a.dropTab(w) })
		return
	}
	a.dropTab(w)
}

// dropTab closes a file as it is. The tab beside it comes up; without one the page is as it was before the first file.
func (a *app) dropTab(w *workspace) {
	if w == a.open && !a.closePanel() {
		return
	}
	a.run(job{work: func(context.Context) error {
		at := 0
		for i, t := range a.tabs {
			if t == w {
				at = i
			}
		}
		a.removeTab(w)
		if w != a.open {
			a.drawTabs()
			return nil
		}
		if len(a.tabs) > 0 {
			a.open = nil
			a.turnTo(a.tabs[min(at, len(a.tabs)-1)])
			return nil
		}
		a.closeAll()
		return nil
	}})
}

// closeAll shows the page as it is before the first file.
func (a *app) closeAll() {
	a.hideDiff()
	a.open, a.reference = nil, reference{}
	a.emptyInspector()
	a.tree.reset()
	root.RemoveAttribute("data-open")
	for name, on := range map[string]bool{"welcome": true, "work": false, "file": false, "edit-actions": false} {
		show(role(name), on)
	}
	show(find(root, "[data-action=export]"), false)
	document.Set("title", "Weightroom")
	a.drawTabs()
	a.drawRecent()
	find(root, "[data-action=choose]").Focus()
}

// drawTabs shows the open files where there are several.
func (a *app) drawTabs() {
	show(role("tabs"), len(a.tabs) > 1)
	list := role("tab-list")
	clear(list)
	for _, w := range a.tabs {
		li := clone("t-tab")
		name, current := model.Visible(w.about.Name), w == a.open
		open, end := find(li, ".tab"), find(li, ".tab-close")
		setText(find(open, "bdi"), name)
		open.SetAttribute("title", name)
		if current {
			open.SetAttribute("aria-current", "true")
		}
		show(find(open, ".tab-dot"), w.unsaved())
		setText(find(open, ".tab-dot"), a.text.Text("tab.unsaved"))
		label := a.text.Text("tab.close", "name", name)
		end.SetAttribute("aria-label", label)
		end.SetAttribute("title", label)
		on(open, "click", func(js.Value) { a.chooseTab(w) })
		on(end, "click", func(js.Value) { a.closeTab(w) })
		list.AppendChild(li)
		if current {
			li.Call("scrollIntoView", map[string]any{"block": "nearest", "inline": "nearest"})
		}
	}
}

// chooseTab is a click on a tab. It waits for its turn, as every job does.
func (a *app) chooseTab(w *workspace) {
	a.hideError()
	a.run(job{work: func(context.Context) error {
		a.turnTo(w)
		return nil
	}})
}

// nextTab goes by tabs to the right, around the end.
func (a *app) nextTab(by int) {
	for i, t := range a.tabs {
		if t == a.open && len(a.tabs) > 1 {
			a.chooseTab(a.tabs[(i+by+len(a.tabs))%len(a.tabs)])
			return
		}
	}
}

// ask puts a question whose answer yes cannot be taken back.
func (a *app) ask(title, text, yes string, do func()) {
	setText(role("ask-title"), title)
	setText(role("ask-text"), text)
	setText(find(root, "[data-action=ask-yes]"), yes)
	a.answer = do
	role("ask").Call("showModal")
	find(root, "[data-action=ask-no]").Focus()
}

// rebuild opens all files again in a new worker, with their steps; what is on show stays, an open form as well. A file that
// does not open any more is told and left out.
func (a *app) rebuild(ctx context.Context) error {
	var kept []*workspace
	var failed error
	there := false
	for _, t := range a.tabs {
		next := *t
		if err := a.fetch(ctx, &next); err != nil {
			if isCancelled(err) || errors.Is(err, errCrashed) {
				return err
			}
			failed = err
			a.showError(err, "error.open", "name", model.Visible(t.names[0]))
			continue
		}
		*t = next
		kept = append(kept, t)
		there = there || t == a.open
	}
	a.tabs = kept
	switch {
	case there:
		a.inspect.forget()
		a.tree.set(a.open.rows)
		a.draw()
	case len(kept) > 0:
		a.open = nil
		a.turnTo(kept[0])
	default:
		a.closeAll()
	}
	return failed
}

// actTabs is act for these controls.
func (a *app) actTabs(action string) {
	switch action {
	case "close-file":
		a.closeTab(a.open)
	case "ask-yes":
		role("ask").Call("close")
		if do := a.answer; do != nil {
			a.answer = nil
			do()
		}
	case "ask-no":
		role("ask").Call("close")
	}
}
