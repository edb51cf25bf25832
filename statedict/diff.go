package statedict

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math"
	"slices"

	"github.com/weightroom/weightroom/statedict/internal/convert"
	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// Diff says how two checkpoints differ. Its JSON form is that of `weightroom diff --json`.
type Diff struct {
	Equal   bool      `json:"equal"`
	OnlyInA []string  `json:"only_in_a"`
	OnlyInB []string  `json:"only_in_b"`
	Changed []Changed `json:"changed"`
}

// Changed is a tensor that both have and that is not the same. What lists "shape", "dtype" and "values". The figures are
// given where the values of equal shapes were compared: elements in float64, NaN equal to NaN.
type Changed struct {
	Key        string   `json:"key"`
	What       []string `json:"what"`
	MaxAbsDiff *float64 `json:"max_abs_diff,omitempty"` // null in JSON is left out: of values that are not finite
	Cosine     *float64 `json:"cosine,omitempty"`
	Differ     int64    `json:"differ,omitempty"` // elements
	Numel      int64    `json:"numel,omitempty"`
}

// DiffOptions say what to compare beside keys, shapes and dtypes.
type DiffOptions struct {
	Values   bool
	Progress Progress // counts bytes of a, those that need no reading as well
}

// DiffCheckpoints compares all tensors of two checkpoints by their full path. Values are streamed, 1 MiB of each side at a time; they are not
// read where both sides are the same bytes of one file, or whole records of equal length and checksum.
func DiffCheckpoints(ctx context.Context, a, b *Checkpoint, opt DiffOptions) (*Diff, error) {
	d := &Diff{OnlyInA: []string{}, OnlyInB: []string{}, Changed: []Changed{}}
	inB := make(map[string]*Entry, len(b.Entries))
	for i := range b.Entries {
		inB[b.Entries[i].Path()] = &b.Entries[i]
	}
	done := int64(0)
	seen := make(map[string]bool, len(a.Entries))
	for i := range a.Entries {
		x := &a.Entries[i]
		path := x.Path()
		seen[path] = true
		y := inB[path]
		if y == nil {
			d.OnlyInA = append(d.OnlyInA, path)
			continue
		}
		c := Changed{Key: path}
		if !slices.Equal(x.Shape, y.Shape) {
			c.What = append(c.What, "shape")
		}
		if x.DType != y.DType {
			c.What = append(c.What, "dtype")
		}
		if opt.Values && slices.Equal(x.Shape, y.Shape) && x.Storage != NoStorage && y.Storage != NoStorage {
			if err := c.values(ctx, a, b, x, y, &done, opt.Progress); err != nil {
				return nil, err
			}
		}
		if len(c.What) > 0 {
			d.Changed = append(d.Changed, c)
		}
	}
	for i := range b.Entries {
		if path := b.Entries[i].Path(); !seen[path] {
			d.OnlyInB = append(d.OnlyInB, path)
		}
	}
	d.Equal = len(d.OnlyInA) == 0 && len(d.OnlyInB) == 0 && len(d.Changed) == 0
	return d, nil
}

// values compares the elements of two tensors of one shape.
func (c *Changed) values(ctx context.Context, a, b *Checkpoint, x, y *Entry, done *int64, progress Progress) error {
	sa, err := a.tensorSegment(x)
	if err != nil {
		return err
	}
	sb, err := b.tensorSegment(y)
	if err != nil {
		return err
	}
	if x.DType == y.DType && (sameBytes(sa, sb) || sameWindow(a, b, &x.View, &y.View)) {
		if *done += x.NBytes(); progress != nil {
			progress(*done)
		}
		return nil
	}
	comparable := numeric(x.DType) && numeric(y.DType)
	vx, vy, times := distinct(x.View, y.View)
	ra, rb := a.Reader(vx), b.Reader(vy)
	step := max(min(int64(1<<16), vx.Numel()), 1) // elements
	na, nb := max(x.DType.Size(), 1), max(y.DType.Size(), 1)
	bufA, bufB := make([]byte, step*na), make([]byte, step*nb)
	var us, vs, other []byte // the elements as float64
	var dot, aa, bb, most float64
	finite := true
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := readChunk(ra, bufA)
		if err != nil {
			return err
		}
		m, err := readChunk(rb, bufB)
		if err != nil {
			return err
		}
		if n == 0 && m == 0 {
			break
		}
		*done += int64(n) * times
		if progress != nil {
			progress(*done)
		}
		if !comparable {
			if !bytes.Equal(bufA[:n], bufB[:m]) {
				c.Differ++
			}
			continue
		}
		if us, err = asFloats(us, bufA[:n], x.DType); err != nil {
			return err
		}
		vs = us
		if x.DType != y.DType || !bytes.Equal(bufA[:n], bufB[:m]) {
			if other, err = asFloats(other, bufB[:m], y.DType); err != nil {
				return err
			}
			vs = other
		}
		for i := 0; i+8 <= len(us) && i+8 <= len(vs); i += 8 {
			u := math.Float64frombits(binary.LittleEndian.Uint64(us[i:]))
			v := math.Float64frombits(binary.LittleEndian.Uint64(vs[i:]))
			if u != v && !(math.IsNaN(u) && math.IsNaN(v)) {
				c.Differ++
				if diff := math.Abs(u - v); math.IsNaN(diff) || math.IsInf(diff, 0) {
					finite = false
				} else {
					most = max(most, diff)
				}
			}
			if !math.IsNaN(u) && !math.IsNaN(v) {
				dot, aa, bb = dot+u*v, aa+u*u, bb+v*v
			}
		}
	}
	if c.Differ == 0 {
		return nil
	}
	c.What = append(c.What, "values")
	if !comparable {
		c.Differ = 0
		return nil
	}
	c.Differ *= times
	c.Numel = x.Numel()
	if finite {
		c.MaxAbsDiff = &most
	}
	if cos := dot / math.Sqrt(aa*bb); !math.IsNaN(cos) && !math.IsInf(cos, 0) {
		c.Cosine = &cos
	}
	return nil
}

// sameBytes tells, without reading, that two segments are equal.
func sameBytes(a, b Segment) bool {
	x, ok1 := a.(Copy)
	y, ok2 := b.(Copy)
	return ok1 && ok2 && x.Extent.same(&y.Extent)
}

func (x *Extent) same(y *Extent) bool {
	if x.Len != y.Len {
		return false
	}
	located := func(x *Extent) bool { return x.more == nil || x.more.at == nil }
	if x.Source == y.Source && located(x) && located(y) && x.Off == y.Off {
		return true
	}
	return x.HasCRC && y.HasCRC && x.CRC == y.CRC
}

// sameWindow tells, without reading, that two views of one shape and dtype look at the same bytes through the same strides.
func sameWindow(a, b *Checkpoint, x, y *View) bool {
	if x.Offset != y.Offset || !slices.Equal(x.Stride, y.Stride) || x.Conj != y.Conj || x.Neg != y.Neg {
		return false
	}
	s, t := &a.Storages[x.Storage], &b.Storages[y.Storage]
	stored := func(s *Storage) bool { return s.Of == nil && s.Cast == 0 && s.Missing == "" }
	return stored(s) && stored(t) && s.DType == t.DType && s.NBytes == t.NBytes && s.BigEndian == t.BigEndian && s.swapAs == t.swapAs &&
		s.mixed == t.mixed && s.Data.Method == t.Data.Method && s.Data.same(&t.Data)
}

// distinct leaves one element of each dimension along which both views repeat theirs, and says how many that one stands for: a
// file of a kilobyte can spell a tensor of terabytes.
func distinct(x, y View) (View, View, int64) {
	times := int64(1)
	if len(x.Stride) != len(x.Shape) || len(y.Stride) != len(x.Shape) || x.Numel() < 0 {
		return x, y, times
	}
	x.Shape, y.Shape = slices.Clone(x.Shape), slices.Clone(y.Shape)
	for i, d := range x.Shape {
		if d > 1 && x.Stride[i] == 0 && y.Stride[i] == 0 {
			x.Shape[i], y.Shape[i] = 1, 1
			times *= d
		}
	}
	return x, y, times
}

// numeric tells dtypes whose elements are real numbers one can subtract.
func numeric(d DType) bool { return !d.IsComplex() && convert.Supported(d, dtype.Float64) }

// asFloats writes elements as float64 into buf, which grows where it must. bool is 0 or 1.
func asFloats(buf, src []byte, d DType) ([]byte, error) {
	n := len(src) / int(d.Size()) * 8
	buf = slices.Grow(buf[:0], n)[:n]
	return buf, convert.Cast(buf, src, dtype.Float64, d, nil)
}

func readChunk(r io.Reader, buf []byte) (int, error) {
	n, err := io.ReadFull(r, buf)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return n, err
}
