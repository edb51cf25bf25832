package gguf

import (
	"cmp"
	"slices"
)

func alignUp(n, alignment int64) int64 { return (n + alignment - 1) / alignment * alignment }

// place checks how the tensors lie and fills in what follows from it: the size of those whose type is not known, and the
// number of bytes that nobody owns.
func place(h *Header, size int64) *Error {
	order := make([]int32, len(h.Tensors))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		x, y := &h.Tensors[a], &h.Tensors[b]
		if x.Begin != y.Begin {
			return cmp.Compare(x.Begin, y.Begin)
		}
		return cmp.Compare(x.Size, y.Size)
	})
	dataLen := max(0, size-h.DataOff)
	end := int64(0) // padded end of the tensors so far
	var cut *Error
	for n, i := range order {
		t := &h.Tensors[i]
		if t.Begin < end {
			return fault(CodeLayout, h.DataOff, "tensor %s: data begin at %d, the data before end at %d: they overlap", quote(t.Name), t.Begin, end)
		}
		if _, _, known := t.Type.Block(); !known {
			next := dataLen
			if n+1 < len(order) {
				next = min(next, h.Tensors[order[n+1]].Begin)
			}
			t.Size = max(0, next-t.Begin)
		}
		if cut == nil && (t.Begin > dataLen || t.Size > dataLen-t.Begin) {
			cut = fault(CodeTruncated, size, "tensor data end early: %s needs %d bytes at %d, %d in the file",
				quote(t.Name), t.Size, h.DataOff+t.Begin, max(0, dataLen-t.Begin))
		}
		if t.Size > maxEnd-t.Begin {
			return fault(CodeLayout, h.DataOff, "tensor %s: %d bytes at %d overflow 63 bits", quote(t.Name), t.Size, t.Begin)
		}
		h.Unowned += t.Begin - end
		end = alignUp(t.Begin+t.Size, h.Alignment)
	}
	h.Unowned += max(0, dataLen-end)
	return cut
}

// maxEnd bounds the end of a tensor so that rounding up to any alignment cannot overflow.
const maxEnd = 1<<63 - 1<<33
