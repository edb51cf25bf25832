//go:build js

package page

import (
	"strconv"
	"strings"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/page/model"
)

// drawStepTools adds the buttons of a step of the recipe, which is step i of n done.
func (a *app) drawStepTools(li element, op model.Op, i, n int) {
	tools := clone("t-step-tools")
	a.label(tools)
	for _, name := range []string{"edit", "up", "down", "remove"} {
		b := find(tools, "[data-step="+name+"]")
		setDisabled(b, name == "edit" && (op.Values == nil || model.SpecOf(op.Spec.Action) == nil) || name == "up" && i == 0 || name == "down" && i == n-1)
		on(b, "click", func(js.Value) { a.changeStep(name, i) })
	}
	li.AppendChild(tools)
	li.SetAttribute("draggable", "true")
	li.SetAttribute("data-index", itoa(i))
}

// changeStep is what a button of a step does.
func (a *app) changeStep(what string, i int) {
	if a.open == nil || i >= a.open.recipe.Done || !a.closePanel() {
		return
	}
	switch what {
	case "edit":
		op := a.open.recipe.Steps[i]
		a.openForm(op, i+1)
	case "remove":
		a.edit(func(r *model.Recipe) bool { return r.Remove(i) }, nil, nil)
	case "up":
		a.moveStep(i, i-1)
	case "down":
		a.moveStep(i, i+1)
	}
}

// moveStep puts a step elsewhere; the button that was pressed keeps the focus.
func (a *app) moveStep(i, to int) {
	a.edit(func(r *model.Recipe) bool { return r.Move(i, to) }, nil, func() {
		step := find(root, "[data-role=steps] [data-index='"+itoa(to)+"']")
		b := find(step, "[data-step="+map[bool]string{true: "up", false: "down"}[to < i]+"]")
		if b.Get("disabled").Bool() { // it is at an end now
			b = find(step, "summary")
		}
		b.Focus()
	})
}

// listenSteps lets steps be dragged to another place.
func (a *app) listenSteps() {
	from := -1
	index := func(ev js.Value) int {
		li := ev.Get("target").Call("closest", "[data-index]")
		if li.IsNull() {
			return -1
		}
		n, err := strconv.Atoi(li.Call("getAttribute", "data-index").String())
		if err != nil {
			return -1
		}
		return n
	}
	steps := role("steps")
	unmark := func() {
		for _, li := range list(steps.Call("querySelectorAll", ".step")) {
			li.Get("classList").Call("remove", "dragged", "target-above", "target-below")
		}
	}
	on(steps, "dragstart", func(ev js.Value) {
		if from = index(ev); from >= 0 {
			ev.Get("target").Get("classList").Call("add", "dragged")
			ev.Get("dataTransfer").Set("effectAllowed", "move")
		}
	})
	on(steps, "dragend", func(js.Value) {
		from = -1
		unmark()
	})
	on(steps, "dragover", func(ev js.Value) {
		if from < 0 {
			return
		}
		ev.Call("preventDefault")
		unmark()
		if to := index(ev); to >= 0 && to != from {
			where := map[bool]string{true: "target-above", false: "target-below"}[to < from]
			ev.Get("target").Call("closest", "[data-index]").Get("classList").Call("add", where)
		}
	})
	on(steps, "drop", func(ev js.Value) {
		to, i := index(ev), from
		if i < 0 {
			return
		}
		ev.Call("preventDefault")
		ev.Call("stopPropagation")
		if to >= 0 && to != i && a.closePanel() {
			a.moveStep(i, to)
		}
	})
	on(steps, "keydown", func(ev js.Value) {
		by := map[string]int{"ArrowUp": -1, "ArrowDown": 1}[ev.Get("key").String()]
		if i := index(ev); ev.Get("altKey").Bool() && by != 0 && i >= 0 {
			ev.Call("preventDefault")
			if to := i + by; to >= 0 && a.open != nil && to < a.open.recipe.Done && a.closePanel() {
				a.moveStep(i, to)
			}
		}
	})
	on(find(root, "#recipe"), "change", func(ev js.Value) {
		if files := list(ev.Get("target").Get("files")); len(files) > 0 {
			a.openRecipe(files[0])
		}
		ev.Get("target").Set("value", "")
	})
}

// isRecipe tells a recipe document by its name.
func isRecipe(files []js.Value) bool {
	if len(files) != 1 {
		return false
	}
	name := strings.ToLower(files[0].Get("name").String())
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// openRecipe makes a recipe document the recipe of the open file, or of the next one.
func (a *app) openRecipe(file js.Value) {
	a.hideError()
	go func() {
		fail := func(err error) {
			a.showError(err, "error.open", "name", model.Visible(file.Get("name").String()))
		}
		if file.Get("size").Float() > maxRecipe {
			fail(errLongRecipe)
			return
		}
		text, err := await(file.Call("text"))
		if err != nil {
			fail(err)
			return
		}
		r, err := model.FromDocument([]byte(text.String()))
		if err != nil {
			fail(err)
			return
		}
		if a.open == nil {
			a.place.recipe = &r
			a.drawLinked()
			return
		}
		if a.closePanel() {
			a.edit(func(own *model.Recipe) bool { own.Take(r); return true }, fail, nil)
		}
	}()
}

// actSteps is act for the controls below the steps.
func (a *app) actSteps(action string) {
	if action == "open-recipe" {
		find(root, "#recipe").Click()
		return
	}
	if a.open == nil {
		return
	}
	w := a.open
	switch action {
	case "save-recipe":
		doc, err := w.recipe.YAML()
		if err != nil {
			a.showError(err, "error.failed")
			return
		}
		download(stem(w.names[0])+"-recipe.yaml", js.Global().Get("Blob").New([]any{string(doc)}, map[string]any{"type": "application/yaml"}))
	case "copy-command":
		e := endings["torch"]
		if w.about.Format == "safetensors" {
			e = endings["safetensors"]
		}
		text, err := w.recipe.Command(w.names[0], stem(w.names[0])+"-edited"+e)
		if err != nil {
			a.showError(err, "error.failed")
			return
		}
		a.copyText(text, "command.copied")
	case "copy-python":
		a.copyPython()
	}
}

// copyText puts text on the clipboard and says so with the text named done, or shows it where there is no clipboard.
func (a *app) copyText(text, done string) {
	clipboard := js.Global().Get("navigator").Get("clipboard")
	go func() {
		if clipboard.Truthy() {
			if _, err := await(clipboard.Call("writeText", text)); err == nil {
				a.notify("", done)
				return
			}
		}
		a.note("keep", func() string { return text })
	}()
}
