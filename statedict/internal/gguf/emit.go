package gguf

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Limits of ggml's own reader.
const (
	maxRank = 4
	maxName = 63
)

// Layout is the front of a file ready to be written and where each tensor's bytes belong behind it.
type Layout struct {
	Header    []byte  // with the padding up to the data
	Begins    []int64 // by tensor index: first byte, counted from the end of Header
	Sizes     []int64 // by tensor index: bytes of the tensor; zeros follow up to the next begin, or to Data
	Data      int64   // bytes of all tensors with their padding, which the last one has too
	Alignment int64   // bytes
}

// Emit lays out a version 3 file with the given pairs and tensors in their order. Tensors are given by Name, Type and Shape;
// Begin, Size and DType are ignored. A pair general.alignment sets the alignment.
//
// Errors are *Error: what ggml's reader would refuse, that is a name used twice or over 63 bytes, more than 4 dimensions, an
// empty tensor (it divides by the second dimension), rows that are no whole number of blocks, a type that is not known. A
// tensor without dimensions is written with one of 1, for ggml has no scalars.
func Emit(kv []KV, tensors []Tensor) (*Layout, error) {
	l := &Layout{Begins: make([]int64, len(tensors)), Sizes: make([]int64, len(tensors)), Alignment: DefaultAlignment}
	b := append(make([]byte, 0, 256), Magic...)
	b = binary.LittleEndian.AppendUint32(b, 3)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(tensors)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(kv)))
	seen := make(map[string]struct{}, len(tensors))
	for _, pair := range kv {
		if _, twice := seen[pair.Key]; twice {
			return nil, fault(CodeHeader, -1, "key %s appears twice", quote(pair.Key))
		}
		seen[pair.Key] = struct{}{}
		if pair.Key == AlignmentKey {
			n, err := alignmentOf(pair.Value, -1)
			if err != nil {
				return nil, err
			}
			l.Alignment = n
		}
		b = appendText(b, pair.Key)
		b = binary.LittleEndian.AppendUint32(b, uint32(pair.Value.Type))
		b = append(b, pair.Value.Raw...)
	}
	clear(seen)
	for i := range tensors {
		t := &tensors[i]
		if _, twice := seen[t.Name]; twice {
			return nil, fault(CodeHeader, -1, "tensor %s appears twice", quote(t.Name))
		}
		seen[t.Name] = struct{}{}
		size, code, why := sizeForEmit(t)
		if why != "" {
			return nil, fault(code, -1, "tensor %s: %s", quote(t.Name), why)
		}
		if size > maxEnd-l.Data {
			return nil, fault(CodeLimit, -1, "tensor %s: the data grow beyond 63 bits", quote(t.Name))
		}
		l.Begins[i], l.Sizes[i] = l.Data, size
		l.Data = alignUp(l.Data+size, l.Alignment)
		b = appendTensor(b, t, l.Begins[i])
	}
	for int64(len(b))%l.Alignment != 0 {
		b = append(b, 0)
	}
	l.Header = b
	return l, nil
}

func appendTensor(b []byte, t *Tensor, begin int64) []byte {
	b = appendText(b, t.Name)
	shape := t.Shape
	if len(shape) == 0 {
		shape = []int64{1}
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(shape)))
	for _, dim := range slices.Backward(shape) {
		b = binary.LittleEndian.AppendUint64(b, uint64(dim))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(t.Type))
	return binary.LittleEndian.AppendUint64(b, uint64(begin))
}

// Refusal says why ggml could not read a tensor of this name, type and shape, as the end of a sentence; "" when it can.
func Refusal(t *Tensor) string {
	_, _, why := sizeForEmit(t)
	return why
}

// sizeForEmit is the size of t in bytes, or why ggml could not read it, with the code of the error.
func sizeForEmit(t *Tensor) (size int64, code, why string) {
	if len(t.Name) > maxName {
		return 0, CodeUnsupported, fmt.Sprintf("the name has %d bytes, ggml reads %d", len(t.Name), maxName)
	}
	if len(t.Shape) > maxRank {
		return 0, CodeUnsupported, fmt.Sprintf("%d dimensions, ggml reads %d", len(t.Shape), maxRank)
	}
	if _, _, known := t.Type.Block(); !known {
		return 0, CodeUnsupported, fmt.Sprintf("%s is not known", t.Type)
	}
	for i, dim := range t.Shape {
		switch {
		case dim < 0:
			return 0, CodeLayout, fmt.Sprintf("dimension %d is %d", i, dim)
		case dim == 0:
			return 0, CodeUnsupported, "empty, which ggml cannot read"
		}
	}
	if size, why = sizeOf(t.Type, t.Shape); why != "" {
		return 0, CodeLayout, fmt.Sprintf("%s %v: %s", t.Type, t.Shape, why)
	}
	return size, "", ""
}
