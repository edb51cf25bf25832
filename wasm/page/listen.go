//go:build js

package page

import (
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/page/model"
)

// listen sets up every control: one listener, which goes by data-action.
func (a *app) listen() {
	on(document, "click", func(ev js.Value) {
		el := ev.Get("target").Call("closest", "[data-action]")
		if el.IsNull() {
			return
		}
		action := el.Get("dataset").Get("action").String()
		if action == "apply" {
			return // the form submits
		}
		a.act(action)
	})
	on(document, "submit", func(ev js.Value) {
		ev.Call("preventDefault")
		if a.panel != nil {
			a.panel.submit()
		}
	})
	on(find(root, "#open"), "change", func(ev js.Value) {
		input := ev.Get("target")
		files := list(input.Get("files"))
		a.openFiles(files)
		input.Set("value", "") // so that the same file can be chosen again
	})
	on(find(root, "[data-field=at]"), "change", func(ev js.Value) { a.setAt(ev.Get("target").Get("value").String()) })
}

func (a *app) act(action string) {
	switch action {
	case "open", "choose":
		a.choose()
	case "example":
		a.openExample()
	case "undo":
		a.undo()
	case "redo":
		a.redo()
	case "export":
		a.openExport()
	case "cancel":
		a.stop()
	case "reopen":
		a.hideError()
		a.reopen()
	case "dismiss":
		a.hideError()
		if a.waiting == 0 {
			a.setState("ready")
		}
	case "close-panel":
		a.closePanel()
	case "loss":
		a.loss()
	case "leave-out":
		if e, ok := a.panel.(*exporter); ok {
			e.leaveOut()
		}
	case "expand-all", "collapse-all":
		v := a.tree.view
		v.SetAll(0, int32(len(v.Tree.Nodes)), action == "expand-all")
		a.tree.refresh()
		a.tree.reveal()
	case "help":
		a.openHelp()
	case "close-help":
		role("help").Call("close")
	case "tab-keys":
		a.showTab("keys")
	case "tab-edit":
		a.showTab("edit")
	default:
		if model.SpecOf(action) != nil {
			a.openOperation(action)
		}
	}
	a.actPlace(action)
	a.actSteps(action)
	a.actReference(action)
	a.actDiff(action)
	a.actTabs(action)
	a.actAddress(action)
	a.actInspector(action)
	a.actSelection(action)
	a.actColumns(action)
	a.actMap(action)
}

// showTab switches between the tree and the side panel where there is room for one only.
func (a *app) showTab(name string) {
	role("work").SetAttribute("data-tab", name)
	for _, t := range []string{"keys", "edit"} {
		find(root, "[data-action=tab-"+t+"]").SetAttribute("aria-pressed", map[bool]string{true: "true", false: "false"}[t == name])
	}
	a.tree.refresh()
}

func list(v js.Value) []js.Value {
	var out []js.Value
	for i := range v.Length() {
		out = append(out, v.Index(i))
	}
	return out
}

// dropFiles opens what was dropped, in a tab or for the open file, by where it was dropped.
func (a *app) dropFiles(files, handles []js.Value, target js.Value) {
	use := ""
	if z := target.Call("closest", "[data-drop]"); z.Truthy() {
		use = z.Get("dataset").Get("drop").String()
	}
	switch {
	case a.open == nil || len(files) == 0 || isRecipe(files):
		a.openFiles(files, handles...)
	case use == "merge":
		a.attach(files, "", a.openMerge)
	case use == "reference":
		a.attach(files, "", a.compareWith)
	case target.Call("closest", "[data-role=reference],.panel").Truthy(): // a model to compare with, or the other file of a form
		a.attach(files, "", a.attached)
	default:
		a.openFiles(files, handles...)
	}
}

// listenDrop takes files that are dropped anywhere on the page.
func (a *app) listenDrop() {
	holdsFiles := func(ev js.Value) bool {
		t := ev.Get("dataTransfer")
		return t.Truthy() && t.Get("types").Call("includes", "Files").Bool()
	}
	mark := func(on bool) {
		if on {
			root.SetAttribute("data-dragging", "")
		} else {
			root.RemoveAttribute("data-dragging")
		}
		show(role("overlay"), on && a.open != nil)
	}
	depth := 0 // enter and leave come for every element on the way
	on(document, "dragenter", func(ev js.Value) {
		if holdsFiles(ev) {
			ev.Call("preventDefault")
			depth++
			mark(true)
		}
	})
	zone := func(ev js.Value) element {
		if z := ev.Get("target").Call("closest", "[data-drop]"); z.Truthy() {
			return wrap(z)
		}
		return nil
	}
	on(document, "dragover", func(ev js.Value) {
		if holdsFiles(ev) {
			ev.Call("preventDefault")
			ev.Get("dataTransfer").Set("dropEffect", "copy")
			over := zone(ev)
			for _, z := range list(role("overlay").Call("querySelectorAll", "[data-drop]")) {
				z.Get("classList").Call("toggle", "over", over != nil && over.Equal(z))
			}
		}
	})
	on(document, "dragleave", func(ev js.Value) {
		if depth = max(0, depth-1); depth == 0 {
			mark(false)
		}
	})
	on(document, "drop", func(ev js.Value) {
		depth = 0
		mark(false)
		if holdsFiles(ev) {
			ev.Call("preventDefault")
			files := list(ev.Get("dataTransfer").Get("files"))
			a.dropFiles(files, droppedHandles(ev.Get("dataTransfer")), ev.Get("target"))
		}
	})
}
