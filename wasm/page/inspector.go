//go:build js

package page

import (
	"context"
	"strings"
	"syscall/js"
	"time"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// still is how long the cursor must rest on a row before its values are read.
const still = 150 * time.Millisecond

// inspector shows the row under the cursor in the side panel: what it is, and its values.
type inspector struct {
	app    *app
	el     element // of the row on show; nil for none
	node   *model.Node
	row    *message.Row // nil for a group that is no object itself
	req    message.ItemRequest
	turn   int                // rows shown so far; answers for an earlier one are dropped
	cancel context.CancelFunc // of what is being read for this row
	heat   *heatmap
	filter *filters
}

// inspectRow shows the row under the cursor, if the user has put it there.
func (a *app) inspectRow() {
	in := &a.inspect
	in.app = a
	var node *model.Node
	v := a.tree.view
	if a.tree.touched {
		node = v.Current()
	}
	if node == in.node {
		return
	}
	in.node, in.row = node, nil
	in.turn++
	in.stop()
	in.el, in.heat, in.filter = nil, nil, nil
	show(role("inspector"), node != nil)
	clear(role("inspector-body"))
	if node == nil {
		return
	}
	row := node.Row
	if node.Self != nil {
		row = node.Self
	}
	in.row = row
	in.el = clone("t-inspector")
	role("inspector-body").AppendChild(in.el)
	path := a.shown(node.Path)
	if node.Path == "" {
		path = a.nameOf(node)
	}
	setText(find(in.el, ".inspect-path bdi"), path)
	if row != nil {
		name := map[bool]string{true: "object", false: "type"}[row.Kind == message.Object]
		in.fact(find(in.el, ".facts"), name, model.Visible(row.Type))
	}
	in.busy(true)
	if node.End-v.Rows[v.Cursor] < atOnce {
		in.inspect(node, row)
		return
	}
	go func(turn int) { // a large group takes a while to sum up
		pause()
		if turn == in.turn && v == a.tree.view && v.Current() == node {
			in.inspect(node, row)
		}
	}(in.turn)
}

// inspect fills in what is not in the row.
func (in *inspector) inspect(node *model.Node, row *message.Row) {
	if node.Kind == model.Group && !in.drawGroup(node) && row == nil {
		in.busy(false)
		return
	}
	if row != nil && row.Kind == message.Tensor {
		in.fact(find(in.el, ".facts"), "shape", model.Shape(row.Shape))
	}
	ctx, cancel := context.WithCancel(context.Background())
	in.cancel = cancel
	if row == nil || row.Kind == message.Object {
		go in.readValue(ctx, in.turn)
		return
	}
	go in.read(ctx, in.turn)
}

// listenTheme paints the map anew when the colours of the page change.
func (a *app) listenTheme() {
	on(wrap(js.Global().Call("matchMedia", "(prefers-color-scheme: dark)")), "change", func(js.Value) {
		if h := a.inspect.heat; h != nil && h.heat != nil && len(h.heat.Values) > 0 {
			h.draw()
		}
		if f := a.inspect.filter; f != nil {
			f.draw()
		}
		a.maps.draw()
	})
}

// isDark tells which colours the page has: those it was told to have, else those of the system.
func isDark() bool {
	switch js.Global().Call("getComputedStyle", root.Underlying()).Get("colorScheme").String() {
	case "dark":
		return true
	case "light":
		return false
	}
	return js.Global().Call("matchMedia", "(prefers-color-scheme: dark)").Get("matches").Bool()
}

// forget makes the next call of inspectRow ask anew: the recipe or the file has changed.
func (in *inspector) forget() {
	in.node, in.row = nil, nil
	in.turn++ // what is on its way is of no use
}

func (in *inspector) stop() {
	if in.cancel != nil {
		in.cancel()
		in.cancel = nil
	}
}

func (in *inspector) busy(on bool) {
	role("inspector").SetAttribute("aria-busy", map[bool]string{true: "true", false: "false"}[on])
}

// index is the position of the row among those of its kind: the tensors come first.
func (in *inspector) index() int {
	tensors := 0
	for i := range in.app.open.rows {
		r := &in.app.open.rows[i]
		if r == in.row {
			if r.Kind == message.Tensor {
				return i
			}
			return i - tensors
		}
		if r.Kind == message.Tensor {
			tensors++
		}
	}
	return -1
}

// readValue asks for the value of an object, or of a group that holds objects.
func (in *inspector) readValue(ctx context.Context, turn int) {
	time.Sleep(still)
	if turn != in.turn || in.app.open == nil {
		return
	}
	defer func() {
		if turn == in.turn {
			in.busy(false)
		}
	}()
	if in.row != nil && !in.ask(ctx, turn) {
		return
	}
	in.readOutline(ctx, turn, in.node.Path)
}

// read asks what the row is, and then for its values.
func (in *inspector) read(ctx context.Context, turn int) {
	a := in.app
	time.Sleep(still)
	if turn != in.turn || a.open == nil {
		return
	}
	defer func() {
		if turn == in.turn {
			in.busy(false)
		}
	}()
	if !in.ask(ctx, turn) {
		return
	}
	in.heat = newHeatmap(in)
	in.heat.load(ctx, turn)
	if turn == in.turn && message.IsKernel(in.row.Shape) {
		in.filter = newFilters(in)
		in.filter.load(ctx, turn)
	}
	if turn == in.turn {
		in.offerMeasure(ctx, turn)
	}
}

// ask shows what the worker says of the row, and tells whether there is more to read.
func (in *inspector) ask(ctx context.Context, turn int) bool {
	a := in.app
	in.req = message.ItemRequest{Handle: a.open.about.Handle, Recipe: a.open.recipe.Document(), Kind: in.row.Kind, Index: in.index()}
	var d message.Description
	_, err := a.worker.do(ctx, message.Describe, in.req, &d, nil, nil)
	if turn != in.turn || in.failed(err) {
		return false
	}
	in.describe(&d)
	return d.Readable || in.row.Kind == message.Object
}

// failed shows an error in the inspector.
func (in *inspector) failed(err error) bool {
	if err != nil && !isCancelled(err) && in.el != nil {
		in.app.drawProblem(find(in.el, ".preview-error"), err)
	}
	return err != nil
}

func (in *inspector) fact(list element, name, text string) {
	f := clone("t-fact")
	setText(find(f, "dt"), in.app.text.Text("fact."+name))
	f.SetAttribute("data-fact", name)
	find(f, "dd").AppendChild(textElement("bdi", text))
	list.AppendChild(f)
}

// describe fills in what the worker says of the row.
func (in *inspector) describe(d *message.Description) {
	a, facts := in.app, find(in.el, ".facts")
	if in.row.Kind == message.Object {
		value := find(in.el, ".inspect-value")
		text := d.Value
		if d.Cut {
			text += "…"
		}
		setText(value, lines(text))
		show(value, d.Value != "")
		return
	}
	yes := func(b bool) string {
		if b {
			return a.text.Text("fact.yes")
		}
		return a.text.Text("fact.no")
	}
	in.fact(facts, "size", a.text.Text("export.size.exact", "size", model.Bytes(in.row.NBytes), "bytes", model.Number(in.row.NBytes)))
	if len(d.Stride) == len(in.row.Shape) { // sparse and other composite tensors have none
		stride := strings.NewReplacer("[", "(", "]", ")").Replace(model.Shape(d.Stride))
		if !d.Contiguous {
			stride += " · " + a.text.Text("fact.strided")
		}
		in.fact(facts, "stride", stride)
		in.fact(facts, "offset", model.Number(d.Offset))
	}
	if d.Layout != "" {
		in.fact(facts, "layout", model.Visible(d.Layout))
	}
	if d.Quant != "" {
		in.fact(facts, "quant", model.Visible(d.Quant))
	}
	if d.Class != "" {
		in.fact(facts, "class", model.Visible(d.Class))
	}
	if a.open.ofTorch() { // other formats have no such notions
		if d.Device != "" {
			in.fact(facts, "device", model.Visible(d.Device))
		}
		in.fact(facts, "grad", yes(d.Grad))
		in.fact(facts, "parameter", yes(d.Parameter))
	}
	if d.Storage != "" {
		in.fact(facts, "storage", model.Visible(d.Storage)+" · "+model.Bytes(d.Bytes))
	}
	switch {
	case d.File != "" && d.Deflated:
		in.fact(facts, "bytes", a.text.Text("fact.deflated", "from", model.Number(d.Off), "size", model.Bytes(d.Len)))
	case d.File != "":
		in.fact(facts, "bytes", model.Number(d.Off)+" – "+model.Number(d.Off+d.Len))
	}
	if d.File != "" && len(a.open.names) > 1 {
		in.fact(facts, "file", model.Visible(d.File))
	}
	note := find(in.el, ".inspect-note")
	switch {
	case d.Bad != "":
		setText(note, model.VisibleAll(sentence(d.Bad)))
	case d.Missing != "":
		setText(note, model.VisibleAll(sentence(d.Missing)))
	case d.Made:
		setText(note, a.text.Text("inspect.made"))
	}
	show(note, note.TextContent() != "")
	in.drawSharers(d)
	in.offerArray(d)
	show(find(in.el, ".heat-stored"), d.Translated)
}

// ofTorch tells whether the file holds what torch says of a tensor beside its values.
func (w *workspace) ofTorch() bool {
	switch statedict.Format(w.about.Format) {
	case statedict.Safetensors, statedict.GGUF, statedict.NPZ, statedict.NPY:
		return false
	}
	return true
}

// drawSharers links the rows that have bytes of the same storage.
func (in *inspector) drawSharers(d *message.Description) {
	a, box := in.app, find(in.el, ".sharers")
	show(box, d.Shared > 0)
	if d.Shared == 0 {
		return
	}
	setText(find(box, "p"), a.text.Count("inspect.shared", int64(d.Shared), count(d.Shared)))
	for _, s := range d.Sharers {
		li := textElement("li", "")
		b := textElement("button", "")
		b.SetAttribute("type", "button")
		b.SetClass("link")
		b.AppendChild(textElement("bdi", model.Visible(s.Path)))
		on(b, "click", func(js.Value) { a.goTo(s.Path) })
		li.AppendChild(b)
		if !s.Same {
			li.AppendChild(textElement("span", " "+a.text.Text("inspect.part")))
		}
		find(box, "ul").AppendChild(li)
	}
	if more := d.Shared - len(d.Sharers); more > 0 {
		find(box, "ul").AppendChild(textElement("li", a.text.Text("change.more", "n", count(more))))
	}
}

// goTo puts the cursor on a tensor and selects it.
func (a *app) goTo(path string) { a.revealRow(path, model.Tensor) }

// lines is Visible for text of several lines.
func lines(s string) string {
	parts := strings.Split(s, "\n")
	for i := range parts {
		parts[i] = model.VisibleAll(strings.ReplaceAll(parts[i], "\t", "    "))
	}
	return strings.Join(parts, "\n")
}

// actInspector is act for the controls of the inspector.
func (a *app) actInspector(action string) {
	in := &a.inspect
	if in.el == nil {
		return
	}
	switch action {
	case "measure":
		in.measureNow()
	case "measure-stop":
		in.stop()
	case "heat-in", "heat-out":
		if in.heat != nil {
			in.heat.zoom(action == "heat-in")
		}
	case "filters-before", "filters-after":
		if in.filter != nil {
			in.filter.turnPage(map[bool]int64{true: 1, false: -1}[action == "filters-after"])
		}
	case "save-array":
		in.saveArray()
	case "copy-text", "copy-numpy", "copy-json":
		if in.heat != nil {
			in.heat.copy(strings.TrimPrefix(action, "copy-"))
		}
	}
}

// readMore notes how much of the files has been read.
func (a *app) readMore(n int64) {
	if a.open != nil && n > a.open.state.BytesRead {
		a.open.state.BytesRead = n
		if a.waiting == 0 {
			a.drawStatus("")
		}
	}
}
