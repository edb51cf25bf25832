package pickle

import (
	"fmt"
	"math/big"

	"github.com/nlpodyssey/gopickle/types"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// maxRank bounds the dimensions of a tensor.
const maxRank = 64

// Raw values, read while the VM runs.

func tupleItems(v any) ([]any, bool) {
	switch v := v.(type) {
	case *types.Tuple:
		return *v, true
	case *valueNode:
		if t, ok := v.v.(*Tuple); ok {
			return t.Items, true
		}
	case *listNode:
		return v.items, true
	}
	return nil, false
}

func asInt(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case bool:
		return b2i(v), true
	}
	return 0, false
}

func asFloat(v any) (float64, bool) {
	if f, ok := v.(float64); ok {
		return f, true
	}
	n, ok := asInt(v)
	return float64(n), ok
}

func asBool(v any) bool {
	n, _ := asInt(v)
	return n != 0
}

// asDType reads a dtype, which is a bare global.
func asDType(v any) (dtype.DType, bool) {
	if c, ok := v.(*classNode); ok && c.g.Module == "torch" {
		return dtype.Parse(c.g.Name)
	}
	return 0, false
}

// dims reads sizes and strides into one piece of memory. The text tells what is wrong, "" for nothing.
func (l *loader) dims(size, stride any) (shape, steps []int64, bad string) {
	a, ok := tupleItems(size)
	b, ok2 := tupleItems(stride)
	switch {
	case !ok || !ok2:
		return nil, nil, "its shape or stride is no tuple"
	case len(a) != len(b):
		return nil, nil, fmt.Sprintf("%d sizes but %d strides", len(a), len(b))
	case len(a) > maxRank:
		return nil, nil, fmt.Sprintf("%d dimensions, more than %d", len(a), maxRank)
	}
	l.take(16 * len(a))
	both := l.slabs.dims(2 * len(a))
	for i := range a {
		n, ok := asInt(a[i])
		m, ok2 := asInt(b[i])
		if !ok || !ok2 {
			if isBig(a[i]) || isBig(b[i]) {
				return nil, nil, "a size or stride beyond 64 bits"
			}
			return nil, nil, "a size or stride that is no integer"
		}
		both[i], both[len(a)+i] = n, m
	}
	return both[:len(a):len(a)], both[len(a):], ""
}

func isBig(v any) bool {
	_, ok := v.(*big.Int)
	return ok
}

// tensor returns a node of its own.
func (l *loader) tensor() *tensorNode {
	n := slab(&l.slabs.nodes)
	n.l = l
	n.t = slab(&l.slabs.tensors)
	return n
}

// keep fills in what composites and odd tensors have: the call itself.
func (n *tensorNode) keep(c *classNode, args []any) *TensorExtra {
	if n.t.Extra == nil {
		n.t.Extra = &TensorExtra{}
	}
	n.t.Extra.Func = c.g
	n.pend().args = n.l.clone(args)
	return n.t.Extra
}

func (n *tensorNode) pend() *pendingTensor {
	if n.pending == nil {
		n.pending = &pendingTensor{}
	}
	return n.pending
}

func (n *tensorNode) part(name string, raw any) {
	n.t.Extra.Parts = append(n.t.Extra.Parts, Part{Name: name})
	n.pend().parts = append(n.pend().parts, raw)
}

// badTensor is a tensor of which only the call is known.
func (l *loader) badTensor(n *tensorNode, c *classNode, args []any, why string) any {
	if l.bad++; l.bad > maxBad {
		panic(overLimit(0, "impossible tensors", maxBad))
	}
	n.keep(c, args).Bad = why
	l.find(Finding{FindingTensorBad, why, n.t})
	return n
}

// strided fills what all views have; args are storage, offset, size, stride.
func (l *loader) strided(t *Tensor, args []any) (bad string) {
	st, ok := args[0].(*storageNode)
	if !ok {
		return "it has no storage"
	}
	t.Storage, t.DType = st.s, st.s.DType
	var ok2 bool
	t.Offset, ok2 = asInt(args[1])
	t.Shape, t.Stride, bad = l.dims(args[2], args[3])
	switch {
	case bad != "":
	case !ok2:
		bad = "its offset is no integer of 64 bits"
	default:
		bad = st.bad
	}
	return bad
}

// rebuildTensor is _rebuild_tensor, v2 and v3.
func rebuildTensor(form Form) callFunc {
	return func(l *loader, c *classNode, args []any, _ How) any {
		least, most := 4, 4
		switch form {
		case FormV2:
			least, most = 6, 7
		case FormV3:
			least, most = 7, 8
		}
		n := l.tensor()
		n.t.Form = form
		if len(args) < least || len(args) > most {
			return l.badTensor(n, c, args, fmt.Sprintf("%d arguments for %s", len(args), c.g.Name))
		}
		bad := l.strided(n.t, args)
		if form != FormV1 {
			n.t.RequiresGrad = asBool(args[4])
		}
		if form == FormV3 {
			d, ok := asDType(args[6])
			if !ok && bad == "" {
				bad = "its dtype is unknown"
			}
			n.t.DType = d
			if _, named := storageNames[d]; !named {
				n.t.Form = FormV2
			}
		}
		if bad != "" {
			return l.badTensor(n, c, args, bad)
		}
		if len(args) == most && form != FormV1 {
			n.metadata(args[most-1])
		}
		return n
	}
}

// maxMetadata bounds the pairs that are looked at for each tensor that names the same dict.
const maxMetadata = 16

// metadata reads the trailing dict of v2 and v3: {'conj': True}, {'neg': True}, or what a backend adds.
func (n *tensorNode) metadata(raw any) {
	d, ok := raw.(*dictNode)
	if !ok {
		if raw != nil {
			n.t.Extra = &TensorExtra{}
			n.pend().metadata = raw
		}
		return
	}
	for i := 0; i+1 < min(len(d.items), 2*maxMetadata); i += 2 {
		switch d.items[i] {
		case "conj":
			n.t.Conj = asBool(d.items[i+1])
		case "neg":
			n.t.Neg = asBool(d.items[i+1])
		}
	}
	n.t.Extra = &TensorExtra{}
	n.pend().metadata = raw
}

// rebuildParameter: tensor, requires_grad, hooks[, state].
func rebuildParameter(l *loader, c *classNode, args []any, _ How) any {
	withState := c.g.Name == "_rebuild_parameter_with_state"
	if len(args) != 3 && !(withState && len(args) == 4) {
		return nil
	}
	data, ok := args[0].(*tensorNode)
	if !ok {
		return nil
	}
	n := &paramNode{made: made{l}, p: &Parameter{RequiresGrad: asBool(args[1]), HasState: withState}, data: data, hooks: args[2]}
	if withState && len(args) == 4 {
		n.state = args[3]
	}
	return n
}

// oldParameter is torch.nn.parameter.Parameter called with (tensor[, requires_grad]), of torch 0.1 to 0.3; a BUILD follows.
func oldParameter(l *loader, c *classNode, args []any, how How) any {
	n := &paramNode{made: made{l}, p: &Parameter{RequiresGrad: true, OldClass: true}, class: c, how: how}
	n.args = l.clone(args)
	if len(args) > 0 {
		n.data, _ = args[0].(*tensorNode)
	}
	if len(args) > 1 {
		n.p.RequiresGrad = asBool(args[1])
	}
	return n
}

// PySetState takes (requires_grad, volatile, hooks), (data, _, hooks, requires_grad, _), or attributes.
func (n *paramNode) PySetState(state any) error {
	items, _ := tupleItems(state)
	switch {
	case n.p.OldClass && len(items) == 3:
		n.p.RequiresGrad, n.hooks = asBool(items[0]), items[2]
	case n.p.OldClass && len(items) == 5:
		if data, ok := items[0].(*tensorNode); ok {
			n.data = data
		}
		n.hooks, n.p.RequiresGrad = items[2], asBool(items[3])
	case n.data != nil:
		n.state, n.p.HasState = state, true
	}
	if n.data == nil {
		n.state, n.built = state, true
	}
	return nil
}

// legacyTensor is torch.FloatTensor and the like by NEWOBJ; BUILD gives (storage, offset, size, stride).
func legacyTensor(l *loader, c *classNode, args []any, how How) any {
	if len(args) > 0 || how != NewObj {
		return nil
	}
	n := l.tensor()
	n.buildCls = c
	n.t.Form = FormLegacy
	n.keep(c, nil).Bad = "it has no data"
	return n
}

// PySetState takes the state of a legacy tensor; on any other it is Python attributes.
func (n *tensorNode) PySetState(state any) error {
	items, ok := tupleItems(state)
	if n.buildCls == nil {
		if n.t.Extra == nil {
			n.t.Extra = &TensorExtra{}
		}
		n.pend().state = state
		return nil
	}
	bad := "its state is unknown"
	if ok && len(items) >= 4 {
		bad = n.l.strided(n.t, items)
	}
	if bad != "" {
		n.l.badTensor(n, n.buildCls, nil, bad)
		n.pend().state = state
		return nil
	}
	n.t.Extra, n.pending = nil, nil
	return nil
}
