package statedict

import "github.com/weightroom/weightroom/statedict/internal/convert"

// Vectors and Narrowing are what a helper outside of Go offers to speed up casts; see package wasm/simd.
type (
	Vectors   = convert.Vectors
	Narrowing = convert.Narrowing
)

// SetVectors makes casts use the helper; the bits stay the same. nil takes it away. Not to be called while casts run.
func SetVectors(v Vectors) { convert.SetVectors(v) }
