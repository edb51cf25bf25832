package listing

import (
	"fmt"
	"io"
	"strings"

	"github.com/weightroom/weightroom/statedict"
)

// node is a group of keys that share their first dotted parts, or one key.
type node struct {
	name     string
	entry    int // index into Checkpoint.Entries, -1 for a group
	children []*node
	groups   map[string]*node
	count    int
	nbytes   int64
}

// writeTree groups the entries by dotted parts, in the order in which the parts first appear. Groups with a single child
// are drawn as one line, so that a key of a thousand dots costs one.
func (l *Listing) writeTree(w io.Writer, s styles) {
	root := &node{entry: -1}
	for _, i := range l.entries {
		root.insert(&l.cp.Entries[i], i, l.below(l.cp.Entries[i].Path()))
	}
	type line struct {
		n      *node
		indent string
		last   bool
		depth  int
	}
	stack := []line{}
	push := func(n *node, indent string, depth int) {
		for i := len(n.children) - 1; i >= 0; i-- {
			stack = append(stack, line{n.children[i], indent, i == len(n.children)-1, depth})
		}
	}
	t := table{right: []bool{false, false, false, true}}
	first := make(map[statedict.StorageID]int)
	push(root, "", 0)
	for len(stack) > 0 {
		ln := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		n, name := ln.n, ln.n.name
		for n.entry < 0 && len(n.children) == 1 {
			n = n.children[0]
			name += "." + n.name
		}
		branch, below := "├── ", "│   "
		if ln.last {
			branch, below = "└── ", "    "
		}
		if ln.depth == 0 {
			branch, below = "", ""
		}
		label := s.dim(ln.indent+branch) + show(name)
		if n.entry >= 0 {
			e := &l.cp.Entries[n.entry]
			t.add(label, DType(e), Shape(e.Shape), Size(NBytes(e)), l.note(n.entry, first))
			continue
		}
		t.add(label, "", count(n.count, "tensor"), Size(n.nbytes), "")
		push(n, ln.indent+below, ln.depth+1)
	}
	if len(t.rows) > 0 {
		t.rows = append([][]string{{"KEY", "DTYPE", "SHAPE", "SIZE", ""}}, t.rows...)
		t.write(w, s)
		fmt.Fprintln(w)
	}
}

// maxDepth is how many parts of a key the tree takes apart: a hostile key may have millions.
const maxDepth = 100

func (n *node) insert(e *statedict.Entry, i int, path string) {
	nbytes := max(NBytes(e), 0)
	for depth := 1; ; depth++ {
		n.count++
		n.nbytes += nbytes
		part, rest, more := strings.Cut(path, ".")
		if !more || depth == maxDepth {
			n.children = append(n.children, &node{name: path, entry: i})
			return
		}
		child := n.groups[part]
		if child == nil {
			child = &node{name: part, entry: -1}
			if n.groups == nil {
				n.groups = make(map[string]*node)
			}
			n.groups[part] = child
			n.children = append(n.children, child)
		}
		n, path = child, rest
	}
}
