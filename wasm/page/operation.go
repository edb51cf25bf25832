//go:build js

package page

import (
	"context"
	"strings"
	"syscall/js"
	"time"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// settle is how long the page waits for more typing before it asks for a preview.
const settle = 60 * time.Millisecond

// operation is the form of an edit, with what it would do.
type operation struct {
	app     *app
	spec    *model.Spec
	el      element
	fields  []element     // the labels, in the order of spec.Fields
	asked   int           // previews asked for; older answers are dropped
	edits   int           // the step that this replaces, 1-based; 0 for a new one
	start   model.Op      // what it was opened with; its Lists stay as they are
	outcome func()        // draws the last preview, or why the step was refused
	lost    *message.Lost // what the cast on show would lose, once that was counted
}

// openOperation opens the form of an operation, or closes it if it is open.
func (a *app) openOperation(action string) {
	if a.open == nil {
		return
	}
	if a.panel != nil && a.panel.action() == action {
		a.closePanel()
		return
	}
	spec := model.SpecOf(action)
	start := model.Op{Spec: spec}
	if a.tree.touched {
		picked := a.tree.view.Picked(a.open.state.At)
		if fit := picked.Fit(spec); fit != nil {
			start = *fit
		}
	}
	a.openForm(start, 0)
}

// openForm opens the form of an operation with its values in it. edits is the step that it will replace, from 1; 0 for a
// new step.
func (a *app) openForm(start model.Op, edits int) {
	if !a.closePanel() {
		return
	}
	spec := start.Spec
	o := &operation{app: a, spec: spec, el: clone("t-operation"), edits: edits, start: start}
	for _, f := range spec.Fields {
		o.addField(f, start.Values[f.Name])
	}
	show(find(o.el, "[data-action=loss]"), spec.Action == "cast")
	o.outcome = func() { o.drawPreview(&message.Previewed{}, true) }
	o.speak()
	a.openPanel(o, o.el)
	first := find(o.fields[0], ".control")
	first.Focus()
	if first.Get("select").Type() == js.TypeFunction {
		first.Call("select")
	}
	o.changed()
}

// openPanel shows a form below the buttons.
func (a *app) openPanel(p panel, el element) {
	a.panel = p
	slot := role("panel")
	clear(slot)
	slot.AppendChild(el)
	a.markPanel()
	a.showTab("edit")
	el.Call("scrollIntoView", map[string]any{"block": "nearest"})
}

// closePanel takes the open form away. An export that runs is asked to stop instead, and the answer is false.
func (a *app) closePanel() bool {
	if a.panel == nil {
		return true
	}
	if !a.panel.close() {
		a.stop()
		return false
	}
	a.panel = nil
	clear(role("panel"))
	a.markPanel()
	return true
}

// markPanel tells which button the open form belongs to.
func (a *app) markPanel() {
	for _, s := range model.Specs {
		open := a.panel != nil && a.panel.action() == s.Action
		find(root, "[data-action="+s.Action+"]").SetAttribute("aria-expanded", map[bool]string{true: "true", false: "false"}[open])
	}
}

func (o *operation) action() string { return o.spec.Action }

func (o *operation) close() bool {
	o.asked = -1
	return true
}

// speak writes the form in the language of the page; what was filled in stays.
func (o *operation) speak() {
	text := o.app.text
	setText(find(o.el, ".panel-about"), text.Text("op."+o.spec.Action+".about"))
	if o.edits > 0 {
		setText(find(o.el, "[data-action=apply]"), text.Text("step.replace"))
	}
	for i, f := range o.spec.Fields {
		o.nameField(f, o.fields[i])
	}
	o.suggest()
	o.outcome()
	o.drawLoss()
}

// op is what the form says now.
func (o *operation) op() model.Op {
	values := map[string]string{}
	for i, f := range o.spec.Fields {
		in := find(o.fields[i], ".control")
		values[f.Name] = value(in)
		if o.start.Lists[f.Name] != nil {
			values[f.Name] = o.start.Values[f.Name]
		}
		if f.Flag {
			values[f.Name] = map[bool]string{true: "true"}[in.Get("checked").Bool()]
		}
	}
	op := model.Op{Spec: o.spec, Values: values, Lists: o.start.Lists}
	if steps := o.app.open.recipe.Steps; o.edits > 0 && o.edits <= len(steps) {
		op.Optional = steps[o.edits-1].Optional
	}
	return op
}

// changed asks for a preview of what the form says. An answer that another change has overtaken is dropped.
func (o *operation) changed() {
	a := o.app
	if o.asked < 0 {
		return
	}
	o.asked++
	turn := o.asked
	o.lost = nil
	o.drawLoss()
	for _, label := range o.fields {
		o.markField(label, "")
	}
	op := o.op()
	if op.Empty() != "" {
		o.outcome = func() { o.drawPreview(&message.Previewed{}, true) }
		o.outcome()
		return
	}
	w := a.open
	go func() {
		time.Sleep(settle)
		if turn != o.asked {
			return
		}
		req := message.PreviewRequest{Handle: w.about.Handle, Recipe: o.before(), Step: model.Only(w.state.At, op), Limit: 100}
		var got message.Previewed
		_, err := a.worker.do(context.Background(), message.Preview, req, &got, nil, nil)
		if turn != o.asked {
			return
		}
		if err != nil {
			got.Error = message.FromError(err)
		}
		o.outcome = func() { o.drawPreview(&got, false) }
		o.outcome()
	}()
}

// before is the recipe that the form's step comes after.
func (o *operation) before() []byte {
	r := o.app.open.recipe
	if o.edits > 0 {
		r.Done = min(r.Done, o.edits-1)
	}
	return r.Document()
}

func (o *operation) drawPreview(p *message.Previewed, empty bool) {
	a := o.app
	line := find(o.el, ".preview-line")
	switch {
	case empty:
		setText(line, a.text.Text("preview.empty"))
	case p.Error != nil && p.Error.Nothing:
		setText(line, a.nothing(p.Error))
	case p.Error != nil:
		setText(line, "")
	default:
		setText(line, a.effect(&p.Step))
	}
	o.el.Get("classList").Call("toggle", "idle", empty)
	if p.Error != nil && !p.Error.Nothing {
		a.drawProblem(find(o.el, ".preview-error"), p.Error)
	} else {
		a.drawProblem(find(o.el, ".preview-error"), nil)
	}
	a.drawChanges(find(o.el, ".preview > .changes"), &p.Step)
}

// nothing says why a step would touch nothing, which while somebody types is no error yet.
func (a *app) nothing(e *message.Error) string {
	msg, hint, _, _ := a.words(e)
	if hint == "" && len(a.open.state.Dicts) > 1 {
		hint = a.text.Text("preview.elsewhere")
	}
	return strings.TrimSpace(msg + " " + hint)
}

// submit makes the operation a step of the recipe.
func (o *operation) submit() {
	a, op := o.app, o.op()
	if missing := op.Empty(); missing != "" {
		for i, f := range o.spec.Fields {
			if f.Name == missing {
				o.markField(o.fields[i], a.text.Text("field.missing"))
				find(o.fields[i], ".control").Focus()
			}
		}
		return
	}
	a.hideError()
	a.edit(func(r *model.Recipe) bool {
		if o.edits > 0 {
			return r.Replace(o.edits-1, op)
		}
		r.Push(op)
		return true
	},
		func(err error) {
			if a.panel != panel(o) {
				a.showError(err, "error.failed")
				return
			}
			o.asked++ // a preview on its way would hide this
			o.outcome = func() {
				setText(find(o.el, ".preview-line"), "")
				a.drawProblem(find(o.el, ".preview-error"), err)
			}
			o.outcome()
		},
		func() {
			if a.panel == panel(o) {
				a.closePanel()
				a.showTab("edit")
			}
		})
}
