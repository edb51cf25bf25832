// Package model is what the page shows, without the page: the tree of rows, the filter, the recipe with its undo, and
// how numbers and names are written. It knows nothing of the DOM, so its tests run anywhere.
package model

import (
	"strings"

	"github.com/weightroom/weightroom/wasm/message"
)

// Kind of a node; its text is the row's data-kind.
type Kind string

const (
	Group  Kind = "group"
	Tensor Kind = "tensor"
	Object Kind = "object"
)

// Entry is what a line of the tree shows, however the tree is arranged.
type Entry struct {
	Kind   Kind
	Path   string // of a group: the leading parts its children share
	Name   string // the last part
	Row    *message.Row
	Self   *message.Row // of a group that is itself an object of a class with its attributes in it: its row; else nil
	Index  int32        // of Row, or of Self, in the list of rows; -1 for another group
	Keys   int32        // tensors in it
	NBytes int64        // of those tensors
	Numel  int64
	Type   string // dtype, Python type, or of a group the dtype all its tensors have; "" when they differ
}

// Node is an entry and its place in a tree. Arrangements share the entries: there are many, and a collection of garbage stops
// the page while it looks at each pointer.
type Node struct {
	*Entry
	Parent int32 // index, -1 at the top
	End    int32 // index behind the last descendant
	Depth  int32 // 0 at the top
	Pos    int32 // 1-based position among its siblings
	Size   int32 // how many siblings there are, itself included
	Blocks int32 // of a folded run: how many groups alike it stands for, which are its children; else 0
}

// Tree is all nodes, each in front of its descendants. Groups stand where their first key stands in the file; the
// objects follow the tensors.
type Tree struct {
	Nodes []Node
	// Largest is the size in bytes of the largest node at the top, the measure of the bars.
	Largest int64

	from []int32 // of an arranged tree, by node: what it is in the tree of the file, of a folded run its first block
}

// NewTree groups rows by the dotted parts of their keys. In the path of the mapping that holds a key, a list position
// ("[0]") is a part of its own.
func NewTree(rows []message.Row, breathe Breathe) *Tree {
	b := builder{child: map[place]int32{}, nodes: make([]draft, 0, len(rows)+len(rows)/2+1)}
	b.nodes = append(b.nodes, draft{Entry: &Entry{}, first: -1, last: -1, next: -1})
	for i := range rows {
		b.add(&rows[i], int32(i))
		breathe.at(i)
	}
	return b.flatten(breathe)
}

// draft is a node while the order of the tree is not known yet. Its entry has no Row for a group.
type draft struct {
	*Entry
	first, last, next int32
	children          int32
}

type place struct {
	parent int32
	name   string
}

type builder struct {
	nodes []draft
	spare []Entry         // the next ones; they never move, as they would in a slice that grows
	child map[place]int32 // the groups inside large groups, by parent and name
	// trail is the groups of the row before, with the length of each one's path: most rows share all but the last part.
	trail []step
	prev  string
}

type step struct {
	node int32
	end  int
}

func (b *builder) add(r *message.Row, index int32) {
	// Keep the groups that this row shares with the one before.
	at, start, depth := int32(0), 0, 0
	for depth < len(b.trail) {
		end := b.trail[depth].end
		if end >= len(r.Path) || r.Path[:end] != b.prev[:end] || partEnd(r, start) != end {
			break
		}
		at, start = b.trail[depth].node, afterPart(r.Path, end)
		depth++
	}
	b.trail, b.prev = b.trail[:depth], r.Path
	for {
		end := partEnd(r, start)
		if end < 0 {
			break
		}
		n := b.group(at, r.Path[start:end])
		if n < 0 {
			n = b.unfold(at, r.Path[:end])
		}
		if n < 0 {
			n = b.append(at, Entry{Path: r.Path[:end], Name: r.Path[start:end], Index: -1})
		}
		b.trail = append(b.trail, step{n, end})
		at, start = n, afterPart(r.Path, end)
	}
	if r.Kind == message.Object {
		if g := b.group(at, r.Path[start:]); g >= 0 && b.nodes[g].Path == r.Path && b.nodes[g].Self == nil {
			b.nodes[g].Self, b.nodes[g].Index = r, index
			return
		}
	}
	b.append(at, Entry{Row: r, Index: index, Path: r.Path, Name: r.Path[start:]})
}

// unfold makes the object at a path the group of what follows it, which is in it; -1 where the last child of parent is no such
// object.
func (b *builder) unfold(parent int32, path string) int32 {
	n := b.nodes[parent].last
	if n < 0 || b.nodes[n].Path != path || b.nodes[n].Row == nil || b.nodes[n].Row.Kind != message.Object {
		return -1
	}
	b.nodes[n].Self, b.nodes[n].Row = b.nodes[n].Row, nil
	if b.nodes[parent].children > few {
		b.index(parent, n)
	}
	return n
}

// few is up to how many children are looked through one by one; those of larger groups go into the index.
const few = 16

// group is the child of parent that is a group of that name, -1 for none.
func (b *builder) group(parent int32, name string) int32 {
	p := &b.nodes[parent]
	if p.children > few {
		if n, ok := b.child[place{parent, name}]; ok {
			return n
		}
		return -1
	}
	for n := p.first; n >= 0; n = b.nodes[n].next {
		if d := &b.nodes[n]; d.Row == nil && d.Name == name {
			return n
		}
	}
	return -1
}

// partEnd is where the part that begins at start ends, -1 when it is the last one.
func partEnd(r *message.Row, start int) int {
	for i := start; i < len(r.Path); i++ {
		switch r.Path[i] {
		case '.':
			return i
		case '[':
			if i > start && (i < r.KeyAt || r.Kind == message.Object) {
				return i
			}
		}
	}
	return -1
}

// afterPart is where the next part begins: behind the dot, but at the bracket.
func afterPart(path string, end int) int {
	if path[end] == '.' {
		return end + 1
	}
	return end
}

func (b *builder) append(parent int32, e Entry) int32 {
	n := int32(len(b.nodes))
	if len(b.spare) == 0 {
		b.spare = make([]Entry, min(max(len(b.nodes), 16), 4096))
	}
	b.spare[0] = e
	b.nodes = append(b.nodes, draft{Entry: &b.spare[0], first: -1, last: -1, next: -1})
	b.spare = b.spare[1:]
	p := &b.nodes[parent]
	if p.last < 0 {
		p.first = n
	} else {
		b.nodes[p.last].next = n
	}
	p.last = n
	p.children++
	switch {
	case p.children == few+1:
		for c := p.first; c >= 0; c = b.nodes[c].next {
			b.index(parent, c)
		}
	case p.children > few:
		b.index(parent, n)
	}
	return n
}

func (b *builder) index(parent, n int32) {
	if b.nodes[n].Row == nil {
		b.child[place{parent, b.nodes[n].Name}] = n
	}
}

// flatten puts every node in front of its descendants and sums up the groups.
func (b *builder) flatten(breathe Breathe) *Tree {
	t := &Tree{Nodes: make([]Node, 0, len(b.nodes)-1)}
	type frame struct{ draft, node, pos int32 }
	stack := []frame{{0, -1, 0}}
	next := []int32{b.nodes[0].first}
	for len(stack) > 0 {
		top := len(stack) - 1
		d := next[top]
		if d < 0 {
			if n := stack[top].node; n >= 0 {
				t.close(n)
			}
			stack, next = stack[:top], next[:top]
			continue
		}
		next[top] = b.nodes[d].next
		stack[top].pos++
		id := int32(len(t.Nodes))
		n := b.nodes[d].Entry
		n.sum()
		t.Nodes = append(t.Nodes, Node{Entry: n, Parent: stack[top].node, Depth: int32(top), Pos: stack[top].pos, Size: b.nodes[stack[top].draft].children, End: id + 1})
		breathe.at(len(t.Nodes))
		if n.Kind == Group {
			stack, next = append(stack, frame{d, id, 0}), append(next, b.nodes[d].first)
		}
	}
	for i := int32(0); i < int32(len(t.Nodes)); i = t.Nodes[i].End {
		t.Largest = max(t.Largest, t.Nodes[i].NBytes)
	}
	return t
}

// sum fills in what follows from the row.
func (n *Entry) sum() {
	switch {
	case n.Row == nil:
		n.Kind = Group
	case n.Row.Kind == message.Object:
		n.Kind, n.Type = Object, n.Row.Type
	default:
		n.Kind, n.Type, n.Keys, n.NBytes, n.Numel = Tensor, n.Row.Type, 1, max(0, n.Row.NBytes), numel(n.Row.Shape)
	}
}

// close sums up the children of group g, all of which are there.
func (t *Tree) close(g int32) {
	n := &t.Nodes[g]
	n.End = int32(len(t.Nodes))
	mixed := false
	for i := g + 1; i < n.End; i = t.Nodes[i].End {
		c := &t.Nodes[i]
		n.Keys += c.Keys
		n.NBytes += c.NBytes
		n.Numel += c.Numel
		switch {
		case c.Keys == 0:
		case n.Type == "" && !mixed:
			n.Type = c.Type
			mixed = c.Type == ""
		case n.Type != c.Type:
			n.Type, mixed = "", true
		}
	}
}

func numel(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		if d < 0 || d > 0 && n > 1<<62/d {
			return 0
		}
		n *= d
	}
	return n
}

// Find is the node with that path and kind, -1 for none. A group that is an object counts as either.
func (t *Tree) Find(path string, kind Kind) int32 {
	// Every node on the way has a path that path begins with, so all other branches are skipped whole.
	for i := int32(0); i < int32(len(t.Nodes)); {
		n := &t.Nodes[i]
		switch {
		case n.Path == path && (n.Kind == kind || n.Self != nil && kind == Object) && n.Blocks == 0:
			return i
		case n.Kind == Group && n.Blocks == 0 && !strings.HasPrefix(path, n.Path):
			i = n.End
		default:
			i++
		}
	}
	return -1
}
