//go:build js

package page

import (
	"context"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// attachment is a file beside the open one, or a pasted text, under the name that recipes give it.
type attachment struct {
	message.Attached
	files []js.Value
	names []string
	text  string
	tab   *workspace // that it is as well; nil for a file that was opened for this
}

func (x *attachment) request() message.AttachRequest {
	return message.AttachRequest{Name: x.Name, Names: x.names, Text: x.text}
}

// attach opens a file beside the open one and calls done with it.
func (a *app) attach(files []js.Value, text string, done func(*attachment)) {
	x := &attachment{files: files, text: text}
	for _, f := range files {
		x.names = append(x.names, f.Get("name").String())
	}
	x.Name = a.text.Text("reference.pasted")
	if len(files) > 0 {
		x.Name = x.names[0]
	}
	a.hideError()
	a.run(job{
		work: func(ctx context.Context) error {
			if _, err := a.worker.do(ctx, message.Attach, x.request(), &x.Attached, x.files, nil); err != nil {
				return err
			}
			a.addOther(x)
			done(x)
			return nil
		},
		fail: func(err error) { a.showError(err, "error.open", "name", model.Visible(x.Name)) },
	})
}

// attachAgain gives a new worker what the one before knew.
func (a *app) attachAgain(ctx context.Context) error {
	for _, x := range a.others {
		if _, err := a.worker.do(ctx, message.Attach, x.request(), &x.Attached, x.files, nil); err != nil {
			return err
		}
	}
	return nil
}

// drawOthers fills a select with the files beside the open one.
func (a *app) drawOthers(sel element, tensors bool) {
	clear(sel)
	for _, x := range a.others {
		if tensors && !x.Tensors {
			continue
		}
		o := textElement("option", a.text.Text("at.choice", "path", model.Visible(x.Name), "keys", a.keys(x.Keys)))
		o.SetAttribute("value", x.Name)
		sel.AppendChild(o)
	}
	show(sel, sel.Get("childElementCount").Int() > 0)
}

// listenOthers takes the files that are chosen for the open form.
func (a *app) listenOthers() {
	on(find(root, "#other"), "change", func(ev js.Value) {
		files := list(ev.Get("target").Get("files"))
		if len(files) > 0 && a.open != nil {
			a.attach(files, "", a.attached)
		}
		ev.Get("target").Set("value", "")
	})
}

// attached puts a new file into the form that asked for it, or compares with it.
func (a *app) attached(x *attachment) {
	if o, ok := a.panel.(*operation); ok {
		for i, f := range o.spec.Fields {
			if f.File && x.Tensors {
				in := find(o.fields[i], ".control")
				a.drawOthers(in, true)
				in.Set("value", x.Name)
				o.changed()
				return
			}
		}
	}
	a.compareWith(x)
}
