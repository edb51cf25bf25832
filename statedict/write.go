package statedict

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/weightroom/weightroom/statedict/internal/torchfile"
)

// Progress is called with the bytes of the file written so far, at least once a chunk of 1 MiB.
type Progress func(done int64)

// ExtentCopier is a writer that can copy a byte range of a source by itself, for example inside the kernel. It answers
// false when it cannot, and has then written nothing.
type ExtentCopier interface {
	CopyExtent(ctx context.Context, x Extent) (done bool, err error)
}

// chunk is the buffer of a copy, in bytes.
const chunk = 1 << 20

// Write streams the file to w: f.Size bytes, the same ones every time. It needs about 2 MiB whatever the file's size.
// A read that fails is a *SourceError. What casts lose is added to f.Cast.
func (f *File) Write(ctx context.Context, w io.Writer, progress Progress) error {
	out := &output{ctx: ctx, w: w, progress: progress}
	summed := f.summed()
	crcs := make([]uint32, len(f.Segments))
	for i, s := range f.Segments {
		out.crc = 0
		out.sum = summed[i]
		start := out.done
		if err := out.segment(f, s, crcs); err != nil {
			return err
		}
		if got := out.done - start; got != s.Len() {
			return fmt.Errorf("segment %d of %q came out as %d bytes, %d planned", i, f.Name, got, s.Len())
		}
		crcs[i] = out.crc
	}
	return nil
}

// CountCasts reads what the plan's casts read, writes nothing, and leaves in each file's Cast what they would lose: the dry run
// of Write. progress counts the bytes that they give. A plan without casts reads nothing.
func (p *Plan) CountCasts(ctx context.Context, progress Progress) error {
	out := &output{ctx: ctx, w: io.Discard, progress: progress}
	for i := range p.Files {
		f := &p.Files[i]
		f.Cast = CastReport{}
		for _, s := range f.Segments {
			if s, ok := s.(Convert); ok && s.casts() {
				if err := out.segment(f, s, nil); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// CastBytes is how many bytes CountCasts counts.
func (p *Plan) CastBytes() (n int64) {
	for i := range p.Files {
		for _, s := range p.Files[i].Segments {
			if s, ok := s.(Convert); ok && s.casts() {
				n += s.Len()
			}
		}
	}
	return n
}

// summed marks the segments whose CRC a later Sum needs.
func (f *File) summed() []bool {
	need := make([]bool, len(f.Segments))
	for _, s := range f.Segments {
		if s, ok := s.(Sum); ok {
			for i := s.From; i < s.To; i++ {
				need[i] = true
			}
		}
	}
	return need
}

// crc is the value of the sum, from the CRCs of the file's segments.
func (s Sum) crc(f *File, crcs []uint32) uint32 {
	var c uint32
	for i := s.From; i < s.To; i++ {
		c = torchfile.CombineCRC(c, crcs[i], f.Segments[i].Len())
	}
	return c
}

// output counts, sums and passes on.
type output struct {
	ctx      context.Context
	w        io.Writer
	progress Progress
	done     int64
	crc      uint32
	sum      bool
	buf      []byte
}

func (o *output) segment(f *File, s Segment, crcs []uint32) error {
	switch s := s.(type) {
	case Literal:
		return o.write(s)
	case Sum:
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], s.crc(f, crcs))
		return o.write(b[:])
	case Copy:
		return o.copy(s.Extent)
	case Convert:
		_, err := io.Copy(o, s.Open(&f.Cast))
		return err
	}
	return fmt.Errorf("segment of unknown kind %T", s)
}

// copy passes an extent on, through the writer's own road where it has one and no checksum is asked for.
func (o *output) copy(x Extent) error {
	if ec, ok := o.w.(ExtentCopier); ok && !o.sum && x.Len > 0 {
		// In steps, so that progress moves and a cancel is heard.
		for x.Len > 0 {
			if err := o.ctx.Err(); err != nil {
				return err
			}
			step := x
			step.Len = min(step.Len, 64*chunk)
			done, err := ec.CopyExtent(o.ctx, step)
			if err != nil {
				return err
			}
			if !done {
				break
			}
			x.Off += step.Len
			x.Len -= step.Len
			o.advance(step.Len)
		}
	}
	return o.stream(&extentReader{x: x}, x.Len)
}

func (o *output) stream(r io.Reader, n int64) error {
	if o.buf == nil && n > 0 {
		o.buf = make([]byte, chunk)
	}
	for n > 0 {
		if err := o.ctx.Err(); err != nil {
			return err
		}
		b := o.buf[:min(n, chunk)]
		if _, err := io.ReadFull(r, b); err != nil {
			return err
		}
		if err := o.write(b); err != nil {
			return err
		}
		n -= int64(len(b))
	}
	return nil
}

// Write takes what a conversion has made.
func (o *output) Write(b []byte) (int, error) {
	if err := o.ctx.Err(); err != nil {
		return 0, err
	}
	if err := o.write(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (o *output) write(b []byte) error {
	if o.sum {
		o.crc = AddCRC(o.crc, b)
	}
	if _, err := o.w.Write(b); err != nil {
		return err
	}
	o.advance(int64(len(b)))
	return nil
}

func (o *output) advance(n int64) {
	o.done += n
	if o.progress != nil {
		o.progress(o.done)
	}
}

// extentReader reads a stored extent from its start. Short reads and failures are *SourceError.
type extentReader struct {
	x   Extent
	pos int64
}

func (r *extentReader) Read(p []byte) (int, error) {
	if r.pos >= r.x.Len {
		return 0, io.EOF
	}
	if int64(len(p)) > r.x.Len-r.pos {
		p = p[:r.x.Len-r.pos]
	}
	n, err := readAt(r.x.Source, p, r.x.Off+r.pos)
	r.pos += int64(n)
	return n, err
}

// readAt fills p from src at off. A source that ends early has changed since it was opened.
func readAt(src *Source, p []byte, off int64) (int, error) {
	n, err := src.R.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	if err == nil || err == io.EOF {
		err = fmt.Errorf("%w: it ends at byte %d, %d expected", ErrSourceChanged, off+int64(n), src.Size)
	}
	return n, &SourceError{Source: src.Name, Offset: off + int64(n), Err: err}
}
