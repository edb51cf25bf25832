//go:build js

package page

import (
	"strings"
	"syscall/js"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// drawFindings lists what there is to know about the file, and the names its pickles would import.
func (a *app) drawFindings() {
	w := a.open
	list := role("finding-list")
	clear(list)
	for _, f := range w.about.Scan.Findings {
		list.AppendChild(a.finding(f))
	}
	for _, s := range w.state.Warnings {
		list.AppendChild(a.finding(statedict.Finding{Message: s}))
	}
	worst := a.drawGlobals(role("globals"), w.about.Scan)
	show(find(root, "[data-action=danger]"), worst == "unsafe")
	show(role("findings"), list.Get("childElementCount").Int() > 0 || w.about.Scan.Total > 0)
}

// drawGlobals lists in box what the pickles name, in their order, with what each name could do; nil hides the box. It
// answers the worst verdict.
func (a *app) drawGlobals(box element, s *message.Scanned) (worst string) {
	list := find(box, "ul")
	clear(list)
	show(box, s != nil && s.Total > 0)
	worst = "safe"
	if s == nil {
		return worst
	}
	for i := range s.Globals {
		g := &s.Globals[i]
		if g.Verdict == "unsafe" || worst == "safe" {
			worst = g.Verdict
		}
		list.AppendChild(a.global(g))
	}
	if more := s.Total - len(s.Globals); more > 0 {
		list.AppendChild(textElement("li", a.text.Text("global.more", "n", count(more))))
	}
	box.SetAttribute("data-verdict", worst)
	box.Set("open", s.Outside > 0)
	title := a.text.Count("globals.safe", int64(s.Total), count(s.Total))
	if s.Outside > 0 {
		title = a.text.Count("globals.outside", int64(s.Outside), count(s.Outside))
	}
	setText(find(box, ".globals-title"), title)
	return worst
}

// listenDanger leads from the badge beside the file's name to the names.
func (a *app) listenDanger() {
	on(find(root, "[data-action=danger]"), "click", func(js.Value) {
		a.showTab("edit")
		box := role("globals")
		box.Set("open", true)
		box.Call("scrollIntoView", map[string]any{"block": "start"})
		find(box, "summary").Call("focus")
	})
}

// global is a line of that list.
func (a *app) global(g *message.Global) element {
	li := clone("t-global")
	li.SetAttribute("data-verdict", g.Verdict)
	li.SetAttribute("data-depth", itoa(g.Depth))
	dotted(find(li, "bdi"), model.ASCII(g.Name))
	setText(find(li, ".verdict"), a.text.Text("verdict."+g.Verdict))
	where := a.whereNamed(g)
	if g.Verdict == "safe" {
		li.SetAttribute("title", where)
		return li
	}
	setText(find(li, ".effect"), a.effectOf(g.Effect))
	setText(find(li, ".where"), where)
	return li
}

// effectOf is what a name could do, in the language of the page.
func (a *app) effectOf(english string) string {
	if slug := model.Effects[english]; slug != "" {
		return a.text.Text("effect." + slug)
	}
	return sentence(english)
}

// whereNamed says where a pickle names something, and whether it would be called.
func (a *app) whereNamed(g *message.Global) string {
	parts := []string{a.text.Text("global.named")}
	if g.Called {
		parts[0] = a.text.Text("global.called")
	}
	if g.Source != "" {
		parts = append(parts, model.Visible(g.Source))
	}
	if g.Record == "" {
		parts = append(parts, a.text.Text("global.byte", "at", model.Number(g.At)))
	} else {
		parts = append(parts, a.text.Text("global.record", "record", model.Visible(g.Record), "at", model.Number(g.At)))
	}
	if g.Depth > 0 {
		parts = append(parts, a.text.Text("global.nested"))
	}
	if g.Count > 1 {
		parts = append(parts, a.text.Text("global.times", "n", count(g.Count)))
	}
	return strings.Join(parts, " · ")
}
