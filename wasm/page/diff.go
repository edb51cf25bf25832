//go:build js

package page

import (
	"context"
	"strconv"
	"strings"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// differ is the table of how the open checkpoint and another file differ.
type differ struct {
	with  *attachment // nil for closed
	got   *message.Diffed
	of    string // the recipe that was compared
	only  string // the count that filters the table, "" for all
	query string
	busy  bool
	pace  model.Pace
	lines []diffLine // on show
}

// maxDiffRows is how many rows the table draws; a filter shows the others.
const maxDiffRows = 500

// diffKinds are the counts, in the order of their buttons.
var diffKinds = []string{"here", "there", "shape", "dtype", "values"}

// openDiff compares by names, shapes and dtypes, which is done at once; the values are read on demand.
func (a *app) openDiff() {
	if a.open == nil || a.reference.with == nil {
		return
	}
	a.diff = differ{with: a.reference.with}
	find(root, "[data-field=diff-filter]").Set("value", "")
	a.compareFiles(false)
	a.showTab("keys")
}

func (a *app) closeDiff() {
	if a.diff.busy {
		a.stop()
	}
	a.hideDiff()
	a.tree.refresh()
}

// hideDiff takes the table away. An answer that is on its way finds nobody.
func (a *app) hideDiff() {
	a.diff = differ{}
	show(role("diff"), false)
}

// compareFiles asks for the differences, with values if they are wanted.
func (a *app) compareFiles(values bool) {
	w, d, x := a.open, &a.diff, a.diff.with
	if w == nil || x == nil || d.busy {
		return
	}
	d.busy = values
	d.pace.Begin()
	req := message.DiffRequest{Handle: w.about.Handle, Recipe: w.recipe.Document(), Against: x.Name, Values: values}
	a.run(job{
		own: true,
		work: func(ctx context.Context) error {
			if a.diff.with != x {
				return nil
			}
			if values {
				a.drawDiffProgress(message.Progress{})
			}
			var got message.Diffed
			_, err := a.worker.do(ctx, message.Diff, req, &got, nil, a.drawDiffProgress)
			if a.diff.with != x {
				return nil // closed in the meantime
			}
			d.busy = false
			if err == nil {
				d.got, d.of = &got, string(req.Recipe)
				if d.only != "" && a.diffCount(d.only) == 0 {
					d.only = ""
				}
			}
			a.drawDiff()
			return err
		},
		fail: func(err error) { a.showError(err, "reference.failed") },
	})
}

func (a *app) drawDiffProgress(p message.Progress) {
	d := &a.diff
	show(find(role("diff"), ".diff-progress"), d.busy)
	show(find(root, "[data-action=compare-values]"), !d.busy)
	if !d.busy {
		return
	}
	text := a.text.Text("diff.reading") + " " + a.paced(&d.pace, p)
	if a.asked {
		text = a.text.Text("export.phase.stop")
	}
	setText(role("diff-progress-text"), text)
	setProgress(role("diff-bar"), p.Done, p.Total)
}

func (a *app) diffCount(kind string) int {
	switch g := a.diff.got; kind {
	case "here":
		return g.Here
	case "there":
		return g.There
	case "shape":
		return g.Shape
	case "dtype":
		return g.DType
	default:
		return g.Values
	}
}

// drawDiff shows the counts and the rows that the filter lets through.
func (a *app) drawDiff() {
	d := &a.diff
	if d.with == nil || d.got == nil {
		return
	}
	show(role("diff"), true)
	show(find(role("diff"), ".diff-progress"), d.busy)
	setText(role("diff-title"), a.text.Text("diff.title", "name", model.Visible(d.with.Name)))
	for _, kind := range diffKinds {
		b := find(root, "[data-action=diff-"+kind+"]")
		n := a.diffCount(kind)
		setText(find(b, "b"), count(n))
		setDisabled(b, n == 0)
		b.SetAttribute("aria-pressed", map[bool]string{true: "true", false: "false"}[d.only == kind])
		show(b, kind != "values" || d.got.Compared)
	}
	show(find(root, "[data-action=compare-values]"), !d.got.Compared && !d.busy)
	body := role("diff-rows")
	clear(body)
	d.lines = nil
	shown, total := 0, 0
	for i := range d.got.Rows {
		if r := &d.got.Rows[i]; d.lets(r) {
			if total++; shown < maxDiffRows {
				shown++
				line := diffLine{path: d.got.Prefix + r.Key, here: r.Kind != "there", el: a.diffRow(r)}
				d.lines = append(d.lines, line)
				body.AppendChild(line.el)
			}
		}
	}
	show(find(role("diff"), "table"), shown > 0)
	text := ""
	switch {
	case len(d.got.Rows) == 0 && d.got.Compared:
		text = a.text.Text("diff.same", "keys", a.keys(d.got.Equal))
	case len(d.got.Rows) == 0:
		text = a.text.Text("diff.none", "keys", a.keys(d.got.Equal))
	case total == 0:
		text = a.text.Text("tree.nothing")
	case total > shown:
		text = a.text.Text("change.more", "n", count(total-shown))
	default:
		text = a.text.Text("diff.equal", "keys", a.keys(d.got.Equal))
		if !d.got.Compared {
			text = a.text.Text("diff.alike", "keys", a.keys(d.got.Equal))
		}
	}
	setText(role("diff-note"), text)
	a.tree.refresh()
}

// lets tells whether the filter lets a row through: the chosen count, and every word of the search in its key.
func (d *differ) lets(r *message.DiffRow) bool {
	if d.only != "" && d.only != r.Kind && !strings.Contains(" "+strings.Join(r.What, " ")+" ", " "+d.only+" ") {
		return false
	}
	for _, word := range strings.Fields(strings.ToLower(d.query)) {
		if !strings.Contains(strings.ToLower(r.Key), word) {
			return false
		}
	}
	return true
}

// diffRow is a line of the table. One of a key that the open file has leads to its row in the tree.
func (a *app) diffRow(r *message.DiffRow) element {
	tr := clone("t-diff")
	tr.SetAttribute("data-kind", r.Kind)
	key, what := find(tr, ".diff-key"), find(tr, ".diff-what")
	setText(find(key, "bdi"), a.shown(r.Key))
	if r.Kind == "there" {
		key.Call("replaceWith", find(key, "bdi").Underlying())
	} else {
		path := a.diff.got.Prefix + r.Key
		on(tr, "click", func(js.Value) { a.goTo(path) })
	}
	for cell, name := range map[string]string{".diff-most": "diff.most", ".diff-cosine": "diff.cosine", ".diff-elements": "diff.many"} {
		find(tr, cell).SetAttribute("data-label", a.text.Text(name)) // on a phone the table has no head
	}
	say := func(text, class string) {
		if what.Get("childElementCount").Int() > 0 {
			what.Call("append", " ")
		}
		e := textElement("span", text)
		e.SetClass(class)
		what.AppendChild(e)
	}
	switch r.Kind {
	case "here":
		say(a.text.Text("diff.here"), "here")
		say(r.HereDType+" "+model.Shape(r.HereShape), "quiet")
	case "there":
		say(a.text.Text("diff.there"), "there")
		say(r.ThereDType+" "+model.Shape(r.ThereShape), "quiet")
	}
	for _, w := range r.What {
		switch w {
		case "shape":
			say(model.Shape(r.HereShape)+" → "+model.Shape(r.ThereShape), "shape")
		case "dtype":
			say(r.HereDType+" → "+r.ThereDType, "dtype")
		case "values":
			say(a.text.Text("diff.values"), "values")
		}
	}
	if r.MaxAbs != nil {
		setText(find(tr, ".diff-most"), strconv.FormatFloat(*r.MaxAbs, 'g', 4, 64))
	}
	if r.Cosine != nil {
		setText(find(tr, ".diff-cosine"), strconv.FormatFloat(*r.Cosine, 'f', 6, 64))
	}
	if r.Numel > 0 {
		setText(find(tr, ".diff-elements"), a.text.Text("diff.elements", "n", model.Number(r.Differ), "all", model.Number(r.Numel)))
	}
	return tr
}

// listenDiff sets the table up: its search, and that it goes with the tree.
func (a *app) listenDiff() {
	a.tree.onSelect = append(a.tree.onSelect, a.markDiff)
	on(role("diff-rows"), "keydown", a.keyDiff)
	on(find(root, "[data-field=diff-filter]"), "input", func(ev js.Value) {
		a.diff.query = ev.Get("target").Get("value").String()
		a.drawDiff()
	})
}

// actDiff is act for the controls of the table.
func (a *app) actDiff(action string) {
	switch action {
	case "differences":
		a.openDiff()
	case "compare-values":
		a.compareFiles(true)
	case "diff-stop":
		a.stop()
	case "diff-close":
		a.closeDiff()
	default:
		if kind, ok := strings.CutPrefix(action, "diff-"); ok && a.diff.got != nil {
			if a.diff.only == kind {
				kind = ""
			}
			a.diff.only = kind
			a.drawDiff()
		}
	}
}
