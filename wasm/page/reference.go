//go:build js

package page

import (
	"context"
	"strings"
	"syscall/js"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// reference is what the checkpoint is compared with, and how it fits.
type reference struct {
	with    *attachment // nil for nothing
	checked message.Checked
	at      string            // path of the mapping that is compared
	marks   map[string]string // by path of a row: "unexpected" or "shape"; none for keys that fit
	only    string            // the count that filters the tree
}

// compareWith makes x the reference.
func (a *app) compareWith(x *attachment) {
	a.reference = reference{with: x}
	show(role("paste"), false)
	a.checkSoon()
}

// checkSoon compares again, after a file came or the recipe changed.
func (a *app) checkSoon() {
	w, x := a.open, a.reference.with
	a.drawReference()
	if w == nil || x == nil {
		return
	}
	recipe := w.recipe.Document()
	go func() {
		var got message.Checked
		_, err := a.worker.do(context.Background(), message.Check, message.CheckRequest{Handle: w.about.Handle, Recipe: recipe, Against: x.Name}, &got, nil, nil)
		if w != a.open || x != a.reference.with || string(recipe) != string(w.recipe.Document()) {
			return // another answer is on its way
		}
		if err != nil {
			a.reference = reference{}
			a.showError(err, "reference.failed")
		} else {
			a.reference.checked = got
			a.reference.mark(got.At)
		}
		a.drawReference()
		a.filterFit()
	}()
}

func (r *reference) mark(at string) {
	r.at, r.marks = at, map[string]string{}
	if at != "" {
		at += "."
	}
	for _, k := range r.checked.Unexpected {
		r.marks[at+k] = "unexpected"
	}
	for _, m := range r.checked.Mismatched {
		r.marks[at+m.Key] = "shape"
	}
}

// fit is how the row of a key fits the reference, "" without one.
func (a *app) fit(n *model.Node) string {
	if a.reference.marks == nil || n.Kind != model.Tensor {
		return ""
	}
	if m := a.reference.marks[n.Path]; m != "" {
		return m
	}
	if at := a.reference.at; at != "" && !strings.HasPrefix(n.Path, at+".") {
		return ""
	}
	return "ok"
}

// filterFit lets only those rows through that the chosen count counts.
func (a *app) filterFit() {
	v, only := a.tree.view, a.reference.only
	v.Only = nil
	if only == "ok" || only == "unexpected" || only == "shape" {
		v.Only = func(n *model.Node) bool { return a.fit(n) == only }
	}
	v.Again(nil)
	a.tree.redraw()
}

// chooseFit is a click on a count.
func (a *app) chooseFit(which string) {
	if a.reference.only == which {
		which = ""
	}
	a.reference.only = which
	a.drawReference()
	a.filterFit()
}

// drawReference shows what is compared, the counts, and the recipe that would help.
func (a *app) drawReference() {
	r := &a.reference
	sel := find(root, "[data-field=reference]")
	a.drawOthers(sel, false)
	shown := r.with != nil && r.marks != nil
	show(role("fit"), shown)
	a.tree.box.Call("toggleAttribute", "data-comparing", shown)
	if r.with == nil {
		invite := textElement("option", a.text.Text("reference.choose"))
		invite.SetAttribute("value", "")
		invite.SetAttribute("hidden", "")
		sel.AppendChild(invite)
		sel.Set("value", "")
		return
	}
	sel.Set("value", r.with.Name)
	c := &r.checked
	for _, f := range []struct {
		name string
		n    int
	}{{"ok", c.OK}, {"missing", len(c.Missing)}, {"unexpected", len(c.Unexpected)}, {"shape", len(c.Mismatched)}} {
		b := find(root, "[data-action=fit-"+f.name+"]")
		setText(find(b, "b"), count(f.n))
		setDisabled(b, f.n == 0)
		b.SetAttribute("aria-pressed", map[bool]string{true: "true", false: "false"}[r.only == f.name])
	}
	verdict := "fit.differs"
	if len(c.Missing)+len(c.Unexpected)+len(c.Mismatched) == 0 {
		verdict = "fit.loads"
	}
	setText(role("fit-verdict"), a.text.Text(verdict))
	role("fit-verdict").Get("classList").Call("toggle", "good", verdict == "fit.loads")
	a.drawFitList()
	a.drawSuggestion()
	show(find(root, "[data-action=differences]"), r.with.Tensors)
}

// drawFitList lists the keys that have no row, or more to say than a row has room for.
func (a *app) drawFitList() {
	r, list := &a.reference, role("fit-list")
	clear(list)
	line := func(from, to string) {
		li := clone("t-change")
		setText(find(li, ".from"), from)
		setText(find(li, ".to"), to)
		list.AppendChild(li)
	}
	const most = 500
	switch r.only {
	case "missing":
		for _, k := range r.checked.Missing[:min(most, len(r.checked.Missing))] {
			line(a.shown(k), "")
		}
		a.more(list, len(r.checked.Missing)-most)
	case "shape":
		for _, m := range r.checked.Mismatched[:min(most, len(r.checked.Mismatched))] {
			line(a.shown(m.Key), a.text.Text("fit.shapes", "got", m.Got, "want", m.Want))
		}
		a.more(list, len(r.checked.Mismatched)-most)
	}
}

func (a *app) more(list element, n int) {
	if n <= 0 {
		return
	}
	li := textElement("li", a.text.Text("change.more", "n", count(n)))
	li.SetClass("change more")
	list.AppendChild(li)
}

func (a *app) drawSuggestion() {
	s := a.reference.checked.Suggestion
	show(role("suggestion"), s != nil)
	if s == nil {
		return
	}
	text := "suggestion.better"
	if s.Compatible {
		text = "suggestion.fits"
	}
	setText(role("suggestion-text"), a.text.Text(text, "before", count(s.Before), "matched", count(s.Matched), "wanted", a.keys(s.Wanted)))
	list := role("suggestion-steps")
	clear(list)
	recipe, err := model.FromDocument(s.Recipe)
	if err != nil {
		return
	}
	for i, op := range recipe.Steps {
		li := clone("t-step")
		setText(find(li, ".step-number"), itoa(i+1))
		setText(find(li, ".step-name"), a.opName(op))
		setText(find(li, ".step-args"), model.Visible(op.Args()))
		if i < len(s.Steps) {
			setText(find(li, ".step-effect"), a.text.Text("suggestion.gain", "keys", a.keys(s.Steps[i].Gained), "sure", count(int(s.Steps[i].Sure*100+0.5))))
		}
		li.Get("classList").Call("add", "plain")
		list.AppendChild(li)
	}
	a.drawGrounds(s)
}

// drawGrounds shows what a suggestion rests on: which key becomes which, the least sure first, and what could be meant as
// well. Then what load_state_dict would say after it.
func (a *app) drawGrounds(s *message.Suggestion) {
	pairs := role("suggestion-pairs")
	clear(pairs)
	for _, p := range s.Pairs {
		li := clone("t-pair")
		start, end := common(p.Got, p.Want)
		marked(find(li, ".from"), p.Got, start, end)
		marked(find(li, ".to"), p.Want, start, end)
		sure := find(li, ".sure")
		setText(sure, a.text.Text("suggestion.sure", "n", count(int(p.Sure*100+0.5))))
		sure.Get("classList").Call("toggle", "doubt", p.Sure < 1)
		pairs.AppendChild(li)
	}
	a.more(pairs, s.AllPairs-len(s.Pairs))
	show(role("suggestion-all"), len(s.Pairs) > 0)
	setText(role("suggestion-all-text"), a.text.Text("suggestion.pairs", "keys", a.keys(s.AllPairs)))
	doubts := role("suggestion-doubts")
	clear(doubts)
	for _, k := range s.Ambiguous {
		doubts.AppendChild(a.finding(statedict.Finding{Message: a.doubt(&k)}))
	}
	show(role("suggestion-after"), s.After != nil)
	if s.After == nil {
		return
	}
	setText(role("suggestion-after"), a.text.Text("suggestion.after", "ok", count(s.After.OK), "missing", count(len(s.After.Missing)),
		"unexpected", count(len(s.After.Unexpected)), "shape", count(len(s.After.Mismatched))))
	rest := role("suggestion-rest")
	clear(rest)
	const most = 100
	line := func(kind, key, text string) {
		li := clone("t-change")
		setText(find(li, ".from"), a.shown(key))
		setText(find(li, ".to"), text)
		li.SetAttribute("data-fit", kind)
		rest.AppendChild(li)
	}
	f := s.After
	for _, k := range f.Missing[:min(most, len(f.Missing))] {
		line("missing", k, a.text.Text("fit.missing"))
	}
	for _, k := range f.Unexpected[:min(most, len(f.Unexpected))] {
		line("unexpected", k, a.text.Text("fit.unexpected"))
	}
	for _, m := range f.Mismatched[:min(most, len(f.Mismatched))] {
		line("shape", m.Key, a.text.Text("fit.shapes", "got", m.Got, "want", m.Want))
	}
	a.more(rest, max(0, len(f.Missing)-most)+max(0, len(f.Unexpected)-most)+max(0, len(f.Mismatched)-most))
}

// doubt says what else could be meant, or what an error does not say.
func (a *app) doubt(k *statedict.AmbiguousKey) string {
	name := func(group string) string {
		switch group {
		case "":
			return a.text.Text("suggestion.root")
		case "**":
			return a.text.Text("suggestion.everything")
		}
		return model.Visible(group)
	}
	var candidates []string
	for _, c := range k.Candidates {
		candidates = append(candidates, name(c))
	}
	key, list := name(k.Key), strings.Join(candidates, ", ")
	switch k.Kind {
	case statedict.AmbiguousFrom:
		return a.text.Text("suggestion.from", "key", key, "candidates", list)
	case statedict.AmbiguousOpen:
		return a.text.Text("suggestion.open", "key", key, "candidates", list)
	case statedict.AmbiguousUnsaid:
		return a.text.Text("suggestion.unsaid", "key", key)
	}
	return a.text.Text("suggestion.ambiguous", "key", key, "candidates", list)
}

// takeSuggestion makes the suggested steps the next ones.
func (a *app) takeSuggestion() {
	s := a.reference.checked.Suggestion
	if s == nil || !a.closePanel() {
		return
	}
	r, err := model.FromDocument(s.Recipe)
	if err != nil {
		a.showError(err, "error.failed")
		return
	}
	a.reference.only = ""
	a.edit(func(own *model.Recipe) bool {
		if own.Done > 0 {
			r.HasAt = false
		}
		own.Append(r)
		return true
	}, nil, nil)
}

// listenReference sets the controls of this part up.
func (a *app) listenReference() {
	on(find(root, "[data-field=reference]"), "change", func(ev js.Value) {
		for _, x := range a.others {
			if x.Name == ev.Get("target").Get("value").String() {
				a.compareWith(x)
			}
		}
	})
}

// actReference is act for them.
func (a *app) actReference(action string) {
	switch action {
	case "choose-other":
		find(root, "#other").Click()
	case "paste-error":
		show(role("paste"), !visible(role("paste")))
		if visible(role("paste")) {
			find(root, "[data-field=pasted]").Focus()
		}
	case "use-pasted":
		if text := value(find(root, "[data-field=pasted]")); strings.TrimSpace(text) != "" {
			a.attach(nil, text, a.compareWith)
		}
	case "take-suggestion":
		a.takeSuggestion()
	case "stop-comparing":
		a.reference = reference{}
		a.closeDiff()
		a.drawReference()
		a.filterFit()
	default:
		if which, ok := strings.CutPrefix(action, "fit-"); ok {
			a.chooseFit(which)
		}
	}
}
