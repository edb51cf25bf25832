package convert

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// A View says which elements of a storage make a tensor, in torch's terms.
// Offset and Stride count elements; strides are never negative. Shape and Stride have the same length.
type View struct {
	DType         dtype.DType
	Offset        int64
	Shape, Stride []int64
}

// Numel is the number of elements. Errors: a negative extent, or a product that does not fit into int64.
func (v View) Numel() (int64, error) {
	n, empty := uint64(1), false
	for _, s := range v.Shape {
		if s < 0 {
			return 0, fmt.Errorf("shape %v has a negative extent", v.Shape)
		}
		empty = empty || s == 0
	}
	if empty {
		return 0, nil
	}
	for _, s := range v.Shape {
		hi, lo := bits.Mul64(n, uint64(s))
		if hi != 0 || lo > math.MaxInt64 {
			return 0, fmt.Errorf("shape %v has more elements than can be counted", v.Shape)
		}
		n = lo
	}
	return int64(n), nil
}

// Span is the first element and the number of elements between it and the last one, both included; 0 for an empty view,
// whatever its offset. Errors: what Numel finds, negative offsets and strides, sums that do not fit into int64.
func (v View) Span() (first, elements int64, err error) {
	n, err := v.Numel()
	if err != nil {
		return 0, 0, err
	}
	if len(v.Shape) != len(v.Stride) {
		return 0, 0, fmt.Errorf("%d extents and %d strides", len(v.Shape), len(v.Stride))
	}
	if n == 0 {
		return 0, 0, nil
	}
	last := uint64(0)
	for i, s := range v.Shape {
		if v.Stride[i] < 0 {
			return 0, 0, fmt.Errorf("stride %v is negative", v.Stride)
		}
		hi, lo := bits.Mul64(uint64(s-1), uint64(v.Stride[i]))
		if last += lo; hi != 0 || lo > math.MaxInt64 || last > math.MaxInt64 {
			return 0, 0, fmt.Errorf("shape %v with stride %v spans more than can be addressed", v.Shape, v.Stride)
		}
	}
	if v.Offset < 0 || uint64(v.Offset)+last+1 > math.MaxInt64 {
		return 0, 0, fmt.Errorf("offset %d with a span of %d elements", v.Offset, last+1)
	}
	return v.Offset, int64(last) + 1, nil
}

// Contiguous tells whether the elements lie in row-major order without gaps. Strides of extents 0 and 1 do not matter.
func (v View) Contiguous() bool {
	dims := v.dims()
	return len(dims) == 0 || len(dims) == 1 && dims[0].src == 1
}

// A dim is one loop of a gather: n steps, each of so many elements in the source and in the row-major output.
type dim struct{ n, src, dst int64 }

// dims drops extents of 1 and joins neighbours that run on from each other. The view must have passed Span.
// An empty view gives one dim of 0 steps.
func (v View) dims() []dim {
	var out []dim
	dst := int64(1)
	for i := len(v.Shape) - 1; i >= 0; i-- {
		if v.Shape[i] == 0 {
			return []dim{{0, 1, 1}}
		}
	}
	for i := len(v.Shape) - 1; i >= 0; i-- {
		n := v.Shape[i]
		if n == 1 {
			continue
		}
		out = append(out, dim{n, v.Stride[i], dst})
		dst *= n
	}
	slices.Reverse(out)
	return join(out)
}

// join merges each dim with the next one where both its steps are what the next one spans.
func join(dims []dim) []dim {
	out := dims[:0:0]
	for _, d := range dims {
		if k := len(out) - 1; k >= 0 && out[k].src == d.src*d.n && out[k].dst == d.dst*d.n {
			out[k] = dim{out[k].n * d.n, d.src, d.dst}
		} else {
			out = append(out, d)
		}
	}
	return out
}
