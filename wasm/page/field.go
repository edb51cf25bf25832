//go:build js

package page

import (
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/page/model"
)

// addField adds the control for a field, which nameField gives its words.
func (o *operation) addField(f model.Field, start string) {
	a := o.app
	template := "t-field"
	switch {
	case f.File:
		template = "t-other"
	case f.Choices != nil:
		template = "t-choice"
	case f.Flag:
		template = "t-flag"
	}
	label := clone(template)
	in := find(label, ".control")
	in.SetAttribute("data-field", f.Name)
	switch {
	case f.File:
		a.drawOthers(in, true)
		if start != "" {
			in.Set("value", start)
		}
	case f.Choices != nil:
		for _, c := range f.Choices {
			opt := textElement("option", c)
			opt.SetAttribute("value", c)
			in.AppendChild(opt)
		}
		if start != "" {
			in.Set("value", start)
		}
	case f.Flag:
		in.Set("checked", start == "true")
	case o.start.Lists[f.Name] != nil:
		in.Set("readOnly", true)
	default:
		in.Set("value", start)
	}
	for _, typ := range []string{"input", "change"} {
		on(in, typ, func(js.Value) { o.changed() })
	}
	find(o.el, ".fields").AppendChild(label)
	o.fields = append(o.fields, label)
}

// nameField writes what stands around the control of a field, and its choices.
func (o *operation) nameField(f model.Field, label element) {
	a, in := o.app, find(label, ".control")
	name := "field." + f.Name
	if own := name + "." + o.spec.Action + ".name"; a.text.Has(own) {
		name = own
	}
	setText(find(label, ".field-name"), a.text.Text(name))
	missing := label.Get("classList").Call("contains", "wrong").Bool()
	o.markField(label, map[bool]string{true: a.text.Text("field.missing")}[missing])
	switch {
	case f.File:
		chosen := value(in)
		a.drawOthers(in, true)
		in.Set("value", chosen)
	case f.Choices != nil:
		for _, opt := range list(in.Get("options")) {
			if c := "choice." + o.spec.Action + "." + opt.Get("value").String(); a.text.Has(c) {
				setText(wrap(opt), a.text.Text(c))
			}
		}
	case o.start.Lists[f.Name] != nil:
		n := len(o.start.Lists[f.Name])
		in.Set("value", a.text.Count("field.list", int64(n), count(n)))
	}
}

// markField says below a field what is wrong with it; "" puts its hint back.
func (o *operation) markField(label element, problem string) {
	label.Get("classList").Call("toggle", "wrong", problem != "")
	if problem == "" {
		if name := "field." + find(label, ".control").GetAttribute("data-field") + "." + o.spec.Action; o.app.text.Has(name) {
			problem = o.app.text.Text(name)
		}
	}
	setText(find(label, ".field-hint"), problem)
}
