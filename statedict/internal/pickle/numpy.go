package pickle

import (
	"encoding/binary"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// ArrayInfo describes a numpy array.
type ArrayInfo struct {
	DType   string // as numpy writes it: "<f4", "|b1", "|O"
	Shape   []int64
	Fortran bool
	Data    []byte  // the elements in that order; nil for objects
	Items   []Value // of an array of objects
}

// String is dtype and shape: "<f4 [2, 3]".
func (a *ArrayInfo) String() string {
	b := append([]byte(a.DType), " ["...)
	for i, d := range a.Shape {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendInt(b, d, 10)
	}
	b = append(b, ']')
	if a.Fortran && len(a.Shape) > 1 {
		b = append(b, " in Fortran order"...)
	}
	return string(b)
}

// ScalarInfo describes a numpy scalar.
type ScalarInfo struct {
	DType string // numpy's name: "float64", "int32", "bool", "str", …
	Value Value  // bool, int64, *big.Int, float64, complex128, string, *Bytes; nil where the type is not decoded
}

func numpySymbol(o *Object) (symbol, bool) {
	g, ok := o.Class.(*Global)
	if !ok || !strings.HasPrefix(g.Module, "numpy") || o.Args == nil {
		return symbol{}, false
	}
	return canonicalSymbol(g.Module, g.Name), true
}

// arrayValue is an ndarray before it is decoded.
type arrayValue struct{ shape, dtype, order, raw Value }

// arrayParts finds what an ndarray was made of: by multiarray._reconstruct with a state, or numeric._frombuffer.
func arrayParts(v Value) (a arrayValue, ok bool) {
	o, ok := v.(*Object)
	if !ok {
		return a, false
	}
	s, ok := numpySymbol(o)
	if !ok {
		return a, false
	}
	switch {
	case s.name == "_reconstruct":
		state, ok := o.State.(*Tuple)
		if !ok || len(state.Items) < 4 {
			return a, false
		}
		items := state.Items
		if len(items) == 5 { // a version in front
			items = items[1:]
		}
		return arrayValue{items[0], items[1], items[2], items[3]}, true
	case s.name == "_frombuffer" && len(o.Args.Items) == 4:
		args := o.Args.Items
		return arrayValue{shape: args[2], dtype: args[1], order: args[3] == "F", raw: args[0]}, true
	}
	return a, false
}

// dims reads the shape.
func (a *arrayValue) dims() ([]int64, bool) {
	t, ok := a.shape.(*Tuple)
	if !ok || len(t.Items) > maxRank {
		return nil, false
	}
	shape := make([]int64, len(t.Items))
	for i, d := range t.Items {
		if shape[i], ok = d.(int64); !ok {
			return nil, false
		}
	}
	return shape, true
}

// NumpyArray decodes an ndarray. Data is copied only where Python 2 kept it in a str.
func NumpyArray(v Value) (ArrayInfo, bool) {
	a, ok := arrayParts(v)
	if !ok {
		return ArrayInfo{}, false
	}
	info := ArrayInfo{DType: "?"}
	if info.Shape, ok = a.dims(); !ok {
		return ArrayInfo{}, false
	}
	if d, ok := NumpyDType(a.dtype); ok {
		info.DType = d
	}
	switch f := a.order.(type) {
	case bool:
		info.Fortran = f
	case int64:
		info.Fortran = f != 0
	}
	if list, ok := a.raw.(*List); ok {
		info.Items = list.Items
	} else {
		info.Data, _ = rawBytes(a.raw, -1)
	}
	return info, true
}

// rawBytes reads bytes, or the str in which Python 2 kept them: by the length that is wanted, or as latin-1 for -1.
func rawBytes(v Value, want int) ([]byte, bool) {
	switch v := v.(type) {
	case *Bytes:
		return v.B, true
	case string:
		if len(v) == want {
			return []byte(v), true
		}
		return toLatin1(v)
	}
	return nil, false
}

// NumpyDType is the dtype object's str: byte order, kind and size.
func NumpyDType(v Value) (string, bool) {
	o, ok := v.(*Object)
	if !ok {
		return "", false
	}
	if s, ok := numpySymbol(o); !ok || s != (symbol{"numpy", "dtype"}) {
		return "", false
	}
	code, ok := firstText(o)
	if !ok || code == "" {
		return "", false
	}
	order := "<"
	if state, ok := o.State.(*Tuple); ok && len(state.Items) > 1 {
		if s, ok := state.Items[1].(string); ok && s != "" {
			order = s
		}
		// the size of strings stands in the state when the code has none
		if len(code) == 1 && len(state.Items) > 5 {
			if n, ok := state.Items[5].(int64); ok && n > 0 {
				if code == "U" {
					n /= 4
				}
				code += strconv.FormatInt(n, 10)
			}
		}
	}
	switch {
	case order == "=":
		order = "<"
	case code[0] == 'S' || code[0] == 'V' || code[0] == 'O' || strings.HasSuffix(code, "1") && len(code) == 2 && strings.Contains("biu", code[:1]):
		order = "|"
	case order == "|":
		order = "<"
	}
	if code[0] == 'O' {
		code = "O"
	}
	return order + code, true
}

var numpyNames = map[string]string{
	"b1": "bool", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64", "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64",
	"f2": "float16", "f4": "float32", "f8": "float64", "f16": "float128", "c8": "complex64", "c16": "complex128", "O": "object",
}

// NumpyScalar decodes multiarray.scalar(dtype, bytes).
func NumpyScalar(v Value) (ScalarInfo, bool) {
	o, ok := v.(*Object)
	if !ok {
		return ScalarInfo{}, false
	}
	if s, ok := numpySymbol(o); !ok || s != (symbol{"numpy.core.multiarray", "scalar"}) || len(o.Args.Items) < 1 {
		return ScalarInfo{}, false
	}
	dt, ok := NumpyDType(o.Args.Items[0])
	if !ok {
		return ScalarInfo{}, false
	}
	code := dt[1:]
	info := ScalarInfo{DType: numpyNames[code]}
	if info.DType == "" {
		switch code[0] {
		case 'U':
			info.DType = "str"
		case 'S':
			info.DType = "bytes"
		case 'M':
			info.DType = "datetime64"
		case 'm':
			info.DType = "timedelta64"
		case 'V':
			info.DType = "void"
		default:
			info.DType = code
		}
	}
	if len(o.Args.Items) < 2 {
		return info, true
	}
	size, _ := strconv.Atoi(code[1:])
	if code[0] == 'U' {
		size *= 4
	}
	raw, ok := rawBytes(o.Args.Items[1], size)
	if !ok || len(raw) != size {
		return info, true
	}
	info.Value = numpyValue(code, dt[0] == '>', raw)
	return info, true
}

func numpyValue(code string, bigEndian bool, raw []byte) Value {
	order := binary.ByteOrder(binary.LittleEndian)
	if bigEndian {
		order = binary.BigEndian
	}
	switch code {
	case "b1":
		return raw[0] != 0
	case "i1":
		return int64(int8(raw[0]))
	case "u1":
		return int64(raw[0])
	case "i2":
		return int64(int16(order.Uint16(raw)))
	case "u2":
		return int64(order.Uint16(raw))
	case "i4":
		return int64(int32(order.Uint32(raw)))
	case "u4":
		return int64(order.Uint32(raw))
	case "i8":
		return int64(order.Uint64(raw))
	case "u8":
		return normalInt(new(big.Int).SetUint64(order.Uint64(raw)))
	case "f2":
		return halfToFloat(order.Uint16(raw))
	case "f4":
		return float64(math.Float32frombits(order.Uint32(raw)))
	case "f8":
		return math.Float64frombits(order.Uint64(raw))
	case "c8":
		return complex(float64(math.Float32frombits(order.Uint32(raw))), float64(math.Float32frombits(order.Uint32(raw[4:]))))
	case "c16":
		return complex(math.Float64frombits(order.Uint64(raw)), math.Float64frombits(order.Uint64(raw[8:])))
	}
	switch code[0] {
	case 'U':
		var b []byte
		for ; len(raw) >= 4; raw = raw[4:] {
			if r := order.Uint32(raw); r != 0 && r <= 0x10ffff {
				b = appendRune(b, rune(r))
			}
		}
		return string(b)
	case 'S':
		return &Bytes{B: []byte(strings.TrimRight(string(raw), "\x00"))}
	case 'M', 'm':
		if len(raw) == 8 {
			return int64(order.Uint64(raw))
		}
	}
	return nil
}

func halfToFloat(h uint16) float64 {
	exp, frac := int(h>>10&31), float64(h&1023)
	var f float64
	switch exp {
	case 0:
		f = math.Ldexp(frac, -24)
	case 31:
		f = math.Inf(1)
		if frac != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(1024+frac, exp-25)
	}
	if h&0x8000 != 0 {
		f = -f
	}
	return f
}
