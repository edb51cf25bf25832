//go:build js

package page

import "github.com/weightroom/weightroom/wasm/page/model"

// filter narrows the tree to what the search says. Of a large tree that takes a few turns; the last words typed count.
func (t *treeView) filter() {
	if len(t.view.Base.Nodes) < atOnce {
		t.drawFilter(t.view.Filter(t.words(), nil))
		return
	}
	if t.filtering {
		return
	}
	t.filtering = true
	go func() {
		for {
			view, words := t.view, t.words()
			err := view.Filter(words, breathing())
			if view == t.view && words == t.words() {
				t.filtering = false
				t.drawFilter(err)
				return
			}
		}
	}()
}

// words are what is typed in the search.
func (t *treeView) words() string { return value(find(root, "#filter")) }

func (t *treeView) drawFilter(err error) {
	matches := role("matches")
	t.forget() // other parts of the names are marked
	matches.Get("classList").Call("toggle", "wrong", err != nil)
	t.box.Set("scrollTop", 0)
	t.refresh()
	if err != nil {
		setText(matches, t.app.text.Text("filter.wrong", "error", model.VisibleAll(err.Error())))
	}
	if t.entered {
		t.enterMatches()
	}
}

// enterMatches goes from the search to the first match.
func (t *treeView) enterMatches() {
	if t.entered = t.filtering; t.entered {
		return // drawFilter comes back
	}
	t.view.Cursor = -1
	t.view.Next(1)
	t.view.SelectCursor()
	t.touched = true
	t.box.Focus()
	t.refresh()
	t.reveal()
}
