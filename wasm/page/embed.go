//go:build js

package page

import (
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// maxTold bounds a text in a message to the framing page, in bytes; embed.js takes no longer ones.
const maxTold = 1 << 10

// findHost sets up how the page around this frame is talked with, by what embed.js put into the address. An origin that is
// not the one of the framing page leaves both sides silent.
func (a *app) findHost() {
	if a.place.page != "embed" {
		return
	}
	if query("readonly") != "" {
		a.place.readonly = true
		root.SetAttribute("data-readonly", "")
	}
	a.setTheme(query("theme"))
	origin, parent := query("origin"), js.Global().Get("parent")
	if parent.Equal(js.Global()) || !js.Global().Get("URL").Call("canParse", origin).Bool() || js.Global().Get("URL").New(origin).Get("origin").String() != origin {
		return
	}
	if up := js.Global().Get("location").Get("ancestorOrigins"); up.Truthy() && up.Index(0).String() != origin {
		return
	}
	a.place.host = origin
	on(window, "message", func(ev js.Value) {
		if !ev.Get("source").Equal(parent) || ev.Get("origin").String() != origin {
			return
		}
		m := ev.Get("data")
		if m.Type() != js.TypeObject || !m.Get("weightroom").Equal(js.ValueOf(1)) || js.Global().Get("Object").Call("keys", m).Length() != 3 {
			return
		}
		if !m.Get("type").Equal(js.ValueOf("theme")) {
			return
		}
		for _, theme := range []string{"light", "dark"} { // compared there: a long text never comes into this program
			if m.Get("theme").Equal(js.ValueOf(theme)) {
				a.setTheme(theme)
			}
		}
	})
}

// setTheme shows the page light or dark whatever the system prefers.
func (a *app) setTheme(theme string) {
	if theme == "light" || theme == "dark" {
		root.SetAttribute("data-theme", theme)
	}
}

// tell sends a message to the framing page; nothing where there is none.
func (a *app) tell(typ string, fields map[string]any) {
	if a.place.host == "" {
		return
	}
	m := map[string]any{"weightroom": 1, "type": typ}
	for k, v := range fields {
		if s, ok := v.(string); ok && len(s) > maxTold {
			r := []rune(s)
			v = string(r[:min(len(r), maxTold/4)]) + "…"
		}
		m[k] = v
	}
	js.Global().Get("parent").Call("postMessage", m, a.place.host)
}

// tellOpen tells that a file was opened. What the user opened from this computer stays unnamed.
func (a *app) tellOpen() {
	w := a.open
	name := w.about.Name
	if w.url == "" {
		name = ""
	}
	a.tell("open", map[string]any{"name": name, "format": w.about.Format, "keys": w.state.Keys, "nbytes": w.state.NBytes, "local": w.url == ""})
	a.tellHeight()
}

// tellHeight tells how much room all rows on show would take.
func (a *app) tellHeight() {
	if a.place.host == "" || a.open == nil {
		return
	}
	tree := find(root, "#tree")
	rest := js.Global().Get("innerHeight").Int() - tree.Get("clientHeight").Int()
	a.tell("resize", map[string]any{"height": rest + tree.Get("scrollHeight").Int()})
}

func (a *app) tellError(err error) {
	e := message.FromError(err)
	a.tell("error", map[string]any{"code": e.Code, "message": e.Message})
}

// tellSelected tells which key of a file from a server was selected.
func (a *app) tellSelected(r *message.Row) {
	if a.place.host == "" || a.open == nil || a.open.url == "" || r == nil || r.Kind != message.Tensor || r == a.place.selected {
		return
	}
	a.place.selected = r
	a.tell("select", map[string]any{"key": r.Path, "dtype": r.Type, "shape": model.Shape(r.Shape)})
}
