package convert

import (
	"bytes"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// TestStats compares one pass over chunks with sums in plain order, for every real dtype and several workers.
func TestStats(t *testing.T) {
	for _, d := range dtype.All() {
		if !isReal(d) && !isReal(plainInts(d)) {
			continue
		}
		src := randomBytes(30000*int(d.Size()), uint64(d))
		v := View{DType: d, Shape: []int64{100, 300}, Stride: []int64{1, 100}}
		var want Stats
		var finite []float64
		want.Min, want.Max = math.Inf(1), math.Inf(-1)
		for i := range 30000 {
			var x float64
			switch y := Value(src, d, i).(type) {
			case float64:
				x = y
			case int64:
				x = float64(y)
			case uint64:
				x = float64(y)
			case bool:
				if y {
					x = 1
				}
			}
			want.Numel++
			switch {
			case math.IsNaN(x):
				want.NaN++
			case math.IsInf(x, 0):
				want.Inf++
			default:
				finite = append(finite, x)
				want.Min, want.Max = min(want.Min, x), max(want.Max, x)
				if x == 0 {
					want.Zeros++
				}
			}
		}
		want.Finite = int64(len(finite))
		for _, x := range finite {
			want.Mean += x / float64(len(finite))
		}
		variance := 0.0
		for _, x := range finite {
			variance += (x - want.Mean) / float64(len(finite)-1) * (x - want.Mean)
		}
		var got [2]Stats
		for i, workers := range []int{1, 3} {
			eachChunk(t, src, v, Options{Buffer: 9000, Workers: workers}, func(b []byte) error { return got[i].Add(b, d) })
		}
		if got[0] != got[1] {
			t.Errorf("%s: one worker gives %+v, three give %+v", d, got[0], got[1])
		}
		near := func(a, b float64) bool {
			return a == b || math.Abs(a-b) <= 1e-9*(math.Abs(b)+math.Sqrt(variance)) || math.IsInf(variance, 0)
		}
		g := got[0]
		if g.Numel != want.Numel || g.NaN != want.NaN || g.Inf != want.Inf || g.Zeros != want.Zeros || g.Finite != want.Finite ||
			g.Min != want.Min || g.Max != want.Max || !near(g.Mean, want.Mean) || !near(g.Std(), math.Sqrt(variance)) {
			t.Errorf("%s: got %+v std %v, want %+v std %v", d, g, g.Std(), want, math.Sqrt(variance))
		}
		h := Histogram{Low: g.Min, High: g.Max, Counts: make([]int64, 64)}
		eachChunk(t, src, v, Options{Buffer: 9000, Workers: 2}, func(b []byte) error { return h.Add(b, d) })
		counted := int64(0)
		for _, n := range h.Counts {
			counted += n
		}
		if edges := h.Edges(); counted != g.Finite || h.Outside != 0 || edges[0] != g.Min || edges[64] != g.Max || len(edges) != 65 {
			t.Errorf("%s: histogram of %d values holds %d, outside %d, edges %v", d, g.Finite, counted, h.Outside, edges)
		}
	}
}

// eachChunk gives the elements of a view, some thousands at a time.
func eachChunk(t *testing.T, src []byte, v View, o Options, f func([]byte) error) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(src), 0, int64(len(src)), v, o)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4800)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			if err := f(buf[:n]); err != nil {
				t.Fatal(err)
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestStatsSmall(t *testing.T) {
	var s Stats
	if err := s.Add(bytes32([]uint32{0x3f800000, 0x40000000, 0x40400000, 0x7f800000, 0xff800000, 0x7fc00000, 0x80000000}), dtype.Float32); err != nil {
		t.Fatal(err)
	}
	if s.Mean != 1.5 || s.Std() != math.Sqrt(5.0/3) || s.Min != 0 || s.Max != 3 || s.Inf != 2 || s.NaN != 1 || s.Zeros != 1 {
		t.Errorf("%+v std %v", s, s.Std())
	}
	var c Stats
	c.Add(bytes32([]uint32{0, 0x80000000, 0, 0x7fc00000, 0x7f800000, 0}), dtype.Complex64)
	if c != (Stats{Numel: 3, NaN: 1, Inf: 1, Zeros: 1}) {
		t.Errorf("complex: %+v", c)
	}
	// Two numbers whose sum leaves float64.
	var big Stats
	big.Add(bytes64([]uint64{0x7fefffffffffffff, 0x7fefffffffffffff}), dtype.Float64)
	if big.Mean != math.MaxFloat64 || big.Std() != 0 {
		t.Errorf("big: %+v", big)
	}
	if s.Add([]byte{1}, dtype.Bits8) == nil || s.Add([]byte{1}, dtype.Float32) == nil {
		t.Error("accepted")
	}
	h := Histogram{Low: 0, High: 2, Counts: make([]int64, 4)}
	h.Add(bytes32([]uint32{0, 0x3f000000, 0x3f7fffff, 0x40000000, 0x40400000, 0xbf800000, 0x7f800000, 0x7fc00000}), dtype.Float32)
	if !slices.Equal(h.Counts, []int64{1, 2, 0, 1}) || h.Outside != 2 {
		t.Errorf("histogram %+v", h)
	}
	one := Histogram{Low: 3, High: 3, Counts: make([]int64, 4)}
	one.Add([]byte{3, 3}, dtype.UInt8)
	if one.Counts[0] != 2 {
		t.Errorf("histogram of one value %+v", one)
	}
}

func TestValue(t *testing.T) {
	for _, c := range []struct {
		d    dtype.DType
		b    []byte
		want any
	}{{dtype.Int8, []byte{0xff}, int64(-1)}, {dtype.UInt64, []byte{255, 255, 255, 255, 255, 255, 255, 255}, uint64(math.MaxUint64)}, {dtype.Bool, []byte{9}, true},
		{dtype.Complex32, []byte{0, 0x3c, 0, 0xbc}, complex(1, -1)}, {dtype.QUInt8, []byte{200}, int64(200)}, {dtype.Bits8, []byte{1}, nil}} {
		if got := Value(c.b, c.d, 0); got != c.want {
			t.Errorf("%s: %v, want %v", c.d, got, c.want)
		}
	}
}
