package model

// spot is where a node stands, in words that outlast a new tree: what it is below which node.
type spot struct {
	parent int32
	kind   byte // the first letter of its kind; of a folded run another
	name   string
}

func (t *Tree) spot(i, parent int32) spot {
	n := &t.Nodes[i]
	if n.Blocks > 0 {
		return spot{parent, 'f', n.Name}
	}
	return spot{parent, n.Kind[0], n.Name}
}

// carry finds the nodes of one tree in another: by node of from the node of to, -1 for none. A folded run does not count as
// a level. It takes time and memory in proportion to the nodes, however long their paths are.
func carry(from, to *Tree, breathe Breathe) []int32 {
	there := make(map[spot]int32, len(to.Nodes))
	for i := range to.Nodes {
		breathe.at(i)
		there[to.spot(int32(i), to.around(int32(i)))] = int32(i)
	}
	out := make([]int32, len(from.Nodes))
	for i := range from.Nodes {
		breathe.at(i)
		p := from.around(int32(i))
		if p >= 0 {
			if p = out[p]; p < 0 {
				out[i] = -1
				continue
			}
		}
		if n, ok := there[from.spot(int32(i), p)]; ok {
			out[i] = n
		} else {
			out[i] = -1
		}
	}
	return out
}

// around is the group around node i, folded runs left out; -1 at the top.
func (t *Tree) around(i int32) int32 {
	p := t.Nodes[i].Parent
	for p >= 0 && t.Nodes[p].Blocks > 0 {
		p = t.Nodes[p].Parent
	}
	return p
}

// inFile is what node i is in the tree of the file.
func (t *Tree) inFile(i int32) int32 {
	if t.from == nil {
		return i
	}
	return t.from[i]
}

// moved finds the nodes of one arrangement in another of the same tree, as carry does. A folded run that the other does not
// have is its first block there.
func moved(from, to *Tree, nodes int, breathe Breathe) []int32 {
	there, runs := make([]int32, nodes), map[int32]int32{}
	for i := range to.Nodes {
		breathe.at(i)
		if at := to.inFile(int32(i)); to.Nodes[i].Blocks > 0 {
			runs[at] = int32(i)
		} else {
			there[at] = int32(i)
		}
	}
	out := make([]int32, len(from.Nodes))
	for i := range from.Nodes {
		breathe.at(i)
		at := from.inFile(int32(i))
		out[i] = there[at]
		if run, ok := runs[at]; ok && from.Nodes[i].Blocks > 0 {
			out[i] = run
		}
	}
	return out
}

// keep carries over what the user opened, closed and selected in the tree before, and answers where the node under the cursor
// is now. sameRows: only the arrangement is another.
func (v *View) keep(t *Tree, sameRows bool, breathe Breathe) (cursor int32) {
	touched := v.picked || v.Cursor > 0
	for _, c := range v.choice {
		touched = touched || c != 0
	}
	var ids []int32
	switch {
	case sameRows:
		ids = moved(v.Tree, t, len(v.Base.Nodes), breathe)
	case touched:
		ids = carry(v.Tree, t, breathe)
	}
	choice, marked := make([]int8, len(t.Nodes)), make([]bool, len(t.Nodes))
	for i, id := range ids {
		breathe.at(i)
		if id >= 0 && (v.Tree.Nodes[i].Blocks == t.Nodes[id].Blocks || !sameRows) {
			choice[id], marked[id] = v.choice[i], v.marked[i]
		}
	}
	if !sameRows {
		rows := int32(0)
		for i := range t.Nodes {
			breathe.at(i)
			rows = max(rows, t.Nodes[i].Index+1)
		}
		on := make([]bool, rows)
		for i, id := range ids {
			breathe.at(i)
			if n := &v.Tree.Nodes[i]; id >= 0 && n.Kind != Group && v.on[n.Index] {
				on[t.Nodes[id].Index] = true
			}
		}
		v.on = on
	}
	if cursor = -1; ids != nil && v.Current() != nil {
		cursor = ids[v.Rows[v.Cursor]]
	}
	if ids != nil && v.anchor >= 0 {
		v.anchor = ids[v.anchor]
	} else {
		v.anchor = -1
	}
	v.choice, v.marked = choice, marked
	v.lo, v.hi = 0, int32(len(t.Nodes))
	v.changed()
	return cursor
}
