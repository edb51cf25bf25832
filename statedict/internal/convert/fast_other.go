//go:build !amd64

package convert

import "github.com/weightroom/weightroom/statedict/internal/dtype"

const hasAVX2 = false

func encodeFast(dst, src []byte, n int, to dtype.DType, nan uint16) int { return 0 }
func decodeFast(dst, src []byte, n int, from dtype.DType) int           { return 0 }
func countFast(x, y []uint32, c *Counts) int                            { return 0 }
func stageBytes(stage []uint32) []byte                                  { return nil }
