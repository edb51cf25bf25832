//go:build js

package page

import (
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/page/model"
	"github.com/weightroom/weightroom/web/texts"
)

// remembered is the name under which the browser keeps a language that the user chose.
const remembered = "weightroom-language"

// language loads the texts of the language that the address asks for, that was chosen here before, or that the browser
// prefers, in this order.
func language() (texts.Catalog, string, error) {
	var wanted []string
	if asked := query("lang"); asked != "" {
		wanted = append(wanted, asked)
	}
	if chosen := recall(); chosen != "" {
		wanted = append(wanted, chosen)
	}
	for _, l := range list(js.Global().Get("navigator").Get("languages")) {
		wanted = append(wanted, l.String())
	}
	tag := texts.Best(wanted...)
	c, err := texts.Load(tag)
	return c, tag, err
}

// setNumerals writes numbers as the language does.
func setNumerals(c texts.Catalog) {
	step, units := model.ParseShort(c.Text("number.short"))
	model.SetNumerals(model.Numerals{Group: c.Text("number.group"), Point: c.Text("number.point"), Short: units, Step: step})
}

// recall answers "" where the browser keeps nothing, as in frames of other sites.
func recall() (chosen string) {
	defer func() { _ = recover() }()
	if v := js.Global().Get("localStorage").Call("getItem", remembered); v.Type() == js.TypeString {
		chosen = v.String()
	}
	return chosen
}

func remember(tag string) {
	defer func() { _ = recover() }()
	js.Global().Get("localStorage").Call("setItem", remembered, tag)
}

// listenLanguage offers the languages.
func (a *app) listenLanguage(now string) {
	sel := find(root, "[data-field=language]")
	for _, l := range texts.Languages {
		o := textElement("option", l.Name)
		o.SetAttribute("value", l.Tag)
		o.SetAttribute("lang", l.Tag)
		sel.AppendChild(o)
	}
	sel.Set("value", now)
	on(sel, "change", func(js.Value) { a.speak(value(sel)) })
}

// speak shows everything in another language. What is open stays open, and an open form keeps what was filled in.
func (a *app) speak(tag string) {
	c, err := texts.Load(tag)
	if err != nil {
		return
	}
	remember(tag)
	a.text = c
	setNumerals(c)
	root.SetAttribute("lang", tag)
	a.adaptTexts()
	a.labelAll()
	a.drawPrivacy()
	if a.told != nil {
		a.told()
	}
	if a.noted != nil {
		a.noted()
		a.nameOffers()
	}
	a.drawStatus("")
	if a.open == nil {
		a.drawRecent()
		return
	}
	a.draw()
	if a.panel != nil {
		a.panel.speak()
	}
	a.tree.forget()
	a.inspect.forget()
	a.bar.view = nil
	a.tree.refresh()
	a.readCode()
}
