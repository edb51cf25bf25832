package torchfile

import (
	"errors"
	"io"
)

// Cursor reads forward through the formats that have no index: pickles of unknown length with raw numbers and payloads
// between them. It holds one window, which grows only as far as a pickle needs, and skips payloads without reading them.
type Cursor struct {
	r   io.ReaderAt
	off int64  // of the next byte
	end int64  // first byte that is not to be read
	buf []byte // bytes from off on that have been read already
}

// window is the first read of a pickle in bytes; it doubles until the pickle ends.
const window = 64 << 10

// NewCursor reads r from off up to end; both are offsets in r, and end is not past its size.
func NewCursor(r io.ReaderAt, off, end int64) *Cursor {
	return &Cursor{r: r, off: min(off, end), end: end}
}

// Off is the offset in the file of the next byte.
func (c *Cursor) Off() int64 { return c.off }

// Left is how many bytes follow.
func (c *Cursor) Left() int64 { return c.end - c.off }

// fill makes the buffer hold n bytes, or all that are left.
func (c *Cursor) fill(n int64) error {
	n = min(n, c.Left())
	have := int64(len(c.buf))
	if have >= n {
		return nil
	}
	buf := make([]byte, n) // what Pickle gave away stays as it is
	if err := readFull(c.r, buf[copy(buf, c.buf):], c.off+have); err != nil {
		return err
	}
	c.buf = buf
	return nil
}

// Pickle returns the pickle that starts here, at most limit bytes of it, and moves behind it. length is given a window
// that starts at the pickle and answers with its length; an answer that wraps io.ErrUnexpectedEOF asks for a larger
// window, any other error comes back as it is. The bytes are the caller's to keep. Working memory is twice the pickle.
//
// A pickle that goes past the end is E_TRUNCATED, one past the limit E_LIMIT.
func (c *Cursor) Pickle(limit int64, length func(window []byte) (int64, error)) ([]byte, error) {
	for want := int64(window); ; want *= 2 {
		if err := c.fill(min(want, limit)); err != nil {
			return nil, err
		}
		seen := c.buf[:min(int64(len(c.buf)), limit)]
		n, err := length(seen)
		switch {
		case err == nil && n > 0 && n <= int64(len(seen)):
			pickle := seen[:n:n]
			c.off, c.buf = c.off+n, c.buf[n:]
			return pickle, nil
		case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
			return nil, err
		case int64(len(seen)) == c.Left():
			return nil, errorAt(CodeTruncated, c.off, "cut off: the file ends inside a pickle, %d bytes after its start", len(seen))
		case int64(len(seen)) == limit:
			return nil, errorAt(CodeLimit, c.off, "a pickle of more than %d bytes", limit)
		}
	}
}

// Int64 reads one little-endian number.
func (c *Cursor) Int64() (int64, error) {
	b, err := c.take(8)
	if err != nil {
		return 0, err
	}
	return int64(le.Uint64(b)), nil
}

// Int32 reads one little-endian number.
func (c *Cursor) Int32() (int32, error) {
	b, err := c.take(4)
	if err != nil {
		return 0, err
	}
	return int32(le.Uint32(b)), nil
}

func (c *Cursor) take(n int64) ([]byte, error) {
	if n > c.Left() {
		return nil, errorAt(CodeTruncated, c.off, "%d bytes are needed here, %d are left", n, c.Left())
	}
	if err := c.fill(n); err != nil {
		return nil, err
	}
	b := c.buf[:n]
	c.off, c.buf = c.off+n, c.buf[n:]
	return b, nil
}

// Skip moves over n bytes without reading them and returns where they are.
func (c *Cursor) Skip(n int64) (Extent, error) {
	e := Extent{Off: c.off, Len: n}
	if n < 0 || n > c.Left() {
		return e, errorAt(CodeTruncated, c.off, "%d bytes of data are needed here, %d are left", n, c.Left())
	}
	c.off, c.buf = c.off+n, c.buf[min(n, int64(len(c.buf))):]
	return e, nil
}

// Extent is a run of bytes in the file.
type Extent struct{ Off, Len int64 }

// nbytes is numel elements of size bytes each; false if that is negative or overflows.
func nbytes(numel, size int64) (int64, bool) {
	if numel < 0 || size < 1 || numel > noLimit/size {
		return 0, false
	}
	return numel * size, true
}
