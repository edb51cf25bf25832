// Package simd speeds up casts in the browser with 128-bit vectors, which Go's compiler does not give to WebAssembly.
//
// Importing it is enough, but a program that does so can only be instantiated with the imports that simd.js adds.
// Where the helper is not attached, every call answers 0 and Go's loops do the work. simd.wasm is assembled from simd.wat
// by scripts/build-simd.sh.
//
//go:build js && wasm

package simd

import "github.com/weightroom/weightroom/statedict"

//go:wasmimport weightroom_simd narrow
func narrow(dst, src *byte, n, wide, shift, bias, magic, normal, limit, over, nanBits, oneZero, sign uint32) uint32

//go:wasmimport weightroom_simd bfloat16
func bfloat16(dst, src *byte, n, nan uint32) uint32

//go:wasmimport weightroom_simd from_bfloat16
func fromBFloat16(dst, src *byte, n uint32) uint32

//go:wasmimport weightroom_simd from_float16
func fromFloat16(dst, src *byte, n uint32) uint32

//go:wasmimport weightroom_simd count
func count(x, y *byte, n uint32, sums *[5][4]uint32) uint32

type vectors struct{}

func (vectors) Narrow(dst, src *byte, n int, c *statedict.Narrowing) bool {
	wide := uint32(0)
	if c.Wide {
		wide = 1
	}
	return narrow(dst, src, uint32(n), wide, c.Shift, c.Bias, c.Magic, c.Normal, c.Limit, c.Over, c.NaNBits, c.OneZero, c.Sign) != 0
}

func (vectors) BFloat16(dst, src *byte, n int, nan uint32) bool {
	return bfloat16(dst, src, uint32(n), nan) != 0
}

func (vectors) FromFloat16(dst, src *byte, n int) bool {
	return fromFloat16(dst, src, uint32(n)) != 0
}

func (vectors) FromBFloat16(dst, src *byte, n int) bool {
	return fromBFloat16(dst, src, uint32(n)) != 0
}

func (vectors) Count(x, y *byte, n int, sums *[5][4]uint32) bool {
	return count(x, y, uint32(n), sums) != 0
}

func init() { Use(true) }

// Use switches the helper on, which it is from the start, or off, to compare.
func Use(on bool) {
	if on {
		statedict.SetVectors(vectors{})
	} else {
		statedict.SetVectors(nil)
	}
}
