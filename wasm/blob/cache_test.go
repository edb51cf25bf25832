package blob

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

func TestCacheReads(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 20*pageSize*readAhead+123)
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	fetches := 0
	c := NewCache(int64(len(data)), func(p []byte, off int64) error {
		fetches++
		if n := copy(p, data[off:]); n < len(p) {
			t.Fatalf("fetch of %d bytes at %d reaches over the end", len(p), off)
		}
		return nil
	})
	for range 3000 {
		n, off := rnd.IntN(3*pageSize), rnd.IntN(len(data))
		if rnd.IntN(20) == 0 {
			n = 2 * pageSize * readAhead
		}
		p := make([]byte, n)
		got, err := c.ReadAt(p, int64(off))
		want := data[off:min(off+n, len(data))]
		if !bytes.Equal(p[:got], want) {
			t.Fatalf("%d bytes at %d differ", n, off)
		}
		if (got < n) != (err == io.EOF) || err != nil && err != io.EOF {
			t.Fatalf("%d of %d bytes at %d: error %v", got, n, off, err)
		}
		if len(c.pages) > maxPages {
			t.Fatalf("%d pages kept", len(c.pages))
		}
	}
	if _, err := c.ReadAt(make([]byte, 1), int64(len(data))); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	if _, err := c.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a negative offset was read")
	}
}

func TestCacheFetchesLittle(t *testing.T) {
	const size = 12 << 30
	fetches, total := 0, 0
	c := NewCache(size, func(p []byte, off int64) error {
		fetches++
		total += len(p)
		return nil
	})
	// What opening a large archive does: the tail in small pieces, then a pickle in sequence.
	for off := int64(size - 60<<10); off < size; off += 46 {
		c.ReadAt(make([]byte, 46), off)
	}
	for off := int64(0); off < 300<<10; off += 4096 {
		c.ReadAt(make([]byte, 4096), off)
	}
	if fetches > 6 || total > 1<<20 {
		t.Errorf("%d fetches, %d bytes", fetches, total)
	}
	if got := c.BytesRead(); got != int64(total) {
		t.Errorf("%d bytes counted, %d fetched", got, total)
	}
}

func TestCacheError(t *testing.T) {
	fail := errors.New("changed")
	c := NewCache(100, func([]byte, int64) error { return fail })
	if _, err := c.ReadAt(make([]byte, 10), 5); err != fail {
		t.Errorf("got %v", err)
	}
	if c.BytesRead() != 0 {
		t.Error("a failed fetch was counted")
	}
}
