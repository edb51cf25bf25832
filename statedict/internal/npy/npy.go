// Package npy reads and writes the header of a .npy file, the form of the members of an .npz: a Python dict literal in front
// of the raw array. It never touches the array's bytes.
//
// Source: numpy/lib/format.py (docstring "Format Version 1.0" to "3.0", _read_array_header, _write_array_header).
package npy

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"unicode/utf8"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
	"github.com/weightroom/weightroom/statedict/internal/header"
)

// Magic starts every .npy file.
const Magic = "\x93NUMPY"

// maxText bounds the literal in bytes. numpy itself refuses more than 10,000 characters unless asked.
const maxText = 1 << 16

// maxRank bounds the dimensions of an array; numpy stops at 32, from version 2 on at 64.
const maxRank = 64

// Header describes one array.
type Header struct {
	Major, Minor byte
	Descr        string      // numpy's type string as it stands in the file, "<f4"
	DType        dtype.DType // Invalid for types that torch does not have: text, dates, long double, void
	ItemSize     int64       // bytes of one element
	BigEndian    bool        // elements (halves of complex ones) are stored big end first
	Fortran      bool        // the first dimension varies fastest
	Shape        []int64     // elements, in numpy's order
	DataOff      int64       // offset of the array from the start of the file, in bytes
	NBytes       int64       // bytes of the array
	Trailing     int64       // bytes behind the array; numpy ignores them
}

// Codes of Error, in the project's common vocabulary.
const (
	CodeFormat      = "E_FORMAT"      // not a numpy file, or an array of pickled objects
	CodeHeader      = "E_HEADER"      // the header breaks a rule of the format
	CodeLayout      = "E_LAYOUT"      // the shape is impossible
	CodeTruncated   = "E_TRUNCATED"   // the file ends before its header or data do
	CodeLimit       = "E_LIMIT"       // a limit of ours
	CodeUnsupported = "E_UNSUPPORTED" // a record type, or a dtype numpy lacks
)

// Error says what is wrong with a file (Parse) or with what should become one (Emit).
type Error = header.Error

func fault(code string, off int64, format string, args ...any) *Error {
	return header.Fault("npy header", code, off, format, args...)
}

var quote = header.Quote

// Parse reads a header from r, which starts at the file's first byte and is read no further than the array's first; size is
// the length of the whole file in bytes. Nothing is evaluated: the literal is taken apart by rules.
//
// Errors are *Error, or a wrapped read error. Where the array ends early (CodeTruncated with a Header) the Header is returned
// beside the error.
func Parse(r io.Reader, size int64) (*Header, error) {
	h := &Header{}
	text, err := h.readText(r, size)
	if err != nil {
		return nil, err
	}
	p := parser{text: text, base: h.DataOff - int64(len(text))}
	if err := p.header(h); err != nil {
		return nil, err
	}
	n := uint64(1)
	for _, dim := range append([]int64{h.ItemSize}, h.Shape...) {
		hi, lo := bits.Mul64(n, uint64(dim))
		if hi != 0 || lo > math.MaxInt64 {
			return nil, fault(CodeLayout, p.base, "%s %v: the size overflows 63 bits", quote(h.Descr), h.Shape)
		}
		n = lo
	}
	h.NBytes = int64(n)
	if left := size - h.DataOff; h.NBytes > left {
		return h, fault(CodeTruncated, size, "array data end early: %d bytes needed for %s %v, %d in the file, %d missing",
			h.NBytes, quote(h.Descr), h.Shape, left, h.NBytes-left)
	}
	h.Trailing = size - h.DataOff - h.NBytes
	return h, nil
}

// readText returns the literal, without its line end, and sets version and DataOff.
func (h *Header) readText(r io.Reader, size int64) ([]byte, error) {
	var front [12]byte
	if size < 10 {
		return nil, fault(CodeTruncated, size, "%d bytes in all, the smallest header has 10", size)
	}
	if _, err := io.ReadFull(r, front[:10]); err != nil {
		return nil, fmt.Errorf("reading the npy header (byte 0): %w", err)
	}
	if string(front[:len(Magic)]) != Magic {
		return nil, fault(CodeFormat, 0, "no numpy magic")
	}
	h.Major, h.Minor = front[6], front[7]
	n := int64(binary.LittleEndian.Uint16(front[8:]))
	h.DataOff = 10
	switch {
	case h.Minor != 0 || h.Major < 1 || h.Major > 3:
		return nil, fault(CodeUnsupported, 6, "version %d.%d, known are 1.0, 2.0 and 3.0", h.Major, h.Minor)
	case h.Major > 1:
		if size < 12 {
			return nil, fault(CodeTruncated, size, "%d bytes in all, a header of version %d has 12", size, h.Major)
		}
		if _, err := io.ReadFull(r, front[10:]); err != nil {
			return nil, fmt.Errorf("reading the npy header (byte 10): %w", err)
		}
		n = int64(binary.LittleEndian.Uint32(front[8:]))
		h.DataOff = 12
	}
	if n > size-h.DataOff {
		return nil, fault(CodeTruncated, size, "length %d, only %d bytes follow", n, size-h.DataOff)
	}
	if n > maxText {
		return nil, fault(CodeLimit, 8, "length %d, limit %d", n, maxText)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, fmt.Errorf("reading the npy header (byte %d): %w", h.DataOff, err)
	}
	if h.Major == 3 && !utf8.Valid(text) {
		return nil, fault(CodeHeader, h.DataOff, "not UTF-8")
	}
	h.DataOff += n
	return text, nil
}
