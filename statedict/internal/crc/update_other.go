//go:build !wasm

package crc

import "hash/crc32"

// Update adds p to a sum that begins with 0.
func Update(crc uint32, p []byte) uint32 { return crc32.Update(crc, crc32.IEEETable, p) }
