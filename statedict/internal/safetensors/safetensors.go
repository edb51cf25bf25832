// Package safetensors reads and writes the header of a safetensors file: a length, one JSON object, then tensor bytes
// back to back. It never touches the tensor bytes.
//
// Reading applies every rule of the reference reader and the two that its format text adds: the header starts with '{',
// and no key appears twice.
//
// Source: huggingface/safetensors, README.md (Format) and safetensors/src/tensor.rs (read_metadata, Metadata::validate,
// prepare).
package safetensors

import (
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
	"github.com/weightroom/weightroom/statedict/internal/header"
)

// MaxHeader is the longest header in bytes, without its 8 length bytes, that the format allows.
const MaxHeader = 100_000_000

// lengthBytes is the size of the little-endian header length in front of the JSON.
const lengthBytes = 8

// metadataKey is the one member of the header that is not a tensor.
const metadataKey = "__metadata__"

// Header is a checked header: the ranges of its entries cover the data without hole or overlap.
type Header struct {
	Entries  []Entry // in the order of the JSON, which need not be the order of the data
	Metadata []Pair  // in the order of the JSON; nil where the file has no __metadata__
	DataOff  int64   // file offset of the first tensor byte, 8 + the header's length
}

// Entry is one tensor. Its data are row-major and little-endian, never strided, never shared.
type Entry struct {
	Name  string
	DType dtype.DType // Invalid for a code torch has no dtype for: the F6 types, and F4 with an odd last dimension
	Code  string      // the file's own name, "BF16"; Emit needs it only where DType is Invalid
	// Shape counts elements as torch does: of F4 (float4_e2m1fn_x2) the last dimension is half of the file's, because
	// torch counts bytes. With DType Invalid it is the file's.
	Shape []int64
	Begin int64 // first byte, counted from Header.DataOff; Emit ignores it
	End   int64 // one past the last byte

	at uint32 // offset of the entry in the JSON, for error texts
}

// Pair is one member of __metadata__.
type Pair struct{ Key, Value string }

// Limits bound what Parse accepts. A zero field means its default.
type Limits struct {
	Header  int64 // bytes of JSON; default and maximum MaxHeader
	Tensors int   // entries; default 262,144
	Pairs   int   // of metadata; default 65,536
	Text    int   // bytes of one string as the JSON spells it; default 16 MiB
	Rank    int   // dimensions of one entry; default 64
	Depth   int   // nesting of the JSON, the header object being 1; default 8
}

func (l Limits) orDefaults() Limits {
	if l.Header <= 0 || l.Header > MaxHeader {
		l.Header = MaxHeader
	}
	if l.Tensors <= 0 {
		l.Tensors = 1 << 18
	}
	if l.Pairs <= 0 {
		l.Pairs = 1 << 16
	}
	if l.Text <= 0 {
		l.Text = 16 << 20
	}
	if l.Rank <= 0 {
		l.Rank = 64
	}
	if l.Depth <= 0 {
		l.Depth = 8
	}
	return l
}

// Codes of Error, in the project's common vocabulary.
const (
	CodeHeader      = "E_HEADER"      // the header breaks a rule of the format
	CodeLayout      = "E_LAYOUT"      // shapes, ranges and file size disagree
	CodeTruncated   = "E_TRUNCATED"   // the file ends before its header or data do
	CodeLimit       = "E_LIMIT"       // a limit of ours
	CodeUnsupported = "E_UNSUPPORTED" // a dtype nobody told us about, or one that the format lacks
)

// Error says what is wrong with a file (Parse) or with what should become one (Emit).
type Error = header.Error

func fault(code string, off int64, format string, args ...any) *Error {
	return header.Fault("safetensors header", code, off, format, args...)
}

var quote = header.Quote

// Parse reads the header of the size bytes in r and checks it whole. Memory: the header once, plus the entries.
//
// Errors are *Error, or a wrapped read error. Where the tensor data end early (CodeTruncated with a Header), the Header is
// returned beside the error, so that what lies in front of the cut can still be read.
func Parse(r io.ReaderAt, size int64, lim Limits) (*Header, error) {
	lim = lim.orDefaults()
	text, err := readJSON(r, size, lim)
	if err != nil {
		return nil, err
	}
	h := &Header{DataOff: lengthBytes + int64(len(text))}
	p := parser{text: text, lim: lim}
	if err := p.header(h); err != nil {
		return nil, err
	}
	if err := checkRanges(h, size-h.DataOff); err != nil {
		if err.Code == CodeTruncated {
			return h, err
		}
		return nil, err
	}
	return h, nil
}

// readJSON returns the bytes of the JSON, known to be valid UTF-8 and to start with '{'.
func readJSON(r io.ReaderAt, size int64, lim Limits) ([]byte, error) {
	if size < lengthBytes {
		return nil, fault(CodeTruncated, size, "%d bytes in all, 8 needed for the header length", size)
	}
	section := io.NewSectionReader(r, 0, size)
	var length [lengthBytes]byte
	if _, err := io.ReadFull(section, length[:]); err != nil {
		return nil, fmt.Errorf("reading the safetensors header length (byte 0): %w", err)
	}
	n := uint64(length[0]) | uint64(length[1])<<8 | uint64(length[2])<<16 | uint64(length[3])<<24 |
		uint64(length[4])<<32 | uint64(length[5])<<40 | uint64(length[6])<<48 | uint64(length[7])<<56
	switch {
	case n > MaxHeader:
		return nil, fault(CodeHeader, 0, "length %d, the format allows %d", n, MaxHeader)
	case n > uint64(size-lengthBytes):
		return nil, fault(CodeTruncated, size, "length %d, only %d bytes follow", n, size-lengthBytes)
	case n > uint64(lim.Header):
		return nil, fault(CodeLimit, 0, "length %d, limit %d", n, lim.Header)
	case n < 2:
		return nil, fault(CodeHeader, 0, "length %d, an empty object needs 2", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(section, text); err != nil {
		return nil, fmt.Errorf("reading the safetensors header (byte %d): %w", lengthBytes, err)
	}
	if text[0] != '{' {
		return nil, fault(CodeHeader, lengthBytes, "starts with 0x%02x, expected '{'", text[0])
	}
	if !utf8.Valid(text) {
		return nil, fault(CodeHeader, lengthBytes+int64(invalidAt(text)), "not UTF-8")
	}
	return text, nil
}

// invalidAt is the offset of the first byte of text that is not UTF-8.
func invalidAt(text []byte) int {
	at := 0
	for at < len(text) {
		r, n := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return at
}
