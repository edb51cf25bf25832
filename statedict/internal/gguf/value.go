package gguf

import (
	"encoding/binary"
	"iter"
	"math"
)

// ValueType is the type of a pair's value, or of an array's elements.
type ValueType uint32

// The thirteen types.
const (
	Uint8 ValueType = iota
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Float32
	Bool
	String
	Array
	Uint64
	Int64
	Float64
)

var valueTypes = [...]struct {
	name string
	size int64 // bytes, 0 for what varies
}{
	{"uint8", 1}, {"int8", 1}, {"uint16", 2}, {"int16", 2}, {"uint32", 4}, {"int32", 4}, {"float32", 4}, {"bool", 1},
	{"string", 0}, {"array", 0}, {"uint64", 8}, {"int64", 8}, {"float64", 8},
}

func (t ValueType) known() bool { return int64(t) < int64(len(valueTypes)) }

func (t ValueType) String() string {
	if !t.known() {
		return "unknown"
	}
	return valueTypes[t].name
}

// Value is a value as the file holds it. Raw is shared with the Header's other values and must not be changed.
type Value struct {
	Type ValueType
	Raw  []byte // little-endian; a string with its length, an array with type and count in front
}

// Uint is the value of an unsigned integer or a bool, 0 of other types.
func (v Value) Uint() uint64 {
	switch v.Type {
	case Uint8, Bool:
		return uint64(v.Raw[0])
	case Uint16:
		return uint64(binary.LittleEndian.Uint16(v.Raw))
	case Uint32:
		return uint64(binary.LittleEndian.Uint32(v.Raw))
	case Uint64:
		return binary.LittleEndian.Uint64(v.Raw)
	}
	return 0
}

// Int is the value of a signed integer, 0 of other types.
func (v Value) Int() int64 {
	switch v.Type {
	case Int8:
		return int64(int8(v.Raw[0]))
	case Int16:
		return int64(int16(binary.LittleEndian.Uint16(v.Raw)))
	case Int32:
		return int64(int32(binary.LittleEndian.Uint32(v.Raw)))
	case Int64:
		return int64(binary.LittleEndian.Uint64(v.Raw))
	}
	return 0
}

// Float is the value of a float32 or float64, 0 of other types.
func (v Value) Float() float64 {
	switch v.Type {
	case Float32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(v.Raw)))
	case Float64:
		return math.Float64frombits(binary.LittleEndian.Uint64(v.Raw))
	}
	return 0
}

// Text is the value of a string, "" of other types. It need not be UTF-8.
func (v Value) Text() string {
	if v.Type != String {
		return ""
	}
	return string(v.Raw[8:])
}

// Elem is the element type of an array, and Len the number of its elements; of other types Len is 0.
func (v Value) Elem() ValueType {
	if v.Type != Array {
		return v.Type
	}
	return ValueType(binary.LittleEndian.Uint32(v.Raw))
}

// Len is the number of elements of an array, 0 of other types.
func (v Value) Len() int64 {
	if v.Type != Array {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(v.Raw[4:]))
}

// Items walks the elements of an array in order, without copying them.
func (v Value) Items() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		elem := v.Elem()
		p := parser{buf: v.Raw, size: int64(len(v.Raw)), at: 12, lim: Limits{Depth: math.MaxInt32, Text: math.MaxInt64, Header: math.MaxInt64}}
		for range v.Len() {
			start := p.at
			if p.skip(elem, "") != nil || !yield(Value{elem, v.Raw[start:p.at:p.at]}) {
				return
			}
		}
	}
}

// NewString makes a string value.
func NewString(s string) Value { return Value{String, appendText(nil, s)} }

func appendText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}
