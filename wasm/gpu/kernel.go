package gpu

import (
	"embed"
	"encoding/binary"
	"fmt"

	"github.com/weightroom/weightroom/statedict"
)

//go:embed shaders/*.wgsl
var shaders embed.FS

// Kernel is the WGSL of one cast and the values of its override constants. Its entry point is main; binding 0 is the source
// and binding 1 the target, both of whole groups of four elements. Binding 2 is four words: the number of elements, which the
// caller sets, and sums that the kernel adds to: overflowed, flushed and lost NaNs, as statedict.CastReport has them.
type Kernel struct {
	Code      string
	Constants map[string]uint32
}

// A format is how a float dtype is decoded and encoded: by files of its own, or as a minifloat with numbers.
type format struct {
	file      string // of decode and encode; "minifloat" takes the numbers below
	mantissa  uint32
	bias      uint32
	sign      uint32
	infinity  uint32
	nan       uint32
	nanBits   uint32 // float32 of the only NaN; 0 where there is infinity
	limit     uint32
	over      uint32
	oneZero   uint32
	bfloatNaN uint32 // what its NaN is in bfloat16
}

var formats = map[string]format{
	"float64":         {file: "float64", bfloatNaN: 0xffff},
	"float32":         {file: "float32", bfloatNaN: 0xffff},
	"bfloat16":        {file: "bfloat16"},
	"float8_e8m0fnu":  {file: "e8m0", bfloatNaN: 0x7fc0},
	"float16":         {"minifloat", 10, 15, 0x8000, 0x7c00, 0x7e00, 0, 0x47800000, 0x7c00, 0, 0x7fc0},
	"float8_e5m2":     {"minifloat", 2, 15, 0x80, 0x7c, 0x7f, 0, 0x47800000, 0x7c, 0, 0x7fc0},
	"float8_e4m3fn":   {"minifloat", 3, 7, 0x80, 0, 0x7f, 0x7ff00000, 0x43f00000, 0x7f, 0, 0x7fc0},
	"float8_e4m3fnuz": {"minifloat", 3, 8, 0x80, 0, 0x80, 0x7f800001, 0x43800000, 0x80, 1, 0x7fc0},
	"float8_e5m2fnuz": {"minifloat", 2, 16, 0x80, 0, 0x80, 0x7f800001, 0x47800000, 0x80, 1, 0x7fc0},
}

// Supported tells whether there is a kernel: any two different real floats. Casts that touch integers, bool or complex
// types are left to the processor.
func Supported(from, to statedict.DType) bool {
	_, f := formats[from.String()]
	_, t := formats[to.String()]
	return f && t && from != to
}

// NewKernel puts the kernel of a supported pair together.
func NewKernel(from, to statedict.DType) Kernel {
	f, t := formats[from.String()], formats[to.String()]
	k := Kernel{Constants: map[string]uint32{"WORDS": uint32(to.Size())}}
	add := func(name string) {
		text, err := shaders.ReadFile("shaders/" + name + ".wgsl")
		if err != nil {
			panic(err)
		}
		k.Code += string(text)
	}
	add("main")
	add(fmt.Sprintf("load%d", 8*from.Size()))
	if from.Size() < 4 {
		add("decode_" + f.file)
	}
	if to.Size() < 4 {
		add("encode_" + t.file)
	} else {
		add("encode_float32") // which store64 widens
	}
	add(fmt.Sprintf("store%d", 8*to.Size()))
	add("count")
	if from.Size() == 8 {
		add("stored64")
	} else {
		add("stored")
	}
	k.count(from, to, t)
	if f.file == "minifloat" {
		k.Constants["D_MANTISSA"] = f.mantissa
		k.Constants["D_BIAS"] = f.bias
		k.Constants["D_SIGN"] = f.sign
		k.Constants["D_INFINITY"] = f.infinity
		k.Constants["D_NAN"] = 0
		k.Constants["D_NAN_BITS"] = f.nanBits
		if f.infinity == 0 {
			k.Constants["D_NAN"] = f.nan
		}
	}
	switch t.file {
	case "bfloat16":
		k.Constants["E_NAN"] = f.bfloatNaN
	case "minifloat":
		k.Constants["E_MANTISSA"] = t.mantissa
		k.Constants["E_BIAS"] = t.bias
		k.Constants["E_LIMIT"] = t.limit
		k.Constants["E_OVER"] = t.over
		k.Constants["E_NAN"] = t.nan
		k.Constants["E_SIGN"] = t.sign
		k.Constants["E_ONE_ZERO"] = t.oneZero
	}
	return k
}

// count sets what the counting needs to know of the target's codes.
func (k *Kernel) count(from, to statedict.DType, t format) {
	c := k.Constants
	c["C_NAN"], c["C_PAYLOAD"], c["C_INFINITY"], c["C_KEEPS"], c["C_ZERO"] = 0xffffffff, 0, 0, 0, 1
	switch t.file {
	case "float32", "float64":
		c["C_SIGN"], c["C_BEYOND"], c["C_INFINITY"], c["C_KEEPS"] = 0x80000000, 0x7f800000, 1, 1
		return
	case "bfloat16":
		c["C_SIGN"], c["C_BEYOND"], c["C_INFINITY"] = 0x8000, 0x7f80, 1
	case "e8m0":
		c["C_SIGN"], c["C_BEYOND"], c["C_ZERO"] = 0, 0xff, 0
	case "minifloat":
		c["C_SIGN"], c["C_BEYOND"] = t.sign, t.nan
		if t.infinity != 0 {
			c["C_BEYOND"], c["C_INFINITY"] = t.infinity, 1
		}
		if t.oneZero != 0 {
			c["C_NAN"] = t.nan
		}
	}
	// NaN there and back, by way of the reference.
	single, _ := statedict.ParseDType("float32")
	nan := []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x7f}
	code, wide := make([]byte, to.Size()), make([]byte, 4)
	stored := nan
	if from.Size() < 8 {
		stored = make([]byte, from.Size())
		double, _ := statedict.ParseDType("float64")
		mustCast(stored, nan, from, double)
	}
	mustCast(code, stored, to, from)
	mustCast(wide, code, single, to)
	c["C_PAYLOAD"] = binary.LittleEndian.Uint32(wide) & 0x3fffff
}

// mustCast casts between dtypes that have kernels, which CastBytes has too.
func mustCast(dst, src []byte, to, from statedict.DType) {
	if err := statedict.CastBytes(dst, src, to, from, nil); err != nil {
		panic(err)
	}
}
