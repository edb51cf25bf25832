//go:build js

package page

import (
	"strconv"
	"strings"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/page/model"
)

// mostBoxes bounds the elements of the treemap.
const mostBoxes = 360

// treemapView draws the boxes of a treemap. They are an ARIA tree: what the eye sees nested is nested in its levels.
type treemapView struct {
	maps  *maps
	box   element
	root  string // path of the group on show, "" for all
	boxes []model.Box
	els   []element
}

func (t *treemapView) listen(m *maps) {
	t.maps, t.box = m, role("treemap")
	on(t.box, "click", func(ev js.Value) {
		if i := t.under(ev); i >= 0 {
			t.pick(i)
		}
	})
	on(t.box, "dblclick", func(ev js.Value) {
		if i := t.under(ev); i >= 0 {
			t.enter(i)
		}
	})
	on(t.box, "mouseover", func(ev js.Value) {
		if i := t.under(ev); i >= 0 {
			t.tell(i)
		}
	})
	on(t.box, "mouseleave", func(js.Value) { t.tell(t.marked()) })
	on(t.box, "keydown", t.key)
}

// under is the box that an event is about, -1 for none.
func (t *treemapView) under(ev js.Value) int {
	el := ev.Get("target").Call("closest", ".box")
	if el.IsNull() {
		return -1
	}
	i, err := strconv.Atoi(el.Get("dataset").Get("box").String())
	if err != nil || i >= len(t.boxes) {
		return -1
	}
	return i
}

// node is the group on show, -1 for all of the tree.
func (t *treemapView) node() int32 {
	if t.root == "" {
		return -1
	}
	return t.maps.app.tree.view.Base.Find(t.root, model.Group)
}

func (t *treemapView) draw() {
	m := t.maps
	width, height := t.box.Get("clientWidth").Float(), t.box.Get("clientHeight").Float()
	if width == 0 || height == 0 {
		return
	}
	node := t.node()
	if node < 0 {
		t.root = ""
	}
	t.boxes = model.Treemap(m.app.tree.view.Base, node, width, height, mostBoxes)
	t.els = t.els[:0]
	clear(t.box)
	for i := range t.boxes {
		el := t.element(i)
		t.els = append(t.els, el)
		t.box.AppendChild(el)
	}
	t.box.SetAttribute("aria-label", m.app.text.Text("map.tensors", "list", t.largest()))
	t.drawCrumbs(node)
	t.mark()
}

func (t *treemapView) element(i int) element {
	b, m := &t.boxes[i], t.maps
	n := &m.nodes()[max(b.Node, 0)]
	around := t.root
	if b.Parent >= 0 {
		around = m.nodes()[t.boxes[b.Parent].Node].Path
	}
	el := clone("t-box")
	style := el.Get("style")
	for name, x := range map[string]float64{"left": b.X, "top": b.Y, "width": max(0, b.W-1), "height": max(0, b.H-1)} {
		style.Call("setProperty", name, strconv.FormatFloat(x, 'f', 2, 64)+"px")
	}
	el.SetAttribute("id", "box-"+itoa(i))
	el.SetAttribute("data-box", itoa(i))
	el.SetAttribute("aria-level", itoa(int(b.Depth)))
	el.SetAttribute("aria-selected", "false")
	name, size, class := "", model.Bytes(b.NBytes), "rest"
	switch {
	case b.Rest > 0:
		name = m.app.text.Text("map.rest", "n", count(int(b.Rest)))
	default:
		name = m.name(b.Node, around)
		if i := strings.IndexByte(name, '.'); i > 0 && b.W < 90 {
			name = name[:i] // of a chain of groups the first, where there is little room
		}
		el.SetAttribute("data-path", n.Path)
		el.SetAttribute("data-kind", string(n.Kind))
		if class = "mixed"; n.Type != "" {
			class = model.Classes[model.Class(n.Type)]
		}
	}
	if b.Open {
		class = "open"
		el.SetAttribute("aria-expanded", "true")
	} else if b.Rest == 0 && n.Kind == model.Group {
		el.SetAttribute("aria-expanded", "false")
	}
	el.SetAttribute("data-class", class)
	setText(find(el, "bdi"), name)
	setText(find(el, "span"), size)
	tight := b.W < 30 || b.H < 16
	el.Get("classList").Call("toggle", "tight", tight)
	el.Get("classList").Call("toggle", "narrow", b.W < 76)
	el.Get("classList").Call("toggle", "slim", b.W < 52)
	el.Get("classList").Call("toggle", "low", b.Open || b.H < 34)
	text := t.words(i)
	el.SetAttribute("aria-label", text)
	el.SetAttribute("title", text)
	return el
}

// words say what a box is.
func (t *treemapView) words(i int) string {
	b, m := &t.boxes[i], t.maps
	text, size, share := m.app.text, model.Bytes(b.NBytes), m.share(b.NBytes)
	if b.Rest > 0 {
		return text.Text("map.box.rest", "n", count(int(b.Rest)), "size", size, "share", share)
	}
	n := &m.nodes()[b.Node]
	kind := n.Type
	switch {
	case n.Kind == model.Tensor:
		kind += " " + model.Shape(n.Row.Shape)
	case kind == "":
		kind = text.Text("row.mixed") + " · " + m.app.keys(int(n.Keys))
	default:
		kind += " · " + m.app.keys(int(n.Keys))
	}
	return text.Text("map.box", "name", m.app.shown(n.Path), "size", size, "share", share, "kind", model.Visible(kind))
}

// largest names the outermost boxes that take most of the bytes.
func (t *treemapView) largest() string {
	var names []string
	for i := range t.boxes {
		if b := &t.boxes[i]; b.Depth == 1 && b.Rest == 0 && len(names) < 5 {
			names = append(names, t.maps.name(b.Node, t.root)+" "+t.maps.share(b.NBytes))
		}
	}
	return strings.Join(names, ", ")
}

func (t *treemapView) tell(i int) {
	text := ""
	if i >= 0 && i < len(t.boxes) {
		text = t.words(i)
	} else if len(t.boxes) > 0 {
		text = t.maps.app.text.Text("map.hint")
	} else {
		text = t.maps.app.text.Text("map.none")
	}
	setText(role("map-reads"), text)
}

// marked is the box of the row under the cursor, or the innermost one around it; -1 for none.
func (t *treemapView) marked() int {
	best, row := -1, t.maps.row
	if row < 0 {
		return -1
	}
	for i := range t.boxes {
		b := &t.boxes[i]
		if b.Node < 0 || b.Rest > 0 {
			continue
		}
		if n := &t.maps.nodes()[b.Node]; b.Node <= row && row < n.End {
			best = i
		}
	}
	return best
}

// mark shows where the row under the cursor is.
func (t *treemapView) mark() {
	at := t.marked()
	for i, el := range t.els {
		exact := i == at && t.boxes[i].Node == t.maps.row
		el.Get("classList").Call("toggle", "current", exact)
		el.Get("classList").Call("toggle", "around", i == at && !exact)
		el.SetAttribute("aria-selected", strconv.FormatBool(i == at))
	}
	if at < 0 {
		t.box.RemoveAttribute("aria-activedescendant")
	} else {
		t.box.SetAttribute("aria-activedescendant", "box-"+itoa(at))
	}
	t.tell(at)
}

// pick puts the cursor of the tree on the row of a box.
func (t *treemapView) pick(i int) {
	t.maps.choose(t.boxes[i].Node) // of a rest that is the group around it
}

// enter shows a group alone; of a tensor it shows the values.
func (t *treemapView) enter(i int) {
	b, m := t.boxes[i], t.maps
	if b.Node < 0 {
		return
	}
	n := &m.nodes()[b.Node]
	if n.Kind != model.Group {
		if p := b.Parent; p >= 0 {
			t.show(m.nodes()[t.boxes[p].Node].Path)
		}
		return
	}
	t.show(n.Path)
}

func (t *treemapView) show(path string) {
	if path == t.root {
		return
	}
	t.root = path
	t.draw()
}

// up shows the group around the one on show.
func (t *treemapView) up() bool {
	node := t.node()
	if node < 0 {
		return false
	}
	nodes := t.maps.nodes()
	for parent := nodes[node].Parent; ; parent = nodes[parent].Parent {
		if parent < 0 {
			t.show("")
			return true
		}
		if nodes[parent].NBytes > nodes[node].NBytes { // groups of one child have no box of their own
			t.show(nodes[parent].Path)
			return true
		}
	}
}

// drawCrumbs is the way from the whole to the group on show.
func (t *treemapView) drawCrumbs(node int32) {
	list := role("map-crumbs")
	clear(list)
	crumb := func(name, path string, last bool) {
		li := textElement("li", "")
		b := textElement("button", "")
		b.SetAttribute("type", "button")
		b.AppendChild(textElement("bdi", name))
		if last {
			b.SetAttribute("aria-current", "true")
		}
		on(b, "click", func(js.Value) { t.show(path) })
		li.AppendChild(b)
		list.AppendChild(li)
	}
	crumb(t.maps.app.text.Text("map.all"), "", node < 0)
	if node < 0 {
		return
	}
	nodes := t.maps.nodes()
	var way []int32
	for n := node; n >= 0; n = nodes[n].Parent {
		way = append(way, n)
	}
	for i := len(way) - 1; i >= 0; i-- {
		crumb(t.maps.app.shown(nodes[way[i]].Name), nodes[way[i]].Path, i == 0)
	}
}

// key moves among the boxes as in a tree; the cursor of the tree goes along.
func (t *treemapView) key(ev js.Value) {
	if len(t.boxes) == 0 || ev.Get("ctrlKey").Bool() || ev.Get("metaKey").Bool() || ev.Get("altKey").Bool() {
		return
	}
	at := t.marked()
	if t.root != "" && at < 0 {
		at = 0
	}
	next := at
	switch ev.Get("key").String() {
	case "ArrowDown":
		next = t.beside(at, 1)
	case "ArrowUp":
		next = t.beside(at, -1)
	case "ArrowRight":
		for i := range t.boxes {
			if int(t.boxes[i].Parent) == at && at >= 0 {
				next = i
				break
			}
		}
	case "ArrowLeft":
		if at >= 0 && t.boxes[at].Parent >= 0 {
			next = int(t.boxes[at].Parent)
		}
	case "Home":
		next = 0
	case "Enter", " ":
		if at >= 0 {
			t.enter(at)
		}
	case "Escape", "Backspace":
		if !t.up() {
			return
		}
	default:
		return
	}
	ev.Call("preventDefault")
	ev.Call("stopPropagation")
	if next = max(next, 0); next != at && next < len(t.boxes) {
		t.pick(next)
	}
}

// beside is the next box by by inside the same one that is no rest.
func (t *treemapView) beside(at, by int) int {
	if at < 0 {
		return 0
	}
	for i := at + by; i >= 0 && i < len(t.boxes); i += by {
		if t.boxes[i].Parent == t.boxes[at].Parent && t.boxes[i].Rest == 0 {
			return i
		}
	}
	return at
}
