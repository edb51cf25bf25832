//go:build !amd64 && !wasm

package convert

import "github.com/weightroom/weightroom/statedict/internal/dtype"

func hasVectors() bool                                                  { return false }
func encodeFast(dst, src []byte, n int, to dtype.DType, nan uint16) int { return 0 }
func decodeFast(dst, src []byte, n int, from dtype.DType) int           { return 0 }
func countFast(x, y []byte, n int, c *Counts) int                       { return 0 }
