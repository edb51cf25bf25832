package model

import (
	"slices"

	"github.com/weightroom/weightroom/wasm/message"
)

// fewRows is how many lines a tree may have to be shown with all its groups open.
const fewRows = 400

// View is the part of a tree that is on show: which groups are open, what the filter lets through, where the cursor is.
type View struct {
	// Base is the tree in the order of the file, Tree the same as it is arranged.
	Base, Tree *Tree
	// Rows are the indices of the nodes on show, in order.
	Rows []int32
	// Cursor is an index into Rows, -1 when there are none.
	Cursor int
	// Matches is how many tensors and objects the filter lets through; all of them without one.
	Matches int
	// Only, if set, lets through only the leaves it is true for; Again brings a change of it to effect.
	Only func(n *Node) bool

	arranged Arrangement
	choice   []int8 // by node: groups that the user opened (1) or closed (-1)
	opened   int    // counts what changed choice
	first    []bool // groups that are open without a choice, by node
	query    string
	failure  error
	search   *Query
	shown    []bool // nodes that the filter lets through; nil without a filter

	selection
	baseRows []message.Row
	base     map[string]*message.Row
}

// NewView has every group open if the tree is small, else the first levels and the way to the first leaf.
func NewView() *View {
	return &View{Base: &Tree{}, Tree: &Tree{}, Cursor: -1, selection: selection{anchor: -1}}
}

// SetTree shows t instead. What is open, the filter and the cursor stay as far as the keys are still there.
func (v *View) SetTree(t *Tree, breathe Breathe) {
	a := v.arranged
	arranged := t.Arrange(a, breathe)
	v.rework(breathe, func(next *View, breathe Breathe) {
		if next.arranged != a {
			a, arranged = next.arranged, t.Arrange(next.arranged, nil)
		}
		next.Base = t
		next.show(arranged, false, breathe)
	})
}

// Arrange lays the tree out anew. What is open, the selection and the cursor stay.
func (v *View) Arrange(a Arrangement, breathe Breathe) {
	if a == v.arranged {
		return
	}
	base := v.Base
	t := base.Arrange(a, breathe)
	if base != v.Base {
		return // another tree came, arranged as that one was
	}
	v.rework(breathe, func(next *View, breathe Breathe) {
		if next.Base == base {
			next.arranged = a
			next.show(t, true, breathe)
		}
	})
}

// rework puts what f makes of the view in its place, all at once: each time f breathes the page may draw the view and the user
// may act on it. Then f does it again, in one go, so that nothing is lost.
func (v *View) rework(breathe Breathe, f func(next *View, breathe Breathe)) {
	before, next := v.moment(), *v
	f(&next, breathe)
	if v.moment() != before {
		next = *v
		f(&next, nil)
	}
	next.baseRows, next.base = v.baseRows, v.base
	*v = next
}

// moment is what differs whenever the view has changed.
type moment struct {
	tree                    *Tree
	changes, opened, cursor int
}

func (v *View) moment() moment { return moment{v.Tree, v.Changes, v.opened, v.Cursor} }

// InBase is the node of Base that node i of Tree is, of a folded run its first block; -1 for none.
func (v *View) InBase(i int32) int32 {
	if i < 0 {
		return i
	}
	return v.Tree.inFile(i)
}

// show puts t in place of the tree; sameRows tells that it has the same leaves in another order.
func (v *View) show(t *Tree, sameRows bool, breathe Breathe) {
	cursor := v.keep(t, sameRows, breathe)
	v.Tree = t
	v.first = startOpen(t, breathe)
	v.filter(breathe)
	v.list(breathe)
	v.Cursor = min(v.Cursor, len(v.Rows)-1)
	for ; cursor >= 0; cursor = t.Nodes[cursor].Parent {
		if i := v.rowOf(cursor); i >= 0 {
			v.Cursor = i
			break
		}
	}
	if v.Cursor < 0 && len(v.Rows) > 0 {
		v.Cursor = 0
	}
}

// startOpen opens level after level while the lines stay few, and in any case the way to the first leaf. Groups without
// tensors, such as an optimizer's settings, start closed, and so do folded runs and their blocks.
func startOpen(t *Tree, breathe Breathe) []bool {
	open, folded := make([]bool, len(t.Nodes)), make([]bool, len(t.Nodes))
	perDepth := []int{}
	for i := range t.Nodes {
		breathe.at(i)
		n := &t.Nodes[i]
		for len(perDepth) <= int(n.Depth) {
			perDepth = append(perDepth, 0)
		}
		folded[i] = n.Blocks > 0 || n.Parent >= 0 && folded[n.Parent]
		if n.Parent < 0 || t.Nodes[n.Parent].Keys > 0 && !folded[n.Parent] {
			perDepth[n.Depth]++
		}
	}
	depth, rows := 0, 0
	for d, c := range perDepth {
		rows += c
		if rows > fewRows {
			break
		}
		depth = d
	}
	for i := range t.Nodes {
		breathe.at(i)
		open[i] = t.Nodes[i].Kind == Group && int(t.Nodes[i].Depth) < depth && t.Nodes[i].Keys > 0 && !folded[i]
	}
	for i := 0; i < len(t.Nodes) && t.Nodes[i].Kind == Group && !folded[i]; i++ {
		open[i] = true
	}
	return open
}

// Open tells whether the children of node i are on show. A filter opens all groups.
func (v *View) Open(i int32) bool {
	n := &v.Tree.Nodes[i]
	if n.Kind != Group {
		return false
	}
	if v.shown != nil {
		return true
	}
	if c := v.choice[i]; c != 0 {
		return c > 0
	}
	return v.first[i]
}

func (v *View) choose(i int32, open bool) {
	v.opened++
	if v.choice[i] = -1; open {
		v.choice[i] = 1
	}
}

// SetOpen opens or closes the group at node i.
func (v *View) SetOpen(i int32, open bool) {
	if v.Tree.Nodes[i].Kind != Group || v.shown != nil {
		return
	}
	v.choose(i, open)
	v.relist(nil)
}

// SetAll opens or closes every group from node start to before end.
func (v *View) SetAll(start, end int32, open bool) {
	for i := start; i < end; i++ {
		if v.Tree.Nodes[i].Kind == Group {
			v.choose(i, open)
		}
	}
	v.relist(nil)
}

// OpenSiblings opens all groups beside node i, as * does.
func (v *View) OpenSiblings(i int32) {
	start, end := int32(0), int32(len(v.Tree.Nodes))
	if p := v.Tree.Nodes[i].Parent; p >= 0 {
		start, end = p+1, v.Tree.Nodes[p].End
	}
	for ; start < end; start = v.Tree.Nodes[start].End {
		if v.Tree.Nodes[start].Kind == Group {
			v.choose(start, true)
		}
	}
	v.relist(nil)
}

// OpenToLevel opens the groups above a level, 1 being the top, and closes the others.
func (v *View) OpenToLevel(level int) {
	for i := range v.Tree.Nodes {
		if n := &v.Tree.Nodes[i]; n.Kind == Group {
			v.choose(int32(i), int(n.Depth) < level-1)
		}
	}
	v.relist(nil)
}

// relist lists anew and keeps the cursor on its node, or on the nearest group around it that is still there.
func (v *View) relist(breathe Breathe) {
	node := int32(-1)
	if v.Cursor >= 0 && v.Cursor < len(v.Rows) {
		node = v.Rows[v.Cursor]
	}
	v.list(breathe)
	for node >= 0 {
		if i := v.rowOf(node); i >= 0 {
			v.Cursor = i
			return
		}
		node = v.Tree.Nodes[node].Parent
	}
	v.Cursor = min(max(v.Cursor, 0), len(v.Rows)-1)
}

func (v *View) list(breathe Breathe) {
	rows := make([]int32, 0, cap(v.Rows)) // those of before may be on show until the end
	for i, steps := int32(0), 1; i < int32(len(v.Tree.Nodes)); steps++ {
		breathe.at(steps)
		if v.shown != nil && !v.shown[i] {
			i = v.Tree.Nodes[i].End
			continue
		}
		rows = append(rows, i)
		if v.Tree.Nodes[i].Kind == Group && !v.Open(i) {
			i = v.Tree.Nodes[i].End
			continue
		}
		i++
	}
	v.Rows = rows
}

// rowOf is the position of a node in Rows, -1 when it isn't on show. Rows ascend, so this is a binary search.
func (v *View) rowOf(node int32) int {
	lo, hi := 0, len(v.Rows)
	for lo < hi {
		if mid := (lo + hi) / 2; v.Rows[mid] < node {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if node >= 0 && lo < len(v.Rows) && v.Rows[lo] == node {
		return lo
	}
	return -1
}

// Pinned are the groups to keep in sight, outermost first, when row top is the first one below the head: those around the
// first row that they leave uncovered, the innermost ones, at most limit.
func (v *View) Pinned(top, limit int) []int32 {
	for n := 0; n <= limit && top >= 0 && top+n < len(v.Rows); n++ {
		var around []int32
		for p := v.Tree.Nodes[v.Rows[top+n]].Parent; p >= 0 && len(around) < limit; p = v.Tree.Nodes[p].Parent {
			around = append(around, p)
		}
		if len(around) <= n {
			slices.Reverse(around)
			return around
		}
	}
	return nil
}

// Current is the node under the cursor, nil when there is none.
func (v *View) Current() *Node {
	if v.Cursor < 0 || v.Cursor >= len(v.Rows) {
		return nil
	}
	return &v.Tree.Nodes[v.Rows[v.Cursor]]
}

// Reveal opens the groups around a node and puts the cursor on it; false when the filter hides it.
func (v *View) Reveal(node int32) bool {
	if v.shown == nil {
		for p := v.Tree.Nodes[node].Parent; p >= 0; p = v.Tree.Nodes[p].Parent {
			v.choose(p, true)
		}
		v.relist(nil)
	}
	i := v.rowOf(node)
	if i >= 0 {
		v.Cursor = i
	}
	return i >= 0
}

// Move puts the cursor n rows further, at most at an end.
func (v *View) Move(n int) {
	v.Cursor = max(min(v.Cursor+n, len(v.Rows)-1), min(0, len(v.Rows)-1))
}

// Left closes the group under the cursor, or goes to the group around it.
func (v *View) Left() {
	n := v.Current()
	if n == nil {
		return
	}
	if i := v.Rows[v.Cursor]; n.Kind == Group && v.Open(i) && v.shown == nil {
		v.SetOpen(i, false)
		return
	}
	if p := v.rowOf(n.Parent); p >= 0 {
		v.Cursor = p
	}
}

// Right opens the group under the cursor, or goes to its first child.
func (v *View) Right() {
	n := v.Current()
	if n == nil || n.Kind != Group {
		return
	}
	if i := v.Rows[v.Cursor]; !v.Open(i) {
		v.SetOpen(i, true)
		return
	}
	v.Move(1)
}

// TypeAhead puts the cursor on the next row whose name starts with text, ignoring ASCII case, and tells whether there is
// one. The row under the cursor counts where text has grown.
func (v *View) TypeAhead(text string, stay bool) bool {
	for k := range v.Rows {
		i := (v.Cursor + k) % len(v.Rows)
		if k == 0 && !stay {
			continue
		}
		if hasFoldPrefix(v.Tree.Nodes[v.Rows[i]].Name, text) {
			v.Cursor = i
			return true
		}
	}
	return false
}

func hasFoldPrefix(s, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if lower(s[i]) != lower(prefix[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
