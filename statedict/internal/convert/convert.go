// Package convert changes the element type of tensor bytes and gathers strided views, chunk by chunk.
//
// Bytes are little-endian, as torch's files hold them. A cast gives the bits that torch's CPU `.to(dtype)` gives:
//
//   - Narrowing floats round to nearest, ties to even; subnormals are kept. Beyond the range of float16, bfloat16 and
//     float8_e5m2 lies infinity; float8_e4m3fn and the fnuz types, which have none, answer NaN and never saturate.
//   - Every conversion to a type below float32 passes through float32, also from float64 and int64 (so it rounds
//     twice), and float8_e8m0fnu keeps the exponent only: the sign is lost, zero becomes 2**-127.
//   - NaN to float16: sign and 0x7e00. To bfloat16: 0xffff from float32 and float64, 0x7fc0 from everything else.
//     To float8_e4m3fn and e5m2: sign and 0x7f; to the fnuz types 0x80; to e8m0fnu 0xff. Widening and float64 to
//     float32 keep the sign and the top payload bits and set the quiet bit; float8_*fnuz and e8m0fnu widen to 0x7f800001.
//   - Float to integer truncates. Out of range and NaN are platform-defined in torch; here always x86's answer: the lowest
//     int64 (int32 for the targets int8, int16, int32 and uint16), of which narrower targets keep the low bytes.
//   - To bool everything but zero is true, NaN included. Any nonzero byte of a bool is true.
//   - Complex casts act on each part; from a complex to a real type there is no cast.
//
// torch 1.13 answers differently along two paths in one case only: NaN to bfloat16 is 0xffff for contiguous tensors and
// 0x7fc0 for strided ones (and for the last few elements from float64). This package always answers 0xffff there.
//
// Source: measured over every pattern with torch 1.13 (testdata/gen.py); float8 from c10/util/Float8_*.h of torch 2.2 and later.
package convert

import (
	"fmt"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// Counts says what a cast lost. It adds up: one Counts may serve many calls, one after another.
type Counts struct {
	Elements   int64 // seen
	Overflowed int64 // finite values that became infinite or NaN, infinities that became NaN, values outside an integer's range
	Flushed    int64 // nonzero values that became zero
	Rounded    int64 // other values that changed
	NaN        int64 // NaNs seen
	LostNaN    int64 // NaNs whose payload is gone, and NaNs cast to a type without NaN
}

// Add adds what another Counts has seen.
func (c *Counts) Add(o Counts) {
	c.Elements += o.Elements
	c.Overflowed += o.Overflowed
	c.Flushed += o.Flushed
	c.Rounded += o.Rounded
	c.NaN += o.NaN
	c.LostNaN += o.LostNaN
}

// Supported tells whether Cast knows the pair: any two of the real floats, integers and bool, a complex target from
// those or from another complex type, and every dtype to itself. Quantised, bits and float4 types go only to themselves.
func Supported(from, to dtype.DType) bool {
	if from == to {
		return from.Size() > 0
	}
	if to.IsComplex() {
		return from.IsComplex() || isReal(from)
	}
	return isReal(from) && isReal(to)
}

func isReal(d dtype.DType) bool {
	return d.IsFloat() && d != dtype.Float4E2M1FNx2 || d.IsInteger() || d == dtype.Bool
}

// Cast writes to dst the elements of src in another dtype. dst holds exactly as many elements as src and does not
// overlap it. What is lost is added to c, which may be nil; counting costs a second look at the bytes.
// Errors: an unsupported pair, and lengths that do not fit.
func Cast(dst, src []byte, to, from dtype.DType, c *Counts) error {
	if !Supported(from, to) {
		return fmt.Errorf("no cast from %s to %s", from, to)
	}
	n := len(src) / int(from.Size())
	if len(src) != n*int(from.Size()) || len(dst) != n*int(to.Size()) {
		return fmt.Errorf("cast from %s to %s: %d bytes do not become %d", from, to, len(src), len(dst))
	}
	kernelFor(to, from)(dst, src)
	if c != nil {
		count(dst, src, to, from, c)
	}
	return nil
}

// A kernel casts len(src) bytes; both lengths are already checked.
type kernel func(dst, src []byte)

// blockLen is how many elements pass the staging area at once: small enough to stay in the first cache.
const blockLen = 1024

func kernelFor(to, from dtype.DType) kernel {
	switch {
	case from == to && from != dtype.Bool:
		return func(dst, src []byte) { copy(dst, src) }
	case to.IsComplex() && from.IsComplex():
		return kernelFor(part(to), part(from))
	case to.IsComplex():
		return func(dst, src []byte) { toComplex(dst, src, to, from) }
	}
	if k := fastKernel(to, from); k != nil {
		return k
	}
	return plainKernel(to, from)
}

// plainKernel is the portable road, and the oracle of every other one.
func plainKernel(to, from dtype.DType) kernel {
	switch {
	case from.Size() == 1:
		return func(dst, src []byte) { byTable(dst, src, to, from) }
	default:
		return stagedKernel(to, from)
	}
}

// stagedKernel decodes blocks to the widest type of the source's kind and encodes them from there.
func stagedKernel(to, from dtype.DType) kernel {
	switch {
	case from == dtype.Float64:
		return func(dst, src []byte) { viaFloat64(dst, src, to) }
	case from.IsFloat():
		return func(dst, src []byte) { viaFloat32(dst, src, to, from) }
	default:
		return func(dst, src []byte) { viaInt64(dst, src, to, from) }
	}
}

func viaFloat32(dst, src []byte, to, from dtype.DType) {
	var stage [blockLen]uint32
	fs, ts := int(from.Size()), int(to.Size())
	for len(src) > 0 {
		n := min(blockLen, len(src)/fs)
		decodeFloat32(stage[:n], src[:n*fs], from)
		encodeFloat32(dst[:n*ts], stage[:n], to, bfloatNaN(from))
		src, dst = src[n*fs:], dst[n*ts:]
	}
}

func viaFloat64(dst, src []byte, to dtype.DType) {
	var stage [blockLen]uint64
	var narrow [blockLen]uint32
	ts := int(to.Size())
	for len(src) > 0 {
		n := min(blockLen, len(src)/8)
		load64(stage[:n], src)
		if to.IsInteger() || to == dtype.Bool {
			intsFromFloat64(dst[:n*ts], stage[:n], to)
		} else {
			for i, u := range stage[:n] {
				narrow[i] = float32FromFloat64(u)
			}
			encodeFloat32(dst[:n*ts], narrow[:n], to, bfloatNaN(dtype.Float64))
		}
		src, dst = src[n*8:], dst[n*ts:]
	}
}

func viaInt64(dst, src []byte, to, from dtype.DType) {
	var stage [blockLen]uint64
	fs, ts := int(from.Size()), int(to.Size())
	for len(src) > 0 {
		n := min(blockLen, len(src)/fs)
		decodeInt(stage[:n], src[:n*fs], from)
		encodeInt(dst[:n*ts], stage[:n], to, from)
		src, dst = src[n*fs:], dst[n*ts:]
	}
}

// part is the dtype of one half of a complex dtype.
func part(d dtype.DType) dtype.DType {
	switch d {
	case dtype.Complex128:
		return dtype.Float64
	case dtype.Complex64:
		return dtype.Float32
	default:
		return dtype.Float16
	}
}

// toComplex casts to the real part and sets the imaginary part to zero.
func toComplex(dst, src []byte, to, from dtype.DType) {
	var stage [blockLen * 8]byte
	fs, ps := int(from.Size()), int(part(to).Size())
	k := kernelFor(part(to), from)
	if from == dtype.Float16 && to == dtype.Complex32 {
		k = stagedKernel(from, from) // torch goes through float32 even here, and NaN loses its payload
	}
	for len(src) > 0 {
		n := min(blockLen, len(src)/fs)
		k(stage[:n*ps], src[:n*fs])
		for i := range n {
			copy(dst[2*i*ps:], stage[i*ps:(i+1)*ps])
			clear(dst[(2*i+1)*ps : (2*i+2)*ps])
		}
		src, dst = src[n*fs:], dst[2*n*ps:]
	}
}
