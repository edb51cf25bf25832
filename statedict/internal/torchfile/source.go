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
	for _, b := range s.blocks {
		if off >= b.off && off+n <= b.off+int64(len(b.data)) {
			return b.data[off-b.off : off-b.off+n], nil
		}
	}
	return readAt(s.r, off, n)
}

// keep reads n bytes at off and remembers them.
func (s *source) keep(off, n int64) ([]byte, error) {
	data, err := s.read(off, n)
	if err == nil {
		s.blocks = append(s.blocks, block{off, data})
	}
	return data, err
}

// readAt reads exactly n bytes at off. A source that answers with fewer is asked again; one that ends is an error.
func readAt(r io.ReaderAt, off, n int64) ([]byte, error) {
	data := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(r, off, n), data); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, &ReadError{Offset: off, Len: n, Err: err}
	}
	return data, nil
}

// headerSpans calls visit with the n(i) bytes at off(i) for every i below count; the offsets ascend. Neighbours whose
// headers lie less than 2 KiB apart share one read of at most 1 MiB: over two pages' distance a read of its own is
// cheaper than the bytes between.
func (s *source) headerSpans(count int, off, n func(i int) int64, visit func(i int, header []byte) error) error {
	const nearby, most = 2 << 10, 1 << 20
	for first := 0; first < count; {
		start := off(first)
		end := start + n(first)
		last := first + 1
		for last < count && off(last)-end < nearby && off(last)+n(last)-start <= most {
			end = max(end, off(last)+n(last))
			last++
		}
		span, err := s.read(start, end-start)
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
