//go:build js

package page

import (
	"syscall/js"
	"time"

	"github.com/weightroom/weightroom/wasm/page/model"
)

// together is how long after a letter the next one continues the same word.
const together = 600 * time.Millisecond

var typed struct {
	text string
	at   time.Time
}

// key answers a key press in the tree, after the WAI-ARIA pattern of a treegrid: the selection follows the cursor, Shift
// extends it, with Ctrl or ⌘ the cursor moves alone.
func (t *treeView) key(ev js.Value) {
	if !ev.Get("target").Equal(t.box.Underlying()) || ev.Get("altKey").Bool() {
		return // a control in the head of the tree
	}
	v, key, shift := t.view, ev.Get("key").String(), ev.Get("shiftKey").Bool()
	ctrl := ev.Get("ctrlKey").Bool() || ev.Get("metaKey").Bool()
	switch {
	case t.move(key, ctrl):
		switch {
		case shift && key != "N":
			v.SelectRange()
		case !ctrl:
			v.SelectCursor()
		}
	case key == " " && shift:
		v.SelectRange()
	case key == " ":
		v.ToggleCursor()
	case ctrl && key == "a":
		v.SelectAll()
	case ctrl:
		if key == "c" && js.Global().Call("getSelection").Call("toString").String() == "" {
			t.copyKey()
		}
		return
	case key == "Enter":
		t.enter()
	case key == "F2":
		t.openOperation(ev, "rename")
		return
	case key == "Delete":
		t.openOperation(ev, "drop")
		return
	case key == "=":
		t.app.columns.toggleFold()
	case key == "*":
		if v.Cursor >= 0 {
			v.OpenSiblings(v.Rows[v.Cursor])
		}
	case key == "/" || key == "?" || len(key) != 1:
		return
	case t.letter(key):
		v.SelectCursor()
	}
	t.touched = true
	ev.Call("preventDefault")
	t.refresh()
	t.reveal()
}

// move moves the cursor if that is what the key is for.
func (t *treeView) move(key string, ctrl bool) bool {
	v, page := t.view, max(1, int(t.box.Get("clientHeight").Float()/max(1, t.height))-2)
	switch {
	case key == "ArrowDown":
		v.Move(1)
	case key == "ArrowUp":
		v.Move(-1)
	case key == "ArrowLeft" && !ctrl:
		v.Left()
	case key == "ArrowRight" && !ctrl:
		v.Right()
	case key == "Home":
		v.Move(-len(v.Rows))
	case key == "End":
		v.Move(len(v.Rows))
	case key == "PageDown":
		v.Move(page)
	case key == "PageUp":
		v.Move(-page)
	case (key == "n" || key == "N") && !ctrl && v.Query() != "":
		v.Next(map[string]int{"n": 1, "N": -1}[key])
	default:
		return false
	}
	return true
}

// enter opens or closes a group, and goes to the values of any other row.
func (t *treeView) enter() {
	v := t.view
	n := v.Current()
	switch {
	case n == nil:
	case n.Kind == model.Group:
		id := v.Rows[v.Cursor]
		v.SetOpen(id, !v.Open(id))
	default:
		v.SelectCursor()
		t.app.showTab("edit")
		t.touched = true
		t.refresh()
		role("inspector").Focus()
	}
}

// openOperation opens a form for what is selected.
func (t *treeView) openOperation(ev js.Value, action string) {
	t.touched = true
	t.app.openOperation(action)
	ev.Call("preventDefault")
}

// letter goes to the next name that starts with what was typed, or opens groups to a level. It tells whether the cursor
// moved.
func (t *treeView) letter(key string) bool {
	now := time.Now()
	continued := now.Sub(typed.at) < together
	if !continued {
		typed.text = ""
	}
	typed.at = now
	if '1' <= key[0] && key[0] <= '9' && typed.text == "" {
		t.view.OpenToLevel(int(key[0] - '0'))
		return false
	}
	typed.text += key
	return t.view.TypeAhead(typed.text, continued)
}

func (t *treeView) copyKey() {
	n := t.view.Current()
	clipboard := js.Global().Get("navigator").Get("clipboard")
	if n != nil && clipboard.Truthy() {
		clipboard.Call("writeText", n.Path)
	}
}

// listenKeys sets up the keys that work everywhere.
func (a *app) listenKeys() {
	on(document, "keydown", func(ev js.Value) {
		key, target := ev.Get("key").String(), ev.Get("target")
		writing := target.Call("closest", "input,select,textarea").Truthy()
		if ev.Get("ctrlKey").Bool() || ev.Get("metaKey").Bool() {
			if a.command(key, ev.Get("shiftKey").Bool(), writing) {
				ev.Call("preventDefault")
			}
			return
		}
		switch {
		case key == "Escape":
			a.escape()
		case ev.Get("altKey").Bool() && (key == "PageDown" || key == "PageUp"):
			a.nextTab(map[string]int{"PageDown": 1, "PageUp": -1}[key])
			ev.Call("preventDefault")
		case writing || ev.Get("altKey").Bool():
		case key == "/" && a.open != nil:
			find(root, "#filter").Focus()
			find(root, "#filter").Call("select")
			ev.Call("preventDefault")
		case key == "?":
			a.openHelp()
		}
	})
}

// command is a key with Ctrl or ⌘; false leaves it to the browser.
func (a *app) command(key string, shift, writing bool) bool {
	switch {
	case key == "o":
		a.choose()
	case key == "s" && a.open != nil:
		a.openExport()
	case key == "f" && a.open != nil:
		find(root, "#filter").Focus()
		find(root, "#filter").Call("select")
	case writing || a.open == nil:
		return false
	case key == "z" && !shift:
		a.undo()
	case (key == "z" || key == "Z") && shift, key == "y":
		a.redo()
	default:
		return false
	}
	return true
}

// escape closes the panel, or else takes several rows out of the selection, or else clears the filter.
func (a *app) escape() {
	filter := find(root, "#filter")
	switch {
	case a.panel != nil:
		a.closePanel()
		a.tree.box.Focus()
	case a.open != nil && a.tree.view.Several():
		a.tree.deselect()
	case value(filter) != "":
		filter.Set("value", "")
		a.tree.filter()
		a.tree.box.Focus()
	}
}

// shortcuts is what the list under ? says.
var shortcuts = []struct {
	keys []string
	text string
}{
	{[]string{"↑", "↓", "←", "→"}, "help.arrows"},
	{[]string{"Home", "End", "PgUp", "PgDn"}, "help.edges"},
	{[]string{"⇧", "↑", "↓"}, "help.extend"},
	{[]string{"Space"}, "help.toggle"},
	{[]string{"Ctrl", "↑", "↓"}, "help.alone"},
	{[]string{"Ctrl", "A"}, "help.all"},
	{[]string{"*"}, "help.siblings"},
	{[]string{"1", "…", "9"}, "help.levels"},
	{[]string{"="}, "help.fold"},
	{[]string{"a", "…", "z"}, "help.type"},
	{[]string{"Tab", "←", "→"}, "help.titles"},
	{[]string{"Enter"}, "help.inspect"},
	{[]string{"/"}, "help.search"},
	{[]string{"n", "N"}, "help.next"},
	{[]string{"F2"}, "help.rename"},
	{[]string{"Delete"}, "help.drop"},
	{[]string{"Enter", "Esc"}, "help.map"},
	{[]string{"+", "−"}, "help.zoom"},
	{[]string{"Ctrl", "C"}, "help.copy"},
	{[]string{"Ctrl", "O"}, "help.open"},
	{[]string{"Ctrl", "S"}, "help.export"},
	{[]string{"Alt", "PgUp", "PgDn"}, "help.tab"},
	{[]string{"Ctrl", "Z", "⇧"}, "help.undo"},
	{[]string{"Alt", "↑", "↓"}, "help.step"},
	{[]string{"↑", "↓"}, "help.diff"},
	{[]string{"Esc"}, "help.escape"},
	{[]string{"?"}, "help.help"},
}

func (a *app) openHelp() {
	list := role("help-list")
	clear(list)
	for _, s := range shortcuts {
		dt := textElement("dt", "")
		for _, k := range s.keys {
			dt.AppendChild(textElement("kbd", k))
		}
		list.AppendChild(dt)
		list.AppendChild(textElement("dd", a.text.Text(s.text)))
	}
	if help := role("help"); !help.Get("open").Bool() {
		help.Call("showModal")
	}
}
