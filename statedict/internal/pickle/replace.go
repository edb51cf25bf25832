package pickle

import "unsafe"

// ReplaceNodes returns a tree in which the nodes that are keys of with (containers, tensors, parameters, storages) have
// their stand-ins, also where they hang below other stand-ins. What holds them is copied; everything else is shared with the
// old tree, which does not change. Cycles and sharing stay: one old node has one new node. Nothing to replace gives root
// itself. A tensor's stand-in has to be a tensor, a storage's a storage.
//
// Time and memory are those of one walk over the tree; tensors without Python attributes cost a lookup each.
func ReplaceNodes(root Value, with map[Value]Value) Value {
	if len(with) == 0 {
		return root
	}
	r := &replacer{with: make(map[unsafe.Pointer]Value, len(with)), parents: make(map[unsafe.Pointer][]Value), fresh: make(map[unsafe.Pointer]Value)}
	for old, v := range with {
		if p := nodePointer(old); p != nil {
			r.with[p] = v
		}
		switch old.(type) {
		case *Tensor, *Parameter, *Storage:
			r.leaves = true
		}
	}
	r.survey(root)
	r.spread()
	r.fill()
	return r.now(root)
}

type replacer struct {
	leaves  bool // tensors, parameters or storages are among the replaced
	with    map[unsafe.Pointer]Value
	parents map[unsafe.Pointer][]Value // of every node but plain tensors, stand-ins in place, who holds it
	fresh   map[unsafe.Pointer]Value   // the copy of a node
	dirty   []Value                    // nodes that are copied
}

// standIn is what replaces a value, mostly itself.
func (r *replacer) standIn(v Value) Value {
	if p := nodePointer(v); p != nil {
		if other, ok := r.with[p]; ok {
			return other
		}
	}
	return v
}

// nodePointer is the identity of a node that can be replaced or can hold others, nil for all else.
func nodePointer(v Value) unsafe.Pointer {
	switch n := v.(type) {
	case *Tuple:
		return unsafe.Pointer(n)
	case *List:
		return unsafe.Pointer(n)
	case *Dict:
		return unsafe.Pointer(n)
	case *Set:
		return unsafe.Pointer(n)
	case *Object:
		return unsafe.Pointer(n)
	case *Parameter:
		return unsafe.Pointer(n)
	case *Tensor:
		return unsafe.Pointer(n)
	case *Storage:
		return unsafe.Pointer(n)
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
		if n.Data != nil {
			f(n.Data)
		}
		f(n.State)
	case *Tensor:
		if n.Storage != nil {
			f(n.Storage)
		}
		if x := n.Extra; x != nil {
			for _, p := range x.Parts {
				f(p.Value)
			}
			if x.Args != nil {
				f(x.Args)
			}
			f(x.State)
		}
	case *Storage:
		if n.Root != nil {
			f(n.Root)
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

// survey walks the tree with stand-ins in place, notes who holds whom, and marks those that held a node that is replaced.
func (r *replacer) survey(root Value) {
	var stack []Value
	visit := func(old, parent Value) {
		if t, ok := old.(*Tensor); ok && !r.leaves && t.Extra == nil {
			return
		}
		v := r.standIn(old)
		p := nodePointer(v)
		if p == nil {
			return
		}
		if v != old && parent != nil {
			r.copy(parent)
		}
		if r.plain(v) || scalarDict(v) {
			return
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

// plain tells a tensor or storage below which nothing is replaced.
func (r *replacer) plain(v Value) bool {
	if t, ok := v.(*Tensor); ok {
		return t.Extra == nil && (t.Storage == nil || r.plain(t.Storage) && r.standIn(t.Storage) == Value(t.Storage))
	}
	s, ok := v.(*Storage)
	return ok && s.Root == nil
}

// scalarDict tells a small dict that holds no node, as the {'version': 1} of a module is: nothing below it is replaced. Files have
// as many of them as tensors.
func scalarDict(v Value) bool {
	d, ok := v.(*Dict)
	if !ok || len(d.Items) > 4 || d.Args != nil || d.Attrs != nil {
		return false
	}
	for i := range d.Items {
		if nodePointer(d.Items[i].Key) != nil || nodePointer(d.Items[i].Value) != nil {
			return false
		}
	}
	return true
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
	case *Storage:
		return &Storage{}
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
			if o.Data != nil {
				n.Data = r.now(o.Data).(*Tensor)
			}
			n.State = r.now(o.State)
		case *Storage:
			n := r.fresh[unsafe.Pointer(o)].(*Storage)
			*n = *o
			n.Root = r.now(o.Root).(*Storage)
		case *Tensor:
			r.fillTensor(r.fresh[unsafe.Pointer(o)].(*Tensor), o)
		}
	}
}

func (r *replacer) fillTensor(n, o *Tensor) {
	*n = *o
	if o.Storage != nil {
		n.Storage = r.now(o.Storage).(*Storage)
	}
	if o.Extra == nil {
		return
	}
	x := *o.Extra
	x.Parts = make([]Part, len(o.Extra.Parts))
	for i, p := range o.Extra.Parts {
		x.Parts[i] = Part{p.Name, r.now(p.Value)}
	}
	x.Args, x.State = r.args(o.Extra.Args), r.now(o.Extra.State)
	n.Extra = &x
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
