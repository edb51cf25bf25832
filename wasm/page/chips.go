//go:build js

package page

import (
	"context"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// suggest offers what the form could be filled with: ready-made casts, the prefixes that the file has, what was saved twice.
func (o *operation) suggest() {
	chips := find(o.el, ".chips")
	clear(chips)
	switch o.spec.Action {
	case "cast":
		if o.start.Values != nil {
			break // it came filled in
		}
		for _, r := range model.Casts {
			b := o.chip(model.Op{Values: r.Values})
			b.Get("classList").Call("add", "words")
			setText(b, o.app.text.Text("cast."+r.Text))
		}
	case "strip-prefix", "extract":
		for _, s := range model.Prefixes(o.app.open.rows, o.app.open.state.At, 4) {
			b := o.chip(model.Op{Values: map[string]string{"prefix": s.Value}})
			b.AppendChild(textElement("bdi", model.Visible(s.Value)))
			b.AppendChild(textElement("span", o.app.keys(s.Keys)))
		}
	case "tie":
		go o.suggestTwins(o.app.text.Text("tie.twins"))
	}
	show(chips, chips.Get("childElementCount").Int() > 0)
}

// chip is a button that fills the form in.
func (o *operation) chip(with model.Op) element {
	b := textElement("button", "")
	b.SetAttribute("type", "button")
	b.SetClass("chip")
	on(b, "click", func(js.Value) { o.fill(with) })
	find(o.el, ".chips").AppendChild(b)
	return b
}

// fill puts the values of with into the form.
func (o *operation) fill(with model.Op) {
	if o.start.Lists = with.Lists; with.Lists != nil {
		o.start.Values = with.Values
	}
	for i, f := range o.spec.Fields {
		in := find(o.fields[i], ".control")
		in.Set("value", with.Values[f.Name])
		in.Set("readOnly", with.Lists[f.Name] != nil)
		o.nameField(f, o.fields[i])
	}
	find(o.fields[0], ".control").Focus()
	o.changed()
}

// suggestTwins offers the tensors that hold the same bytes, as far as it would save something. title is in the language that
// they are asked for in.
func (o *operation) suggestTwins(title string) {
	w := o.app.open
	var got message.Shrunk
	_, err := o.app.worker.do(context.Background(), message.Shrink, message.ShrinkRequest{Handle: w.about.Handle, Recipe: o.before()}, &got, nil, nil)
	chips := find(o.el, ".chips")
	if err != nil || o.asked < 0 || w != o.app.open || title != o.app.text.Text("tie.twins") || chips.Get("childElementCount").Int() > 0 {
		return // the form does without
	}
	for _, l := range got.Lines {
		r, err := model.FromDocument([]byte(`{"recipe":1,"steps":[` + string(l.Step) + `]}`))
		if l.Kind != "same" || err != nil || len(r.Steps) != 1 || r.Steps[0].Values == nil {
			continue
		}
		if chips.Get("childElementCount").Int() == 0 {
			chips.AppendChild(textElement("span", title))
		}
		b := o.chip(r.Steps[0])
		b.AppendChild(textElement("bdi", model.Visible(l.What)))
		b.AppendChild(textElement("span", o.app.keys(l.Keys+1)))
	}
	show(chips, chips.Get("childElementCount").Int() > 0)
}
