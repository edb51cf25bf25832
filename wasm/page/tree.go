//go:build js

package page

import (
	"strconv"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// overscan is how many rows are drawn beyond each edge.
const overscan = 6

// treeView draws the rows that are in sight. Its elements are made once and refilled: row r is always drawn by element
// r modulo their number, so scrolling by one row refills one element.
type treeView struct {
	app                *app
	view               *model.View
	box                element // scrolls
	body               element // as tall as all rows
	pool               []*rowView
	sticky             *sticky
	height             float64 // of a row, in CSS pixels
	head               float64 // of the column titles
	total              int64   // bytes that count as the whole
	touched            bool    // the user moved the cursor
	filtering, entered bool    // a search is under way, and Enter waits for it
	// onSelect is called after the cursor or the selection may have changed. Both are in view: Current, EachSelected.
	onSelect []func()
}

// rowView is an element of the pool, with what it shows now.
type rowView struct {
	el                                  element
	style                               js.Value
	name, tag, typ, shape, params, size element
	share                               js.Value
	row                                 int
	node                                *model.Node
	open, current, selected             bool
	partly                              bool // of a group: some of its leaves are selected
	hidden                              bool
	kind, dtype, class, cells, tags     string
	bare, fresh                         bool
	depth                               int32
	fit                                 string
}

func newTreeView(a *app) *treeView {
	t := &treeView{app: a, view: model.NewView(), box: find(root, "#tree"), body: role("rows")}
	t.sticky = newSticky(t)
	on(t.box, "scroll", func(js.Value) { t.draw() })
	resized := js.FuncOf(func(js.Value, []js.Value) any {
		t.refresh()
		return nil
	})
	js.Global().Get("ResizeObserver").New(resized).Call("observe", t.box.Underlying())
	on(t.body, "click", t.click)
	on(t.box, "keydown", t.key)
	on(find(root, "#filter"), "input", func(js.Value) { t.filter() })
	on(find(root, "#filter"), "keydown", func(ev js.Value) {
		if ev.Get("key").String() == "Enter" {
			t.enterMatches()
		}
	})
	return t
}

// reset forgets the groups, the filter and the cursor of the file before.
func (t *treeView) reset() {
	t.view, t.touched = model.NewView(), false
	find(root, "#filter").Set("value", "")
	t.box.Set("scrollTop", 0)
}

// set shows other rows.
func (t *treeView) set(rows []message.Row) {
	tree := model.NewTree(rows, breathing())
	pause()
	t.view.SetBase(t.app.open.base)
	t.view.Arrange(t.app.columns.arrangement(), nil) // a tab's view may be of before
	t.view.SetTree(tree, breathing())
	t.total = max(t.app.open.state.NBytes, 1)
	t.redraw()
	t.app.tidy.soon()
}

// refresh draws after the list of rows has changed.
func (t *treeView) refresh() {
	t.measure()
	n := len(t.view.Rows)
	t.body.Style().SetProperty("height", strconv.FormatFloat(float64(n)*t.height, 'f', 0, 64)+"px", "")
	t.box.SetAttribute("aria-rowcount", itoa(n+1))
	matches, none := "", ""
	if t.view.Query() != "" {
		matches = t.app.text.Count("matches", int64(t.view.Matches), count(t.view.Matches))
		none = "tree.nothing"
	} else {
		none = "tree.none"
	}
	setText(role("matches"), matches)
	show(role("tree-empty"), n == 0)
	setText(role("tree-empty"), t.app.text.Text(none))
	t.draw()
	t.app.inspectRow()
	for _, f := range t.onSelect {
		f()
	}
}

// redraw fills all rows again.
func (t *treeView) redraw() {
	t.forget()
	t.refresh()
}

// forget has every row filled anew when it is drawn next.
func (t *treeView) forget() {
	for _, r := range append(t.pool[:len(t.pool):len(t.pool)], t.sticky.rows...) {
		r.node, r.cells, r.tags, r.fit = nil, "", "", "-" // nothing that fits says so
	}
}

func (t *treeView) measure() {
	css := js.Global().Call("getComputedStyle", t.box.Underlying()).Call("getPropertyValue", "--row").String()
	h := js.Global().Call("parseFloat", css).Float()
	if h > 0 && h != t.height {
		t.height = h
		for _, r := range t.pool {
			r.row = -1
		}
	}
	t.head = find(t.box, ".tree-head").OffsetHeight()
}

// draw fills the elements in sight.
func (t *treeView) draw() {
	if t.height == 0 {
		return
	}
	top, height := t.box.Get("scrollTop").Float(), t.box.Get("clientHeight").Float()
	first := max(0, int(top/t.height)-overscan)
	last := min(len(t.view.Rows), int((top+height)/t.height)+overscan)
	for len(t.pool) < last-first {
		t.pool = append(t.pool, t.newRow(len(t.pool)))
		for _, r := range t.pool {
			r.node = nil // rows and elements are dealt out anew
		}
	}
	for i := range t.pool {
		r := t.pool[i]
		row := first + (i-first%len(t.pool)+len(t.pool))%len(t.pool)
		if row >= last {
			if !r.hidden {
				show(r.el, false)
				r.hidden = true
			}
			continue
		}
		t.fill(r, row)
	}
	t.sticky.draw(top, height)
	t.markActive()
}

func (t *treeView) newRow(i int) *rowView {
	el := clone("t-row")
	el.SetAttribute("id", "row-"+itoa(i))
	t.body.AppendChild(el)
	return viewOf(el)
}

// viewOf finds the parts of a copy of the row's template.
func viewOf(el element) *rowView {
	return &rowView{
		el: el, style: el.Get("style"), row: -1,
		name: find(el, ".name"), tag: find(el, ".tag"), typ: find(el, ".c-type bdi"), shape: find(el, ".c-shape bdi"),
		params: find(el, ".c-params"), size: find(el, ".c-size"), share: find(el, ".share i").Get("style"), depth: -1,
	}
}

// fill shows a row in an element, changing only what differs.
func (t *treeView) fill(r *rowView, row int) {
	id := t.view.Rows[row]
	n := &t.view.Tree.Nodes[id]
	if r.hidden {
		show(r.el, true)
		r.hidden = false
	}
	if r.row != row {
		r.row = row
		r.style.Set("transform", "translateY("+strconv.FormatFloat(float64(row)*t.height, 'f', 0, 64)+"px)")
		r.el.SetAttribute("aria-rowindex", itoa(row+2))
	}
	if r.node != n {
		r.node = n
		t.fillNode(r, n)
	}
	if open := t.view.Open(id); n.Kind == model.Group && (open != r.open || r.fresh) {
		r.open, r.fresh = open, false
		r.el.SetAttribute("aria-expanded", strconv.FormatBool(open))
	}
	if current := row == t.view.Cursor; current != r.current {
		r.current = current
		r.el.Get("classList").Call("toggle", "current", current)
	}
	mark := t.view.Selected(id)
	if selected := mark == model.All; selected != r.selected {
		r.selected = selected
		r.el.SetAttribute("aria-selected", strconv.FormatBool(selected))
	}
	if partly := mark == model.Some; partly != r.partly {
		r.partly = partly
		r.el.Get("classList").Call("toggle", "partly", partly)
	}
}

func (t *treeView) fillNode(r *rowView, n *model.Node) {
	text := t.app.text
	r.el.SetAttribute("data-path", n.Path)
	if kind := string(n.Kind); r.kind != kind {
		r.kind = kind
		r.el.SetAttribute("data-kind", kind)
		if n.Kind != model.Group {
			r.el.RemoveAttribute("aria-expanded")
		}
		r.fresh = true
	}
	if bare := n.Kind == model.Group && n.Keys == 0; bare != r.bare {
		r.bare = bare
		r.el.Get("classList").Call("toggle", "bare", bare)
	}
	if r.dtype != n.Type {
		r.dtype = n.Type
		r.el.SetAttribute("data-type", n.Type)
	}
	if r.depth != n.Depth {
		r.depth = n.Depth
		r.style.Call("setProperty", "--depth", itoa(int(n.Depth)))
		r.el.SetAttribute("aria-level", itoa(int(n.Depth)+1))
	}
	r.el.SetAttribute("aria-setsize", itoa(int(n.Size)))
	r.el.SetAttribute("aria-posinset", itoa(int(n.Pos)))
	name := t.app.nameOf(n)
	t.drawName(r.name, name)
	r.name.SetAttribute("title", model.Visible(n.Path))

	typ, shape, params, size, tag, title := n.Type, "", model.Count(n.Numel), model.Bytes(n.NBytes), "", ""
	class, bad := n.Type, false
	switch n.Kind {
	case model.Group:
		shape = t.app.keys(int(n.Keys))
		if n.Keys == 0 {
			shape, params, size = "", "", ""
		} else if typ == "" {
			typ = text.Text("row.mixed")
		}
		if n.Self != nil {
			typ = model.ShortType(n.Self.Type)
		}
		if n.Blocks > 0 {
			tag, title = text.Text("row.blocks", "n", count(int(n.Blocks))), text.Text("row.blocks.title")
		}
	case model.Tensor:
		shape = model.Shape(n.Row.Shape)
		switch {
		case n.Row.Flags&message.Bad != 0:
			bad, tag, title = true, text.Text("row.bad"), model.VisibleAll(n.Row.Value)
		case n.Row.Flags&message.Tied != 0:
			tag, title = text.Text("row.tied"), text.Text("row.tied.title")
		}
	case model.Object:
		typ = model.ShortType(n.Type)
		shape, params, size = model.Visible(n.Row.Value), "", ""
	}
	if n.Self != nil {
		class = n.Self.Type
	}
	if class != r.class {
		r.class = class
		r.typ.SetAttribute("title", model.Visible(class))
	}
	if cells := typ + "\x00" + shape + "\x00" + params + "\x00" + size; cells != r.cells {
		r.cells = cells
		setText(r.typ, model.Visible(typ))
		setText(r.shape, shape)
		setText(r.params, params)
		setText(r.size, size)
	}
	if tags := tag + "\x00" + title; tags != r.tags {
		r.tags = tags
		setText(r.tag, tag)
		r.tag.SetAttribute("title", title)
		r.el.Get("classList").Call("toggle", "bad", bad)
	}
	if fit := t.app.fit(n); fit != r.fit {
		r.fit = fit
		r.el.SetAttribute("data-fit", fit)
		text := ""
		if fit != "" {
			text = t.app.text.Text("fit." + fit)
		}
		setText(find(r.el, ".c-fit"), text)
	}
	r.share.Call("setProperty", "--part", strconv.FormatFloat(min(1, float64(n.NBytes)/float64(t.total)), 'f', 4, 64))
}

// drawName writes a name, with what the filter names set off.
func (t *treeView) drawName(e element, name string) {
	spans := t.view.Spans(name)
	if len(spans) == 0 {
		setText(e, name)
		return
	}
	clear(e)
	at := 0
	for _, s := range spans {
		e.Call("append", name[at:s[0]], textElement("mark", name[s[0]:s[1]]).Underlying())
		at = s[1]
	}
	e.Call("append", name[at:])
}

// markActive tells assistive technology which row has the cursor.
func (t *treeView) markActive() {
	if n := t.view.Current(); n != nil && t.touched {
		t.app.tellSelected(n.Row)
	}
	for i, r := range t.pool {
		if r.current && !r.hidden {
			t.box.SetAttribute("aria-activedescendant", "row-"+itoa(i))
			return
		}
	}
	t.box.RemoveAttribute("aria-activedescendant")
}

// reveal scrolls as little as possible so that the cursor is in sight.
func (t *treeView) reveal() {
	if t.view.Cursor < 0 {
		return
	}
	top := float64(t.view.Cursor) * t.height
	from, height := t.box.Get("scrollTop").Float(), t.box.Get("clientHeight").Float()-t.head
	// The groups around it stay on top and must not cover it.
	covered := float64(min(int(t.view.Current().Depth), t.sticky.most(height))) * t.height
	switch {
	case top-covered < from:
		t.box.Set("scrollTop", top-covered)
	case top+t.height > from+height:
		t.box.Set("scrollTop", top+t.height-height)
	}
	t.draw()
}

// click puts the cursor on a row and selects it; with a plain click a group opens or closes.
func (t *treeView) click(ev js.Value) {
	el := ev.Get("target").Call("closest", "[role=row]")
	if el.IsNull() {
		return
	}
	for _, r := range t.pool {
		if !r.el.Underlying().Equal(el) {
			continue
		}
		t.view.Cursor, t.touched = r.row, true
		switch {
		case ev.Get("shiftKey").Bool():
			t.view.SelectRange()
		case ev.Get("ctrlKey").Bool() || ev.Get("metaKey").Bool():
			t.view.ToggleCursor()
		default:
			t.view.SelectCursor()
			if id := t.view.Rows[r.row]; r.node.Kind == model.Group {
				t.view.SetOpen(id, !t.view.Open(id))
			}
		}
		t.refresh()
		return
	}
}
