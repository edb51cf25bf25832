//go:build js

package page

import (
	"slices"
	"syscall/js"
)

// mostPinned is how many groups stay on top while their rows scroll by.
const mostPinned = 3

// sticky shows the groups around the first row in sight, the innermost ones. They repeat rows of the tree, so assistive
// technology is not told of them; a click goes to the group.
type sticky struct {
	tree *treeView
	box  element
	rows []*rowView
	ids  []int32 // on show
}

func newSticky(t *treeView) *sticky {
	s := &sticky{tree: t, box: role("sticky")}
	for range mostPinned {
		el := clone("t-row")
		el.RemoveAttribute("role")
		el.RemoveAttribute("aria-selected")
		show(el, false)
		s.box.AppendChild(el)
		s.rows = append(s.rows, viewOf(el))
	}
	on(s.box, "click", s.click)
	return s
}

func (s *sticky) draw(top, height float64) {
	t := s.tree
	ids := t.view.Pinned(int(top/t.height), s.most(height))
	if slices.Equal(ids, s.ids) && (len(ids) == 0 || s.rows[0].node != nil) {
		return
	}
	s.ids = append(s.ids[:0], ids...)
	show(s.box, len(ids) > 0)
	for i, r := range s.rows {
		show(r.el, i < len(ids))
		if i >= len(ids) {
			continue
		}
		if n := &t.view.Tree.Nodes[ids[i]]; r.node != n {
			r.node = n
			t.fillNode(r, n)
			r.el.SetAttribute("aria-expanded", "true")
		}
	}
}

// most is how many may be pinned in a window of a height: never more than a part of it.
func (s *sticky) most(height float64) int {
	return max(0, min(mostPinned, int(height/max(1, s.tree.height)/6)))
}

func (s *sticky) click(ev js.Value) {
	el := ev.Get("target").Call("closest", ".row")
	for i, r := range s.rows {
		if i < len(s.ids) && r.el.Underlying().Equal(el) {
			if s.tree.view.Reveal(s.ids[i]) {
				s.tree.view.SelectCursor()
			}
			s.tree.touched = true
			s.tree.box.Focus()
			s.tree.refresh()
			s.tree.reveal()
			return
		}
	}
}
