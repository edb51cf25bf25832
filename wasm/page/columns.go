//go:build js

package page

import (
	"context"
	"slices"
	"strings"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/page/model"
)

// keptColumns is where the browser keeps them.
const keptColumns = "weightroom-columns"

// widened is how much a key makes a column wider, in CSS pixels.
const widened = 8

// atOnce is up to how many nodes are sorted, folded and searched in one go. With more the browser has its turn in between.
const atOnce = 10_000

// columns are the titles of the tree: they sort, and can be resized and hidden.
type columns struct {
	app   *app
	head  element
	state model.Columns
	by    string // column that sorts, "" for the order of the file
	desc  bool
}

func (a *app) listenColumns() {
	c := &columns{app: a, head: find(root, "#tree .columns"), state: model.ParseColumns(kept(keptColumns))}
	a.columns = c
	on(c.head, "click", func(ev js.Value) {
		if b := ev.Get("target").Call("closest", "[data-sort]"); b.Truthy() {
			c.sort(b.Get("dataset").Get("sort").String())
			c.focus(b)
		}
	})
	on(c.head, "keydown", c.key)
	c.listenGrips()
	menu := role("columns-menu")
	on(menu, "change", func(ev js.Value) { c.choose(ev.Get("target")) })
	on(menu, "keydown", func(ev js.Value) {
		if ev.Get("key").String() == "Escape" {
			ev.Call("stopPropagation")
			c.toggleMenu()
			find(root, "[data-action=columns]").Focus()
		}
	})
	on(document, "pointerdown", func(ev js.Value) {
		if visible(menu) && !ev.Get("target").Call("closest", "[data-role=columns-menu],[data-action=columns]").Truthy() {
			c.toggleMenu()
		}
	})
	c.draw()
	c.arrange()
}

// kept is what the browser keeps under a name, "" for nothing or where it keeps nothing.
func kept(name string) (s string) {
	defer func() { _ = recover() }()
	if v := js.Global().Get("localStorage").Call("getItem", name); v.Type() == js.TypeString {
		s = v.String()
	}
	return s
}

func keepUnder(name, text string) {
	defer func() { _ = recover() }()
	js.Global().Get("localStorage").Call("setItem", name, text)
}

func (c *columns) keep() { keepUnder(keptColumns, c.state.String()) }

// draw shows the widths, what is hidden and what is sorted.
func (c *columns) draw() {
	tree := c.app.tree.box
	style := tree.Get("style")
	for _, col := range model.TreeColumns {
		if col.Width > 0 {
			style.Call("setProperty", "--w-"+col.Name, itoa(c.state.WidthOf(col.Name))+"px")
		}
		title := find(c.head, "[data-column="+col.Name+"]")
		sorted := "none"
		if c.by == col.Name {
			sorted = map[bool]string{true: "descending", false: "ascending"}[c.desc]
		}
		title.SetAttribute("aria-sort", sorted)
	}
	tree.SetAttribute("data-hide", strings.Join(c.state.Hide, " "))
	tree.SetAttribute("data-keep", strings.Join(c.state.Keep, " "))
	find(root, "[data-action=fold]").SetAttribute("aria-pressed", map[bool]string{true: "true", false: "false"}[c.state.Fold])
	for _, col := range model.TreeColumns[1:] {
		shown := js.Global().Call("getComputedStyle", find(c.head, "[data-column="+col.Name+"]").Underlying()).Get("display").String() != "none"
		find(root, "[data-show="+col.Name+"]").Set("checked", shown)
	}
	by := c.by
	if by == "share" {
		by = "size"
	}
	find(root, "[data-field=sort]").Set("value", by)
}

// sort goes from a column's first direction to the other, and then back to the order of the file.
func (c *columns) sort(name string) {
	col := model.ColumnOf(name)
	switch {
	case c.by != name:
		c.by, c.desc = name, col.Desc
	case c.desc == col.Desc:
		c.desc = !c.desc
	default:
		c.by, c.desc = "", false
	}
	c.arrange()
}

func (c *columns) arrangement() model.Arrangement {
	a := model.Arrangement{Fold: c.state.Fold}
	if c.by != "" {
		a.Order, a.Desc = model.ColumnOf(c.by).Order, c.desc
	}
	return a
}

// arrange lays the tree out as chosen.
func (c *columns) arrange() {
	a := c.arrangement()
	c.draw()
	t := c.app.tree
	if len(t.view.Base.Nodes) < atOnce {
		t.view.Arrange(a, nil)
		t.redraw()
		t.reveal()
		return
	}
	c.app.run(job{work: func(context.Context) error {
		t.view.Arrange(a, breathing())
		pause()
		t.redraw()
		t.reveal()
		c.app.tidy.soon()
		return nil
	}})
}

func (c *columns) toggleFold() {
	c.state.Fold = !c.state.Fold
	c.keep()
	c.arrange()
}

// key moves between the titles, and makes a column wider or narrower. Enter and Space press a title as any button.
func (c *columns) key(ev js.Value) {
	b := ev.Get("target").Call("closest", "[data-sort]")
	if !b.Truthy() || ev.Get("ctrlKey").Bool() || ev.Get("altKey").Bool() || ev.Get("metaKey").Bool() {
		return
	}
	name, key := b.Get("dataset").Get("sort").String(), ev.Get("key").String()
	step := map[string]int{"ArrowLeft": -1, "ArrowRight": 1}[key]
	switch {
	case step != 0 && ev.Get("shiftKey").Bool():
		if model.ColumnOf(name).Width > 0 {
			c.resize(name, c.state.WidthOf(name)+step*widened)
			c.keep()
		}
	case step != 0:
		var titles []js.Value
		for _, e := range list(c.head.Call("querySelectorAll", "[data-sort]")) {
			if e.Get("offsetWidth").Int() > 0 {
				titles = append(titles, e)
			}
		}
		i := slices.IndexFunc(titles, func(e js.Value) bool { return e.Equal(b) })
		if i += step; i >= 0 && i < len(titles) {
			c.focus(titles[i])
		}
	case key == "ArrowDown" || key == "Escape":
		c.app.tree.box.Focus()
	default:
		return
	}
	ev.Call("preventDefault")
	ev.Call("stopPropagation")
}

// focus makes a title the one that Tab goes to.
func (c *columns) focus(title js.Value) {
	for _, e := range list(c.head.Call("querySelectorAll", "[data-sort]")) {
		e.Set("tabIndex", -1)
	}
	title.Set("tabIndex", 0)
	title.Call("focus")
}

func (c *columns) resize(name string, width int) {
	c.state.Resize(name, width)
	c.app.tree.box.Get("style").Call("setProperty", "--w-"+name, itoa(c.state.WidthOf(name))+"px")
}

// listenGrips lets the left edge of a title be dragged; two clicks give the column its first width again.
func (c *columns) listenGrips() {
	name, from, width := "", 0.0, 0
	grip := func(ev js.Value) js.Value { return ev.Get("target").Call("closest", ".grip") }
	column := func(g js.Value) string {
		return g.Call("closest", "[data-column]").Get("dataset").Get("column").String()
	}
	on(c.head, "pointerdown", func(ev js.Value) {
		if g := grip(ev); g.Truthy() && ev.Get("button").Int() == 0 {
			name, from = column(g), ev.Get("clientX").Float()
			width = g.Get("parentElement").Get("offsetWidth").Int()
			g.Call("setPointerCapture", ev.Get("pointerId"))
			ev.Call("preventDefault")
		}
	})
	on(c.head, "pointermove", func(ev js.Value) {
		if name != "" {
			c.resize(name, width+int(from-ev.Get("clientX").Float()))
		}
	})
	for _, typ := range []string{"pointerup", "pointercancel"} {
		on(c.head, typ, func(js.Value) {
			if name != "" {
				name = ""
				c.keep()
			}
		})
	}
	on(c.head, "dblclick", func(ev js.Value) {
		if g := grip(ev); g.Truthy() {
			name := column(g)
			c.resize(name, model.ColumnOf(name).Width)
			c.keep()
		}
	})
}

func (c *columns) toggleMenu() {
	menu, button := role("columns-menu"), find(root, "[data-action=columns]")
	open := !visible(menu)
	show(menu, open)
	button.SetAttribute("aria-expanded", map[bool]string{true: "true", false: "false"}[open])
	if open {
		c.draw()
		find(menu, "input").Focus()
	}
}

// choose is a change in the menu.
func (c *columns) choose(control js.Value) {
	data := control.Get("dataset")
	if name := data.Get("show"); name.Truthy() {
		c.state.Show(name.String(), control.Get("checked").Bool())
		c.keep()
		c.draw()
		return
	}
	if c.by = control.Get("value").String(); c.by != "" {
		c.desc = model.ColumnOf(c.by).Desc
	}
	c.arrange()
}

// actColumns is act for the controls of these.
func (a *app) actColumns(action string) {
	switch action {
	case "fold":
		a.columns.toggleFold()
	case "columns":
		a.columns.toggleMenu()
	case "reset-columns":
		a.columns.state = model.Columns{Fold: a.columns.state.Fold}
		a.columns.keep()
		a.columns.draw()
	}
}
