package pickle

import "unsafe"

func (e *emitter) tuple(t *Tuple) {
	switch {
	case t.Size:
		if e.known(unsafe.Pointer(t)) {
			return
		}
		e.global("torch", "Size")
		e.push(frame{what: frameMade, node: t, i: opReduce})
		e.push(frame{what: frameTuple, items: []Value{&Tuple{Items: t.Items}}})
	case len(t.Items) == 0:
		e.op(opEmptyTuple)
	case e.known(unsafe.Pointer(t)):
	default:
		e.args(t, t.Items)
	}
}

// args writes a tuple; node is nil when no one else refers to it.
func (e *emitter) args(node *Tuple, items []Value) {
	if len(items) == 0 {
		e.op(opEmptyTuple)
		return
	}
	if len(items) > 3 {
		e.op(opMark)
	}
	f := frame{what: frameTuple, items: items}
	if node != nil {
		f.node = node
	}
	e.push(f)
}

func (e *emitter) tupleStep(f *frame) {
	if f.i < len(f.items) {
		f.i++
		e.save(f.items[f.i-1])
		return
	}
	node, _ := f.node.(*Tuple)
	n := len(f.items)
	e.pop()
	if node != nil {
		// A tuple that its own items contain has been written by now: take that one.
		if idx, ok := e.nodes[unsafe.Pointer(node)]; ok {
			if n > 3 {
				e.op(opPopMark)
			} else {
				for range n {
					e.op(opPop)
				}
			}
			e.get(idx)
			return
		}
	}
	if n > 3 {
		e.op(opTuple)
	} else {
		e.op(opTuple1 + byte(n-1))
	}
	idx := e.memoize()
	if node != nil {
		e.nodes[unsafe.Pointer(node)] = idx
	}
}

// list writes the items of a list that is on the stack.
func (e *emitter) list(items []Value) {
	if len(items) > 0 {
		e.push(frame{what: frameList, items: items})
	}
}

// listStep writes batches of 1000: MARK items APPENDS. A single item is APPEND: for a list when it is the only one, for an
// iterator also as the last batch.
func (e *emitter) listStep(f *frame) {
	n := len(f.items)
	single := n == 1 || f.what == frameListIter && f.i%batch == 0 && n-f.i == 1
	switch {
	case f.i == n:
		e.pop()
		return
	case f.i%batch == 0 && !single:
		e.op(opMark)
	}
	end, last := byte(opAppends), f.i+1 == n || (f.i+1)%batch == 0
	if single {
		end = opAppend
	}
	f.i++
	v := f.items[f.i-1]
	if last {
		e.push(frame{what: frameOp, i: int(end)})
	}
	e.save(v)
}

// dictStep writes batches of 1000 pairs: MARK key value… SETITEMS. A single pair is SETITEM under the same rules as in a list;
// a dict whose length is a multiple of 1000 gets an empty batch at its end.
func (e *emitter) dictStep(f *frame) {
	n := len(f.pairs)
	single := n == 1 || f.what == frameDictIter && f.i%batch == 0 && n-f.i == 1
	switch {
	case f.i == n:
		if f.what == frameDict && n%batch == 0 {
			e.op(opMark)
			e.op(opSetItems)
		}
		e.pop()
		return
	case f.i%batch == 0 && !single:
		e.op(opMark)
	}
	end, last := byte(opSetItems), f.i+1 == n || (f.i+1)%batch == 0
	if single {
		end = opSetItem
	}
	f.i++
	it := f.pairs[f.i-1]
	if last {
		e.push(frame{what: frameOp, i: int(end)})
	}
	e.later(it.Value)
	e.save(it.Key)
}

func (e *emitter) dict(d *Dict) {
	if e.known(unsafe.Pointer(d)) {
		return
	}
	if d.Class == nil {
		e.op(opEmptyDict)
		e.put(unsafe.Pointer(d))
		if len(d.Items) > 0 {
			e.push(frame{what: frameDict, pairs: d.Items})
		}
		return
	}
	e.class(d.Class)
	e.push(frame{what: frameMade, node: d, i: opReduce})
	switch {
	case canonicalSymbol(d.Class.Module, d.Class.Name) == symbol{"collections", "Counter"}:
		if len(d.Items) == 0 {
			e.args(nil, []Value{&Dict{}})
		} else {
			e.args(nil, []Value{&Dict{Items: d.Items}})
		}
	case d.Args != nil:
		e.args(nil, d.Args.Items)
	default:
		e.op(opEmptyTuple)
	}
}

func (e *emitter) set(s *Set) {
	if e.known(unsafe.Pointer(s)) {
		return
	}
	e.global("__builtin__", TypeName(s))
	e.push(frame{what: frameMade, node: s, i: opReduce})
	e.args(nil, []Value{&List{Items: s.Items}})
}

// object writes a call as it came: class, arguments, REDUCE or NEWOBJ, then what was added.
func (e *emitter) object(o *Object) {
	if e.known(unsafe.Pointer(o)) {
		return
	}
	if g, ok := o.Class.(*Global); ok && g.Module == "" {
		e.fail("a persistent id that names no storage")
		return
	}
	op := int(opReduce)
	switch o.How {
	case NewObj:
		op = opNewObj
	case NewObjEx:
		op = opNewObjEx
	}
	e.push(frame{what: frameMade, node: o, i: op})
	if o.How == NewObjEx {
		e.later(o.Kwargs)
	}
	e.laterArgs(o.Args)
	e.later(o.Class)
}

// laterArgs writes arguments when the frames pushed after this call are done. The pickler makes the tuple for the call, so
// that nobody else refers to it.
func (e *emitter) laterArgs(t *Tuple) {
	if t == nil || len(t.Items) == 0 {
		e.push(frame{what: frameOp, i: opEmptyTuple})
		return
	}
	e.push(frame{what: frameTuple, items: t.Items})
	if len(t.Items) > 3 {
		e.push(frame{what: frameOp, i: opMark})
	}
}

// made follows the call that made a node: memo, then items and state.
func (e *emitter) made(node Value) {
	p := pointer(node)
	if idx, ok := e.nodes[p]; ok { // its own arguments contain it
		e.op(opPop)
		e.get(idx)
		return
	}
	e.put(p)
	switch n := node.(type) {
	case *Dict:
		if n.Attrs != nil {
			e.push(frame{what: frameOp, i: opBuild})
			e.later(n.Attrs)
		}
		if len(n.Items) > 0 && canonicalSymbol(n.Class.Module, n.Class.Name) != (symbol{"collections", "Counter"}) {
			e.push(frame{what: frameDictIter, pairs: n.Items})
		}
	case *Object:
		if n.HasState {
			e.push(frame{what: frameOp, i: opBuild})
			e.later(n.State)
		}
		if len(n.Items) > 0 {
			e.push(frame{what: frameDictIter, pairs: n.Items})
		}
		if len(n.Elems) > 0 {
			e.push(frame{what: frameListIter, items: n.Elems})
		}
	}
}

func pointer(node Value) unsafe.Pointer {
	switch n := node.(type) {
	case *Dict:
		return unsafe.Pointer(n)
	case *Object:
		return unsafe.Pointer(n)
	case *Set:
		return unsafe.Pointer(n)
	case *Tuple:
		return unsafe.Pointer(n)
	case *Tensor:
		return unsafe.Pointer(n)
	case *Parameter:
		return unsafe.Pointer(n)
	}
	return nil
}
