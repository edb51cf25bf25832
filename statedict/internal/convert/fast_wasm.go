package convert

import "github.com/weightroom/weightroom/statedict/internal/dtype"

// Vectors is a helper outside of Go, whose compiler has no vectors for WebAssembly. Every n is a multiple of 16 and not 0;
// lengths are checked. A method that answers false has done nothing.
type Vectors interface {
	Narrow(dst, src *byte, n int, c *Narrowing) bool
	BFloat16(dst, src *byte, n int, nan uint32) bool
	FromFloat16(dst, src *byte, n int) bool
	FromBFloat16(dst, src *byte, n int) bool
	// Count adds to four lanes each: overflowed, flushed, rounded, NaN, lost NaN.
	Count(x, y *byte, n int, sums *[5][4]uint32) bool
}

var vectors Vectors

// SetVectors makes the casts use a helper; nil takes it away. Not to be called while casts run.
func SetVectors(v Vectors) { vectors = v }

func hasVectors() bool { return vectors != nil }

// encodeFast casts a multiple of 16 elements from float32 and returns their number; 0 where there is no vector code.
func encodeFast(dst, src []byte, n int, to dtype.DType, nan uint16) int {
	n &^= 15
	if vectors == nil || n == 0 {
		return 0
	}
	d, s := &dst[:n*int(to.Size())][0], &src[:4*n][0]
	ok := false
	switch to {
	case dtype.Float16:
		ok = vectors.Narrow(d, s, n, narrowing(&float16))
	case dtype.BFloat16:
		ok = vectors.BFloat16(d, s, n, uint32(nan))
	case dtype.Float8E4M3FN, dtype.Float8E5M2, dtype.Float8E4M3FNUZ, dtype.Float8E5M2FNUZ:
		ok = vectors.Narrow(d, s, n, narrowing(float8(to)))
	}
	if !ok {
		return 0
	}
	return n
}

// decodeFast is encodeFast's counterpart to float32.
func decodeFast(dst, src []byte, n int, from dtype.DType) int {
	n &^= 15
	if vectors == nil || n == 0 {
		return 0
	}
	ok := false
	switch from {
	case dtype.Float16:
		ok = vectors.FromFloat16(&dst[:4*n][0], &src[:2*n][0], n)
	case dtype.BFloat16:
		ok = vectors.FromBFloat16(&dst[:4*n][0], &src[:2*n][0], n)
	}
	if !ok {
		return 0
	}
	return n
}

// countFast compares a multiple of 16 of at most blockLen elements, both sides as float32, and returns their number.
func countFast(x, y []byte, n int, c *Counts) int {
	n &^= 15
	if vectors == nil || n == 0 {
		return 0
	}
	var sums [5][4]uint32
	if !vectors.Count(&x[:4*n][0], &y[:4*n][0], n, &sums) {
		return 0
	}
	for i, total := range []*int64{&c.Overflowed, &c.Flushed, &c.Rounded, &c.NaN, &c.LostNaN} {
		for _, s := range sums[i] {
			*total += int64(s)
		}
	}
	return n
}
