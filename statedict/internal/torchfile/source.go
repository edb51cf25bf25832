package torchfile

import (
	"encoding/binary"
	"io"
)

var le = binary.LittleEndian

// source reads pieces of a file and remembers a few of them: the head and the tail serve most of what opening needs.
type source struct {
	r      io.ReaderAt
	size   int64
	blocks []block
}

type block struct {
	off  int64
	data []byte
}

// read returns n bytes at off, which the caller has checked to lie inside the file. The bytes may belong to a
// remembered block: they are not to be changed.
func (s *source) read(off, n int64) ([]byte, error) {
	if data := s.remembered(off, n); data != nil {
		return data, nil
	}
	return readAt(s.r, off, n)
}

// remembered returns these bytes if a block has them all, nil if none does.
func (s *source) remembered(off, n int64) []byte {
	for _, b := range s.blocks {
		if off >= b.off && off+n <= b.off+int64(len(b.data)) {
			return b.data[off-b.off : off-b.off+n]
		}
	}
	return nil
}

// keep reads n bytes at off and remembers them.
func (s *source) keep(off, n int64) ([]byte, error) {
	data, err := s.read(off, n)
	if err == nil {
		s.blocks = append(s.blocks, block{off, data})
	}
	return data, err
}

// readAt reads exactly n bytes at off.
func readAt(r io.ReaderAt, off, n int64) ([]byte, error) {
	data := make([]byte, n)
	return data, readFull(r, data, off)
}

// readFull fills data from off on. A source that answers with fewer bytes is asked again; one that ends is an error.
func readFull(r io.ReaderAt, data []byte, off int64) error {
	n := int64(len(data))
	if _, err := io.ReadFull(io.NewSectionReader(r, off, n), data); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return &ReadError{Offset: off, Len: n, Err: err}
	}
	return nil
}

// piece is the longest read while walking headers or a directory: calls are few, and memory is small.
const piece = 1 << 20

// pieces reads runs of a source, one after the other, into the same memory.
type pieces struct {
	*source
	buf []byte
}

// read returns n bytes at off, valid until the next call.
func (p *pieces) read(off, n int64) ([]byte, error) {
	if data := p.remembered(off, n); data != nil {
		return data, nil
	}
	if int64(cap(p.buf)) < n {
		p.buf = make([]byte, n)
	}
	data := p.buf[:n]
	return data, readFull(p.r, data, off)
}

// headerSpans calls visit with the n(i) bytes at off(i) for every i below count; the offsets ascend. Neighbours whose
// headers lie less than 2 KiB apart share one read of at most 1 MiB: over two pages' distance a read of its own is
// cheaper than the bytes between. The bytes are valid during the call.
func (s *source) headerSpans(count int, off, n func(i int) int64, visit func(i int, header []byte) error) error {
	const nearby = 2 << 10
	run := pieces{source: s}
	for first := 0; first < count; {
		start := off(first)
		end := start + n(first)
		last := first + 1
		for ; last < count; last++ {
			at := off(last)
			to := at + n(last)
			if at-end >= nearby || to-start > piece {
				break
			}
			end = max(end, to)
		}
		span, err := run.read(start, end-start)
		if err != nil {
			return err
		}
		for ; first < last; first++ {
			at := off(first) - start
			if err := visit(first, span[at:at+n(first)]); err != nil {
				return err
			}
		}
	}
	return nil
}
