package model

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/weightroom/weightroom/wasm/message"
)

func filtered(n, c, h, w int, value func(n, c, y, x int) float64) *message.Filtered {
	f := &message.Filtered{N: n, C: c, H: h, W: w, Filters: int64(n), Channels: int64(c)}
	for i := range n {
		for k := range c {
			for y := range h {
				for x := range w {
					f.Values = binary.LittleEndian.AppendUint64(f.Values, math.Float64bits(value(i, k, y, x)))
				}
			}
		}
	}
	return f
}

// Three channels are red, green and blue, stretched to what is on show; NaN and Inf are marked; tiles stand apart.
func TestFilterColours(t *testing.T) {
	m := NewFilterImage(filtered(5, 3, 2, 2, func(n, c, y, x int) float64 {
		switch {
		case n == 1 && y == 0 && x == 0 && c == 2:
			return math.NaN()
		case n == 1 && y == 0 && x == 1:
			return math.Inf(-1)
		case n == 0 && y == 1 && x == 1:
			return []float64{-1, 0, 1}[c]
		}
		return 0
	}))
	if !m.RGB || m.Cols != 3 || m.Rows != 2 || m.Low != -1 || m.High != 1 {
		t.Fatalf("%d by %d tiles, from %g to %g", m.Cols, m.Rows, m.Low, m.High)
	}
	width, height := m.Size()
	px := m.Pixels(false)
	at := func(x, y int) [4]uint8 { i := 4 * (y*width + x); return [4]uint8(px[i : i+4]) }
	if width != 8 || height != 5 || len(px) != 4*40 {
		t.Fatalf("%d by %d pixels", width, height)
	}
	for _, c := range []struct {
		x, y int
		want [4]uint8
	}{{0, 0, [4]uint8{128, 128, 128, 255}}, {1, 1, [4]uint8{0, 128, 255, 255}}, {2, 0, [4]uint8{}}, {0, 2, [4]uint8{}}, {3, 0, [4]uint8{255, 213, 0, 255}}, {4, 0, [4]uint8{156, 39, 176, 255}}, {6, 3, [4]uint8{}}} {
		if got := at(c.x, c.y); got != c.want {
			t.Errorf("pixel %d,%d is %v, want %v", c.x, c.y, got, c.want)
		}
	}
	if f, _, ok := m.At(0.5, 0.9); f != 4 || !ok {
		t.Errorf("filter %d, %v", f, ok)
	}
	if _, _, ok := m.At(0.99, 0.99); ok {
		t.Error("a filter where there is none")
	}
}

// Other channels have a tile each, in the colours of the map of values.
func TestFilterTiles(t *testing.T) {
	m := NewFilterImage(filtered(2, 4, 3, 1, func(n, c, y, x int) float64 { return float64(n*100 + c*10 + y) }))
	width, height := m.Size()
	if m.RGB || width != 7 || height != 7 || m.Reach() != 132 {
		t.Fatalf("%d by %d, reach %g", width, height, m.Reach())
	}
	px := m.Pixels(true)
	i := 4 * ((4+2)*width + 2*2)
	if got, want := Colour(px[i:i+3]), m.heat.Colour(122, true); got != want {
		t.Errorf("filter 1, channel 2, line 2 is %v, want %v", got, want)
	}
	if f, c, ok := m.At(0.6, 0.6); f != 1 || c != 2 || !ok {
		t.Errorf("filter %d, channel %d, %v", f, c, ok)
	}
}
