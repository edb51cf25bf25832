package torchfile

import (
	"bytes"
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

func TestCombineCRC(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		a, b := make([]byte, rng.IntN(300)), make([]byte, rng.IntN(70_000))
		for i := range a {
			a[i] = byte(rng.Uint32())
		}
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		want := crc32.ChecksumIEEE(append(bytes.Clone(a), b...))
		if got := CombineCRC(crc32.ChecksumIEEE(a), crc32.ChecksumIEEE(b), int64(len(b))); got != want {
			t.Fatalf("%d + %d bytes: %08x, want %08x", len(a), len(b), got, want)
		}
	}
	// 4 GiB of zeros by doubling a megabyte, against the sum that a loop over them gives.
	sum, n := crc32.ChecksumIEEE(make([]byte, 1<<20)), int64(1<<20)
	for range 12 {
		sum, n = CombineCRC(sum, sum, n), 2*n
	}
	if want := uint32(0xd202ef8d); sum != want {
		t.Errorf("%d zeros: %08x, want %08x", n, sum, want)
	}
}
