package statedict

import (
	"fmt"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// OutlineNode is one value of an outline; the nodes inside it follow it with a greater depth.
type OutlineNode struct {
	Depth int     // 0 for the outermost
	Key   string  // as Python's str writes it, "[0]" for a position; "" for the outermost
	Type  string  // Python's type name, the dtype of a tensor
	Shape []int64 // of a tensor, else nil
	Value string  // of a scalar, as Python writes it; cut at 200 bytes
	Items int     // values directly inside
	Again bool    // the same object stands already at path Ref; nothing of it follows
	Ref   string
}

// Outline lists what is inside the value at path, in file order: containers, scalars, tensors, and objects of classes that
// are not known here, as what they are. Nothing is imported, called or read. At most limit nodes come back; more is how many did
// not. The list is empty where no container or object has that path.
func (cp *Checkpoint) Outline(path string, limit int) (nodes []OutlineNode, more int) {
	depth := -1 // of the containers entered, inside the one that is asked for
	var inside []int
	add := func(at place, n OutlineNode) bool {
		if depth < 0 && at.path() != path {
			return false
		}
		if n.Depth = depth + 1; depth >= 0 {
			n.Key = at.last()
			if up := inside[depth]; up >= 0 {
				nodes[up].Items++
			}
		}
		if len(nodes) == limit {
			more++
			return true
		}
		nodes = append(nodes, n)
		return true
	}
	done := false
	cp.walk(visitor{
		tensor: func(at place, n pickle.Value) {
			var v View
			cp.view(&v, n)
			add(at, OutlineNode{Type: v.DType.String(), Shape: v.Shape})
		},
		leaf: func(at place, n pickle.Value) { add(at, OutlineNode{Type: pickle.TypeName(n), Value: shortValue(n)}) },
		ref: func(at place, n pickle.Value, first *met) {
			add(at, OutlineNode{Type: pickle.TypeName(n), Ref: first.path, Again: true})
		},
		enter: func(at place, n pickle.Value) bool {
			if done || !add(at, OutlineNode{Type: pickle.TypeName(n), Value: shortValue(n)}) {
				return !done
			}
			if _, scalar := pickle.Scalar(n); scalar {
				return false
			}
			depth++
			index := len(nodes) - 1
			if more > 0 {
				index = -1
			}
			inside = append(inside, index)
			return true
		},
		leave: func() {
			if depth >= 0 {
				depth--
				inside = inside[:len(inside)-1]
				done = depth < 0
			}
		},
	})
	return nodes, more
}

// last is the key inside the container around it, or the position.
func (p place) last() string {
	if n := len(p.key); n > 0 && p.key[n-1] == ']' {
		for i := n - 2; i >= 0; i-- {
			if p.key[i] == '[' && i > 0 {
				return p.key[i:]
			}
			if p.key[i] < '0' || p.key[i] > '9' {
				break
			}
		}
	}
	return p.key
}

// shortValue is a scalar as Python's repr writes it, "" for what has no short form.
func shortValue(n pickle.Value) string {
	const most = 200
	switch v := n.(type) {
	case nil, bool, int64, float64, complex128:
		return pickle.PyRepr(v)
	case string:
		if len(v) > most {
			return pickle.PyRepr(v[:most]) + "…"
		}
		return pickle.PyRepr(v)
	case *pickle.Bytes:
		if len(v.B) > most/4 {
			return pickle.PyRepr(&pickle.Bytes{B: v.B[:most/4], Mutable: v.Mutable}) + "…"
		}
		return pickle.PyRepr(v)
	}
	v, ok := pickle.Scalar(n)
	if !ok {
		return ""
	}
	s := fmt.Sprint(v)
	if len(s) > most {
		s = s[:most] + "…"
	}
	return s
}
