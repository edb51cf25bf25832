package npy

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// Emit returns the header that numpy.save writes in front of a row-major array: version 1.0, padded so that the array starts
// at a multiple of 64 bytes. descr is numpy's type string, that of DescrOf or a Header's. Errors are *Error: a type string
// that is none, a negative dimension, more than 64 of them.
//
// Source: numpy/lib/format.py, _write_array_header (1.23 and later reserve room for the first dimension to grow) and
// _wrap_header.
func Emit(descr string, shape []int64) ([]byte, error) {
	const (
		alignment = 64
		growth    = 21 // digits reserved for the first dimension
	)
	if descr == "" || len(descr) > 64 || strings.ContainsAny(descr, "'\\\n") {
		return nil, fault(CodeUnsupported, -1, "type %s", quote(descr))
	}
	if len(shape) > maxRank {
		return nil, fault(CodeLimit, -1, "%d dimensions, limit %d", len(shape), maxRank)
	}
	b := make([]byte, 10, 128)
	b = append(b, "{'descr': '"...)
	b = append(b, descr...)
	b = append(b, "', 'fortran_order': False, 'shape': ("...)
	for i, dim := range shape {
		if dim < 0 {
			return nil, fault(CodeLayout, -1, "dimension %d is %d", i, dim)
		}
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, dim, 10)
		if i < len(shape)-1 || len(shape) == 1 {
			b = append(b, ',')
		}
	}
	b = append(b, "), }"...)
	if len(shape) > 0 {
		b = append(b, strings.Repeat(" ", growth-len(strconv.FormatInt(shape[0], 10)))...)
	}
	// numpy pads by 64, not by 0, where nothing is missing.
	b = append(b, strings.Repeat(" ", alignment-(len(b)+1)%alignment)...)
	b = append(b, '\n')
	copy(b, Magic)
	b[6], b[7] = 1, 0
	binary.LittleEndian.PutUint16(b[8:], uint16(len(b)-10))
	return b, nil
}
