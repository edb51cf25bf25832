//go:build js

package page

import (
	"strconv"
	"strings"
	"syscall/js"

	"honnef.co/go/js/dom/v2"
)

// element is what nearly everything on the page is. dom.WrapElement would compare against some fifty classes each time.
type element = *dom.BasicHTMLElement

func wrap(v js.Value) element {
	return &dom.BasicHTMLElement{BasicElement: &dom.BasicElement{BasicNode: &dom.BasicNode{Value: v}}}
}

// Set by Run: the same binary is the worker, which has no document.
var window, document, root element

func findPage() {
	window = wrap(js.Global())
	document = wrap(dom.GetWindow().Document().Underlying())
	root = wrap(document.Get("documentElement"))
}

// find is the first element below from that a selector names. It must be there: the markup and the code go together.
func find(from element, selector string) element {
	v := from.Call("querySelector", selector)
	if v.IsNull() {
		panic("no element " + selector)
	}
	return wrap(v)
}

// role is the element with that data-role.
func role(name string) element { return find(root, "[data-role="+name+"]") }

// clone is a copy of a template's only element.
func clone(template string) element {
	t := find(root, "#"+template)
	return wrap(t.Get("content").Get("firstElementChild").Call("cloneNode", true))
}

// on calls f for every event of a type. Listeners live as long as the page; those of elements that go away go with them.
func on(target interface{ Underlying() js.Value }, typ string, f func(ev js.Value)) {
	target.Underlying().Call("addEventListener", typ, js.FuncOf(func(_ js.Value, args []js.Value) any {
		f(args[0])
		return nil
	}))
}

func show(e element, visible bool) { e.Set("hidden", !visible) }

func visible(e element) bool { return !e.Get("hidden").Bool() }

func setText(e element, s string) { e.SetTextContent(s) }

func clear(e element) { e.Call("replaceChildren") }

func value(e element) string { return e.Get("value").String() }

func setDisabled(e element, off bool) { e.Set("disabled", off) }

// textElement is a new element that holds s.
func textElement(tag, s string) element {
	e := wrap(document.Call("createElement", tag))
	e.SetTextContent(s)
	return e
}

// dotted writes s so that a line may end behind its dots.
func dotted(e element, s string) {
	clear(e)
	for s != "" {
		part := s
		if dot := strings.IndexByte(s, '.'); dot >= 0 {
			part = s[:dot+1]
		}
		e.Call("append", part, textElement("wbr", "").Underlying())
		s = s[len(part):]
	}
}

func setProgress(bar element, done, total int64) {
	known := total > 0
	bar.Get("classList").Call("toggle", "unknown", !known)
	span := find(bar, "span")
	if !known {
		span.Style().SetProperty("width", "", "")
		bar.RemoveAttribute("aria-valuenow")
		return
	}
	percent := strconv.FormatFloat(float64(done)*100/float64(total), 'f', 1, 64)
	span.Style().SetProperty("width", percent+"%", "")
	bar.SetAttribute("aria-valuenow", percent)
}

// await waits for a promise. It must not be called by an event handler itself, only by a goroutine.
func await(promise js.Value) (js.Value, error) {
	type result struct {
		v   js.Value
		err error
	}
	done := make(chan result, 1)
	good := js.FuncOf(func(_ js.Value, args []js.Value) any {
		r := result{}
		if len(args) > 0 {
			r.v = args[0]
		}
		done <- r
		return nil
	})
	bad := js.FuncOf(func(_ js.Value, args []js.Value) any {
		done <- result{err: js.Error{Value: args[0]}}
		return nil
	})
	defer good.Release()
	defer bad.Release()
	promise.Call("then", good, bad)
	r := <-done
	return r.v, r.err
}

// errorName is the name of a DOMException: "AbortError".
func errorName(err error) string {
	if e, ok := err.(js.Error); ok && e.Value.Type() == js.TypeObject {
		return e.Get("name").String()
	}
	return ""
}
