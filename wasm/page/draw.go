//go:build js

package page

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// draw shows everything that follows from the workspace, except the tree and an open panel.
func (a *app) draw() {
	w := a.open
	root.SetAttribute("data-open", "")
	show(role("welcome"), false)
	show(role("work"), true)
	show(role("file"), true)
	show(role("edit-actions"), true)
	show(find(root, "[data-action=export]"), true)
	name := model.Visible(w.about.Name)
	setText(role("file-name"), name)
	role("file-name").SetAttribute("title", name)
	setText(role("format"), a.text.Text("format."+w.about.Format))
	document.Set("title", name+" – Weightroom")
	a.drawSummary()
	a.readShrink()
	a.maps.read()
	a.drawChooser()
	a.drawSteps()
	a.drawFindings()
	a.drawTabs()
	a.checkSoon()
	switch {
	case a.diff.with == nil || a.diff.busy:
	case a.diff.of == string(w.recipe.Document()):
		a.drawDiff() // in another language, perhaps
	default:
		a.compareFiles(false)
	}
}

func (a *app) drawSummary() {
	w := a.open
	s := role("summary")
	places := []string{"keys", a.keys(w.state.Keys), "size", model.Bytes(w.state.NBytes)}
	if n := len(w.state.Dicts); n > 1 {
		setText(s, a.text.Text("summary.dicts", append(places, "n", count(n))...))
	} else {
		setText(s, a.text.Text("summary", places...))
	}
	s.SetAttribute("title", a.text.Text("bytes", "n", model.Number(w.state.NBytes)))
	s.SetAttribute("data-keys", itoa(w.state.Keys))
	s.SetAttribute("data-nbytes", strconv.FormatInt(w.state.NBytes, 10))
}

// drawChooser offers the mappings of a file that has several.
func (a *app) drawChooser() {
	w := a.open
	show(role("chooser"), len(w.state.Dicts) > 1)
	sel := find(root, "[data-field=at]")
	clear(sel)
	offer := func(path, text string) {
		o := textElement("option", text)
		o.SetAttribute("value", path)
		sel.AppendChild(o)
	}
	if !slices.ContainsFunc(w.state.Dicts, func(d statedict.StateDict) bool { return d.Path == w.state.At }) {
		offer(w.state.At, a.text.Text("at.module")) // the state dict that the module would give
	}
	for _, d := range w.state.Dicts {
		label := d.Path
		if label == "" {
			label = a.text.Text("at.root")
		}
		offer(d.Path, a.text.Text("at.choice", "path", model.Visible(label), "keys", a.keys(d.Keys)))
	}
	sel.Set("value", w.state.At)
}

func (a *app) drawSteps() {
	w := a.open
	list := role("steps")
	clear(list)
	for i, op := range w.recipe.Steps {
		li := clone("t-step")
		li.Get("classList").Call("toggle", "undone", i >= w.recipe.Done)
		setText(find(li, ".step-number"), itoa(i+1))
		setText(find(li, ".step-name"), a.opName(op))
		setText(find(li, ".step-args"), model.Visible(op.Args()))
		if i < len(w.effects) {
			setText(find(li, ".step-effect"), a.effect(&w.effects[i]))
			a.drawChanges(find(li, ".changes"), &w.effects[i])
		}
		if i < w.recipe.Done {
			a.drawStepTools(li, op, i, w.recipe.Done)
		}
		list.AppendChild(li)
	}
	show(role("recipe-actions"), w.recipe.Done > 0)
	show(find(root, "[data-action=copy-python]"), w.torchReads())
	a.drawPresets()
	show(role("no-steps"), len(w.recipe.Steps) == 0)
	n := ""
	if len(w.recipe.Steps) > 0 {
		n = count(w.recipe.Done)
	}
	setText(role("step-count"), n)
	setDisabled(find(root, "[data-action=undo]"), !w.recipe.CanUndo())
	setDisabled(find(root, "[data-action=redo]"), !w.recipe.CanRedo())
}

// effect says in words what a step does to the keys.
func (a *app) effect(s *message.Step) string {
	gone := s.Before - s.After
	switch {
	case s.Op == "drop_objects":
		return a.text.Text("preview.objects", "objects", a.text.Count("preset.objects", int64(s.Touched), count(s.Touched)))
	case s.Renamed > 0 && gone > 0:
		return a.text.Text("preview.both", "renamed", a.keys(s.Renamed), "gone", count(gone), "left", count(s.After))
	case s.Renamed > 0:
		return a.text.Text("preview.rename", "renamed", count(s.Renamed), "before", a.keys(s.Before))
	case gone > 0:
		return a.text.Text("preview.drop", "gone", a.keys(gone), "left", count(s.After))
	case s.Touched > 0:
		return a.text.Text("preview.touch", "touched", a.keys(s.Touched))
	}
	return a.text.Text("preview.none")
}

// drawChanges lists keys before and after, with what differs marked.
func (a *app) drawChanges(list element, s *message.Step) {
	clear(list)
	for _, c := range s.Changes {
		li := clone("t-change")
		from, to := find(li, ".from"), find(li, ".to")
		switch {
		case c.To == "":
			li.Get("classList").Call("add", "gone")
			setText(from, a.shown(c.From))
		case c.From == c.To:
			setText(from, a.shown(c.From))
		default:
			start, end := common(c.From, c.To)
			marked(from, c.From, start, end)
			marked(to, c.To, start, end)
		}
		list.AppendChild(li)
	}
	total := max(s.Renamed, 0) + s.Touched
	if more := total - len(s.Changes); more > 0 && len(s.Changes) > 0 {
		li := textElement("li", a.text.Text("change.more", "n", count(more)))
		li.SetClass("change more")
		list.AppendChild(li)
	}
}

// nameOf is the name of a row; the object that a file is as a whole has none.
func (a *app) nameOf(n *model.Node) string {
	if n.Kind == model.Object && n.Path == "" {
		return a.text.Text("row.whole")
	}
	return a.shown(n.Name)
}

func (a *app) shown(key string) string {
	if key == "" {
		return a.text.Text("row.empty")
	}
	return model.Visible(key)
}

// common is how many bytes two keys share at their start and at their end, whole characters only.
func common(a, b string) (start, end int) {
	for start < min(len(a), len(b)) && a[start] == b[start] {
		start++
	}
	for start > 0 && (start < len(a) && a[start]&0xc0 == 0x80 || start < len(b) && b[start]&0xc0 == 0x80) {
		start--
	}
	for end < min(len(a), len(b))-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	for end > 0 && a[len(a)-end]&0xc0 == 0x80 {
		end--
	}
	return start, end
}

// marked writes a key whose middle part is set off.
func marked(e element, key string, start, end int) {
	clear(e)
	e.Call("append", model.Visible(key[:start]), textElement("b", model.Visible(key[start:len(key)-end])).Underlying(), model.Visible(key[len(key)-end:]))
}

func (a *app) finding(f statedict.Finding) element {
	li := clone("t-finding")
	if f.Safety() || f.Code == "F_TENSOR_BAD" || f.Code == "F_CHECKSUM" {
		li.Get("classList").Call("add", "grave")
	}
	setText(find(li, "p"), model.VisibleAll(sentence(f.Message)))
	if !strings.Contains(f.Message, f.Path) {
		setText(find(li, "bdi"), model.Visible(f.Path))
	}
	return li
}

// drawStatus writes the line at the bottom; "" is what it says at rest.
func (a *app) drawStatus(text string) {
	w := a.open
	if text == "" {
		text = a.text.Text("status.local")
		if w != nil {
			if n := w.recipe.Done; n > 0 && string(w.recipe.Document()) != w.saved {
				text = a.text.Count("status.unsaved", int64(n), count(n))
			}
		}
	}
	setText(role("status-text"), text)
	if w == nil {
		return
	}
	read := w.state.BytesRead
	setText(role("status-read"), a.text.Text("status.read", "read", model.Bytes(min(read, w.about.Size)), "size", model.Bytes(w.about.Size))) // some parts are read again
	root.SetAttribute("data-bytes-read", strconv.FormatInt(read, 10))
}

// drawOpening shows that a file is being opened: in the middle when nothing else is, else in the line at the bottom.
func (a *app) drawOpening(name string, p message.Progress) {
	text := a.text.Text("status.opening", "name", model.Visible(name))
	a.report(text, p)
	if a.open != nil {
		a.drawStatus(text)
		return
	}
	root.SetAttribute("data-opening", "")
	show(role("opening"), true)
	if p.Done > 0 {
		text += " " + a.paced(&a.meter.pace, p)
	}
	setText(role("opening-text"), text)
	setProgress(role("opening-bar"), p.Done, p.Total)
}

func (a *app) drawOpened() {
	root.RemoveAttribute("data-opening")
	show(role("opening"), false)
}

// stem is a file name without its ending, or without both of ".pth.tar".
func stem(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	for range 2 {
		if ext := path.Ext(name); ext != "" && len(ext) <= 12 && len(ext) < len(name) && !strings.ContainsAny(ext[1:], "0123456789 ") {
			name = strings.TrimSuffix(name, ext)
		}
	}
	return name
}
