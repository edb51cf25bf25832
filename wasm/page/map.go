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

// maps is where the bytes are: the tensors as a treemap by group, and the file as a strip. Both show the row under the cursor of
// the tree, and a click in them puts the cursor there.
type maps struct {
	app   *app
	box   element
	tree  treemapView
	strip stripView

	of    *workspace
	asked int
	row   int32 // node that is marked
}

func newMaps(a *app) *maps {
	m := &maps{app: a, box: role("map"), row: -1}
	m.tree.listen(m)
	a.tree.onSelect = append(a.tree.onSelect, m.follow)
	m.strip.listen(m)
	resized := js.FuncOf(func(js.Value, []js.Value) any {
		m.draw()
		return nil
	})
	js.Global().Get("ResizeObserver").New(resized).Call("observe", m.tree.box.Underlying())
	return m
}

func (m *maps) shown() bool { return visible(m.box) }

// toggle shows the maps, or puts them away.
func (m *maps) toggle() {
	show(m.box, !m.shown())
	find(root, "[data-action=map]").SetAttribute("aria-pressed", strconv.FormatBool(m.shown()))
	m.read()
	m.app.tree.refresh()
}

// read draws the tensors as they are now, and asks where everything lies in the files.
func (m *maps) read() {
	a, w := m.app, m.app.open
	if w == nil || !m.shown() {
		return
	}
	if m.of != w {
		m.of, m.tree.root = w, ""
		m.strip.reset()
	}
	m.strip.unlink()
	m.draw()
	m.asked++
	asked := m.asked
	go func() {
		var got message.Mapped
		_, err := a.worker.do(context.Background(), message.Map, message.MapRequest{Handle: w.about.Handle, Recipe: w.recipe.Document()}, &got, nil, nil)
		if w != a.open || asked != m.asked {
			return
		}
		var strip *model.Strip
		if err == nil {
			pause()
			strip, err = model.NewStrip(&got)
			pause()
		}
		if w != a.open || asked != m.asked {
			return
		}
		if err != nil {
			msg, _, _, _ := a.words(message.FromError(err))
			setText(role("strip-reads"), msg)
			return
		}
		m.strip.set(strip)
		pause()
		m.drawLegend()
	}()
}

// draw lays everything out anew: the rows, the size or the colours have changed.
func (m *maps) draw() {
	if m.app.open == nil || !m.shown() {
		return
	}
	m.row = m.cursor()
	m.box.SetAttribute("aria-label", m.app.text.Text("map.title"))
	m.strip.box.SetAttribute("aria-label", m.app.text.Text("strip.label"))
	m.strip.paints = nil
	m.tree.draw()
	m.strip.draw()
	m.strip.mark()
}

// follow marks the row under the cursor of the tree.
func (m *maps) follow() {
	if row := m.cursor(); m.app.open != nil && m.shown() && row != m.row {
		m.row = row
		m.tree.mark()
		m.strip.mark()
	}
}

// cursor is the node under the cursor, -1 before the user has put it anywhere.
func (m *maps) cursor() int32 {
	t := m.app.tree
	if v := t.view; t.touched && v.Current() != nil {
		return v.InBase(v.Rows[v.Cursor])
	}
	return -1
}

// nodes are those of the tree in the order of the file, however it is sorted on show.
func (m *maps) nodes() []model.Node { return m.app.tree.view.Base.Nodes }

// choose puts the cursor of the tree on a node.
func (m *maps) choose(node int32) {
	if node >= 0 && int(node) < len(m.nodes()) {
		m.app.revealRow(m.nodes()[node].Path, m.nodes()[node].Kind)
	}
}

// name is a node's path below the group around it.
func (m *maps) name(node int32, around string) string {
	path := m.nodes()[node].Path
	if rest, ok := strings.CutPrefix(path, around); ok && around != "" {
		path = strings.TrimPrefix(rest, ".")
	}
	return m.app.shown(path)
}

// share is n as a part of all bytes of tensors.
func (m *maps) share(n int64) string { return percent(n, max(1, m.app.open.state.NBytes)) }

// legend are the paints with a text, in the order of the list.
var legend = []string{"header", "padding", "pickle", "record", "unowned", "unreached"}

// drawLegend explains the colours that the maps show.
func (m *maps) drawLegend() {
	seen := make([]bool, model.Paints)
	for _, n := range m.nodes() {
		if n.Kind == model.Tensor && n.NBytes > 0 {
			seen[int(model.PaintType)+model.Class(n.Type)] = true
		}
	}
	shared := m.strip.seen(seen)
	list := role("map-legend")
	clear(list)
	add := func(class, text string) {
		li := textElement("li", "")
		swatch := textElement("i", "")
		swatch.SetAttribute("data-class", class)
		li.AppendChild(swatch)
		li.AppendChild(textElement("span", text))
		list.AppendChild(li)
	}
	for i, c := range model.Classes {
		if seen[int(model.PaintType)+i] {
			add(c, m.className(i))
		}
	}
	for _, i := range []model.Paint{model.PaintUnreached, model.PaintPickle, model.PaintRecord, model.PaintHeader, model.PaintPadding, model.PaintUnowned} {
		if seen[i] {
			add(legend[i], m.app.text.Text("map."+legend[i]))
		}
	}
	if shared {
		add("shared", m.app.text.Text("map.shared"))
	}
}

// className is what a class of dtypes is called: by its name where that is one.
func (m *maps) className(class int) string {
	switch name := model.Classes[class]; name {
	case "int", "other":
		return m.app.text.Text("map.class." + name)
	default:
		return name
	}
}

// actMap is act for the controls of the maps.
func (a *app) actMap(action string) {
	m := a.maps
	switch action {
	case "map":
		m.toggle()
	case "strip-in":
		m.strip.zoom(4, 0.5)
	case "strip-out":
		m.strip.zoom(0.25, 0.5)
	}
}
