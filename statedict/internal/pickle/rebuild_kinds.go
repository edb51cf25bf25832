package pickle

import (
	"fmt"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

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
