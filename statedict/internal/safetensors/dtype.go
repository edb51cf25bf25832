package safetensors

import "github.com/weightroom/weightroom/statedict/internal/dtype"

// codes lists the format's dtypes in the order of the reference's Dtype enum, on which the order of written files rests:
// the writer sorts by descending position.
//
// Source: huggingface/safetensors, safetensors/src/tensor.rs, enum Dtype and Dtype::bitsize.
var codes = [...]struct {
	code  string
	dtype dtype.DType
	bits  int64
}{
	{"BOOL", dtype.Bool, 8},
	{"F4", dtype.Float4E2M1FNx2, 4},
	{"F6_E2M3", dtype.Invalid, 6},
	{"F6_E3M2", dtype.Invalid, 6},
	{"U8", dtype.UInt8, 8},
	{"I8", dtype.Int8, 8},
	{"F8_E5M2", dtype.Float8E5M2, 8},
	{"F8_E4M3", dtype.Float8E4M3FN, 8},
	{"F8_E8M0", dtype.Float8E8M0FNU, 8},
	{"F8_E4M3FNUZ", dtype.Float8E4M3FNUZ, 8},
	{"F8_E5M2FNUZ", dtype.Float8E5M2FNUZ, 8},
	{"I16", dtype.Int16, 16},
	{"U16", dtype.UInt16, 16},
	{"F16", dtype.Float16, 16},
	{"BF16", dtype.BFloat16, 16},
	{"I32", dtype.Int32, 32},
	{"U32", dtype.UInt32, 32},
	{"F32", dtype.Float32, 32},
	{"C64", dtype.Complex64, 64},
	{"F64", dtype.Float64, 64},
	{"I64", dtype.Int64, 64},
	{"U64", dtype.UInt64, 64},
}

// rankOf is the position of code in codes, or -1.
func rankOf(code []byte) int {
	for i := range codes {
		if codes[i].code == string(code) {
			return i
		}
	}
	return -1
}

// CodeOf returns the file's name of a dtype, and whether the format has it: complex128, complex32, the quantised and the
// bits types are missing.
func CodeOf(d dtype.DType) (string, bool) {
	if d == dtype.Invalid {
		return "", false
	}
	for i := range codes {
		if codes[i].dtype == d {
			return codes[i].code, true
		}
	}
	return "", false
}
