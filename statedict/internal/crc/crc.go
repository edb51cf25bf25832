// Package crc computes CRC-32 (IEEE), the sum of zip records.
//
// It is hash/crc32 but for WebAssembly, where that package has no instruction to use and takes eight bytes at a time;
// sixteen are a third faster there.
package crc

import "hash/crc32"

// tables[k][b] is the sum of byte b followed by k zero bytes.
var tables = func() (t [16]crc32.Table) {
	t[0] = *crc32.IEEETable
	for b := range 256 {
		for k := 1; k < 16; k++ {
			c := t[k-1][b]
			t[k][b] = t[0][byte(c)] ^ c>>8
		}
	}
	return t
}()

// slicing16 adds p to crc, sixteen bytes at a time.
func slicing16(crc uint32, p []byte) uint32 {
	crc = ^crc
	t := &tables
	for ; len(p) >= 16; p = p[16:] {
		crc ^= uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16 | uint32(p[3])<<24
		crc = t[15][byte(crc)] ^ t[14][byte(crc>>8)] ^ t[13][byte(crc>>16)] ^ t[12][crc>>24] ^
			t[11][p[4]] ^ t[10][p[5]] ^ t[9][p[6]] ^ t[8][p[7]] ^
			t[7][p[8]] ^ t[6][p[9]] ^ t[5][p[10]] ^ t[4][p[11]] ^
			t[3][p[12]] ^ t[2][p[13]] ^ t[1][p[14]] ^ t[0][p[15]]
	}
	for _, b := range p {
		crc = t[0][byte(crc)^b] ^ crc>>8
	}
	return ^crc
}
