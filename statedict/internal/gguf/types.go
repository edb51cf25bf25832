package gguf

import (
	"math"
	"math/bits"
	"strconv"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// Type is ggml's code of a tensor's element type.
type Type uint32

// block says how a type is stored: bytes for each run of elements.
type block struct {
	name     string
	elements int64
	bytes    int64
	dtype    dtype.DType
}

// table holds every type that GGUF files have used. 4 and 5 (Q4_2, Q4_3) were gone before the format began; 31 to 33 and 36 to
// 38 were repacked forms, withdrawn since, of the same size as their originals.
//
// Source: ggml-org/ggml, include/ggml.h (enum ggml_type) and src/ggml-common.h (block_*, sizes by static_assert), 2026.
var table = [...]block{
	0: {"F32", 1, 4, dtype.Float32}, 1: {"F16", 1, 2, dtype.Float16},
	2: {"Q4_0", 32, 18, 0}, 3: {"Q4_1", 32, 20, 0}, 6: {"Q5_0", 32, 22, 0}, 7: {"Q5_1", 32, 24, 0},
	8: {"Q8_0", 32, 34, 0}, 9: {"Q8_1", 32, 36, 0},
	10: {"Q2_K", 256, 84, 0}, 11: {"Q3_K", 256, 110, 0}, 12: {"Q4_K", 256, 144, 0},
	13: {"Q5_K", 256, 176, 0}, 14: {"Q6_K", 256, 210, 0}, 15: {"Q8_K", 256, 292, 0},
	16: {"IQ2_XXS", 256, 66, 0}, 17: {"IQ2_XS", 256, 74, 0}, 18: {"IQ3_XXS", 256, 98, 0}, 19: {"IQ1_S", 256, 50, 0},
	20: {"IQ4_NL", 32, 18, 0}, 21: {"IQ3_S", 256, 110, 0}, 22: {"IQ2_S", 256, 82, 0}, 23: {"IQ4_XS", 256, 136, 0},
	24: {"I8", 1, 1, dtype.Int8}, 25: {"I16", 1, 2, dtype.Int16}, 26: {"I32", 1, 4, dtype.Int32}, 27: {"I64", 1, 8, dtype.Int64},
	28: {"F64", 1, 8, dtype.Float64}, 29: {"IQ1_M", 256, 56, 0}, 30: {"BF16", 1, 2, dtype.BFloat16},
	31: {"Q4_0_4_4", 32, 18, 0}, 32: {"Q4_0_4_8", 32, 18, 0}, 33: {"Q4_0_8_8", 32, 18, 0},
	34: {"TQ1_0", 256, 54, 0}, 35: {"TQ2_0", 256, 66, 0},
	36: {"IQ4_NL_4_4", 32, 18, 0}, 37: {"IQ4_NL_4_8", 32, 18, 0}, 38: {"IQ4_NL_8_8", 32, 18, 0},
	39: {"MXFP4", 32, 17, 0}, 40: {"NVFP4", 64, 36, 0}, 41: {"Q1_0", 128, 18, 0}, 42: {"Q2_0", 64, 18, 0},
}

func (t Type) block() (block, bool) {
	if int64(t) >= int64(len(table)) || table[t].elements == 0 {
		return block{}, false
	}
	return table[t], true
}

// String is ggml's name, "Q4_K", or the number of a type that is not known.
func (t Type) String() string {
	if b, ok := t.block(); ok {
		return b.name
	}
	return "type " + strconv.FormatUint(uint64(t), 10)
}

// DType is torch's type of the same elements, or Invalid.
func (t Type) DType() dtype.DType {
	b, _ := t.block()
	return b.dtype
}

// Block returns how many elements of the last dimension are stored together in how many bytes; ok is false where the type is
// not known.
func (t Type) Block() (elements, bytes int64, ok bool) {
	b, ok := t.block()
	return b.elements, b.bytes, ok
}

// TypeOf returns ggml's code of d, and whether it has one: bool, unsigned, 8-bit floats, complex and torch's quantised types
// are missing.
func TypeOf(d dtype.DType) (Type, bool) {
	if d == dtype.Invalid {
		return 0, false
	}
	for t := range table {
		if table[t].dtype == d {
			return Type(t), true
		}
	}
	return 0, false
}

// sizeOf is the number of bytes of a tensor, 0 for a type that is not known. shape has the slowest dimension first.
func sizeOf(t Type, shape []int64) (size int64, problem string) {
	n := uint64(1)
	for _, dim := range shape {
		hi, lo := bits.Mul64(n, uint64(dim))
		if hi != 0 || lo > math.MaxInt64 {
			return 0, "the number of elements overflows 63 bits"
		}
		n = lo
	}
	b, ok := t.block()
	if !ok {
		return 0, ""
	}
	row := int64(1)
	if len(shape) > 0 {
		row = shape[len(shape)-1]
	}
	if row%b.elements != 0 {
		return 0, "rows are no multiple of " + strconv.FormatInt(b.elements, 10) + " elements"
	}
	hi, lo := bits.Mul64(n/uint64(b.elements), uint64(b.bytes))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, "the size overflows 63 bits"
	}
	return int64(lo), ""
}

// ParseType is the code of ggml's name of a type, as String gives it.
func ParseType(name string) (Type, bool) {
	for t := range table {
		if table[t].name == name && name != "" {
			return Type(t), true
		}
	}
	return 0, false
}
