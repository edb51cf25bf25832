package crc

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

func TestAgainstLibrary(t *testing.T) {
	b := make([]byte, 5000)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	for n := range 70 {
		for _, cut := range []int{0, 1, n / 2, n} {
			cut = min(cut, n)
			want := crc32.ChecksumIEEE(b[3 : 3+n])
			if got := slicing16(slicing16(0, b[3:3+cut]), b[3+cut:3+n]); got != want {
				t.Fatalf("slicing, %d bytes cut at %d: %08x, want %08x", n, cut, got, want)
			}
			if got := Update(Update(0, b[3:3+cut]), b[3+cut:3+n]); got != want {
				t.Fatalf("update, %d bytes cut at %d: %08x, want %08x", n, cut, got, want)
			}
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	p := make([]byte, 1<<20)
	for name, f := range map[string]func(uint32, []byte) uint32{
		"update": Update, "slicing16": slicing16,
		"library": func(c uint32, p []byte) uint32 { return crc32.Update(c, crc32.IEEETable, p) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(1 << 20)
			for b.Loop() {
				f(0, p)
			}
		})
	}
}
