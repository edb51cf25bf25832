package convert

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// ReadError is a failed read of a source; Off is the byte offset in it at which bytes are missing.
type ReadError struct {
	Off int64
	Err error
}

func (e *ReadError) Error() string { return fmt.Sprintf("%v (byte %d)", e.Err, e.Off) }
func (e *ReadError) Unwrap() error { return e.Err }

// readFull fills b from off. A source that ends early is io.ErrUnexpectedEOF.
func readFull(src io.ReaderAt, b []byte, off int64) error {
	n, err := src.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &ReadError{off + int64(n), err}
}

// A gatherer collects one chunk of a view's row-major elements at a time. Reading follows the order of the source, not
// of the output: the chunk's dims are sorted by their step in the source, the innermost ones are read together as
// one span, and the elements are dealt out from there. A whole small transpose is one read; of a large one each
// read is the run of a column that the chunk's rows need.
//
// Bytes read between wanted ones: at most three for each wanted byte, or gap bytes between two wanted elements.
type gatherer struct {
	src     io.ReaderAt
	base    int64 // byte offset of element 0
	elem    int64 // bytes
	scratch []byte
	gap     int64 // bytes
}

// gather fills out with the elements of a box: the loops in dims, starting at element first.
// dims are in row-major order of the output, and their dst steps are relative to out.
func (g *gatherer) gather(out []byte, first int64, dims []dim) error {
	if len(dims) == 0 || len(dims) == 1 && dims[0].src == 1 {
		return readFull(g.src, out, g.base+first*g.elem)
	}
	box := slices.Clone(dims)
	slices.SortStableFunc(box, func(a, b dim) int {
		switch { // steps of 0 (expanded) come last: they read nothing new
		case a.src > b.src:
			return -1
		case a.src < b.src:
			return 1
		}
		return 0
	})
	box = join(box)
	split, span := g.split(box)
	batch := int64(1)
	loops := box[:split]
	if split > 0 {
		loops = box[:split-1]
		batch = max(1, min(box[split-1].n, int64(len(g.scratch))/(span*g.elem)))
	}
	packed := slices.Clone(box[max(0, split-1):])
	return g.each(loops, first, 0, func(first, dst int64) error {
		if split == 0 {
			return g.readSpans(out, first, dst, dim{1, 0, 0}, span, packed)
		}
		d := box[split-1]
		for i := int64(0); i < d.n; i += batch {
			run := dim{min(batch, d.n-i), d.src, d.dst}
			packed[0] = dim{run.n, span, d.dst}
			if err := g.readSpans(out, first+i*d.src, dst+i*d.dst, run, span, packed); err != nil {
				return err
			}
		}
		return nil
	})
}

// split says how many outer dims of the sorted box are read one by one, and how many elements the rest spans.
func (g *gatherer) split(box []dim) (split int, span int64) {
	wanted := int64(1)
	span, split = 1, len(box)
	for split > 0 {
		d := box[split-1]
		wide := span + (d.n-1)*d.src
		if d.src > 0 {
			wanted *= d.n
		}
		if wide > int64(len(g.scratch))/g.elem || wide > 4*wanted && d.src > 0 && (d.src-span)*g.elem > g.gap {
			break
		}
		span = wide
		split--
	}
	return split, span
}

// readSpans reads run.n spans side by side into the scratch and deals out their elements.
func (g *gatherer) readSpans(out []byte, first, dst int64, run dim, span int64, packed []dim) error {
	width := span * g.elem
	for i := range run.n {
		if err := readFull(g.src, g.scratch[i*width:(i+1)*width], g.base+(first+i*run.src)*g.elem); err != nil {
			return err
		}
	}
	deal(out[dst*g.elem:], g.scratch[:run.n*width], g.elem, packed)
	return nil
}

// each calls f for every combination of the loops' steps, in source order.
func (g *gatherer) each(loops []dim, first, dst int64, f func(first, dst int64) error) error {
	at := make([]int64, len(loops))
	for {
		if err := f(first, dst); err != nil {
			return err
		}
		k := len(loops) - 1
		for ; k >= 0; k-- {
			d := loops[k]
			first, dst = first+d.src, dst+d.dst
			if at[k]++; at[k] < d.n {
				break
			}
			first, dst, at[k] = first-d.n*d.src, dst-d.n*d.dst, 0
		}
		if k < 0 {
			return nil
		}
	}
}
