package statedict

import "math"

// Numel is the number of elements; 1 for a 0-dimensional view, -1 when the product overflows.
func (v *View) Numel() int64 {
	n := int64(1)
	for _, d := range v.Shape {
		if d == 0 {
			return 0
		}
		if d < 0 || n > math.MaxInt64/d {
			return -1
		}
		n *= d
	}
	return n
}

// NBytes is the number of bytes of the elements themselves, shared or repeated ones counted each time.
func (v *View) NBytes() int64 {
	n, per := v.Numel(), v.DType.PerByte()
	if n < 0 || v.DType.Size() > 0 && n > math.MaxInt64/v.DType.Size() {
		return -1
	}
	return (n*v.DType.Size() + per - 1) / per
}

// Contiguous tells whether the elements lie in row-major order without gaps. Strides of dimensions of size 0 and 1 are
// arbitrary and do not count. Composite tensors, which have no strides, are not contiguous.
func (v *View) Contiguous() bool {
	if len(v.Stride) != len(v.Shape) {
		return false
	}
	want := int64(1)
	for i := len(v.Shape) - 1; i >= 0; i-- {
		if v.Shape[i] == 0 {
			return true
		}
	}
	for i := len(v.Shape) - 1; i >= 0; i-- {
		if v.Shape[i] == 1 {
			continue
		}
		if v.Stride[i] != want {
			return false
		}
		want *= v.Shape[i]
	}
	return true
}

// span is the number of storage elements that the view needs: offset plus the reach of its last element plus one,
// 0 for an empty view. ok is false when a number is negative or the arithmetic overflows.
func (v *View) span() (n int64, ok bool) {
	if len(v.Shape) != len(v.Stride) || v.Offset < 0 {
		return 0, false
	}
	for i := range v.Shape {
		if v.Shape[i] < 0 || v.Stride[i] < 0 {
			return 0, false
		}
	}
	n = v.Offset
	for i := range v.Shape {
		d, s := v.Shape[i], v.Stride[i]
		if d == 0 {
			return 0, true
		}
		if s != 0 && d-1 > (math.MaxInt64-n)/s {
			return 0, false
		}
		n += (d - 1) * s
	}
	if n == math.MaxInt64 {
		return 0, false
	}
	return n + 1, true
}
