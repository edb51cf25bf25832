//go:build js

package page

import (
	"context"
	"encoding/json"
	"strings"
	"syscall/js"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// listenPresets sets the menu of ready-made recipes up. What each would do is found out when it is opened.
func (a *app) listenPresets() {
	on(role("presets"), "toggle", func(js.Value) { a.drawPresets() })
}

// drawPresets fills the menu, if it is open, and counts anew.
func (a *app) drawPresets() {
	w := a.open
	if w == nil || !role("presets").Get("open").Bool() {
		return
	}
	list := role("preset-list")
	clear(list)
	presets := statedict.Presets()
	for _, p := range presets {
		li := clone("t-preset")
		setText(find(li, "b"), a.text.Text("preset."+p.Name))
		setText(find(li, ".preset-about"), a.text.Text("preset."+p.Name+".about"))
		button := find(li, "button")
		button.SetAttribute("data-preset", p.Name)
		if p.Recipe.HasAt && w.recipe.Done > 0 {
			setDisabled(button, true)
			setText(find(li, ".preset-effect"), a.text.Text("preset.first"))
		}
		on(button, "click", func(js.Value) { a.takePreset(p) })
		list.AppendChild(li)
	}
	recipe := w.recipe.Document()
	go func() {
		var got message.PresetEffects
		_, err := a.worker.do(context.Background(), message.Presets, message.ApplyRequest{Handle: w.about.Handle, Recipe: recipe}, &got, nil, nil)
		if err != nil || w != a.open || string(recipe) != string(w.recipe.Document()) || len(got.Effects) != len(presets) {
			return // the buttons work without
		}
		for i, p := range presets {
			button := find(list, "[data-preset='"+p.Name+"']")
			if p.Ask == "" && !button.Get("disabled").Bool() {
				a.drawPreset(button, got.Effects[i])
			}
		}
	}()
}

// drawPreset says what a ready-made recipe would do. One that would do nothing can't be chosen.
func (a *app) drawPreset(button element, e message.PresetEffect) {
	var parts []string
	if e.Keys > 0 {
		parts = append(parts, a.keys(e.Keys))
	}
	if e.Objects > 0 {
		parts = append(parts, a.text.Count("preset.objects", int64(e.Objects), count(e.Objects)))
	}
	if parts == nil {
		parts = []string{a.text.Text("preset.nothing")}
		setDisabled(button, true)
	}
	setText(find(button, ".preset-effect"), strings.Join(parts, " · "))
}

// takePreset makes the steps of a ready-made recipe the next ones. One that needs to be told something opens its form.
func (a *app) takePreset(p statedict.Preset) {
	if a.open == nil || !a.closePanel() {
		return
	}
	doc, err := json.Marshal(p.Recipe)
	if err == nil {
		var r model.Recipe
		if r, err = model.FromDocument(doc); err == nil {
			if p.Ask != "" {
				a.openForm(model.Op{Spec: r.Steps[0].Spec}, 0)
				return
			}
			a.hideError()
			a.edit(func(own *model.Recipe) bool { own.Append(r); return true }, nil, nil)
			return
		}
	}
	a.showError(err, "error.failed")
}

// copyPython asks for the recipe as a program and puts it on the clipboard.
func (a *app) copyPython() {
	w := a.open
	name := w.names[0]
	req := message.PythonRequest{Handle: w.about.Handle, Recipe: w.recipe.Document(), In: name, Out: stem(name) + "-edited.pth"}
	go func() {
		var got message.Snippet
		if _, err := a.worker.do(context.Background(), message.Python, req, &got, nil, nil); err != nil {
			a.showError(err, "error.failed")
			return
		}
		a.copyText(got.Text, "python.copied")
	}()
}

// torchReads tells whether torch, or safetensors for it, loads what is open as one file.
func (w *workspace) torchReads() bool {
	switch statedict.Format(w.about.Format) {
	case statedict.TorchZip, statedict.TorchLegacy, statedict.TorchTar, statedict.Safetensors:
		return len(w.names) == 1
	}
	return false
}
