package pickle

import "unsafe"

// Replace returns a tree in which the dicts that are keys of with have their stand-ins, also where they hang below other
// stand-ins. Containers on the way to them are copied; everything else is shared with the old tree, which does not change.
// Cycles and sharing stay: one old node has one new node. Nothing to replace gives root itself.
//
// Tensors, parameters and storages are not looked into, but for the Python attributes of a Parameter or tensor. Time and
// memory are those of one walk over the tree.
func Replace(root Value, with map[*Dict]*Dict) Value {
	if len(with) == 0 {
		return root
	}
	r := &replacer{with: with, parents: make(map[unsafe.Pointer][]Value), fresh: make(map[unsafe.Pointer]Value)}
	r.survey(root)
	r.spread()
	r.fill()
	return r.now(root)
}

type replacer struct {
	with    map[*Dict]*Dict
	parents map[unsafe.Pointer][]Value // of every node, stand-ins in place, who holds it
	fresh   map[unsafe.Pointer]Value   // the copy of a node
	dirty   []Value                    // nodes that are copied
}

// standIn is what replaces a value, mostly itself.
func (r *replacer) standIn(v Value) Value {
	if d, ok := v.(*Dict); ok {
		if other := r.with[d]; other != nil {
			return other
		}
	}
	return v
}

// nodePointer is the identity of a node that can hold others, nil for all else.
func nodePointer(v Value) unsafe.Pointer {
	switch n := v.(type) {
	case *Tuple:
		if len(n.Items) > 0 {
			return unsafe.Pointer(n)
		}
	case *List:
		return unsafe.Pointer(n)
	case *Dict:
		return unsafe.Pointer(n)
	case *Set:
		return unsafe.Pointer(n)
	case *Object:
		return unsafe.Pointer(n)
	case *Parameter:
		if n.State != nil {
			return unsafe.Pointer(n)
		}
	case *Tensor:
		if n.Extra != nil && n.Extra.State != nil {
			return unsafe.Pointer(n)
		}
	}
	return nil
}

// children calls f with what a node holds.
func children(v Value, f func(Value)) {
	switch n := v.(type) {
	case *Tuple:
		each(n.Items, f)
	case *List:
		each(n.Items, f)
	case *Set:
		each(n.Items, f)
	case *Dict:
		eachPair(n.Items, f)
		if n.Args != nil {
			f(n.Args)
		}
		f(n.Attrs)
	case *Object:
		f(n.Class)
		if n.Args != nil {
			f(n.Args)
		}
		f(n.Kwargs)
		f(n.State)
		eachPair(n.Items, f)
		each(n.Elems, f)
	case *Parameter:
		f(n.State)
	case *Tensor:
		if n.Extra != nil {
			f(n.Extra.State)
		}
	}
}

func each(items []Value, f func(Value)) {
	for _, it := range items {
		f(it)
	}
}

func eachPair(items []Item, f func(Value)) {
	for _, it := range items {
		f(it.Key)
		f(it.Value)
	}
}

// survey walks the tree with stand-ins in place, notes who holds whom, and marks those that held a dict that is replaced.
func (r *replacer) survey(root Value) {
	var stack []Value
	visit := func(old, parent Value) {
		v := r.standIn(old)
		p := nodePointer(v)
		if p == nil {
			return
		}
		if v != old && parent != nil {
			r.copy(parent)
		}
		_, seen := r.parents[p]
		r.parents[p] = append(r.parents[p], parent)
		if !seen {
			stack = append(stack, v)
		}
	}
	visit(root, nil)
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		children(n, func(c Value) { visit(c, n) })
	}
}

// copy makes a new, empty node for one that has to change.
func (r *replacer) copy(v Value) {
	if p := nodePointer(v); r.fresh[p] == nil {
		r.fresh[p] = emptyLike(v)
		r.dirty = append(r.dirty, v)
	}
}

// spread copies everything that holds a copy.
func (r *replacer) spread() {
	for i := 0; i < len(r.dirty); i++ {
		for _, parent := range r.parents[nodePointer(r.dirty[i])] {
			if parent != nil {
				r.copy(parent)
			}
		}
	}
}

func emptyLike(v Value) Value {
	switch v.(type) {
	case *Tuple:
		return &Tuple{}
	case *List:
		return &List{}
	case *Set:
		return &Set{}
	case *Dict:
		return &Dict{}
	case *Object:
		return &Object{}
	case *Parameter:
		return &Parameter{}
	}
	return &Tensor{}
}

// now is what stands in the new tree for a value of the old one.
func (r *replacer) now(v Value) Value {
	v = r.standIn(v)
	if p := nodePointer(v); p != nil {
		if n, ok := r.fresh[p]; ok {
			return n
		}
	}
	return v
}

func (r *replacer) fill() {
	for _, old := range r.dirty {
		switch o := old.(type) {
		case *Tuple:
			n := r.fresh[unsafe.Pointer(o)].(*Tuple)
			*n = *o
			n.Items = r.items(o.Items)
		case *List:
			r.fresh[unsafe.Pointer(o)].(*List).Items = r.items(o.Items)
		case *Set:
			n := r.fresh[unsafe.Pointer(o)].(*Set)
			*n = *o
			n.Items = r.items(o.Items)
		case *Dict:
			n := r.fresh[unsafe.Pointer(o)].(*Dict)
			*n = *o
			n.Items, n.Attrs, n.Args = r.pairs(o.Items), r.now(o.Attrs), r.args(o.Args)
		case *Object:
			n := r.fresh[unsafe.Pointer(o)].(*Object)
			*n = *o
			n.Class, n.Args, n.Kwargs, n.State = r.now(o.Class), r.args(o.Args), r.now(o.Kwargs), r.now(o.State)
			n.Items, n.Elems = r.pairs(o.Items), r.items(o.Elems)
		case *Parameter:
			n := r.fresh[unsafe.Pointer(o)].(*Parameter)
			*n = *o
			n.State = r.now(o.State)
		case *Tensor:
			n := r.fresh[unsafe.Pointer(o)].(*Tensor)
			*n = *o
			extra := *o.Extra
			extra.State = r.now(o.Extra.State)
			n.Extra = &extra
		}
	}
}

func (r *replacer) args(t *Tuple) *Tuple {
	if t == nil {
		return nil
	}
	return r.now(t).(*Tuple)
}

func (r *replacer) items(items []Value) []Value {
	if items == nil {
		return nil
	}
	out := make([]Value, len(items))
	for i, v := range items {
		out[i] = r.now(v)
	}
	return out
}

func (r *replacer) pairs(items []Item) []Item {
	if items == nil {
		return nil
	}
	out := make([]Item, len(items))
	for i, it := range items {
		out[i] = Item{r.now(it.Key), r.now(it.Value)}
	}
	return out
}
