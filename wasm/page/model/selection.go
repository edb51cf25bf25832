package model

import (
	"slices"

	"github.com/weightroom/weightroom/wasm/message"
)

// selection is which leaves are selected. A group is selected through its leaves: through all that a filter lets through.
type selection struct {
	on     []bool // by Index of a leaf
	marked []bool // by node: groups that were selected as such
	anchor int32  // node that a range starts at, -1 for none
	picked bool   // something may be selected
	lo, hi int32  // nodes: in front of lo and from hi on nothing is selected or marked
	// Changes counts what may have changed the selection.
	Changes int

	counted bool
	chosen  []int32 // by node from lo to hi: selected leaves from lo to in front of it
	shows   []int32 // by node: leaves on show in front of it, with one more for the end
}

// Mark tells how much of a node is selected.
type Mark uint8

const (
	None Mark = iota
	Some      // of a group: a part of its leaves
	All
)

// Selected tells whether node i is selected. A group is when all its leaves are and it, or a group around it, was itself
// selected; with all leaves picked one by one it has some.
func (v *View) Selected(i int32) Mark {
	n := &v.Tree.Nodes[i]
	switch {
	case !v.picked:
		return None
	case n.Kind != Group:
		if v.on[n.Index] {
			return All
		}
		return None
	}
	chosen := v.chosenBefore(n.End) - v.chosenBefore(i)
	switch {
	case chosen == 0:
		return None
	case v.within(i) && chosen == v.shows[n.End]-v.shows[i]:
		return All
	}
	return Some
}

// within tells whether node i or a group around it was selected as such.
func (v *View) within(i int32) bool {
	for ; i >= 0; i = v.Tree.Nodes[i].Parent {
		if v.marked[i] {
			return true
		}
	}
	return false
}

// chosenBefore is how many selected leaves on show stand in front of node i, at least from lo on.
func (v *View) chosenBefore(i int32) int32 {
	if !v.counted {
		v.counted = true
		v.chosen = slices.Grow(v.chosen[:0], int(v.hi-v.lo)+1)[:v.hi-v.lo+1]
		n := int32(0)
		for j := range v.chosen {
			v.chosen[j] = n
			i := v.lo + int32(j)
			if i == v.hi {
				break
			}
			if d := &v.Tree.Nodes[i]; d.Kind != Group && (v.shown == nil || v.shown[i]) && v.on[d.Index] {
				n++
			}
		}
	}
	return v.chosen[min(max(i, v.lo), v.hi)-v.lo]
}

// changed says that the selection is another, or what is on show of it.
func (v *View) changed() {
	v.counted = false
	v.Changes++
}

// set selects the leaves of node i that are on show, or takes them out.
func (v *View) set(i int32, on bool) {
	v.changed()
	v.picked = v.picked || on
	n := &v.Tree.Nodes[i]
	if on {
		if v.lo == v.hi {
			v.lo, v.hi = i, n.End
		}
		v.lo, v.hi = min(v.lo, i), max(v.hi, n.End)
	}
	for ; i < n.End; i++ {
		d := &v.Tree.Nodes[i]
		if d.Kind == Group {
			v.marked[i] = on && d == n
		} else if v.shown == nil || v.shown[i] {
			v.on[d.Index] = on
		}
	}
}

// Deselect takes everything out of the selection.
func (v *View) Deselect() {
	for i := v.lo; i < v.hi; i++ {
		v.marked[i] = false
		if n := &v.Tree.Nodes[i]; n.Kind != Group {
			v.on[n.Index] = false
		}
	}
	v.lo, v.hi, v.picked = 0, 0, false
	v.changed()
}

// SelectCursor selects the row under the cursor and nothing else. Ranges start there.
func (v *View) SelectCursor() {
	v.Deselect()
	v.anchor = -1
	if v.Current() != nil {
		v.anchor = v.Rows[v.Cursor]
		v.set(v.anchor, true)
	}
}

// ToggleCursor takes the row under the cursor into the selection or out of it. Ranges start there.
func (v *View) ToggleCursor() {
	if v.Current() == nil {
		return
	}
	v.anchor = v.Rows[v.Cursor]
	v.set(v.anchor, v.Selected(v.anchor) != All)
}

// SelectRange selects the rows from where the last selection began to the cursor. Of an open group that are those of its
// rows which lie in the range.
func (v *View) SelectRange() {
	if v.Current() == nil {
		return
	}
	from := v.rowOf(v.anchor)
	if from < 0 || from == v.Cursor {
		v.SelectCursor()
		return
	}
	v.Deselect()
	lo, hi := min(from, v.Cursor), max(from, v.Cursor)
	behind := int32(0) // of the group that was selected last
	for _, i := range v.Rows[lo : hi+1] {
		end := v.Tree.Nodes[i].End
		switch {
		case i < behind:
		case v.Open(i) && hi+1 < len(v.Rows) && v.Rows[hi+1] < end: // it goes on behind the range
		default:
			v.set(i, true)
			behind = end
		}
	}
}

// SelectAll selects all leaves on show and nothing else.
func (v *View) SelectAll() {
	v.Deselect()
	for i := int32(0); i < int32(len(v.Tree.Nodes)); i = v.Tree.Nodes[i].End {
		if v.shown == nil || v.shown[i] {
			v.set(i, true)
		}
	}
	if v.anchor = -1; v.Current() != nil {
		v.anchor = v.Rows[v.Cursor]
	}
}

// Several tells whether more than one leaf is selected.
func (v *View) Several() bool {
	n := 0
	v.EachSelected(func(*message.Row) bool {
		n++
		return n < 2
	})
	return n > 1
}

// EachSelected calls f for every selected row, in the order of the tree, until it answers false.
func (v *View) EachSelected(f func(r *message.Row) bool) {
	if !v.picked {
		return
	}
	for i := v.lo; i < v.hi; i++ {
		if n := &v.Tree.Nodes[i]; n.Kind != Group && v.on[n.Index] && !f(n.Row) {
			return
		}
	}
}
