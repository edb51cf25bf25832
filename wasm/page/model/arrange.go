package model

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/wasm/message"
)

// Order is what the nodes of a group are sorted by.
type Order uint8

const (
	ByFile Order = iota // as they come in the file
	ByName              // numbers in names by their value
	ByType
	ByNumel
	ByBytes
)

// Arrangement is how a tree is laid out: sorted within its groups, and with runs of equal blocks folded.
type Arrangement struct {
	Order Order
	Desc  bool
	Fold  bool
}

// Arrange is t in another layout; t itself where nothing changes. Folded runs are nodes of their own around their blocks. It
// takes a third of the memory of t.
func (t *Tree) Arrange(a Arrangement, breathe Breathe) *Tree {
	if a == (Arrangement{}) || len(t.Nodes) == 0 {
		return t
	}
	out := &Tree{Nodes: make([]Node, 0, len(t.Nodes)+len(t.Nodes)/8+16), Largest: t.Largest, from: make([]int32, 0, len(t.Nodes)+len(t.Nodes)/8+16)}
	type frame struct {
		items    []item
		at, node int32 // next item, and the node around them
	}
	stack := []frame{{t.items(0, int32(len(t.Nodes)), a, breathe), 0, -1}}
	for len(stack) > 0 {
		f := &stack[len(stack)-1]
		if int(f.at) == len(f.items) {
			if f.node >= 0 {
				n := &out.Nodes[f.node]
				if n.End = int32(len(out.Nodes)); n.Blocks > 0 {
					n.Type = ""
					out.close(f.node)
				}
			}
			stack = stack[:len(stack)-1]
			continue
		}
		it := f.items[f.at]
		f.at++
		n := t.Nodes[it.node]
		if it.blocks > 0 {
			n = t.fold(it)
		}
		id := int32(len(out.Nodes))
		n.Parent, n.Depth, n.Pos, n.Size, n.End = f.node, int32(len(stack)-1), f.at, int32(len(f.items)), id+1
		out.from = append(out.from, it.node)
		out.Nodes = append(out.Nodes, n)
		breathe.at(len(out.Nodes))
		switch {
		case it.blocks > 0:
			stack = append(stack, frame{t.blocks(it, a, breathe), 0, id})
		case n.Kind == Group:
			stack = append(stack, frame{t.items(it.node+1, t.Nodes[it.node].End, a, breathe), 0, id})
		}
	}
	return out
}

// item is a child of a group, or a run of blocks among the children that begins with it.
type item struct{ node, blocks int32 }

// items are the children between two nodes, as a arranges them.
func (t *Tree) items(start, end int32, a Arrangement, breathe Breathe) (out []item) {
	for i, done := start, 1; i < end; i, done = t.Nodes[i].End, done+1 {
		breathe.at(done)
		if n := len(out); a.Fold && n > 0 && t.follows(t.lastBlock(out[n-1]), i) {
			if out[n-1].blocks == 0 {
				out[n-1].blocks = 1
			}
			out[n-1].blocks++
			continue
		}
		out = append(out, item{node: i})
	}
	t.sort(out, a, breathe)
	return out
}

// lastBlock is the last node of an item.
func (t *Tree) lastBlock(it item) int32 {
	if it.blocks == 0 {
		return it.node
	}
	// All blocks have the same number of nodes.
	size := t.Nodes[it.node].End - it.node
	return it.node + (it.blocks-1)*size
}

// blocks are the nodes of a run.
func (t *Tree) blocks(it item, a Arrangement, breathe Breathe) (out []item) {
	for i, n := it.node, int32(0); n < it.blocks; i, n = t.Nodes[i].End, n+1 {
		out = append(out, item{node: i})
	}
	t.sort(out, a, breathe)
	return out
}

// follows tells whether group j is numbered behind group i and holds the same: the same names below it, dtypes and shapes.
func (t *Tree) follows(i, j int32) bool {
	a, b := &t.Nodes[i], &t.Nodes[j]
	if a.Kind != Group || b.Kind != Group || a.End-i != b.End-j || a.NBytes != b.NBytes || a.class() != b.class() {
		return false
	}
	m, ok := number(a.Name)
	n, ok2 := number(b.Name)
	if !ok || !ok2 || n != m+1 || (a.Name[0] == '[') != (b.Name[0] == '[') {
		return false
	}
	for k := int32(1); k < a.End-i; k++ {
		a, b := &t.Nodes[i+k], &t.Nodes[j+k]
		if a.Kind != b.Kind || a.Name != b.Name || a.Type != b.Type || a.End-i != b.End-j || a.class() != b.class() {
			return false
		}
		if a.Row != nil && (!slices.Equal(a.Row.Shape, b.Row.Shape) || (a.Row.Flags^b.Row.Flags)&message.Bad != 0) {
			return false
		}
	}
	return true
}

// class is the Python type of a group that is an object, "" for any other node.
func (n *Entry) class() string {
	if n.Self == nil {
		return ""
	}
	return n.Self.Type
}

// number is the number that a name is: "7" or "[7]".
func number(name string) (int, bool) {
	if rest, ok := strings.CutPrefix(name, "["); ok {
		if name, ok = strings.CutSuffix(rest, "]"); !ok {
			return 0, false
		}
	}
	n, err := strconv.Atoi(name)
	return n, err == nil && n >= 0 && n < 1<<30 && strconv.Itoa(n) == name
}

// fold is the node of a run, without its place and its sums.
func (t *Tree) fold(it item) Node {
	first, last := &t.Nodes[it.node], &t.Nodes[t.lastBlock(it)]
	name := first.Name + "…" + last.Name
	e := &Entry{Kind: Group, Path: strings.TrimSuffix(first.Path, first.Name) + name, Name: name, Index: -1}
	return Node{Entry: e, Blocks: it.blocks}
}

func (t *Tree) sort(items []item, a Arrangement, breathe Breathe) {
	if a.Order == ByFile || len(items) < 2 {
		return
	}
	nodes := t.Nodes
	size := func(n int64, it item) int64 { return n * max(1, int64(it.blocks)) }
	by := func(x, y item) int {
		m, n := &nodes[x.node], &nodes[y.node]
		switch a.Order {
		case ByName:
			return natural(m.Name, n.Name)
		case ByType:
			return strings.Compare(m.Type, n.Type)
		case ByNumel:
			return cmp.Compare(size(m.Numel, x), size(n.Numel, y))
		}
		return cmp.Compare(size(m.NBytes, x), size(n.NBytes, y))
	}
	done := 0
	slices.SortStableFunc(items, func(x, y item) int {
		done++
		breathe.at(done)
		if a.Desc {
			return by(y, x)
		}
		return by(x, y)
	})
}

// natural compares names; where both have digits at the same place, it compares the numbers.
func natural(a, b string) int {
	for a != "" && b != "" {
		if digits(a) > 0 && digits(b) > 0 {
			x, y := a[:digits(a)], b[:digits(b)]
			a, b = a[len(x):], b[len(y):]
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
				return c
			}
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits is how many digits s begins with.
func digits(s string) int {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return i
		}
	}
	return len(s)
}
