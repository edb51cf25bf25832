package convert

import (
	"math"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// Floats travel as their bits: a float32 variable that holds a signalling NaN may come back quiet on some processors.

const (
	signBit32 = 1 << 31
	inf32     = 0x7f800000
	quiet32   = 0x00400000
	inf64     = 0x7ff0000000000000
	quiet64   = 0x0008000000000000
)

// A minifloat describes a type of 16 or 8 bits that rounds from float32 as IEEE 754 does.
type minifloat struct {
	mantissa, bias uint32
	limit          uint32 // first float32 magnitude that is out of range before rounding
	over, nan      uint32 // codes for a magnitude from limit on, and for NaN
	signBit        uint32
	oneZero        bool // fnuz: the code of minus zero means NaN, and NaN has no sign
}

var (
	float16     = minifloat{10, 15, 0x47800000, 0x7c00, 0x7e00, 0x8000, false} // 65536
	float8E4M3  = minifloat{3, 7, 0x43f00000, 0x7f, 0x7f, 0x80, false}         // 480
	float8E5M2  = minifloat{2, 15, 0x47800000, 0x7c, 0x7f, 0x80, false}        // 65536
	float8E4M3z = minifloat{3, 8, 0x43800000, 0x80, 0x80, 0x80, true}          // 256
	float8E5M2z = minifloat{2, 16, 0x47800000, 0x80, 0x80, 0x80, true}         // 65536
)

// narrow rounds float32 bits to a minifloat's code.
func (f *minifloat) narrow(u uint32) uint32 {
	mag := u &^ signBit32
	shift := 23 - f.mantissa
	var code uint32
	switch {
	case mag > inf32:
		code = f.nan
	case mag >= f.limit:
		code = f.over
	case mag < (128-f.bias)<<23: // below the smallest normal number
		// Adding a number whose last place is the target's smallest step leaves the rounding to the float adder.
		magic := (127 - f.bias + shift + 1) << 23
		code = math.Float32bits(math.Float32frombits(mag)+math.Float32frombits(magic)) - magic
	default:
		// The half step less one, plus the last kept bit, carries exactly when round-to-even goes up.
		code = (mag - (127-f.bias)<<23 + 1<<(shift-1) - 1 + mag>>shift&1) >> shift
	}
	if f.oneZero && (code == 0 || code == f.nan) {
		return code
	}
	if u&signBit32 != 0 {
		code |= f.signBit
	}
	return code
}

// float16FromFloat32 is float16.narrow with its numbers in place, three times as quick.
func float16FromFloat32(u uint32) uint16 {
	mag := u &^ signBit32
	sign := uint16(u>>16) & 0x8000
	switch {
	case mag >= 113<<23 && mag < 143<<23:
		return sign | uint16((mag-112<<23+0xfff+mag>>13&1)>>13)
	case mag > inf32:
		return sign | 0x7e00
	case mag >= 143<<23:
		return sign | 0x7c00
	}
	return sign | uint16(math.Float32bits(math.Float32frombits(mag)+0.5)-126<<23)
}

// bfloatNaN is what NaN of a dtype becomes in bfloat16 (see the package comment).
func bfloatNaN(from dtype.DType) uint16 {
	if from == dtype.Float32 || from == dtype.Float64 {
		return 0xffff
	}
	return 0x7fc0
}

func bfloat16FromFloat32(u uint32, nan uint16) uint16 {
	if u&^signBit32 > inf32 {
		return nan
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// e8m0FromFloat32 keeps the exponent, rounded up from one and a half; below the normal numbers of float32 only what is
// above 2**-127 goes up. Infinity and NaN are 0xff.
func e8m0FromFloat32(u uint32) byte {
	exp := u >> 23 & 0xff
	if exp == 0xff {
		return 0xff
	}
	frac := u & 0x7fffff
	if frac > 0x400000 || frac == 0x400000 && exp > 0 {
		exp++
	}
	return byte(exp)
}

// widen gives the float32 bits of a code; the inverse of narrow for every type but bfloat16 and e8m0fnu.
func (f *minifloat) widen(code uint32) uint32 {
	sign := uint32(0)
	if code&f.signBit != 0 {
		sign = signBit32
	}
	low := code &^ f.signBit
	switch {
	case f.oneZero:
		if code == f.nan {
			return inf32 | 1
		}
	case f == &float8E4M3:
		if low == f.nan {
			return sign | 0x7ff00000
		}
	case low == f.over:
		return sign | inf32
	case low > f.over:
		return sign | inf32 | quiet32 | (low&(1<<f.mantissa-1))<<(23-f.mantissa)
	}
	exp, frac := low>>f.mantissa, low&(1<<f.mantissa-1)
	if exp == 0 { // subnormal or zero: exact in float32
		step := math.Float32frombits((127 - f.bias + 1 - f.mantissa) << 23)
		return sign | math.Float32bits(float32(frac)*step)
	}
	return sign | (exp+127-f.bias)<<23 | frac<<(23-f.mantissa)
}

func float32FromE8M0(code byte) uint32 {
	switch code {
	case 0:
		return 0x00400000
	case 0xff:
		return inf32 | 1
	}
	return uint32(code) << 23
}

func float64FromFloat32(u uint32) uint64 {
	if u&^signBit32 > inf32 {
		return uint64(u>>31)<<63 | inf64 | quiet64 | uint64(u&0x7fffff)<<29
	}
	return math.Float64bits(float64(math.Float32frombits(u)))
}

func float32FromFloat64(u uint64) uint32 {
	if u&^(1<<63) > inf64 {
		return uint32(u>>63)<<31 | inf32 | quiet32 | uint32(u>>29)&0x7fffff
	}
	return math.Float32bits(float32(math.Float64frombits(u)))
}
