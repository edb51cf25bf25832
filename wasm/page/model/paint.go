package model

import "math"

// Palette is the colours of a strip, by Paint; Hatch is drawn over what several keys share, Mark below what is marked.
type Palette struct {
	Paints      []Colour
	Hatch, Mark Colour
}

const (
	markHigh  = 4 // pixels below the strip for the mark
	hatchStep = 6
	hatchOver = 0.45 // how much of the hatch's colour its lines have
)

// Pixels paints bins, one column each, as RGBA in rows of len(bins) pixels. A column is divided as its bytes are; below it stands
// the mark, two pixels wider than what is marked so that a single column is seen.
func Pixels(bins []Bin, height int, p *Palette) []byte {
	width := len(bins)
	out := make([]byte, 4*width*height)
	set := func(x, y int, c Colour) {
		at := 4 * (y*width + x)
		out[at], out[at+1], out[at+2], out[at+3] = c[0], c[1], c[2], 255
	}
	high := height - markHigh
	for x := range bins {
		b := &bins[x]
		y, sum := 0, 0.0
		shared := int(math.Round(float64(high) * b.Shared / max(b.Total, 1)))
		for k := range b.Bytes { // tensors on top, the file's own parts below
			paint := (int(PaintType) + k) % Paints
			sum += b.Bytes[paint]
			end := int(math.Round(float64(high) * sum / max(b.Total, math.SmallestNonzeroFloat64)))
			for ; y < min(end, high); y++ {
				c := p.Paints[paint]
				if y < shared && (x+y)%hatchStep == 0 {
					c = blend(c, p.Hatch, hatchOver)
				}
				set(x, y, c)
			}
		}
		for near := max(0, x-1); near <= min(width-1, x+1); near++ {
			if bins[near].Marked {
				for y := high + 1; y < height; y++ {
					set(x, y, p.Mark)
				}
				break
			}
		}
	}
	return out
}

func blend(a, b Colour, part float64) (c Colour) {
	for i := range c {
		c[i] = uint8(math.Round(float64(a[i]) + part*(float64(b[i])-float64(a[i]))))
	}
	return c
}
