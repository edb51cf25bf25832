package convert

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// countingReader counts the bytes and calls that a gather costs, and gives short reads where asked.
type countingReader struct {
	*bytes.Reader
	calls, read int64
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	c.calls++
	c.read += int64(len(p))
	return c.Reader.ReadAt(p, off)
}

// naive gathers element by element.
func naive(src []byte, base int64, v View) []byte {
	var out []byte
	elem := v.DType.Size()
	index := make([]int64, len(v.Shape))
	n, _ := v.Numel()
	for range n {
		at := v.Offset
		for i := range index {
			at += index[i] * v.Stride[i]
		}
		out = append(out, src[base+at*elem:base+(at+1)*elem]...)
		for k := len(index) - 1; k >= 0; k-- {
			if index[k]++; index[k] < v.Shape[k] {
				break
			}
			index[k] = 0
		}
	}
	return out
}

func randomBytes(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	r.Read(b)
	return b
}

// TestReaderViews gathers random views (permuted, sliced with steps, expanded, of extent 0 and 1) with small buffers.
func TestReaderViews(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	types := []dtype.DType{dtype.Int8, dtype.Float16, dtype.Float32, dtype.Float64, dtype.Complex128}
	for i := range 3000 {
		v := View{DType: types[rnd.IntN(len(types))], Offset: rnd.Int64N(9)}
		stride := int64(1)
		for range rnd.IntN(5) {
			n := rnd.Int64N(8) + 1
			if rnd.IntN(40) == 0 {
				n = 0
			}
			step := rnd.Int64N(3)/2 + 1
			v.Shape = append(v.Shape, n)
			v.Stride = append(v.Stride, stride*step)
			stride *= max(1, n) * step
		}
		rnd.Shuffle(len(v.Shape), func(i, j int) {
			v.Shape[i], v.Shape[j] = v.Shape[j], v.Shape[i]
			v.Stride[i], v.Stride[j] = v.Stride[j], v.Stride[i]
		})
		if len(v.Shape) > 0 && rnd.IntN(3) == 0 {
			v.Stride[rnd.IntN(len(v.Shape))] = 0
		}
		base := rnd.Int64N(5)
		size := (v.Offset + stride*2 + 20) * v.DType.Size()
		src := randomBytes(int(base+size), uint64(i))
		want := naive(src, base, v)
		o := Options{Buffer: 1 + rnd.IntN(200), Gap: 1 + rnd.Int64N(40), Workers: 1 + rnd.IntN(3)}
		r, err := NewReader(bytes.NewReader(src), base, size, v, o)
		if err != nil {
			t.Fatalf("%+v: %v", v, err)
		}
		var got []byte
		if i%2 == 0 {
			got, err = io.ReadAll(iotest.OneByteReader(r))
		} else {
			var b bytes.Buffer
			_, err = r.WriteTo(&b)
			got = b.Bytes()
		}
		if err != nil || !bytes.Equal(got, want) || r.Len() != int64(len(want)) {
			t.Fatalf("%+v %+v: wrong bytes, error %v, length %d", v, o, err, r.Len())
		}
	}
}

// TestReaderTranspose bounds what a large transpose costs: every byte read once, and no read of a single element.
func TestReaderTranspose(t *testing.T) {
	const rows, cols = 1000, 1300
	src := &countingReader{Reader: bytes.NewReader(randomBytes(4*rows*cols, 7))}
	v := View{DType: dtype.Float32, Shape: []int64{rows, cols}, Stride: []int64{1, rows}}
	o := Options{Buffer: 4 * cols * 100, Gap: 64, Workers: 1}
	r, err := NewReader(src, 0, 4*rows*cols, v, o)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, naive(randomBytes(4*rows*cols, 7), 0, v)) {
		t.Fatal("wrong bytes", err)
	}
	if src.read != 4*rows*cols {
		t.Errorf("%d bytes read for %d", src.read, 4*rows*cols)
	}
	if most := int64(10 * cols); src.calls > most {
		t.Errorf("%d reads, at most %d expected", src.calls, most)
	}
	src.calls, src.read = 0, 0
	if r, err = NewReader(src, 0, 4*rows*cols, v, Options{Buffer: 8 << 20}); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r); n != 4*rows*cols || err != nil || src.calls != 1 {
		t.Errorf("in one buffer: %d bytes, %d reads, error %v", n, src.calls, err)
	}
}

func TestReaderAmplification(t *testing.T) {
	// One column of a wide matrix: single elements, each far from the next.
	const rows, cols = 500, 4096
	src := &countingReader{Reader: bytes.NewReader(make([]byte, 2*rows*cols))}
	v := View{DType: dtype.Float16, Shape: []int64{rows}, Stride: []int64{cols}}
	r, err := NewReader(src, 0, 2*rows*cols, v, Options{Gap: 4096})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r); n != 2*rows || err != nil || src.read != 2*rows {
		t.Errorf("%d bytes, %d read, error %v", n, src.read, err)
	}
}

func TestReaderCast(t *testing.T) {
	src := randomBytes(1<<20, 3)
	v := View{DType: dtype.Float32, Offset: 3, Shape: []int64{300, 200}, Stride: []int64{1, 310}}
	want := make([]byte, 2*300*200)
	var wantCounts, counts Counts
	if err := Cast(want, naive(src, 8, v), dtype.Float16, dtype.Float32, &wantCounts); err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(bytes.NewReader(src), 8, int64(len(src))-8, v, Options{To: dtype.Float16, Counts: &counts, Buffer: 7000})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		t.Error("wrong bytes", err)
	}
	if counts != wantCounts || counts.Elements != 60000 || counts.Overflowed == 0 || counts.Flushed == 0 {
		t.Errorf("counts %+v, want %+v", counts, wantCounts)
	}
}

func TestReaderFixes(t *testing.T) {
	for _, c := range []struct {
		v         View
		o         Options
		src, want []byte
	}{
		{View{DType: dtype.Complex64, Shape: []int64{1}, Stride: []int64{1}}, Options{BigEndian: true},
			[]byte{1, 2, 3, 4, 5, 6, 7, 8}, []byte{4, 3, 2, 1, 8, 7, 6, 5}},
		{View{DType: dtype.Complex64, Shape: []int64{1}, Stride: []int64{1}}, Options{Conj: true},
			[]byte{0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x3f}, []byte{0, 0, 0x80, 0x3f, 0, 0, 0x80, 0xbf}},
		{View{DType: dtype.Complex32, Shape: []int64{1}, Stride: []int64{1}}, Options{Conj: true, Neg: true, BigEndian: true},
			[]byte{0x3c, 1, 0x3c, 2}, []byte{1, 0xbc, 2, 0x3c}},
		{View{DType: dtype.Float16, Shape: []int64{2}, Stride: []int64{1}}, Options{Neg: true}, []byte{0, 0x3c, 1, 0xfe}, []byte{0, 0xbc, 1, 0x7e}},
		{View{DType: dtype.Int16, Shape: []int64{2}, Stride: []int64{1}}, Options{Neg: true}, []byte{1, 0, 0, 0x80}, []byte{0xff, 0xff, 0, 0x80}},
		{View{DType: dtype.Bool, Shape: []int64{3}, Stride: []int64{1}}, Options{NormalizeBool: true}, []byte{0, 1, 7}, []byte{0, 1, 1}},
		{View{DType: dtype.Bool, Shape: []int64{3}, Stride: []int64{1}}, Options{To: dtype.Int16}, []byte{0, 1, 7}, []byte{0, 0, 1, 0, 1, 0}},
		{View{DType: dtype.QUInt4x2, Offset: 2, Shape: []int64{3}, Stride: []int64{1}}, Options{}, []byte{9, 8, 7}, []byte{8, 7}},
		{View{DType: dtype.Float32}, Options{BigEndian: true, To: dtype.Float64}, []byte{0x3f, 0x80, 0, 0}, []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x3f}},
	} {
		r, err := NewReader(bytes.NewReader(c.src), 0, int64(len(c.src)), c.v, c.o)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := io.ReadAll(r); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s %+v: got %v, want %v, error %v", c.v.DType, c.o, got, c.want, err)
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	const max = 1<<63 - 1
	for name, c := range map[string]struct {
		v View
		o Options
	}{
		"outside":          {View{DType: dtype.Float32, Shape: []int64{5}, Stride: []int64{1}}, Options{}},
		"offset outside":   {View{DType: dtype.Float32, Offset: 4, Shape: []int64{1}, Stride: []int64{1}}, Options{}},
		"offset max":       {View{DType: dtype.Float32, Offset: max, Shape: []int64{1}, Stride: []int64{1}}, Options{}},
		"negative offset":  {View{DType: dtype.Float32, Offset: -1, Shape: []int64{1}, Stride: []int64{1}}, Options{}},
		"negative stride":  {View{DType: dtype.Float32, Offset: 3, Shape: []int64{3}, Stride: []int64{-1}}, Options{}},
		"negative extent":  {View{DType: dtype.Float32, Shape: []int64{-1}, Stride: []int64{1}}, Options{}},
		"stride overflows": {View{DType: dtype.Float32, Shape: []int64{3, 3}, Stride: []int64{max / 2, max / 2}}, Options{}},
		"numel overflows":  {View{DType: dtype.Float32, Shape: []int64{1 << 40, 1 << 40}, Stride: []int64{0, 0}}, Options{}},
		"bytes overflow":   {View{DType: dtype.Int8, Shape: []int64{1 << 61}, Stride: []int64{0}}, Options{To: dtype.Float64}},
		"ranks differ":     {View{DType: dtype.Float32, Shape: []int64{2, 2}, Stride: []int64{1}}, Options{}},
		"no such cast":     {View{DType: dtype.Complex64, Shape: []int64{1}, Stride: []int64{1}}, Options{To: dtype.Float32}},
		"no dtype":         {View{Shape: []int64{1}, Stride: []int64{1}}, Options{}},
		"conj of real":     {View{DType: dtype.Float32, Shape: []int64{1}, Stride: []int64{1}}, Options{Conj: true}},
		"neg of bool":      {View{DType: dtype.Bool, Shape: []int64{1}, Stride: []int64{1}}, Options{Neg: true}},
		"strided nibbles":  {View{DType: dtype.QUInt4x2, Shape: []int64{2, 2}, Stride: []int64{1, 2}}, Options{}},
	} {
		if _, err := NewReader(bytes.NewReader(make([]byte, 16)), 0, 16, c.v, c.o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// Expanded far beyond memory: accepted, and read a little.
	v := View{DType: dtype.Int8, Shape: []int64{1 << 50}, Stride: []int64{0}}
	r, err := NewReader(bytes.NewReader(make([]byte, 1)), 0, 1, v, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, r, 10<<20); err != nil {
		t.Error(err)
	}
}

func TestReaderErrorOffset(t *testing.T) {
	src := bytes.NewReader(make([]byte, 1000)) // the storage claims 4000
	v := View{DType: dtype.Float32, Shape: []int64{1000}, Stride: []int64{1}}
	for _, write := range []bool{false, true} {
		r, err := NewReader(src, 0, 4000, v, Options{Buffer: 400, Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		if write {
			n, err = r.WriteTo(io.Discard)
		} else {
			var b []byte
			b, err = io.ReadAll(r)
			n = int64(len(b))
		}
		var re *ReadError
		if !errors.As(err, &re) || re.Off != 1000 || !errors.Is(err, io.ErrUnexpectedEOF) || n != 800 {
			t.Errorf("write %v: %d bytes, error %v", write, n, err)
		}
	}
}

type failingWriter struct{ left int }

func (f *failingWriter) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestReaderWriteFails(t *testing.T) {
	v := View{DType: dtype.Int8, Shape: []int64{1 << 20}, Stride: []int64{0}}
	r, err := NewReader(bytes.NewReader(make([]byte, 1)), 0, 1, v, Options{Buffer: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.WriteTo(&failingWriter{5000}); !errors.Is(err, io.ErrShortWrite) {
		t.Error(err)
	}
}
