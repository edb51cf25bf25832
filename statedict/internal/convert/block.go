package convert

import (
	"encoding/binary"
	"math"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

var le = binary.LittleEndian

func load64(stage []uint64, src []byte) {
	src = src[:len(stage)*8]
	for i := range stage {
		stage[i] = le.Uint64(src[i*8:])
	}
}

// decodeFloat32 fills the stage with the float32 bits of a float type of at most 32 bits.
func decodeFloat32(stage []uint32, src []byte, from dtype.DType) {
	switch from {
	case dtype.Float32:
		src = src[:len(stage)*4]
		for i := range stage {
			stage[i] = le.Uint32(src[i*4:])
		}
	case dtype.Float16:
		src = src[:len(stage)*2]
		t := halfTable()
		for i := range stage {
			stage[i] = t[le.Uint16(src[i*2:])]
		}
	case dtype.BFloat16:
		src = src[:len(stage)*2]
		for i := range stage {
			stage[i] = uint32(le.Uint16(src[i*2:])) << 16
		}
	case dtype.Float8E8M0FNU:
		for i, b := range src[:len(stage)] {
			stage[i] = float32FromE8M0(b)
		}
	default:
		f := float8(from)
		for i, b := range src[:len(stage)] {
			stage[i] = f.widen(uint32(b))
		}
	}
}

func float8(d dtype.DType) *minifloat {
	switch d {
	case dtype.Float8E4M3FN:
		return &float8E4M3
	case dtype.Float8E5M2:
		return &float8E5M2
	case dtype.Float8E4M3FNUZ:
		return &float8E4M3z
	default:
		return &float8E5M2z
	}
}

// encodeFloat32 writes staged float32 bits in any real dtype. nan is bfloat16's answer to NaN.
func encodeFloat32(dst []byte, stage []uint32, to dtype.DType, nan uint16) {
	switch to {
	case dtype.Float64:
		dst = dst[:len(stage)*8]
		for i, u := range stage {
			le.PutUint64(dst[i*8:], float64FromFloat32(u))
		}
	case dtype.Float32:
		dst = dst[:len(stage)*4]
		for i, u := range stage {
			le.PutUint32(dst[i*4:], u)
		}
	case dtype.Float16:
		dst = dst[:len(stage)*2]
		for i, u := range stage {
			le.PutUint16(dst[i*2:], float16FromFloat32(u))
		}
	case dtype.BFloat16:
		dst = dst[:len(stage)*2]
		for i, u := range stage {
			le.PutUint16(dst[i*2:], bfloat16FromFloat32(u, nan))
		}
	case dtype.Float8E8M0FNU:
		for i, u := range stage {
			dst[i] = e8m0FromFloat32(u)
		}
	case dtype.Float8E4M3FN, dtype.Float8E5M2, dtype.Float8E4M3FNUZ, dtype.Float8E5M2FNUZ:
		f := float8(to)
		for i, u := range stage {
			dst[i] = byte(f.narrow(u))
		}
	default:
		var wide [blockLen]uint64
		for i, u := range stage {
			wide[i] = float64FromFloat32(u)
		}
		intsFromFloat64(dst, wide[:len(stage)], to)
	}
}

// intsFromFloat64 truncates float64 bits to an integer type, or compares them with zero for bool.
func intsFromFloat64(dst []byte, stage []uint64, to dtype.DType) {
	for i, u := range stage {
		x := math.Float64frombits(u)
		switch to {
		case dtype.Bool:
			stage[i] = 0
			if x != 0 {
				stage[i] = 1
			}
		case dtype.Int64, dtype.UInt32, dtype.UInt8:
			stage[i] = truncate64(x)
		case dtype.UInt64:
			if x >= 1<<63 {
				stage[i] = truncate64(x-1<<63) ^ 1<<63
			} else {
				stage[i] = truncate64(x)
			}
		default:
			stage[i] = 0xffffffff80000000
			if x > -1<<31-1 && x < 1<<31 {
				stage[i] = uint64(int64(x))
			}
		}
	}
	storeInt(dst, stage, int(to.Size()))
}

// truncate64 is x86's CVTTSD2SI: the lowest int64 when the value has none.
func truncate64(x float64) uint64 {
	if x >= -1<<63 && x < 1<<63 {
		return uint64(int64(x))
	}
	return 1 << 63
}

// decodeInt fills the stage with integers extended to 64 bits by their own sign rule; bool gives 0 or 1.
func decodeInt(stage []uint64, src []byte, from dtype.DType) {
	switch from {
	case dtype.Int64, dtype.UInt64:
		load64(stage, src)
	case dtype.Int32:
		for i := range stage {
			stage[i] = uint64(int64(int32(le.Uint32(src[i*4:]))))
		}
	case dtype.UInt32:
		for i := range stage {
			stage[i] = uint64(le.Uint32(src[i*4:]))
		}
	case dtype.Int16:
		for i := range stage {
			stage[i] = uint64(int64(int16(le.Uint16(src[i*2:]))))
		}
	case dtype.UInt16:
		for i := range stage {
			stage[i] = uint64(le.Uint16(src[i*2:]))
		}
	case dtype.Int8:
		for i := range stage {
			stage[i] = uint64(int64(int8(src[i])))
		}
	case dtype.UInt8:
		for i := range stage {
			stage[i] = uint64(src[i])
		}
	case dtype.Bool:
		for i := range stage {
			stage[i] = 0
			if src[i] != 0 {
				stage[i] = 1
			}
		}
	}
}

// encodeInt writes staged integers in any real dtype.
func encodeInt(dst []byte, stage []uint64, to, from dtype.DType) {
	switch {
	case to == dtype.Float64:
		for i, u := range stage {
			if from == dtype.UInt64 {
				stage[i] = math.Float64bits(float64(u))
			} else {
				stage[i] = math.Float64bits(float64(int64(u)))
			}
		}
		storeInt(dst, stage, 8)
	case to.IsFloat():
		var narrow [blockLen]uint32
		for i, u := range stage {
			narrow[i] = float32FromInt(u, from == dtype.UInt64)
		}
		encodeFloat32(dst, narrow[:len(stage)], to, bfloatNaN(from))
	case to == dtype.Bool:
		for i, u := range stage {
			dst[i] = 0
			if u != 0 {
				dst[i] = 1
			}
		}
	default:
		storeInt(dst, stage, int(to.Size()))
	}
}

// float32FromInt rounds once, also where a processor (386) has no instruction for it: bits below what float64 holds
// are gathered into one odd bit that is still far below float32's last place.
func float32FromInt(u uint64, unsigned bool) uint32 {
	if u+1<<53 > 1<<54 || unsigned && u >= 1<<53 {
		low := u & 0x7ff
		u &^= 0x7ff
		if low != 0 {
			u |= 0x800
		}
	}
	if unsigned {
		return math.Float32bits(float32(float64(u)))
	}
	return math.Float32bits(float32(float64(int64(u))))
}

// storeInt keeps the low bytes of each staged integer.
func storeInt(dst []byte, stage []uint64, size int) {
	dst = dst[:len(stage)*size]
	switch size {
	case 8:
		for i, u := range stage {
			le.PutUint64(dst[i*8:], u)
		}
	case 4:
		for i, u := range stage {
			le.PutUint32(dst[i*4:], uint32(u))
		}
	case 2:
		for i, u := range stage {
			le.PutUint16(dst[i*2:], uint16(u))
		}
	default:
		for i, u := range stage {
			dst[i] = byte(u)
		}
	}
}
