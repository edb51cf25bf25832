package convert

import (
	"fmt"
	"math"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// Stats describes a run of values. NaN and infinities are counted and left out of the rest. Bool counts as 0 and 1, the
// quantised types as their integers; complex values are counted only (NaN and Inf where either part is, Zeros where both are).
type Stats struct {
	Numel, NaN, Inf, Zeros int64
	Finite                 int64   // what Min, Max and Mean speak of; they are 0 when it is 0
	Min, Max, Mean         float64 // integers beyond 2**53 are rounded
	squares                float64 // sum of the squared distances from Mean
}

// Std is the sample standard deviation, as torch.std has it by default (divided by one less than their number);
// 0 for fewer than two values.
func (s Stats) Std() float64 {
	if s.Finite < 2 {
		return 0
	}
	return math.Sqrt(s.squares / float64(s.Finite-1))
}

// Merge adds another run: the Stats of both together. In the same order the result is the same, bit for bit.
func (s *Stats) Merge(o Stats) {
	s.Numel += o.Numel
	s.NaN += o.NaN
	s.Inf += o.Inf
	s.Zeros += o.Zeros
	switch {
	case o.Finite == 0:
		return
	case s.Finite == 0:
		s.Min, s.Max, s.Mean = o.Min, o.Max, o.Mean
		s.squares = o.squares
	default:
		s.Min, s.Max = min(s.Min, o.Min), max(s.Max, o.Max)
		// Chan, Golub and LeVeque: no cancellation, unlike a sum of squares. The conversions keep compilers from fusing.
		n, m := float64(s.Finite), float64(o.Finite)
		delta := o.Mean - s.Mean
		s.Mean += float64(delta * (m / (n + m)))
		s.squares += o.squares + float64(float64(delta*delta)*(n*m/(n+m)))
	}
	s.Finite += o.Finite
}

// Add measures elements of a dtype. Errors: a dtype without values (bits, sub-byte types), a broken length.
func (s *Stats) Add(b []byte, d dtype.DType) error {
	step, err := measurable(b, d)
	if err != nil {
		return err
	}
	if d.IsComplex() {
		s.addComplex(b, part(d))
		return nil
	}
	var values [blockLen]float64
	for len(b) > 0 {
		n := min(blockLen, len(b)/step)
		floats(values[:n], b[:n*step], d)
		s.addBlock(values[:n])
		b = b[n*step:]
	}
	return nil
}

// plainInts answers for the quantised types with the integers that represent them.
func plainInts(d dtype.DType) dtype.DType {
	switch d {
	case dtype.QInt8:
		return dtype.Int8
	case dtype.QUInt8:
		return dtype.UInt8
	case dtype.QInt32:
		return dtype.Int32
	}
	return d
}

func measurable(b []byte, d dtype.DType) (step int, err error) {
	if !isReal(plainInts(d)) && !d.IsComplex() {
		return 0, fmt.Errorf("no values in %s", d)
	}
	if step = int(d.Size()); len(b)%step != 0 {
		return 0, fmt.Errorf("%d bytes of %s", len(b), d)
	}
	return step, nil
}

// floats stages the values of real elements.
func floats(values []float64, b []byte, d dtype.DType) {
	switch d = plainInts(d); {
	case d == dtype.Float32:
		b = b[:4*len(values)]
		for i := range values {
			values[i] = float64(math.Float32frombits(le.Uint32(b[4*i:])))
		}
	case d == dtype.Float64:
		b = b[:8*len(values)]
		for i := range values {
			values[i] = math.Float64frombits(le.Uint64(b[8*i:]))
		}
	case d.IsFloat():
		var narrow [blockLen]uint32
		decodeFloat32(narrow[:len(values)], b, d)
		for i := range values {
			values[i] = float64(math.Float32frombits(narrow[i]))
		}
	default:
		var ints [blockLen]uint64
		decodeInt(ints[:len(values)], b, d)
		for i := range values {
			if d == dtype.UInt64 {
				values[i] = float64(ints[i])
			} else {
				values[i] = float64(int64(ints[i]))
			}
		}
	}
}

// addBlock measures a block twice over, while it is in the first cache: its mean, then the distances from it.
// It reorders the values.
func (s *Stats) addBlock(values []float64) {
	o := Stats{Numel: int64(len(values)), Min: math.Inf(1), Max: math.Inf(-1)}
	total, k := 0.0, 0
	for _, x := range values {
		if x-x != 0 { // NaN, or an infinity less itself
			if x != x {
				o.NaN++
			} else {
				o.Inf++
			}
			continue
		}
		values[k] = x
		k++
		total += x
		if x < o.Min {
			o.Min = x
		}
		if x > o.Max {
			o.Max = x
		}
		if x == 0 {
			o.Zeros++
		}
	}
	if o.Finite = int64(k); k > 0 {
		o.Mean = total / float64(k)
		if math.IsInf(total, 0) { // float64 values near the limit: their sum left it, their mean does not
			o.Mean = 0
			for _, x := range values[:k] {
				o.Mean += x / float64(k)
			}
		}
		for _, x := range values[:k] {
			o.squares += float64((x - o.Mean) * (x - o.Mean))
		}
	}
	s.Merge(o)
}

func (s *Stats) addComplex(b []byte, d dtype.DType) {
	var values [2 * blockLen]float64
	step := int(d.Size())
	for len(b) > 0 {
		n := min(blockLen, len(b)/step)
		floats(values[:n], b[:n*step], d)
		for i := 0; i < n; i += 2 {
			re, im := values[i], values[i+1]
			s.Numel++
			switch {
			case re != re || im != im:
				s.NaN++
			case math.IsInf(re, 0) || math.IsInf(im, 0):
				s.Inf++
			case re == 0 && im == 0:
				s.Zeros++
			}
		}
		b = b[n*step:]
	}
}

// A Histogram counts the finite values from Low to High in equal bins; High itself belongs to the last one.
type Histogram struct {
	Low, High float64
	Counts    []int64
	Outside   int64 // finite values below Low or above High
}

// Edges are the bins' limits, one more than there are bins.
func (h *Histogram) Edges() []float64 {
	edges := make([]float64, len(h.Counts)+1)
	for i := range edges {
		t := float64(i) / float64(len(h.Counts))
		edges[i] = float64(h.Low*(1-t)) + float64(h.High*t)
	}
	return edges
}

// Add counts elements of a real dtype.
func (h *Histogram) Add(b []byte, d dtype.DType) error {
	step, err := measurable(b, d)
	if err != nil || d.IsComplex() {
		return fmt.Errorf("no histogram of %s", d)
	}
	var values [blockLen]float64
	bins := float64(len(h.Counts))
	width := h.High/2 - h.Low/2 // halves: the range of float64 may span more than its largest number
	for len(b) > 0 {
		n := min(blockLen, len(b)/step)
		floats(values[:n], b[:n*step], d)
		for _, x := range values[:n] {
			switch {
			case x >= h.Low && x <= h.High && x-x == 0:
				k := 0
				if width > 0 {
					k = min(int((x/2-h.Low/2)/width*bins), len(h.Counts)-1)
				}
				h.Counts[k]++
			case x-x == 0:
				h.Outside++
			}
		}
		b = b[n*step:]
	}
	return nil
}

// Value is the element of b with an index, as float64, int64, uint64, bool or complex128; nil for a dtype without values.
func Value(b []byte, d dtype.DType, i int) any {
	step, err := measurable(b[:0], d)
	if err != nil {
		return nil
	}
	b = b[i*step : (i+1)*step]
	var x [2]float64
	switch d = plainInts(d); {
	case d.IsComplex():
		floats(x[:], b, part(d))
		return complex(x[0], x[1])
	case d.IsFloat():
		floats(x[:1], b, d)
		return x[0]
	}
	var u [1]uint64
	decodeInt(u[:], b, d)
	switch {
	case d == dtype.Bool:
		return u[0] == 1
	case d == dtype.UInt64:
		return u[0]
	}
	return int64(u[0])
}
