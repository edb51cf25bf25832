//go:build js

package page

import (
	"context"
	"net/url"
	"strings"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

const (
	// maxRecipe bounds a recipe that is fetched, in bytes.
	maxRecipe = 1 << 20
	// recipeTimeout is how long the page waits for it, in milliseconds.
	recipeTimeout = 20_000
)

var errLongRecipe = &message.Error{Code: "E_LIMIT", Message: "the recipe is longer than a megabyte"}

func location(part string) string { return js.Global().Get("location").Get(part).String() }

// query is a parameter of this page's address; "" for none.
func query(name string) string {
	v := js.Global().Get("URLSearchParams").New(location("search")).Call("get", name)
	if v.IsNull() {
		return ""
	}
	return v.String()
}

// absolute is an address as seen from this page.
func absolute(address string) string {
	if !js.Global().Get("URL").Call("canParse", address, location("href")).Bool() {
		return address
	}
	return js.Global().Get("URL").New(address, location("href")).Get("href").String()
}

// takeRecipe takes over the recipe that the address brings, to be applied to the next file.
func (a *app) takeRecipe() {
	r, ok, err := model.FromFragment(location("hash"))
	if from := query("recipe"); !ok && from != "" && a.place.page != "app" {
		var doc []byte
		if doc, err = fetchRecipe(absolute(from)); err == nil {
			r, err = model.FromDocument(doc)
		}
		ok = true
	}
	if err != nil {
		a.showError(err, "link.wrong")
	}
	if !ok || err != nil {
		return
	}
	a.place.recipe = &r
	a.drawLinked()
}

func fetchRecipe(address string) ([]byte, error) {
	fail := func(why string) error {
		return &message.Error{Code: "E_REMOTE_RECIPE", Message: "the recipe could not be fetched: " + why, Hint: address}
	}
	patience := js.Global().Get("AbortSignal").Call("timeout", recipeTimeout)
	res, err := await(js.Global().Call("fetch", address, map[string]any{"credentials": "omit", "referrerPolicy": "no-referrer", "signal": patience}))
	if err != nil {
		return nil, fail("the server does not answer, or does not let other sites read it")
	}
	if !res.Get("ok").Bool() {
		return nil, fail("status " + itoa(res.Get("status").Int()))
	}
	if !res.Get("body").Truthy() {
		return nil, fail("it is empty")
	}
	var doc []byte
	for reader := res.Get("body").Call("getReader"); ; {
		part, err := await(reader.Call("read"))
		switch {
		case err != nil:
			return nil, fail("the connection broke off")
		case part.Get("done").Bool():
			return doc, nil
		}
		chunk := part.Get("value")
		if len(doc)+chunk.Get("byteLength").Int() > maxRecipe {
			reader.Call("cancel")
			return nil, errLongRecipe
		}
		doc = append(doc, fromJS(chunk)...)
	}
}

// drawLinked shows the steps that wait for a file.
func (a *app) drawLinked() {
	r := a.place.recipe
	n := len(r.Steps)
	setText(role("linked-text"), a.text.Count("link.waiting", int64(n), count(n)))
	steps := role("linked-steps")
	clear(steps)
	for i, op := range r.Steps {
		li := clone("t-step")
		setText(find(li, ".step-number"), itoa(i+1))
		setText(find(li, ".step-name"), a.opName(op))
		setText(find(li, ".step-args"), model.Visible(op.Args()))
		steps.AppendChild(li)
	}
	show(role("linked"), true)
}

func (a *app) opName(op model.Op) string {
	if name := "op." + op.Spec.Action; a.text.Has(name) {
		return a.text.Text(name)
	}
	return op.Spec.Name
}

// linked is the recipe of the address for a workspace that is new.
func (a *app) linked(w *workspace) *workspace {
	if r := a.place.recipe; r != nil {
		w.recipe, w.linked = *r, true
	}
	return w
}

// openURL opens a file of a server.
func (a *app) openURL(address string) {
	name := address
	if u, err := url.Parse(address); err == nil {
		name = u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	}
	if name == "" {
		name = address
	}
	a.run(job{
		work: func(ctx context.Context) error {
			return a.load(ctx, a.linked(&workspace{url: address, names: []string{name}}))
		},
		fail: func(err error) {
			a.showError(err, "error.open", "name", model.Visible(name))
			show(find(role("error"), "[data-action=retry]"), true)
		},
	})
}

// link is this page's address with the recipe, and with the file if that lies on a server.
func (a *app) link() string {
	w := a.open
	page, search := "./", ""
	if w.url != "" {
		page, search = "remote.html", "?src="+url.QueryEscape(w.url)
	}
	return js.Global().Get("URL").New(page+search, document.Get("baseURI")).Get("href").String() + w.recipe.Fragment()
}

func (a *app) copyLink() {
	if a.open == nil {
		return
	}
	a.copyText(a.link(), "link.copied")
}
