//go:build js

package page

import (
	"context"
	"strconv"
	"strings"
	"syscall/js"
	"time"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// exporter is the form of an export, and the progress of one.
type exporter struct {
	app     *app
	el      element
	format  element
	name    element
	asked   int
	problem error    // of the last plan
	roots   []string // what the format can't hold
	saving  bool
	pace    model.Pace
	plan    *message.Planned // the last one
	saved   func()           // draws what came of the last export; nil for none since the form was changed
}

// endings is the usual ending of a file of each format.
var endings = map[string]string{"torch": ".pth", "safetensors": ".safetensors"}

func (a *app) openExport() {
	if a.open == nil || a.place.readonly {
		return
	}
	if a.panel != nil && a.panel.action() == "export" {
		return
	}
	if !a.closePanel() {
		return
	}
	e := &exporter{app: a, el: clone("t-export")}
	e.format, e.name = find(e.el, "[data-field=format]"), find(e.el, "[data-field=name]")
	format := "torch"
	if a.open.about.Format == string(statedict.Safetensors) {
		format = "safetensors"
	}
	e.format.Set("value", format)
	e.name.Set("value", e.suggestedName(format))
	for _, typ := range []string{"input", "change"} {
		on(e.format, typ, func(js.Value) { e.formatChanged() })
	}
	on(e.name, "input", func(js.Value) { e.changed() })
	on(find(e.el, "[data-field=unsafe]"), "change", func(js.Value) { e.changed() })
	a.openPanel(e, e.el)
	e.format.Focus()
	e.changed()
}

// suggestedName is that of the file, marked when its keys were edited or the format is its own.
func (e *exporter) suggestedName(format string) string {
	w := e.app.open
	name := stem(w.names[0])
	if w.recipe.Done > 0 {
		name += "-edited"
	}
	return name + endings[format]
}

func (e *exporter) action() string { return "export" }

func (e *exporter) close() bool {
	if e.saving {
		return false
	}
	e.asked = -1
	return true
}

// speak writes the form in the language of the page. labelAll has been over its fixed texts.
func (e *exporter) speak() {
	if e.plan != nil {
		e.drawPlan(e.plan, e.problem)
	}
	if e.saved != nil {
		e.saved()
	}
}

func (e *exporter) formatChanged() {
	name := value(e.name)
	for _, ending := range endings {
		if strings.HasSuffix(name, ending) {
			e.name.Set("value", strings.TrimSuffix(name, ending)+endings[value(e.format)])
			break
		}
	}
	e.changed()
}

func (e *exporter) request() message.PlanRequest {
	w := e.app.open
	name := strings.TrimSpace(value(e.name))
	if name == "" {
		name = e.suggestedName(value(e.format))
	}
	return message.PlanRequest{Handle: w.about.Handle, Recipe: w.recipe.Document(), Format: value(e.format), Name: name,
		AllowUnsafe: find(e.el, "[data-field=unsafe]").Get("checked").Bool(), Road: value(find(e.el, "[data-field=road]"))}
}

// changed asks how the export would be laid out.
func (e *exporter) changed() {
	if e.asked < 0 || e.saving {
		return
	}
	e.asked++
	turn, req := e.asked, e.request()
	e.saved = nil
	show(find(e.el, ".saved"), false)
	setText(find(e.el, "[data-action=close-panel]"), e.app.text.Text("action.cancel"))
	go func() {
		time.Sleep(settle)
		if turn != e.asked {
			return
		}
		var got message.Planned
		_, err := e.app.worker.do(context.Background(), message.Plan, req, &got, nil, nil)
		if turn == e.asked {
			e.drawPlan(&got, err)
		}
	}()
}

func (e *exporter) drawPlan(p *message.Planned, err error) {
	a := e.app
	e.plan, e.problem = p, err
	e.drawRefusal(err)
	facts, findings := find(e.el, ".facts"), find(e.el, ".findings")
	clear(facts)
	clear(findings)
	if err != nil {
		return
	}
	fact := func(name, text string) {
		f := clone("t-fact")
		setText(find(f, "dt"), a.text.Text(name))
		setText(find(f, "dd"), text)
		facts.AppendChild(f)
	}
	total := int64(0)
	for _, f := range p.Files {
		total += f.Size
	}
	fact("export.size", a.text.Text("export.size.exact", "size", model.Bytes(total), "bytes", model.Number(total)))
	fact("export.keys", a.keys(a.open.state.Keys))
	if p.Copied > 0 {
		fact("export.copied", model.Bytes(p.Copied))
	}
	show(find(e.el, ".road"), p.Converted > 0)
	if p.Converted > 0 {
		fact("export.before", model.Bytes(a.open.about.Size))
		fact("export.converted", model.Bytes(p.Converted))
	}
	if len(p.Files) > 1 {
		fact("export.files", count(len(p.Files)))
	}
	for _, s := range p.Warnings {
		findings.AppendChild(a.finding(statedict.Finding{Message: sentence(s)}))
	}
	if len(p.Dropped) > 0 {
		names := strings.Join(p.Dropped[:min(8, len(p.Dropped))], ", ")
		if len(p.Dropped) > 8 {
			names += ", …"
		}
		findings.AppendChild(a.finding(statedict.Finding{Message: a.text.Text("export.dropped", "names", names)}))
	}
}

// drawRefusal says why a file of this format can't be written, and offers what the page can do about it.
func (e *exporter) drawRefusal(err error) {
	a := e.app
	agree, unsafe := find(e.el, ".agree"), find(e.el, "[data-field=unsafe]").Get("checked").Bool()
	leave := find(e.el, "[data-action=leave-out]")
	e.roots = nil
	if err != nil {
		m := *message.FromError(err)
		switch {
		case m.Code == "E_UNSAFE":
			unsafe, m.Hint = true, a.text.Text("export.unsafe.hint")
		case len(m.Roots) > 0:
			e.roots, m.Hint = m.Roots, a.text.Text("export.leave.hint")
		}
		err = &m
	}
	a.drawProblem(find(e.el, ".preview-error"), err)
	show(agree, unsafe)
	show(leave, len(e.roots) > 0)
}

// leaveOut makes what the format cannot hold a step of the recipe, and asks again.
func (e *exporter) leaveOut() {
	var paths []string
	for _, r := range e.roots {
		paths = append(paths, strings.ReplaceAll(r, ",", `\,`))
	}
	op := model.Op{Spec: model.DropObjects, Values: map[string]string{"paths": strings.Join(paths, ", ")}}
	e.app.edit(func(r *model.Recipe) bool { r.Push(op); return true },
		func(err error) { e.app.drawProblem(find(e.el, ".preview-error"), err) }, e.changed)
}

// submit saves. The browser shows its dialog only while a click is fresh, so that comes first of all.
func (e *exporter) submit() {
	a := e.app
	if e.saving || e.problem != nil {
		return
	}
	a.hideError()
	e.saving = true
	e.asked++
	req := e.request()
	show(find(e.el, ".saved"), false)
	setDisabled(find(e.el, "[data-action=apply]"), true)
	target := pickTarget(req.Name)
	a.run(job{
		own: true,
		work: func(ctx context.Context) error {
			err := e.save(ctx, req, target)
			if err != nil {
				target.discard()
			}
			e.saving = false
			show(find(e.el, ".saving"), false)
			setDisabled(find(e.el, "[data-action=apply]"), false)
			return err
		},
		fail: func(err error) {
			if a.panel != panel(e) {
				a.showError(err, "error.save")
				return
			}
			a.drawProblem(find(e.el, ".preview-error"), err)
		},
	})
}

func (e *exporter) save(ctx context.Context, req message.PlanRequest, target *target) error {
	a, w := e.app, e.app.open
	if err := target.wait(); err != nil {
		return err
	}
	show(find(e.el, ".saving"), true)
	e.pace.Begin()
	e.drawProgress(message.Progress{Phase: "plan"})
	var out message.Exported
	got, err := a.worker.do(ctx, message.Export, req, &out, nil, e.drawProgress)
	if err != nil {
		return err
	}
	w.state.BytesRead = max(w.state.BytesRead, out.BytesRead)
	total := int64(0)
	e.pace.Begin()
	for i, blob := range got.blobs {
		total += out.Files[i].Size
		if err := target.write(ctx, i, out.Files[i].Name, blob, func(done, size int64) {
			e.drawProgress(message.Progress{Phase: "save", Done: done, Total: size})
		}); err != nil {
			return err
		}
	}
	text := "export.saved.download"
	if files := target.written(); files != nil {
		e.drawProgress(message.Progress{Phase: "check"})
		if _, err := a.worker.do(ctx, message.Verify, message.VerifyRequest{Handle: req.Handle, Names: []string{out.Files[0].Name}}, nil, files, nil); err != nil {
			return err
		}
		text = "export.saved.disk"
	}
	w.saved = string(w.recipe.Document())
	a.drawTabs()
	a.tell("export", map[string]any{"name": out.Files[0].Name, "size": total})
	name := target.name
	if name == "" {
		name = out.Files[0].Name
	}
	e.saved = func() { e.drawSaved(a.text.Text(text, "name", model.Visible(name), "size", model.Bytes(total)), &out) }
	e.saved()
	return nil
}

// drawSaved says that the file is written, and what its casts cost.
func (e *exporter) drawSaved(done string, out *message.Exported) {
	text, saved := e.app.text, find(e.el, ".saved")
	setText(find(saved, "span"), done)
	show(saved, true)
	setText(find(e.el, "[data-action=close-panel]"), text.Text("action.close"))
	e.drawRoad(&out.Road)
	if c := out.Cast; c.Overflowed+c.Flushed+c.NaNs > 0 {
		msg := text.Text("export.cast", "overflowed", model.Number(c.Overflowed), "flushed", model.Number(c.Flushed), "nans", model.Number(c.NaNs))
		find(e.el, ".findings").AppendChild(e.app.finding(statedict.Finding{Message: msg}))
	}
}

func (e *exporter) drawProgress(p message.Progress) {
	text := "export.phase." + p.Phase
	if e.app.asked {
		text = "export.phase.stop"
	}
	setText(find(e.el, ".saving-text"), e.app.text.Text(text, "pace", e.app.paced(&e.pace, p)))
	setProgress(find(e.el, ".saving .progress"), p.Done, p.Total)
}

// drawRoad says where the casts were done, and how fast.
func (e *exporter) drawRoad(r *message.Road) {
	line, a := find(e.el, ".road-taken"), e.app
	show(line, r.Asked != "")
	if r.Asked == "" {
		return
	}
	text := "road.processor"
	switch {
	case r.Failure != "":
		text = "road.lost"
	case r.OnDevice > 0:
		text = "road.device"
	}
	setText(line, a.text.Text(text, "speed", model.Bytes(int64(r.Rate)), "why", r.Why, "failure", r.Failure, "device", model.Bytes(r.OnDevice), "processor", model.Bytes(r.OnProcessor)))
	line.SetAttribute("data-device", strconv.FormatInt(r.OnDevice, 10))
	line.SetAttribute("data-processor", strconv.FormatInt(r.OnProcessor, 10))
}
