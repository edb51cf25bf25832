package model

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

// Colour is red, green and blue.
type Colour [3]uint8

// The diverging scale goes from blue over a neutral middle to red, which is told apart with every common colour blindness.
// What is no number has colours that the scale does not come near.
var (
	Negative                = Colour{33, 102, 172}
	Positive                = Colour{178, 24, 43}
	MiddleLight, MiddleDark = Colour{247, 247, 247}, Colour{38, 38, 44}
	NotANumber              = Colour{255, 213, 0}
	Infinite                = Colour{156, 39, 176}
)

// brightNegative and brightPositive end the scale on a dark page.
var brightNegative, brightPositive = Colour{103, 169, 240}, Colour{245, 124, 110}

// Heat is a window of values as colours.
type Heat struct {
	Rows, Cols int
	Values     []float64
	Reach      float64 // the largest magnitude of a finite value; the ends of the scale
	NaN, Inf   int
}

// NewHeat decodes little-endian float64 in row-major order. Values that don't fill the window are left out.
func NewHeat(rows, cols int, data []byte) *Heat {
	h := &Heat{Rows: rows, Cols: cols}
	for ; len(data) >= 8 && len(h.Values) < rows*cols; data = data[8:] {
		x := math.Float64frombits(binary.LittleEndian.Uint64(data))
		h.Values = append(h.Values, x)
		switch {
		case math.IsNaN(x):
			h.NaN++
		case math.IsInf(x, 0):
			h.Inf++
		default:
			h.Reach = max(h.Reach, math.Abs(x))
		}
	}
	return h
}

// Colour is that of a value on the scale of h.
func (h *Heat) Colour(x float64, dark bool) Colour {
	switch {
	case math.IsNaN(x):
		return NotANumber
	case math.IsInf(x, 0):
		return Infinite
	}
	middle, end := MiddleLight, Positive
	if dark {
		middle, end = MiddleDark, brightPositive
	}
	if x < 0 {
		end = Negative
		if dark {
			end = brightNegative
		}
	}
	if h.Reach == 0 {
		return middle
	}
	part := math.Abs(x) / h.Reach
	var c Colour
	for i := range c {
		c[i] = uint8(math.Round(float64(middle[i]) + part*(float64(end[i])-float64(middle[i]))))
	}
	return c
}

// Pixels is one RGBA pixel for each value.
func (h *Heat) Pixels(dark bool) []byte {
	out := make([]byte, 0, 4*len(h.Values))
	for _, x := range h.Values {
		c := h.Colour(x, dark)
		out = append(out, c[0], c[1], c[2], 255)
	}
	return out
}

// Value is a number for people: six significant digits, and NaN and infinities as Python writes them.
func Value(x float64) string {
	switch {
	case math.IsNaN(x):
		return "nan"
	case math.IsInf(x, 1):
		return "inf"
	case math.IsInf(x, -1):
		return "-inf"
	}
	return strconv.FormatFloat(x, 'g', 6, 64)
}

// Bars is the height of each bar of a histogram between 0 and 1. A bar that is not empty can be seen: small counts would
// else disappear beside a large one.
func Bars(counts []int64) []float64 {
	top := int64(1)
	for _, n := range counts {
		top = max(top, n)
	}
	out := make([]float64, len(counts))
	for i, n := range counts {
		if n > 0 {
			out[i] = max(0.02, float64(n)/float64(top))
		}
	}
	return out
}

// Copied is a grid of cells as text with tabs, as NumPy code, or as JSON (where what is no number is null).
func Copied(cells []string, cols int, as string) string {
	if cols <= 0 {
		return ""
	}
	var lines []string
	for ; len(cells) >= cols; cells = cells[cols:] {
		line := append([]string(nil), cells[:cols]...)
		switch as {
		case "text":
			lines = append(lines, strings.Join(line, "\t"))
			continue
		case "numpy":
			for i, c := range line {
				if c == "nan" || c == "inf" || c == "-inf" {
					line[i] = strings.Replace("np."+c, "np.-", "-np.", 1)
				}
			}
		case "json":
			for i, c := range line {
				switch {
				case c == "nan" || c == "inf" || c == "-inf":
					line[i] = "null"
				case c == "True" || c == "False":
					line[i] = strings.ToLower(c)
				case strings.HasSuffix(c, "j"):
					line[i] = strconv.Quote(c)
				}
			}
		}
		lines = append(lines, "["+strings.Join(line, ", ")+"]")
	}
	switch as {
	case "numpy":
		return "np.array([" + strings.Join(lines, ",\n          ") + "])"
	case "json":
		return "[" + strings.Join(lines, ",\n ") + "]"
	}
	return strings.Join(lines, "\n")
}
