package npy

import (
	"math"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// types are the numpy types that torch has as well, by kind and size in bytes.
var types = map[string]dtype.DType{
	"f2": dtype.Float16, "f4": dtype.Float32, "f8": dtype.Float64,
	"i1": dtype.Int8, "i2": dtype.Int16, "i4": dtype.Int32, "i8": dtype.Int64,
	"u1": dtype.UInt8, "u2": dtype.UInt16, "u4": dtype.UInt32, "u8": dtype.UInt64,
	"b1": dtype.Bool, "?": dtype.Bool, "c8": dtype.Complex64, "c16": dtype.Complex128,
}

// setType fills the type fields from Descr, whose file offset is at.
func (h *Header) setType(at int64) error {
	kind := h.Descr
	if kind != "" && strings.IndexByte("<>|=", kind[0]) >= 0 {
		h.BigEndian = kind[0] == '>'
		kind = kind[1:]
	}
	if d, ok := types[kind]; ok {
		h.DType, h.ItemSize = d, d.Size()
		h.BigEndian = h.BigEndian && d.SwapUnit() > 1
		return nil
	}
	if kind == "" {
		return fault(CodeHeader, at, "an empty type")
	}
	digits := kind[1:]
	if i := strings.IndexByte(digits, '['); i >= 0 && (kind[0] == 'M' || kind[0] == 'm') {
		digits = digits[:i] // the unit of a date, "<M8[ns]"
	}
	size, err := strconv.ParseUint(digits, 10, 63)
	switch {
	case kind[0] == 'O':
		return fault(CodeFormat, at, "an array of Python objects: its data are a pickle, not numbers")
	case err != nil || strings.IndexByte("fiubcSaUVMm", kind[0]) < 0:
		return fault(CodeUnsupported, at, "type %s is not known", quote(h.Descr))
	case kind[0] == 'U':
		if size > math.MaxInt64/4 {
			return fault(CodeLayout, at, "type %s: the size overflows 63 bits", quote(h.Descr))
		}
		size *= 4 // counts code points of 4 bytes
	}
	h.ItemSize = int64(size)
	return nil
}

// DescrOf returns numpy's type string for little-endian data of d. exact tells whether numpy then shows the values; bfloat16
// and the 8-bit floats go out as the unsigned integers of their size, which keeps the bits. ok is false for types that have
// no such form.
func DescrOf(d dtype.DType) (descr string, exact, ok bool) {
	switch d {
	case dtype.Float16, dtype.Float32, dtype.Float64:
		return "<f" + strconv.FormatInt(d.Size(), 10), true, true
	case dtype.Int16, dtype.Int32, dtype.Int64:
		return "<i" + strconv.FormatInt(d.Size(), 10), true, true
	case dtype.UInt16, dtype.UInt32, dtype.UInt64:
		return "<u" + strconv.FormatInt(d.Size(), 10), true, true
	case dtype.Complex64, dtype.Complex128:
		return "<c" + strconv.FormatInt(d.Size(), 10), true, true
	case dtype.Int8:
		return "|i1", true, true
	case dtype.UInt8:
		return "|u1", true, true
	case dtype.Bool:
		return "|b1", true, true
	case dtype.BFloat16:
		return "<u2", false, true
	case dtype.Float8E4M3FN, dtype.Float8E5M2, dtype.Float8E4M3FNUZ, dtype.Float8E5M2FNUZ, dtype.Float8E8M0FNU, dtype.Float4E2M1FNx2:
		return "|u1", false, true
	}
	return "", false, false
}
