package model

import "github.com/weightroom/weightroom/wasm/message"

// selection is which leaves are selected. A group is selected through its leaves: through all that a filter lets through.
type selection struct {
	on     []bool          // by Index of a leaf
	marked map[string]bool // groups that were selected as such, by the key of their choice
	anchor int32           // node that a range starts at, -1 for none
	leaves int             // in the tree

	counted       bool
	chosen, shows []int32 // by node: selected leaves, and leaves on show, in front of it
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
	if n.Kind != Group {
		if v.isOn(n.Index) {
			return All
		}
		return None
	}
	if len(v.on) == 0 {
		return None
	}
	chosen, shown := v.within(i)
	if chosen == 0 {
		return None
	}
	if chosen == shown {
		for g := i; g >= 0; g = v.Tree.Nodes[g].Parent {
			if v.marked[choiceOf(&v.Tree.Nodes[g])] {
				return All
			}
		}
	}
	return Some
}

func (v *View) isOn(index int32) bool { return int(index) < len(v.on) && v.on[index] }

// within counts the leaves below node i that are selected and on show, and those on show.
func (v *View) within(i int32) (chosen, shown int32) {
	if !v.counted {
		v.countLeaves()
	}
	end := v.Tree.Nodes[i].End
	return v.chosen[end] - v.chosen[i], v.shows[end] - v.shows[i]
}

func (v *View) countLeaves() {
	v.counted = true
	n := len(v.Tree.Nodes)
	if cap(v.chosen) <= n {
		v.chosen, v.shows = make([]int32, n+1), make([]int32, n+1)
	}
	v.chosen, v.shows = v.chosen[:n+1], v.shows[:n+1]
	chosen, shows := int32(0), int32(0)
	for i := range v.Tree.Nodes {
		v.chosen[i], v.shows[i] = chosen, shows
		if d := &v.Tree.Nodes[i]; d.Kind != Group && (v.shown == nil || v.shown[i]) {
			shows++
			if v.isOn(d.Index) {
				chosen++
			}
		}
	}
	v.chosen[n], v.shows[n] = chosen, shows
}

// set selects the leaves of node i that are on show, or takes them out.
func (v *View) set(i int32, on bool) {
	v.counted = false
	if v.on == nil {
		v.on = make([]bool, v.leaves)
	}
	n := &v.Tree.Nodes[i]
	if n.Kind == Group {
		if on {
			if v.marked == nil {
				v.marked = map[string]bool{}
			}
			v.marked[choiceOf(n)] = true
		} else {
			delete(v.marked, choiceOf(n))
		}
	}
	for ; i < n.End; i++ {
		if d := &v.Tree.Nodes[i]; d.Kind != Group && (v.shown == nil || v.shown[i]) {
			v.on[d.Index] = on
		}
	}
}

// Deselect takes everything out of the selection.
func (v *View) Deselect() {
	clear(v.on)
	v.marked, v.counted = nil, false
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
	for _, i := range v.Rows[lo : hi+1] {
		if v.Open(i) && hi+1 < len(v.Rows) && v.Rows[hi+1] < v.Tree.Nodes[i].End {
			continue // it goes on behind the range
		}
		v.set(i, true)
	}
}

// SelectAll selects all leaves on show.
func (v *View) SelectAll() {
	for i := int32(0); i < int32(len(v.Tree.Nodes)); i = v.Tree.Nodes[i].End {
		if v.shown == nil || v.shown[i] {
			v.set(i, true)
		}
	}
	if v.anchor = -1; v.Current() != nil {
		v.anchor = v.Rows[v.Cursor]
	}
}

// keepSelection carries the selection over to a tree of other rows, as far as the keys are still there.
func (v *View) keepSelection(t *Tree) {
	was := map[string]bool{}
	for i := range v.Tree.Nodes {
		if n := &v.Tree.Nodes[i]; n.Kind != Group && v.isOn(n.Index) {
			was[string(n.Kind)+n.Path] = true
		}
	}
	v.on, v.leaves, v.counted = nil, 0, false
	for i := range t.Nodes {
		if t.Nodes[i].Kind != Group {
			v.leaves++
		}
	}
	if v.anchor = -1; len(was) == 0 {
		v.marked = nil
		return
	}
	v.on = make([]bool, v.leaves)
	for i := range t.Nodes {
		if n := &t.Nodes[i]; n.Kind != Group {
			v.on[n.Index] = was[string(n.Kind)+n.Path]
		}
	}
}

// choiceOf is what the open groups and the selected ones are known by.
func choiceOf(n *Node) string { return n.Path }

// EachSelected calls f for every selected row, in the order of the tree, until it answers false.
func (v *View) EachSelected(f func(r *message.Row) bool) {
	for i := range v.Tree.Nodes {
		if n := &v.Tree.Nodes[i]; n.Kind != Group && v.isOn(n.Index) && !f(n.Row) {
			return
		}
	}
}
