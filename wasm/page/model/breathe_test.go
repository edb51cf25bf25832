package model

import (
	"fmt"
	"testing"

	"github.com/weightroom/weightroom/wasm/message"
)

// What the user does while the tree is being laid out, filtered or replaced is there afterwards, as if it had come first.
func TestBreathe(t *testing.T) {
	var paths []string
	for i := range 4 * breath {
		paths = append(paths, fmt.Sprintf("layers.%d.%s", i/4, []string{"q", "k", "v", "o"}[i%4]))
	}
	long := []struct {
		name string
		do   func(v *View, b Breathe)
	}{
		{"sort", func(v *View, b Breathe) { v.Arrange(Arrangement{Order: ByName, Desc: true}, b) }},
		{"fold", func(v *View, b Breathe) { v.Arrange(Arrangement{Fold: true}, b) }},
		{"filter", func(v *View, b Breathe) { v.Filter("layers.1", b) }},
		{"replace", func(v *View, b Breathe) { v.SetTree(NewTree(rows(paths[:3*breath]...), b), b) }},
	}
	short := []struct {
		name string
		do   func(v *View)
	}{
		{"nothing", func(*View) {}},
		{"cursor", func(v *View) { v.Reveal(v.Tree.Find("layers.1001.q", Tensor)) }},
		{"select", func(v *View) { v.Reveal(v.Tree.Find("layers.12.v", Tensor)); v.SelectCursor() }},
		{"close", func(v *View) { v.SetOpen(v.Tree.Find("layers.1", Group), false) }},
		{"search", func(v *View) { v.Filter("1 k", nil) }},
		{"fold", func(v *View) { v.Arrange(Arrangement{Fold: true, Order: ByName}, nil) }},
		{"replace", func(v *View) { v.SetTree(NewTree(rows(paths[:breath]...), nil), nil) }},
	}
	view := func() *View {
		v := NewView()
		v.SetTree(NewTree(rows(paths...), nil), nil)
		v.SetOpen(v.Tree.Find("layers.1", Group), true)
		return v
	}
	for _, l := range long {
		steps := 0
		l.do(view(), func() { steps++ })
		if steps < 4 {
			t.Errorf("%s lets others act %d times", l.name, steps)
		}
		for _, s := range short {
			for _, when := range []int{1, steps / 2, steps} {
				got, n := view(), 0
				l.do(got, func() {
					if n++; n == when {
						s.do(got)
					}
				})
				switch {
				case l.name == "sort" && s.name == "fold", l.name == "fold" && s.name == "fold", l.name == "replace" && s.name == "replace", l.name == "filter" && s.name == "search":
					continue // which of two of the same kind counts is for the caller to settle
				case (l.name == "sort" || l.name == "fold") && s.name == "replace":
					// The arrangement was of the tree before; the caller arranges the new one.
					l.do(got, nil)
				}
				want := view()
				s.do(want)
				l.do(want, nil)
				if a, b := state(got), state(want); a != b {
					t.Errorf("%s, at breath %d of %d of %s:\ngot  %.300s\nwant %.300s", s.name, when, steps, l.name, a, b)
				}
			}
		}
	}
}

// state is what the user sees of a view.
func state(v *View) string {
	var lines, selected []string
	for _, i := range v.Rows {
		lines = append(lines, fmt.Sprint(v.Tree.Nodes[i].Path, v.Open(i), v.Selected(i)))
	}
	v.EachSelected(func(r *message.Row) bool {
		selected = append(selected, r.Path)
		return true
	})
	cursor := ""
	if n := v.Current(); n != nil {
		cursor = n.Path
	}
	return fmt.Sprint(cursor, " ", selected, " ", v.Matches, " ", v.Query(), " ", len(lines), " ", lines)
}
