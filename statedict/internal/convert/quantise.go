package convert

import (
	"fmt"
	"math"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// A Quantizer holds the parameters of an affine quantisation: value = (q - zero point) * scale.
// One scale and zero point serve the whole tensor, or Channels of them, one for each index along one axis.
type Quantizer struct {
	DType      dtype.DType // QInt8 or QUInt8
	Scales     []float64
	ZeroPoints []int64
	// Inner is the number of elements of one step along the channel axis: the product of the extents after it.
	// 0: quantised per tensor, with one scale.
	Inner int64
}

func (q *Quantizer) check(n, m int, first int64) error {
	switch {
	case q.DType != dtype.QInt8 && q.DType != dtype.QUInt8:
		return fmt.Errorf("no quantisation to %s", q.DType)
	case len(q.Scales) == 0 || len(q.Scales) != len(q.ZeroPoints):
		return fmt.Errorf("%d scales and %d zero points", len(q.Scales), len(q.ZeroPoints))
	case q.Inner < 0 || q.Inner == 0 && len(q.Scales) > 1:
		return fmt.Errorf("%d channels of %d elements", len(q.Scales), q.Inner)
	case n != m*4 || first < 0:
		return fmt.Errorf("quantisation: %d bytes of float32 and %d of %s", n, m, q.DType)
	}
	low, high := q.limits()
	for _, z := range q.ZeroPoints {
		if z < low || z > high {
			return fmt.Errorf("zero point %d outside %s", z, q.DType)
		}
	}
	return nil
}

func (q *Quantizer) limits() (low, high int64) {
	if q.DType == dtype.QInt8 {
		return -128, 127
	}
	return 0, 255
}

// channel finds the parameters of the element with a row-major index.
func (q *Quantizer) channel(i int64) (float64, int64) {
	if q.Inner == 0 {
		return q.Scales[0], q.ZeroPoints[0]
	}
	c := i / q.Inner % int64(len(q.Scales))
	return q.Scales[c], q.ZeroPoints[c]
}

// Quantize writes to dst the int8 or uint8 representation of src, which holds float32 elements of a row-major tensor from
// index first on. The bits are those of torch.quantize_per_tensor and quantize_per_channel on the CPU (torch 1.13):
// the value times the float32 inverse of the scale, rounded to nearest even, plus the zero point, clamped; NaN and what
// leaves int32 is x86's lowest integer and so the lower limit per tensor.
func (q *Quantizer) Quantize(dst, src []byte, first int64) error {
	if err := q.check(len(src), len(dst), first); err != nil {
		return err
	}
	low, high := q.limits()
	for i := range dst {
		scale, zero := q.channel(first + int64(i))
		x := math.Float32frombits(le.Uint32(src[4*i:]))
		dst[i] = byte(quantizeOne(x, 1/float32(scale), zero, low, high))
	}
	return nil
}

func quantizeOne(x, inverse float32, zero, low, high int64) int64 {
	r := float32(zero) + float32(math.RoundToEven(float64(x*inverse)))
	v := int64(math.MinInt64)
	if r >= -1<<63 && r < 1<<63 {
		v = int64(r)
	}
	return min(max(v, low), high)
}

// Dequantize writes float32 values of the int8 or uint8 elements of src, which begin at row-major index first.
func (q *Quantizer) Dequantize(dst, src []byte, first int64) error {
	if err := q.check(len(dst), len(src), first); err != nil {
		return err
	}
	for i, b := range src {
		scale, zero := q.channel(first + int64(i))
		v := int64(b)
		if q.DType == dtype.QInt8 {
			v = int64(int8(b))
		}
		f := float32(v-zero) * float32(scale)
		if q.Inner > 0 { // torch multiplies by the float64 scale here
			f = float32(float64(v-zero) * scale)
		}
		le.PutUint32(dst[4*i:], math.Float32bits(f))
	}
	return nil
}
