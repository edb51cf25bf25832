package safetensors

import (
	"cmp"
	"math/bits"
	"slices"
)

// extentOf is the number of bytes that shape (as the file counts it) takes at bits per element. The product is formed from
// the left and must never leave 64 bits, not even in front of a zero: the reference reader refuses that too.
func extentOf(shape []uint64, bitsEach int64) (nbytes uint64, problem string) {
	n := uint64(1)
	for _, dim := range shape {
		hi, lo := bits.Mul64(n, dim)
		if hi != 0 {
			return 0, "the product overflows 64 bits"
		}
		n = lo
	}
	hi, lo := bits.Mul64(n, uint64(bitsEach))
	if hi != 0 {
		return 0, "the size in bits overflows 64 bits"
	}
	if lo%8 != 0 {
		return 0, "the size is no whole number of bytes"
	}
	return lo / 8, ""
}

// checkRanges refuses holes, overlaps and bytes that no tensor owns; dataLen is how many bytes follow the header.
func checkRanges(h *Header, dataLen int64) *Error {
	end := int64(0)
	for i := range h.Entries {
		if h.Entries[i].Begin != end {
			return checkSorted(h, dataLen)
		}
		end = h.Entries[i].End
	}
	return checkEnd(h, end, dataLen)
}

// checkSorted is checkRanges for a header that lists its tensors in another order than the data.
func checkSorted(h *Header, dataLen int64) *Error {
	order := make([]int32, len(h.Entries))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		x, y := &h.Entries[a], &h.Entries[b]
		if x.Begin != y.Begin {
			return cmp.Compare(x.Begin, y.Begin)
		}
		return cmp.Compare(x.End, y.End)
	})
	end := int64(0)
	for _, i := range order {
		e := &h.Entries[i]
		switch {
		case e.Begin > end:
			return fault(CodeLayout, lengthBytes+int64(e.at), "tensor %s: data begin at %d, the data before end at %d: a hole of %d bytes",
				quote(e.Name), e.Begin, end, e.Begin-end)
		case e.Begin < end:
			return fault(CodeLayout, lengthBytes+int64(e.at), "tensor %s: data begin at %d, the data before end at %d: they overlap",
				quote(e.Name), e.Begin, end)
		}
		end = e.End
	}
	return checkEnd(h, end, dataLen)
}

func checkEnd(h *Header, end, dataLen int64) *Error {
	switch {
	case end > dataLen:
		return fault(CodeTruncated, h.DataOff+dataLen, "tensor data end early: %d bytes declared, %d in the file, %d missing", end, dataLen, end-dataLen)
	case end < dataLen:
		return fault(CodeLayout, h.DataOff+end, "%d bytes behind the last tensor belong to none", dataLen-end)
	}
	return nil
}
