package pickle

import (
	"fmt"
	"math/big"
	"strings"

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

// rebuildQTensor: storage, offset, size, stride, quantizer, requires_grad, hooks.
func rebuildQTensor(l *loader, c *classNode, args []any, _ How) any {
	n := l.tensor()
	n.t.Form = FormQuantized
	if len(args) < 7 {
		return l.badTensor(n, c, args, fmt.Sprintf("%d arguments for %s", len(args), c.g.Name))
	}
	bad := l.strided(n.t, args)
	n.t.RequiresGrad = asBool(args[5])
	q, _ := tupleItems(args[4])
	if len(q) < 3 {
		if bad == "" {
			bad = "its quantizer is unknown"
		}
		return l.badTensor(n, c, args, bad)
	}
	x := &TensorExtra{}
	n.t.Extra = x
	if scheme, ok := q[0].(*classNode); ok {
		x.QScheme = scheme.g.Name
	}
	if scale, ok := asFloat(q[1]); ok {
		x.Scale = scale
		x.ZeroPoint, ok = asInt(q[2])
		if !ok && bad == "" {
			bad = "its zero point is no integer"
		}
	} else if len(q) >= 4 {
		x.Axis, _ = asInt(q[3])
		n.part("q_scales", q[1])
		n.part("q_zero_points", q[2])
	} else if bad == "" {
		bad = "its quantizer is unknown"
	}
	if bad != "" {
		return l.badTensor(n, c, args, bad)
	}
	n.keep(c, args)
	return n
}

// layoutName reads a layout: a call of _get_layout, a bare global, or the number that C++ writes.
func layoutName(v any) string {
	switch v := v.(type) {
	case *objectNode:
		if len(v.args) == 1 {
			s, _ := v.args[0].(string)
			return strings.TrimPrefix(s, "torch.")
		}
	case *classNode:
		return v.g.Name
	case int:
		// Source: c10/core/Layout.h
		names := []string{"strided", "sparse_coo", "sparse_csr", "mkldnn", "sparse_csc", "sparse_bsr", "sparse_bsc", "jagged"}
		if v >= 0 && v < len(names) {
			return names[v]
		}
	}
	return ""
}

// rebuildSparse: layout and data; or, from C++, layout, sizes, requires_grad, indices and values one after the other.
func rebuildSparse(l *loader, c *classNode, args []any, _ How) any {
	n := l.tensor()
	n.t.Form = FormSparse
	if c.g.Name == "_rebuild_sparse_csr_tensor" {
		n.t.Form = FormSparseCSR
	}
	if len(args) < 2 {
		return l.badTensor(n, c, args, fmt.Sprintf("%d arguments for %s", len(args), c.g.Name))
	}
	x := n.keep(c, args)
	x.Layout = layoutName(args[0])
	data, _ := tupleItems(args[1])
	var size any
	switch {
	case len(args) == 5:
		size = args[1]
		n.t.RequiresGrad = asBool(args[2])
		n.part("indices", args[3])
		n.part("values", args[4])
	case x.Layout == "sparse_coo" && (len(data) == 3 || len(data) == 4):
		size = data[2]
		n.part("indices", data[0])
		n.part("values", data[1])
	case len(data) == 4:
		size = data[3]
		rows, cols := "crow_indices", "col_indices"
		if x.Layout == "sparse_csc" || x.Layout == "sparse_bsc" {
			rows, cols = "ccol_indices", "row_indices"
		}
		n.part(rows, data[0])
		n.part(cols, data[1])
		n.part("values", data[2])
	default:
		return l.badTensor(n, c, args, "its sparse layout is unknown")
	}
	values := n.pend().parts[len(n.pend().parts)-1]
	if v, ok := values.(*tensorNode); ok {
		n.t.DType = v.t.DType
	}
	var bad string
	if n.t.Shape, _, bad = l.dims(size, size); bad != "" {
		return l.badTensor(n, c, args, bad)
	}
	return n
}

// rebuildNested: buffer, sizes, strides, offsets.
func rebuildNested(l *loader, c *classNode, args []any, _ How) any {
	n := l.tensor()
	n.t.Form = FormNested
	if len(args) != 4 {
		return l.badTensor(n, c, args, fmt.Sprintf("%d arguments for %s", len(args), c.g.Name))
	}
	n.keep(c, args).Layout = "nested"
	for i, name := range []string{"buffer", "sizes", "strides", "offsets"} {
		n.part(name, args[i])
	}
	if v, ok := args[0].(*tensorNode); ok {
		n.t.DType = v.t.DType
	}
	return n
}

// rebuildMeta: dtype, size, stride, requires_grad.
func rebuildMeta(l *loader, c *classNode, args []any, _ How) any {
	return l.withoutStorage(c, args, FormMeta, 0)
}

// rebuildWrapper: class, dtype, size, stride, offset, layout, device, requires_grad.
func rebuildWrapper(l *loader, c *classNode, args []any, _ How) any {
	return l.withoutStorage(c, args, FormWrapper, 1)
}

func (l *loader) withoutStorage(c *classNode, args []any, form Form, first int) any {
	n := l.tensor()
	n.t.Form = form
	if len(args) < first+4 || form == FormWrapper && len(args) < 8 {
		return l.badTensor(n, c, args, fmt.Sprintf("%d arguments for %s", len(args), c.g.Name))
	}
	d, ok := asDType(args[first])
	shape, stride, bad := l.dims(args[first+1], args[first+2])
	n.t.DType, n.t.Shape, n.t.Stride = d, shape, stride
	if !ok && bad == "" {
		bad = "its dtype is unknown"
	}
	if bad != "" {
		return l.badTensor(n, c, args, bad)
	}
	x := n.keep(c, args)
	if form == FormMeta {
		x.Device = "meta"
		n.t.RequiresGrad = asBool(args[3])
		return n
	}
	if cls, ok := args[0].(*classNode); ok {
		x.Class = cls.g
	}
	n.t.Offset, _ = asInt(args[4])
	if name := layoutName(args[5]); name != "strided" {
		x.Layout = name
	}
	x.Device = deviceName(args[6])
	n.t.RequiresGrad = asBool(args[7])
	return n
}

func deviceName(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case *objectNode:
		if len(v.args) > 0 {
			name, _ := v.args[0].(string)
			if len(v.args) > 1 {
				if i, ok := asInt(v.args[1]); ok {
					return fmt.Sprintf("%s:%d", name, i)
				}
			}
			return name
		}
	}
	return ""
}

// rebuildFromNumpy: array, dtype, device, requires_grad. Shape and data are the array's: part "data".
func rebuildFromNumpy(l *loader, c *classNode, args []any, _ How) any {
	n := l.tensor()
	n.t.Form = FormFromNumpy
	d, ok := dtype.DType(0), false
	if len(args) == 4 {
		d, ok = asDType(args[1])
	}
	if !ok {
		return l.badTensor(n, c, args, "its dtype is unknown")
	}
	n.t.DType, n.t.RequiresGrad = d, asBool(args[3])
	n.keep(c, args).Device = deviceName(args[2])
	n.part("data", args[0])
	l.late = append(l.late, func() {
		if a, ok := arrayParts(n.t.Extra.Parts[0].Value); ok {
			if shape, ok := a.dims(); ok {
				n.t.Shape, n.t.Stride = shape, rowMajor(shape)
			}
		}
	})
	return n
}

func rowMajor(shape []int64) []int64 {
	stride := make([]int64, len(shape))
	step := int64(1)
	for i := len(shape) - 1; i >= 0; i-- {
		stride[i] = step
		step *= max(shape[i], 1)
	}
	return stride
}

// rebuildFromCPU: tensor, dtype, device, requires_grad.
func rebuildFromCPU(l *loader, c *classNode, args []any, _ How) any {
	if len(args) != 4 {
		return nil
	}
	inner, ok := args[0].(*tensorNode)
	if !ok {
		return nil
	}
	n := l.wrapping(c, args, inner, FormFromCPU)
	n.t.Extra.Device = deviceName(args[2])
	n.t.RequiresGrad = asBool(args[3])
	return n
}

// wrapping is a tensor that says something more about an inner one, which is its only part.
func (l *loader) wrapping(c *classNode, args []any, inner *tensorNode, form Form) *tensorNode {
	n := l.tensor()
	*n.t = *inner.t
	n.t.Form, n.t.Extra = form, &TensorExtra{}
	if x := inner.t.Extra; x != nil {
		n.t.Extra.Layout, n.t.Extra.Device, n.t.Extra.Bad = x.Layout, x.Device, x.Bad
	}
	n.keep(c, args)
	n.part("inner", inner)
	return n
}

// rebuildFromType: function, class, arguments, state.
func rebuildFromType(form Form) callFunc {
	return func(l *loader, c *classNode, args []any, _ How) any {
		if len(args) != 4 {
			return nil
		}
		f, ok := args[0].(*classNode)
		inside, ok2 := tupleItems(args[2])
		if !ok || !ok2 || f.call == nil {
			return nil
		}
		inner, ok := f.invoke(inside, Reduce).(*tensorNode)
		if !ok {
			return nil
		}
		n := l.wrapping(c, args, inner, form)
		if cls, ok := args[1].(*classNode); ok {
			n.t.Extra.Class = cls.g
		}
		n.pend().state = args[3]
		return n
	}
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
