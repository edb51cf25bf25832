//go:build js

package page

import (
	"context"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// shrink is the list of what would make an export smaller. Lines that became steps stay in it, switched on.
type shrink struct {
	of    *workspace
	lines []saving
	asked int
}

type saving struct {
	message.Saving
	op model.Op
}

// readShrink asks anew, if the list is open.
func (a *app) readShrink() {
	box, w := role("shrink"), a.open
	if a.shrink.of != w {
		a.shrink = shrink{of: w, asked: a.shrink.asked}
	}
	if w == nil || !box.Get("open").Bool() {
		return
	}
	a.shrink.asked++
	asked := a.shrink.asked
	go func() {
		var got message.Shrunk
		_, err := a.worker.do(context.Background(), message.Shrink, message.ShrinkRequest{Handle: w.about.Handle, Recipe: w.recipe.Document()}, &got, nil, nil)
		if w != a.open || asked != a.shrink.asked {
			return
		}
		line := role("shrink-total")
		if err != nil {
			msg, _, _, _ := a.words(message.FromError(err))
			setText(line, msg)
			return
		}
		var lines []saving
		for _, l := range a.shrink.lines {
			if w.recipe.Find(l.op) >= 0 {
				lines = append(lines, l)
			}
		}
		for _, l := range got.Lines {
			r, err := model.FromDocument([]byte(`{"recipe":1,"steps":[` + string(l.Step) + `]}`))
			if err == nil && len(r.Steps) == 1 {
				lines = append(lines, saving{l, r.Steps[0]})
			}
		}
		a.shrink.lines = lines
		a.drawShrink(&got)
	}()
}

func (a *app) drawShrink(s *message.Shrunk) {
	text, list := a.text, role("shrink-list")
	clear(list)
	for i, l := range a.shrink.lines {
		li := clone("t-saving")
		title := text.Text("shrink." + l.Kind)
		if l.What != "" {
			title += " · " + model.Visible(l.What)
		}
		setText(find(li, ".saving-title"), title)
		setText(find(li, ".saving-bytes"), "−"+model.Bytes(l.Bytes))
		find(li, ".saving-bytes").SetAttribute("title", text.Text("export.size.exact", "size", model.Bytes(l.Bytes), "bytes", model.Number(l.Bytes)))
		about := text.Text("shrink.about." + l.Kind)
		if l.Keys > 0 {
			about = a.keys(l.Keys) + " · " + about
		}
		setText(find(li, ".saving-about"), about)
		box := find(li, "input")
		box.Set("checked", a.open.recipe.Find(l.op) >= 0)
		box.SetAttribute("aria-label", title)
		box.SetAttribute("data-saving", itoa(i))
		on(box, "change", func(js.Value) { a.switchSaving(l.op) })
		list.AppendChild(li)
	}
	show(role("shrink-none"), len(a.shrink.lines) == 0)
	setText(role("shrink-total"), text.Text("shrink.total", "size", model.Bytes(s.Size), "bytes", model.Number(s.Size)))
}

// switchSaving makes a line a step of the recipe, or takes that step out.
func (a *app) switchSaving(op model.Op) {
	fail := func(err error) {
		a.showError(err, "error.failed")
		a.readShrink()
	}
	a.edit(func(r *model.Recipe) bool {
		if i := r.Find(op); i >= 0 {
			return r.Remove(i)
		}
		r.Push(op)
		return true
	}, fail, nil)
}

func (a *app) listenShrink() {
	on(role("shrink"), "toggle", func(js.Value) { a.readShrink() })
}
