//go:build js

package page

import (
	"context"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// offer asks, by the way, whether a file that was opened beside another one was meant for that one.
func (a *app) offer(before, w *workspace) {
	if visible(role("notice")) && visible(find(role("notice"), "[data-action=update]")) {
		return // that one matters more
	}
	a.offered.to, a.offered.with = before, w
	a.notify("offer", "offer.text", "name", model.Visible(w.about.Name))
	a.nameOffers()
}

// nameOffers says what the links of the notice do.
func (a *app) nameOffers() {
	before := a.offered.to
	if before == nil {
		return
	}
	setText(find(root, "[data-action=offer-compare]"), a.text.Text("offer.compare", "name", model.Visible(before.about.Name)))
	setText(find(root, "[data-action=offer-merge]"), a.text.Text("offer.merge", "name", model.Visible(before.about.Name)))
}

// takeOffer goes back to the file from before and uses the new one as its reference, or as a source of keys.
func (a *app) takeOffer(merge bool) {
	to, with := a.offered.to, a.offered.with
	show(role("notice"), false)
	if to == nil || with == nil {
		return
	}
	a.run(job{
		work: func(ctx context.Context) error {
			x, err := a.attachTab(ctx, with)
			if err != nil {
				return err
			}
			a.turnTo(to)
			if merge {
				a.openMerge(x)
			} else {
				a.compareWith(x)
			}
			return nil
		},
	})
}

// openMerge opens the form that adds the keys of x.
func (a *app) openMerge(x *attachment) {
	if spec := model.SpecOf("merge"); x.Tensors {
		a.openForm(model.Op{Spec: spec, Values: map[string]string{"from": x.Name}}, 0)
		find(root, ".more-operations").Set("open", true)
		return
	}
	a.compareWith(x)
}

// attachTab makes an open file known to recipes and comparisons, under its name. Nothing is read again.
func (a *app) attachTab(ctx context.Context, w *workspace) (*attachment, error) {
	for _, x := range a.others {
		if x.tab == w {
			return x, nil
		}
	}
	x := &attachment{files: w.files, names: w.names, tab: w}
	x.Name = w.names[0]
	req := x.request()
	req.Handle = w.about.Handle
	if _, err := a.worker.do(ctx, message.Attach, req, &x.Attached, nil, nil); err != nil {
		return nil, err
	}
	a.addOther(x)
	return x, nil
}

// addOther keeps an attachment; one of the same name gives its place up.
func (a *app) addOther(x *attachment) {
	for i, old := range a.others {
		if old.Name == x.Name {
			a.others = append(a.others[:i:i], a.others[i+1:]...)
			break
		}
	}
	a.others = append(a.others, x)
}

// letGo drops the attachments of files that are no tabs any more and that nothing names.
func (a *app) letGo() {
	var kept []*attachment
	for _, x := range a.others {
		if x.tab == nil || a.named(x) {
			kept = append(kept, x)
			continue
		}
		go a.worker.do(context.Background(), message.Detach, message.AttachRequest{Name: x.Name}, nil, nil, nil)
	}
	a.others = kept
}

// named tells whether a tab is x itself, compares with it, or has a step that names it.
func (a *app) named(x *attachment) bool {
	if a.reference.with == x {
		return true
	}
	for _, t := range a.tabs {
		if t == x.tab || t.shown != nil && t.shown.reference.with == x {
			return true
		}
		for _, op := range t.recipe.Steps {
			for _, f := range op.Spec.Fields {
				if f.File && op.Values[f.Name] == x.Name {
					return true
				}
			}
		}
	}
	return false
}
