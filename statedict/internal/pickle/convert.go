package pickle

import (
	"hash/maphash"
	"unsafe"

	"github.com/nlpodyssey/gopickle/types"
)

// The VM leaves raw values: gopickle's tuples, byte strings and ints, and our nodes. Conversion turns them into the tree
// without recursion: convert answers with the final node at once and queues the filling of it.

type job struct {
	node  any
	depth int32
}

// forward replaces the first item of a VM tuple that has been converted: where its copy is.
type forward struct{ to *Tuple }

var emptyTuple = &Tuple{}

func (l *loader) convertAll(raw any) (root Value, err *Error) {
	defer func() {
		if p := recover(); p != nil {
			e, ours := p.(*Error)
			if !ours {
				panic(p)
			}
			err = e
		}
	}()
	c := &converter{loader: l, bytes: make(map[unsafe.Pointer]*Bytes), seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	root = c.convert(raw, 0)
	for len(c.jobs) > 0 {
		j := c.jobs[len(c.jobs)-1]
		c.jobs = c.jobs[:len(c.jobs)-1]
		c.fill(j.node, j.depth)
	}
	for _, f := range l.late {
		f()
	}
	return root, nil
}

type converter struct {
	*loader
	bytes map[unsafe.Pointer]*Bytes
	key   []byte // scratch of canonical
	seeds [2]maphash.Seed
}

func (c *converter) later(node any, depth int32) {
	if int64(depth) >= c.scan.lim.Depth {
		e := overLimit(c.scan.report.Len, "nesting", c.scan.lim.Depth)
		panic(e)
	}
	c.jobs = append(c.jobs, job{node, depth + 1})
}

// convert returns the final value of a raw one. A value that is final already stays as it is.
func (c *converter) convert(raw any, depth int32) Value {
	switch v := raw.(type) {
	case int:
		return int64(v)
	case *types.Tuple:
		return c.tuple(v, depth)
	case []byte:
		return c.byteString(v, false)
	case *types.ByteArray:
		return c.byteString(*v, true)
	case *listNode:
		if v.out == nil {
			v.out = &List{Items: v.items}
			c.later(v.out, depth)
		}
		return v.out
	case *dictNode:
		if v.out == nil {
			v.out = &Dict{}
			c.later(v, depth)
		}
		return v.out
	case *setNode:
		if v.out == nil {
			v.out = &Set{Frozen: v.frozen}
			c.later(v, depth)
		}
		return v.out
	case *objectNode:
		if v.out == nil {
			v.out = &Object{How: v.how, HasState: v.built}
			c.later(v, depth)
		}
		return v.out
	case *classNode:
		return v.g
	case *valueNode:
		return v.v
	case *storageNode:
		return v.s
	case *tensorNode:
		return c.tensor(v, depth)
	case *paramNode:
		return c.param(v, depth)
	}
	return raw
}

func (c *converter) tuple(t *types.Tuple, depth int32) Value {
	if len(*t) == 0 {
		return emptyTuple
	}
	if f, ok := (*t)[0].(forward); ok {
		return f.to
	}
	out := &Tuple{Items: append([]Value(nil), *t...)}
	(*t)[0] = forward{out}
	c.later(out, depth)
	return out
}

func (c *converter) byteString(b []byte, mutable bool) Value {
	p := unsafe.Pointer(unsafe.SliceData(b))
	if len(b) > 0 {
		if out := c.bytes[p]; out != nil {
			return out
		}
	}
	out := &Bytes{B: b, Mutable: mutable}
	if len(b) > 0 {
		c.bytes[p] = out
	}
	return out
}

func (c *converter) fill(node any, depth int32) {
	switch n := node.(type) {
	case *Tuple:
		c.items(n.Items, depth)
	case *List:
		c.items(n.Items, depth)
	case *dictNode:
		n.out.Items = c.pairs(n.items, n.out, depth)
		n.items = nil
		n.out.Class = n.class
		if x := n.extra; x != nil {
			n.out.Args = c.argTuple(x.args, depth)
			if x.built {
				n.out.Attrs = c.convert(x.state, depth)
			}
		}
	case *setNode:
		n.out.Items = c.members(n.items, depth)
		n.items = nil
	case *objectNode:
		c.object(n, depth)
	case *tensorNode:
		c.finish(n, depth)
	case *paramNode:
		p := n.p
		p.Hooks = c.convert(n.hooks, depth)
		if p.HasState {
			p.State = c.convert(n.state, depth)
		}
	}
}

func (c *converter) items(items []Value, depth int32) {
	for i, raw := range items {
		items[i] = c.convert(raw, depth)
	}
}

// argTuple is nil for no arguments.
func (c *converter) argTuple(args []any, depth int32) *Tuple {
	if args == nil {
		return nil
	}
	c.items(args, depth)
	return &Tuple{Items: args}
}

func (c *converter) object(n *objectNode, depth int32) {
	o := n.out
	o.Class = c.convert(n.class, depth)
	if len(n.args) == 0 {
		o.Args = emptyTuple
	} else {
		o.Args = c.argTuple(n.args, depth)
	}
	if n.kwargs != nil {
		o.Kwargs = c.convert(n.kwargs, depth)
	}
	if n.built {
		o.State = c.convert(n.state, depth)
	}
	if len(n.items) > 0 { // what a foreign class does with equal keys is not known: keep all
		o.Items = make([]Item, 0, len(n.items)/2)
		for i := 0; i < len(n.items); i += 2 {
			o.Items = append(o.Items, Item{c.convert(n.items[i], depth), c.convert(n.items[i+1], depth)})
		}
	}
	c.items(n.elems, depth)
	o.Elems = n.elems
	n.args, n.items, n.elems = nil, nil, nil
}

func (c *converter) tensor(n *tensorNode, depth int32) Value {
	if n.pending != nil && !n.pending.done {
		n.pending.done = true
		c.later(n, depth)
	}
	return n.t
}

func (c *converter) finish(n *tensorNode, depth int32) {
	p, x := n.pending, n.t.Extra
	if p.args != nil {
		x.Args = c.argTuple(p.args, depth)
	}
	if p.metadata != nil {
		x.Metadata = c.convert(p.metadata, depth)
	}
	if p.state != nil {
		x.State = c.convert(p.state, depth)
	}
	for i, raw := range p.parts {
		x.Parts[i].Value = c.convert(raw, depth)
	}
	p.args, p.metadata, p.state, p.parts = nil, nil, nil, nil
}

func (c *converter) param(n *paramNode, depth int32) Value {
	if n.out != nil {
		return n.out
	}
	if n.data == nil {
		o := &objectNode{made: n.made, class: n.class, args: n.args, how: n.how, state: n.state, built: n.built}
		n.out = c.convert(o, depth)
		return n.out
	}
	n.p.Data = c.tensor(n.data, depth).(*Tensor)
	n.out = n.p
	c.later(n, depth)
	return n.out
}
