package statedict

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"

	"github.com/weightroom/weightroom/statedict/internal/convert"
)

// Reader returns the elements of v in row-major order, little-endian, as they are after the operations on cp: v.NBytes()
// bytes. Strided views are gathered; conj and neg are applied. A few MiB are buffered; several readers may run at once.
// Read errors are *SourceError and name the file offset. A view that leaves its storage is a *FormatError.
//
// Source: torch/_utils.py, _rebuild_tensor_v2: offset and stride count elements, not bytes.
func (cp *Checkpoint) Reader(v View) io.Reader {
	if bad := cp.impossible(&v); bad != "" && v.DType != 0 {
		return failed{&FormatError{Code: "E_LAYOUT", Offset: -1, Msg: bad}}
	}
	if v.Storage == NoStorage {
		return failed{&UnsupportedError{What: "a tensor without bytes of its own"}}
	}
	if v.DType == 0 {
		// A format's own blocks: the storage is the tensor.
		v = View{Storage: v.Storage, DType: byteType, Shape: []int64{cp.Storages[v.Storage].NBytes}, Stride: []int64{1}}
	}
	s, err := cp.segment(&v)
	if err != nil {
		return failed{err}
	}
	switch s := s.(type) {
	case Copy:
		return &extentReader{x: s.Extent}
	case Convert:
		return s.Open(nil)
	}
	return eof{}
}

type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// Open returns the segment's bytes, gathered, cast and in order: Len() of them. What the casts lose is added to lost,
// which may be nil, once the reader has come to its end.
func (s Convert) Open(lost *CastReport) io.Reader {
	x := s.Src.Data
	if s.View.Numel() == 0 {
		return eof{}
	}
	var at io.ReaderAt = x.Source.R
	base, workers := x.Off, 0
	if x.Method == Deflated {
		at, base, workers = &inflatedAt{x: x, end: s.Src.NBytes}, 0, 1
	}
	steps := append(append([]DType(nil), s.Via...), s.To)
	counts := make([]convert.Counts, len(steps))
	opt := convert.Options{To: steps[0], BigEndian: s.Src.BigEndian, Conj: s.View.Conj, Neg: s.View.Neg, Workers: workers}
	if lost != nil && steps[0] != s.View.DType {
		opt.Counts = &counts[0]
	}
	first, err := convert.NewReader(at, base, s.Src.NBytes, convert.View{DType: s.View.DType, Offset: s.View.Offset, Shape: s.View.Shape, Stride: s.View.Stride}, opt)
	if err != nil {
		return failed{&FormatError{Code: "E_LAYOUT", Part: s.Src.Key, Offset: -1, Msg: err.Error()}}
	}
	var r stream = first
	for i := 1; i < len(steps); i++ {
		r = &castReader{r: r, from: steps[i-1], to: steps[i], counts: &counts[i]}
	}
	return &segmentReader{r: r, src: x.Source, counts: counts, lost: lost}
}

// A stream can be read, or write itself as a whole.
type stream interface {
	io.Reader
	io.WriterTo
}

// segmentReader puts errors into this package's types and hands the counts over at the end.
type segmentReader struct {
	r      stream
	src    *Source
	counts []convert.Counts
	lost   *CastReport
}

func (r *segmentReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	return n, r.finish(err)
}

// WriteTo is the quick way: what is read, cast and written overlaps.
func (r *segmentReader) WriteTo(w io.Writer) (int64, error) {
	n, err := r.r.WriteTo(w)
	if err == nil {
		err = io.EOF
	}
	if err = r.finish(err); err == io.EOF {
		err = nil
	}
	return n, err
}

func (r *segmentReader) finish(err error) error {
	if err == io.EOF && r.lost != nil {
		for _, c := range r.counts {
			r.lost.Overflowed += c.Overflowed
			r.lost.Flushed += c.Flushed
			r.lost.NaNs += c.LostNaN
		}
		r.lost = nil
	}
	var re *convert.ReadError
	var fe *FormatError
	if errors.As(err, &re) && errors.As(re.Err, &fe) {
		return fe
	}
	if errors.As(err, &re) {
		cause := re.Err
		if errors.Is(cause, io.ErrUnexpectedEOF) {
			cause = fmt.Errorf("%w: it ends early", ErrSourceChanged)
		}
		err = &SourceError{Source: r.src.Name, Offset: re.Off, Err: cause}
	}
	return err
}

// castReader casts a stream of whole elements once more.
type castReader struct {
	r        io.Reader
	from, to DType
	counts   *convert.Counts
	in, out  []byte
	ready    []byte
}

func (c *castReader) Read(p []byte) (int, error) {
	if len(c.ready) == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

func (c *castReader) WriteTo(w io.Writer) (written int64, err error) {
	for {
		if len(c.ready) == 0 {
			if err := c.next(); err == io.EOF {
				return written, nil
			} else if err != nil {
				return written, err
			}
		}
		n, err := w.Write(c.ready)
		c.ready = c.ready[n:]
		if written += int64(n); err != nil {
			return written, err
		}
	}
}

// next casts the elements that come next. There is at least one, or an error.
func (c *castReader) next() error {
	if c.in == nil {
		const elements = 1 << 16
		c.in = make([]byte, elements*c.from.Size())
		c.out = make([]byte, elements*c.to.Size())
	}
	n, err := io.ReadFull(c.r, c.in)
	if n == 0 || err != nil && err != io.ErrUnexpectedEOF {
		return err
	}
	c.ready = c.out[:int64(n)/c.from.Size()*c.to.Size()]
	return convert.Cast(c.ready, c.in[:n], c.to, c.from, c.counts)
}

// inflatedAt reads at offsets of a deflated record's content. Going forward costs nothing extra; going back starts over,
// so a strided view of a deflated record is slow, and its memory stays small.
type inflatedAt struct {
	x   Extent
	end int64 // one past the last byte that anybody asks for
	mu  sync.Mutex
	r   io.ReadCloser
	pos int64
}

// inflaters are those of contents that have been read to their ends: an archive may have a hundred thousand deflated records.
var inflaters sync.Pool

func newInflater(r io.Reader) io.ReadCloser {
	if z, ok := inflaters.Get().(io.ReadCloser); ok {
		z.(flate.Resetter).Reset(r, nil) // never fails
		return z
	}
	return flate.NewReader(r)
}

func (z *inflatedAt) ReadAt(p []byte, off int64) (int, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	off += z.skip()
	if z.r == nil || off < z.pos {
		z.r, z.pos = newInflater(&extentReader{x: z.x}), 0
	}
	n, err := io.CopyN(io.Discard, z.r, off-z.pos)
	z.pos += n
	if err != nil {
		return 0, z.failed(err)
	}
	m, err := io.ReadFull(z.r, p)
	z.pos += int64(m)
	if err == nil && z.pos >= z.end+z.skip() {
		inflaters.Put(z.r)
		z.r = nil
	}
	return m, z.failed(err)
}

// skip is what comes before the content.
func (z *inflatedAt) skip() int64 {
	if z.x.more == nil {
		return 0
	}
	return z.x.more.skip
}

// failed tells damage from a source that cannot be read.
func (z *inflatedAt) failed(err error) error {
	var se *SourceError
	if err == nil || errors.As(err, &se) {
		return err
	}
	what := "its deflate stream is damaged"
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		what = "its deflate stream ends early"
	}
	z.r = nil // it cannot go on from here
	return &FormatError{Code: "E_ZIP", Format: "zip archive", Offset: z.x.Off, Msg: what}
}
