package statedict_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// manyTensors is a file of n small tensors in the format, written by this package.
func manyTensors(t testing.TB, n int, f statedict.Format) []byte {
	t.Helper()
	data := make([]byte, 16*n)
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("model.layers.%d.block.weight", i)
	}
	header := []byte("{")
	for i, name := range names {
		if i > 0 {
			header = append(header, ',')
		}
		header = fmt.Appendf(header, `%q:{"dtype":"F32","shape":[2,2],"data_offsets":[%d,%d]}`, name, 16*i, 16*i+16)
	}
	header = append(header, '}')
	file := append(make([]byte, 8), header...)
	for i := range 8 {
		file[i] = byte(len(header) >> (8 * i))
	}
	file = append(file, data...)
	if f == statedict.Safetensors {
		return file
	}
	cp, err := openBytes("many.safetensors", file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := statedict.NewPlan(cp, f, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.Files[0].Write(context.Background(), &out, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

var manyFormats = []statedict.Format{statedict.TorchZip, statedict.TorchLegacy, statedict.Safetensors}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestOpenMemory opens files of many tensors and counts the live heap that an open checkpoint costs.
func TestOpenMemory(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	for _, f := range manyFormats {
		data := manyTensors(t, n, f)
		before := liveHeap()
		cp, err := openBytes("many", data)
		if err != nil {
			t.Fatal(err)
		}
		live := liveHeap() - before
		per := live / int64(n)
		t.Logf("%s: %d bytes of live heap a tensor", f, per)
		if per > 600 {
			t.Errorf("%s: %d bytes a tensor, 600 allowed", f, per)
		}
		if len(cp.Entries) != n {
			t.Errorf("%d tensors", len(cp.Entries))
		}
		runtime.KeepAlive(cp)
		runtime.KeepAlive(data)
	}
}

func BenchmarkOpen100k(b *testing.B) {
	for _, f := range manyFormats {
		b.Run(string(f), func(b *testing.B) {
			data := manyTensors(b, 100_000, f)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := openBytes("many", data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// countingReader counts what is read of a source.
type countingReader struct {
	r    io.ReaderAt
	n    atomic.Int64
	size int64
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	c.n.Add(int64(len(p)))
	return c.r.ReadAt(p, off)
}

// holed is a file of zeros but for its head and tail.
type holed struct {
	head []byte
	tail []byte
	size int64
}

func (h *holed) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(h.head)) {
		copy(p, h.head[off:])
	}
	if at := h.size - int64(len(h.tail)); off+int64(len(p)) > at {
		from := max(0, at-off)
		copy(p[from:], h.tail[max(0, off-at):])
	}
	if int64(len(p)) > h.size-off {
		return int(h.size - off), io.EOF
	}
	return len(p), nil
}

// TestOpenReads opens files of 12 GB and counts the bytes that are read, in both modes of reading zip headers.
func TestOpenReads(t *testing.T) {
	const big = 3 << 30 // elements of float32
	header := fmt.Appendf(nil, `{"a":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]},"b":{"dtype":"F32","shape":[2],"data_offsets":[%d,%d]}}`, int64(big), int64(4*big), int64(4*big), int64(4*big+8))
	file := append(make([]byte, 8), header...)
	for i := range 8 {
		file[i] = byte(len(header) >> (8 * i))
	}
	size := int64(len(file)) + 4*big + 8
	src := statedict.Source{Name: "big.safetensors", R: &holed{head: file, size: size}, Size: size}
	cp, err := statedict.Open(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range manyFormats {
		p, err := statedict.NewPlan(edited(t, cp), f, nil)
		if err != nil {
			t.Fatal(err)
		}
		// What is no extent of the source is header and tail.
		var head, tail []byte
		at := &head
		for _, s := range p.Files[0].Segments {
			switch s := s.(type) {
			case statedict.Literal:
				*at = append(*at, s...)
			case statedict.Copy:
				if s.Len() > 1<<20 {
					at = &tail
				} else {
					*at = append(*at, make([]byte, s.Len())...)
				}
			case statedict.Sum:
				*at = append(*at, make([]byte, 4)...)
			default:
				t.Fatalf("%T", s)
			}
		}
		for _, lazy := range []bool{false, true} {
			c := &countingReader{r: &holed{head: head, tail: tail, size: p.Files[0].Size}}
			back, err := (&statedict.Options{LazyHeaders: lazy}).Open(context.Background(), statedict.Source{Name: "big", R: c, Size: p.Files[0].Size})
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			if len(back.Entries) != 2 || back.Entries[0].Numel() != big {
				t.Errorf("%s: %d tensors", f, len(back.Entries))
			}
			if n := c.n.Load(); n > 1<<20 {
				t.Errorf("%s, lazy %v: %d bytes read of %d", f, lazy, n, p.Files[0].Size)
			} else {
				t.Logf("%s, lazy %v: %d bytes read of %d", f, lazy, n, p.Files[0].Size)
			}
		}
	}
}
