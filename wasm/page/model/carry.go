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
func carry(from, to *Tree) []int32 {
	there := make(map[spot]int32, len(to.Nodes))
	for i := range to.Nodes {
		there[to.spot(int32(i), to.around(int32(i)))] = int32(i)
	}
	out := make([]int32, len(from.Nodes))
	for i := range from.Nodes {
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

// keep carries over what the user opened, closed and selected in the tree before. sameRows: only the order is another.
func (v *View) keep(t *Tree, sameRows bool) {
	touched := false
	for _, c := range v.choice {
		touched = touched || c != 0
	}
	var ids []int32
	if touched || v.picked {
		ids = carry(v.Tree, t)
	}
	choice, marked := make([]int8, len(t.Nodes)), make([]bool, len(t.Nodes))
	for i, id := range ids {
		if id >= 0 {
			choice[id], marked[id] = v.choice[i], v.marked[i]
		}
	}
	if !sameRows {
		leaves := 0
		for i := range t.Nodes {
			if t.Nodes[i].Kind != Group {
				leaves++
			}
		}
		on := make([]bool, leaves)
		for i, id := range ids {
			if n := &v.Tree.Nodes[i]; id >= 0 && n.Kind != Group && v.on[n.Index] {
				on[t.Nodes[id].Index] = true
			}
		}
		v.on = on
	}
	if ids != nil && v.anchor >= 0 {
		v.anchor = ids[v.anchor]
	} else {
		v.anchor = -1
	}
	v.choice, v.marked, v.counted = choice, marked, false
	v.Changes++
}
