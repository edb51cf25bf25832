package convert

import (
	"unsafe"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// Narrowing holds minifloat's numbers as vector code wants them. Fields before NaNBits have the order of float8AVX2.
type Narrowing struct {
	Bias    uint32 // half a step less one, less the difference of the exponents' biases
	Magic   uint32 // adding it as a float shifts a subnormal's last place to float32's
	Normal  uint32 // the smallest normal number
	Limit   uint32 // the largest magnitude that does not overflow before rounding
	Over    uint32 // code of those that do
	Inf     uint32
	NaN     uint32 // code of NaN
	OneZero uint32 // all ones in a type without minus zero
	Shift   uint32 // bits of the mantissa that are cut off
	NaNBits uint32 // what distinguishes NaN from Over
	Sign    uint32 // how far the sign bit moves down
	Wide    bool   // codes of 16 bits, else of 8
}

func narrowing(f *minifloat) *Narrowing {
	shift := 23 - f.mantissa
	c := &Narrowing{
		Bias:  1<<(shift-1) - 1 - (127-f.bias)<<23,
		Magic: (127 - f.bias + shift + 1) << 23, Normal: (128 - f.bias) << 23,
		Limit: f.limit - 1, Over: f.over, Inf: inf32, NaN: f.nan, Shift: shift, NaNBits: f.nan ^ f.over, Sign: 24,
	}
	if f.oneZero {
		c.OneZero = 1<<32 - 1
	}
	if f.signBit == 0x8000 {
		c.Wide, c.Sign = true, 16
	}
	return c
}

// fastKernel is a vector kernel with plainKernel's results, for float types of at most 32 bits; nil where there is none.
func fastKernel(to, from dtype.DType) kernel {
	if !hasVectors() || !from.IsFloat() || from == dtype.Float64 || from.Size() == 1 {
		return nil
	}
	switch to {
	case dtype.Float32, dtype.Float16, dtype.BFloat16, dtype.Float8E4M3FN, dtype.Float8E5M2, dtype.Float8E4M3FNUZ, dtype.Float8E5M2FNUZ:
		return func(dst, src []byte) { viaVectors(dst, src, to, from) }
	}
	return nil
}

func viaVectors(dst, src []byte, to, from dtype.DType) {
	n, done := len(src)/int(from.Size()), 0
	switch {
	case from == dtype.Float32:
		done = encodeFast(dst, src, n, to, bfloatNaN(from))
	case to == dtype.Float32:
		done = decodeFast(dst, src, n, from)
	default:
		var stage [blockLen]uint32
		ts := int(to.Size())
		for done+16 <= n {
			k := decodeFast(stageBytes(stage[:]), src[2*done:], min(blockLen, n-done), from)
			if k == 0 || encodeFast(dst[ts*done:], stageBytes(stage[:k]), k, to, bfloatNaN(from)) != k {
				break
			}
			done += k
		}
	}
	plainKernel(to, from)(dst[done*int(to.Size()):], src[done*int(from.Size()):])
}

// stageBytes sees staged float32 bits as bytes. Only called where vectors are, on little-endian processors.
func stageBytes(stage []uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(stage))), 4*len(stage))
}
