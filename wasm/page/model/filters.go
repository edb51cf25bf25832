package model

import (
	"math"

	"github.com/weightroom/weightroom/wasm/message"
)

// FilterImage is kernels of a convolution as tiles of a grid, one pixel an element and one between tiles. Filters of three channels
// are one tile each, red, green and blue from the lowest value on show to the highest; others have a line of tiles, one a channel,
// in the colours of a Heat.
type FilterImage struct {
	f          *message.Filtered
	heat       *Heat
	Cols, Rows int // tiles
	RGB        bool
	Low, High  float64 // the ends of the scale of RGB
}

// NewFilterImage arranges filters.
func NewFilterImage(f *message.Filtered) *FilterImage {
	m := &FilterImage{f: f, heat: NewHeat(f.N*f.C*f.H, f.W, f.Values), RGB: f.Channels == 3}
	m.Cols, m.Rows = f.C, f.N
	if m.RGB {
		m.Cols = max(1, min(f.N, int(math.Round(1.3*math.Sqrt(float64(f.N))))))
		m.Rows = (f.N + m.Cols - 1) / m.Cols
	}
	m.Low, m.High = math.Inf(1), math.Inf(-1)
	for _, x := range m.heat.Values {
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			m.Low, m.High = min(m.Low, x), max(m.High, x)
		}
	}
	return m
}

// Reach is the largest magnitude on show, the ends of the scale of other images.
func (m *FilterImage) Reach() float64 { return m.heat.Reach }

// Size is that of the image in pixels.
func (m *FilterImage) Size() (width, height int) {
	return m.Cols*(m.f.W+1) - 1, m.Rows*(m.f.H+1) - 1
}

// Pixels is RGBA in rows; what is between tiles is transparent. What is no number is marked as in a Heat.
func (m *FilterImage) Pixels(dark bool) []byte {
	width, height := m.Size()
	out := make([]byte, 4*width*height)
	if len(m.heat.Values) < m.f.N*m.f.C*m.f.H*m.f.W {
		return out
	}
	for n := range m.f.N {
		for c := range m.f.C {
			row, col := n, c
			if m.RGB {
				if row, col = n/m.Cols, n%m.Cols; c > 0 {
					break
				}
			}
			for y := range m.f.H {
				for x := range m.f.W {
					colour := m.colour(n, c, y, x, dark)
					at := 4 * ((row*(m.f.H+1)+y)*width + col*(m.f.W+1) + x)
					out[at], out[at+1], out[at+2], out[at+3] = colour[0], colour[1], colour[2], 255
				}
			}
		}
	}
	return out
}

func (m *FilterImage) value(n, c, y, x int) float64 {
	return m.heat.Values[((n*m.f.C+c)*m.f.H+y)*m.f.W+x]
}

func (m *FilterImage) colour(n, c, y, x int, dark bool) (out Colour) {
	if !m.RGB {
		return m.heat.Colour(m.value(n, c, y, x), dark)
	}
	for k := range out {
		v := m.value(n, k, y, x)
		switch {
		case math.IsNaN(v):
			return NotANumber
		case math.IsInf(v, 0):
			return Infinite
		case m.High > m.Low:
			out[k] = uint8(math.Round(255 * (v - m.Low) / (m.High - m.Low)))
		default:
			out[k] = 128
		}
	}
	return out
}

// At is the filter and channel at a place of the image, from 0 to 1 in both directions; false between and beyond tiles.
func (m *FilterImage) At(x, y float64) (filter, channel int, ok bool) {
	col, row := min(int(x*float64(m.Cols)), m.Cols-1), min(int(y*float64(m.Rows)), m.Rows-1)
	if filter, channel = row, col; m.RGB {
		filter, channel = row*m.Cols+col, 0
	}
	return filter, channel, col >= 0 && row >= 0 && filter < m.f.N
}
