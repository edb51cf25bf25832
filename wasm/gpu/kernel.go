package gpu

import (
	"embed"
	"fmt"

	"github.com/weightroom/weightroom/statedict"
)

//go:embed shaders/*.wgsl
var shaders embed.FS

// Kernel is the WGSL of one cast and the values of its override constants. Its entry point is main; binding 0 is the source
// and binding 1 the target, both of whole groups of four elements.
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
	}
	add(fmt.Sprintf("store%d", 8*to.Size()))
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
