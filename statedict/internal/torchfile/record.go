package torchfile

import (
	"bufio"
	"bytes"
	"hash/crc32"
	"io"
	"strconv"
	"sync"

	"github.com/klauspost/compress/flate"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// ReadSmall returns the inflated bytes of record i, at most limit of them; it is for data.pkl and the records beside it.
//
// Memory grows with the bytes that turn up, never with a declared size. A record that inflates to more or less than it
// declares is E_ZIP, one that declares more than limit E_LIMIT. On E_CHECKSUM the bytes come back as well: torch reads
// such records without a word, so the caller may prefer to show them. A CRC of 0 means that nobody computed it.
func (a *Archive) ReadSmall(i int, limit int64) ([]byte, error) {
	rec := &a.Records[i]
	if rec.Size > limit {
		return nil, recordError(CodeLimit, a.FullName(i), rec.HeaderOff, "%d bytes, limit %d", rec.Size, limit)
	}
	if e := a.Readable(i); e != nil {
		return nil, e
	}
	off, err := a.DataOff(i)
	if err != nil {
		return nil, err
	}
	var data []byte
	if rec.Method == Stored {
		if known := a.src.remembered(off, rec.Size); known != nil {
			data = bytes.Clone(known) // never a piece of the blocks that opening keeps
		} else {
			data, err = readAt(a.src.r, off, rec.Size)
		}
	} else {
		z := a.inflate(i, off)
		data, err = readInflated(z, rec)
		z.Close()
	}
	if err != nil {
		return nil, err
	}
	if sum := crc32.ChecksumIEEE(data); rec.CRC != 0 && sum != rec.CRC {
		return data, recordError(CodeChecksum, a.FullName(i), off, "CRC-32 is %08x, the directory states %08x", sum, rec.CRC)
	}
	return data, nil
}

// maxInflation is how many bytes one byte of a deflate stream can become at most: 258 for every two bits.
const maxInflation = 1032

// readInflated reads a record whole. The buffer is as large as the record says, unless its compressed bytes cannot become
// that much: growing it step by step would take three times the memory.
func readInflated(r io.Reader, rec *Record) ([]byte, error) {
	size := rec.Size
	if rec.CompressedSize < size/maxInflation {
		size = rec.CompressedSize * maxInflation
	}
	data := make([]byte, size)
	n, err := io.ReadFull(r, data)
	if err == nil {
		_, err = r.Read(make([]byte, 1)) // the end, or the complaint that there is more
	}
	if err != io.EOF {
		return nil, err
	}
	return data[:n], nil
}

// Open returns a reader of the inflated bytes of record i, for storages of any size. It does not check the CRC. A
// deflated record that does not keep to its declared size ends in E_ZIP, without a byte past that size. Closing the reader saves
// the next one 40 KB.
func (a *Archive) Open(i int) (io.ReadCloser, error) {
	rec := &a.Records[i]
	if e := a.Readable(i); e != nil {
		return nil, e
	}
	off, err := a.DataOff(i)
	if err != nil {
		return nil, err
	}
	if rec.Method == Stored {
		return io.NopCloser(io.NewSectionReader(a.src.r, off, rec.Size)), nil
	}
	return a.inflate(i, off), nil
}

// engines are those of records that have been closed: an archive may have a hundred thousand deflated ones.
var engines sync.Pool

// engine is what inflating takes besides the bytes.
type engine struct {
	in *bufio.Reader
	io.ReadCloser
}

func (a *Archive) inflate(i int, off int64) *inflater {
	rec := &a.Records[i]
	src := io.NewSectionReader(a.src.r, off, rec.CompressedSize)
	e, reused := engines.Get().(*engine)
	if reused {
		e.in.Reset(src)
		e.ReadCloser.(flate.Resetter).Reset(e.in, nil) // never fails
	} else {
		in := bufio.NewReader(src)
		e = &engine{in, flate.NewReader(in)}
	}
	return &inflater{r: e, left: rec.Size, name: a.FullName(i), off: off, size: rec.Size}
}

// inflater gives exactly size bytes or an error that says how the stream broke its word.
type inflater struct {
	r    *engine // nil once closed
	left int64   // bytes still owed
	size int64
	name string
	off  int64 // of the payload, for errors
	err  error
}

func (z *inflater) Read(p []byte) (int, error) {
	if z.err != nil || len(p) == 0 {
		return 0, z.err
	}
	if z.left == 0 {
		z.err = z.end()
		return 0, z.err
	}
	n, err := z.r.Read(p[:min(int64(len(p)), z.left)])
	z.left -= int64(n)
	switch {
	case err == io.EOF && z.left > 0:
		z.err = recordError(CodeZip, z.name, z.off, "declares %d bytes, inflates to %d", z.size, z.size-z.left)
	case err != nil && err != io.EOF:
		z.err = z.failed(err)
	}
	if n > 0 {
		return n, nil
	}
	return 0, z.err
}

// Close ends the reading.
func (z *inflater) Close() error {
	if z.r != nil {
		engines.Put(z.r)
		z.r, z.err = nil, io.ErrClosedPipe
	}
	return nil
}

// end sees that nothing follows the declared bytes.
func (z *inflater) end() error {
	var one [1]byte
	for {
		n, err := z.r.Read(one[:])
		switch {
		case n > 0:
			return recordError(CodeZip, z.name, z.off, "inflates to more than the declared %d bytes", z.size)
		case err == io.EOF:
			return io.EOF
		case err != nil:
			return z.failed(err)
		}
	}
}

func (z *inflater) failed(err error) error {
	switch err.(type) {
	case flate.CorruptInputError, flate.InternalError:
		return recordError(CodeZip, z.name, z.off, "deflate stream is damaged")
	}
	if err == io.ErrUnexpectedEOF {
		return recordError(CodeZip, z.name, z.off, "deflate stream ends too early")
	}
	return &ReadError{Offset: z.off, Len: z.size, Err: err}
}
