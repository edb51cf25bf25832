// Package dtype names the element types of PyTorch and says how large they are.
//
// It is the one vocabulary that the codecs under statedict/internal share; each format keeps its own
// codes (F16, HalfStorage, <f2) to itself and translates at its edge.
package dtype

// DType is a torch element type. The zero value is Invalid.
type DType uint8

const (
	Invalid DType = iota
	Float64
	Float32
	Float16
	BFloat16
	Float8E4M3FN
	Float8E5M2
	Float8E4M3FNUZ
	Float8E5M2FNUZ
	Float8E8M0FNU
	Float4E2M1FNx2 // one byte holds two values; shapes and strides count bytes, as torch's do
	Int64
	Int32
	Int16
	Int8
	UInt64
	UInt32
	UInt16
	UInt8
	Bool
	Complex128
	Complex64
	Complex32
	QInt8
	QUInt8
	QInt32
	QUInt4x2 // two elements in a byte; shapes count elements, see PerByte
	QUInt2x4 // four elements in a byte
	Bits8
	Bits1x8
	Bits2x4
	Bits4x2
	Bits16
	count
)

type info struct {
	name    string
	size    int8 // bytes of one storage element
	perByte int8 // tensor elements in one storage element of the sub-byte types, else 1
}

var table = [count]info{
	Invalid: {"invalid", 0, 1}, Float64: {"float64", 8, 1}, Float32: {"float32", 4, 1}, Float16: {"float16", 2, 1},
	BFloat16: {"bfloat16", 2, 1}, Float8E4M3FN: {"float8_e4m3fn", 1, 1}, Float8E5M2: {"float8_e5m2", 1, 1},
	Float8E4M3FNUZ: {"float8_e4m3fnuz", 1, 1}, Float8E5M2FNUZ: {"float8_e5m2fnuz", 1, 1},
	Float8E8M0FNU: {"float8_e8m0fnu", 1, 1}, Float4E2M1FNx2: {"float4_e2m1fn_x2", 1, 1},
	Int64: {"int64", 8, 1}, Int32: {"int32", 4, 1}, Int16: {"int16", 2, 1}, Int8: {"int8", 1, 1},
	UInt64: {"uint64", 8, 1}, UInt32: {"uint32", 4, 1}, UInt16: {"uint16", 2, 1}, UInt8: {"uint8", 1, 1},
	Bool: {"bool", 1, 1}, Complex128: {"complex128", 16, 1}, Complex64: {"complex64", 8, 1}, Complex32: {"complex32", 4, 1},
	QInt8: {"qint8", 1, 1}, QUInt8: {"quint8", 1, 1}, QInt32: {"qint32", 4, 1}, QUInt4x2: {"quint4x2", 1, 2}, QUInt2x4: {"quint2x4", 1, 4},
	Bits8: {"bits8", 1, 1}, Bits1x8: {"bits1x8", 1, 1}, Bits2x4: {"bits2x4", 1, 1}, Bits4x2: {"bits4x2", 1, 1}, Bits16: {"bits16", 2, 1},
}

var byName = func() map[string]DType {
	m := make(map[string]DType, count)
	for d := Float64; d < count; d++ {
		m[table[d].name] = d
	}
	return m
}()

// Parse returns the dtype that torch calls name, with or without "torch." in front.
func Parse(name string) (DType, bool) {
	if len(name) > 6 && name[:6] == "torch." {
		name = name[6:]
	}
	d, ok := byName[name]
	return d, ok
}

// All lists every dtype, in the order of the constants.
func All() []DType {
	all := make([]DType, 0, count-1)
	for d := Float64; d < count; d++ {
		all = append(all, d)
	}
	return all
}

// String is torch's name without "torch.".
func (d DType) String() string {
	if d >= count {
		return table[Invalid].name
	}
	return table[d].name
}

// Size is the number of bytes of one storage element.
func (d DType) Size() int64 {
	if d >= count {
		return 0
	}
	return int64(table[d].size)
}

// PerByte is how many tensor elements one storage element holds: 2 for quint4x2, 4 for quint2x4, else 1.
// float4_e2m1fn_x2 answers 1, because torch's shapes already count its bytes.
func (d DType) PerByte() int64 {
	if d >= count {
		return 1
	}
	return int64(table[d].perByte)
}

// IsFloat tells the real floating point types, those that a cast touches by default.
func (d DType) IsFloat() bool { return d >= Float64 && d <= Float4E2M1FNx2 }

// IsComplex tells complex32, complex64 and complex128.
func (d DType) IsComplex() bool { return d >= Complex128 && d <= Complex32 }

// IsInteger tells the plain integers; bool and the quantised types are not among them.
func (d DType) IsInteger() bool { return d >= Int64 && d <= UInt8 }

// IsQuantized tells torch's q types.
func (d DType) IsQuantized() bool { return d >= QInt8 && d <= QUInt2x4 }

// SwapUnit is the number of bytes that a big-endian file reverses together: the element, or half of a complex one.
func (d DType) SwapUnit() int64 {
	if d.IsComplex() {
		return d.Size() / 2
	}
	return d.Size()
}
