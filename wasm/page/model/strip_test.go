package model

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
)

func stripOf(t testing.TB, files []message.MappedFile, regions []message.Region, places []message.Place) *Strip {
	m := &message.Mapped{Files: files, Places: message.EncodePlaces(places)}
	m.Regions, m.Types = message.EncodeRegions(regions)
	s, err := NewStrip(m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStrip(t *testing.T) {
	s := stripOf(t, []message.MappedFile{{Name: "a", Size: 100}, {Name: "b", Size: 60}}, []message.Region{
		{Use: statedict.UseHeader, Len: 20, Storage: -1}, {Use: statedict.UseTensor, Len: 50, Storage: 0, Type: "float32"}, {Use: statedict.UseUnreached, Len: 30, Storage: 0, Type: "float32"},
		{Use: statedict.UsePickle, Len: 10, Storage: -1}, {Use: statedict.UseTensor, Len: 50, Storage: 2, Type: "int64"},
	}, []message.Place{{Off: 20, Len: 80}, {}, {Off: 110, Len: 50}})
	if s.Size != 160 {
		t.Errorf("%d bytes", s.Size)
	}
	for off, want := range map[int64]int{-1: -1, 0: 0, 19: 0, 20: 1, 99: 2, 100: 3, 159: 4, 160: -1} {
		if got := s.At(off); got != want {
			t.Errorf("byte %d is in region %d, want %d", off, got, want)
		}
	}
	if f, at := s.InFile(110); f != 1 || at != 10 {
		t.Errorf("byte 110 is byte %d of file %d", at, f)
	}
	if _, ok := s.Of(1); ok {
		t.Error("a storage without bytes has a place")
	}
	bins := s.Bins(0, 160, 16, func(st int32) bool { return st == 0 })
	MarkBins(bins, 0, 160, []message.Place{{Off: 110, Len: 41}, {Off: 300, Len: 5}, {}})
	for i, b := range bins {
		if b.Marked != (i >= 11) {
			t.Errorf("column %d is marked: %v", i, b.Marked)
		}
	}
	MarkBins(bins, 0, 160, nil)
	if bins[15].Marked {
		t.Error("a mark stays")
	}
	if bins[0].Only != 0 || bins[0].Bytes[PaintHeader] != 10 || bins[3].Bytes[PaintType] != 10 || bins[3].Shared != 10 || bins[15].Only != 4 {
		t.Errorf("%+v", bins)
	}
	if got := s.Bins(5, 5, 10, nil); got != nil {
		t.Errorf("no bytes have bins: %+v", got)
	}
}

// However the strip is cut, every byte is in one bin.
func TestStripBins(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var regions []message.Region
	var size int64
	for range 3000 {
		n := int64(1) << r.IntN(24)
		regions = append(regions, message.Region{Use: statedict.Use(r.IntN(7)), Len: n, Storage: int32(r.IntN(50)) - 1, Type: "bfloat16"})
		size += n
	}
	s := stripOf(t, []message.MappedFile{{Size: size}}, regions, nil)
	for range 100 {
		from := r.Int64N(size)
		to := from + 1 + r.Int64N(size-from)
		n := 1 + r.IntN(2000)
		sum := 0.0
		for i, b := range s.Bins(from, to, n, nil) {
			if width := float64(to-from) / float64(n); math.Abs(b.Total-width) > 1e-6*width+1e-3 {
				t.Fatalf("bin %d of %d has %g bytes, want %g", i, n, b.Total, width)
			}
			sum += b.Total
		}
		if math.Abs(sum-float64(to-from)) > 1 {
			t.Fatalf("%g of %d bytes", sum, to-from)
		}
	}
}

func TestClass(t *testing.T) {
	for dtype, want := range map[string]string{"float32": "float32", "float8_e4m3fn": "float8", "int64": "int", "uint8": "int", "qint8": "other", "bool": "bool", "complex64": "other", "": "other"} {
		if got := Classes[Class(dtype)]; got != want {
			t.Errorf("%s has the colour of %s, want %s", dtype, got, want)
		}
	}
}

func BenchmarkBins(b *testing.B) {
	var regions []message.Region
	for i := range 300_000 {
		regions = append(regions, message.Region{Use: statedict.Use(i % 3), Len: 1000, Storage: int32(i / 3), Type: "float32"})
	}
	s := stripOf(b, []message.MappedFile{{Size: 300e6}}, regions, nil)
	for b.Loop() {
		s.Bins(0, s.Size, 900, nil)
	}
}

// A column has the colours of its bytes in their proportion.
func TestStripPixels(t *testing.T) {
	s := stripOf(t, []message.MappedFile{{Size: 400}}, []message.Region{
		{Use: statedict.UseHeader, Len: 100, Storage: -1}, {Use: statedict.UseTensor, Len: 100, Storage: 0, Type: "float32"}, {Use: statedict.UseUnreached, Len: 200, Storage: 0, Type: "float32"},
	}, []message.Place{{Off: 100, Len: 300}})
	p := &Palette{Mark: Colour{9, 9, 9}}
	for i := range Paints {
		p.Paints = append(p.Paints, Colour{uint8(10 * i), 1, 2})
	}
	const high = 20 + markHigh
	bins := s.Bins(0, 400, 2, nil)
	MarkBins(bins, 0, 400, []message.Place{{Off: 0, Len: 400}})
	px := Pixels(bins, high, p)
	at := func(x, y int) Colour { i := 4 * (y*2 + x); return Colour(px[i : i+3]) }
	for y := range 20 {
		left := p.Paints[PaintHeader]
		if y < 10 {
			left = p.Paints[PaintType]
		}
		if at(0, y) != left || at(1, y) != p.Paints[PaintUnreached] {
			t.Errorf("line %d is %v %v", y, at(0, y), at(1, y))
		}
	}
	if at(0, high-1) != p.Mark || px[4*(20*2)+3] != 0 {
		t.Error("the mark is not where it belongs")
	}
}
