// Package gguf reads and writes the front of a GGUF file: typed key-value pairs, tensor descriptions and where their data
// lie. It never touches the tensor bytes and undoes no quantisation; quantised types are named and measured.
//
// Source: ggml-org/ggml, docs/gguf.md and src/gguf.cpp (gguf_init_from_file_impl, gguf_write_to_buf).
package gguf

import (
	"encoding/binary"
	"io"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
	"github.com/weightroom/weightroom/statedict/internal/header"
)

// Magic starts every GGUF file.
const Magic = "GGUF"

// AlignmentKey names the pair (uint32) that overrides DefaultAlignment.
const AlignmentKey = "general.alignment"

// DefaultAlignment is what tensor data are aligned to in bytes, unless the file says otherwise.
const DefaultAlignment = 32

// Header is everything in front of the data.
type Header struct {
	Version   uint32 // 2 or 3, which differ in nothing that matters here
	Alignment int64  // bytes
	KV        []KV   // file order
	Tensors   []Tensor
	DataOff   int64 // file offset that Tensor.Begin counts from, in bytes
	Unowned   int64 // bytes behind DataOff that are neither a tensor's nor padding
}

// KV is one pair.
type KV struct {
	Key   string
	Value Value
}

// Tensor describes one tensor. Its data are row-major.
type Tensor struct {
	Name  string
	Type  Type        // the file's own code
	DType dtype.DType // Invalid for quantised and unknown types
	Shape []int64     // elements, slowest dimension first as in torch; the file has it the other way round
	Begin int64       // first byte, counted from Header.DataOff
	Size  int64       // bytes; of a type that is not in the table, what lies in front of the next tensor
}

// Limits bound what Parse accepts. A zero field means its default.
type Limits struct {
	Header int64 // bytes in front of the data; default 64 MiB
	Text   int64 // bytes of one string; default 16 MiB
	Count  int   // tensors, and pairs; default 262,144 each
	Rank   int   // dimensions of one tensor; default 64
	Depth  int   // arrays inside arrays; default 8
}

func (l Limits) orDefaults() Limits {
	if l.Header <= 0 {
		l.Header = 64 << 20
	}
	if l.Text <= 0 {
		l.Text = 16 << 20
	}
	if l.Count <= 0 {
		l.Count = 1 << 18
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
	CodeFormat      = "E_FORMAT"      // not a GGUF file
	CodeHeader      = "E_HEADER"      // the header breaks a rule of the format
	CodeLayout      = "E_LAYOUT"      // shapes, offsets and file size disagree
	CodeTruncated   = "E_TRUNCATED"   // the file ends before its header or data do
	CodeLimit       = "E_LIMIT"       // a limit of ours
	CodeUnsupported = "E_UNSUPPORTED" // version 1, big-endian, or what the format lacks
)

// Error says what is wrong with a file (Parse) or with what should become one (Emit).
type Error = header.Error

func fault(code string, off int64, format string, args ...any) *Error {
	return header.Fault("gguf header", code, off, format, args...)
}

var quote = header.Quote

// Least bytes that one pair and one tensor description take.
const (
	leastKV     = 8 + 4 + 1
	leastTensor = 8 + 4 + 4 + 8
)

// Parse reads the front of the size bytes in r and checks that every tensor lies inside the file, aligned and apart from the
// others. Memory: the front of the file once (values of pairs point into it), plus the tensors.
//
// Errors are *Error, or a wrapped read error. Where the tensor data end early (CodeTruncated with a Header), the Header is
// returned beside the error, so that what lies in front of the cut can still be read.
func Parse(r io.ReaderAt, size int64, lim Limits) (*Header, error) {
	lim = lim.orDefaults()
	p := &parser{src: r, size: size, lim: lim}
	h := &Header{Alignment: DefaultAlignment}
	tensors, pairs, err := p.front(h)
	if err != nil {
		return nil, err
	}
	if err := p.pairs(h, pairs); err != nil {
		return nil, err
	}
	p.alignment = h.Alignment
	if err := p.tensors(h, tensors); err != nil {
		return nil, err
	}
	h.DataOff = alignUp(p.at, h.Alignment)
	switch err := place(h, size); {
	case err == nil:
		return h, nil
	case err.Code == CodeTruncated:
		return h, err
	default:
		return nil, err
	}
}

// front reads magic, version and the two counts.
func (p *parser) front(h *Header) (tensors, pairs int64, err error) {
	b, err := p.take(8, "magic and version")
	if err != nil {
		return 0, 0, err
	}
	if string(b[:4]) != Magic {
		return 0, 0, fault(CodeFormat, 0, "no GGUF magic")
	}
	switch h.Version = binary.LittleEndian.Uint32(b[4:]); {
	case h.Version == 2 || h.Version == 3:
	case h.Version == 1:
		return 0, 0, fault(CodeUnsupported, 4, "version 1 of August 2023, with lengths of 32 bits; llama.cpp converts it")
	case h.Version&0xffff == 0:
		return 0, 0, fault(CodeUnsupported, 4, "a big-endian file, version %d", binary.BigEndian.Uint32(b[4:]))
	default:
		return 0, 0, fault(CodeUnsupported, 4, "version %d, known are 2 and 3", h.Version)
	}
	b, err = p.take(16, "counts")
	if err != nil {
		return 0, 0, err
	}
	for i, what := range []string{"tensors", "pairs"} {
		n := binary.LittleEndian.Uint64(b[8*i:])
		least := uint64(leastTensor)
		if what == "pairs" {
			least = leastKV
		}
		if int64(n) < 0 {
			return 0, 0, fault(CodeHeader, int64(8+8*i), "%d %s", int64(n), what)
		}
		if n > uint64(p.size)/least {
			return 0, 0, fault(CodeTruncated, p.size, "%d %s cannot be in the file's %d bytes", n, what, p.size)
		}
		if n > uint64(p.lim.Count) {
			return 0, 0, fault(CodeLimit, int64(8+8*i), "%d %s, limit %d", n, what, p.lim.Count)
		}
	}
	return int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint64(b[8:])), nil
}

func (p *parser) pairs(h *Header, n int64) error {
	seen := make(map[string]struct{})
	for range n {
		at := p.at
		key, err := p.text("key")
		if err != nil {
			return err
		}
		if _, twice := seen[key]; twice {
			return fault(CodeHeader, at, "key %s appears twice", quote(key))
		}
		seen[key] = struct{}{}
		value, err := p.value(key)
		if err != nil {
			return err
		}
		h.KV = append(h.KV, KV{key, value})
		if key == AlignmentKey {
			if h.Alignment, err = alignmentOf(value, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// alignmentOf checks the value of general.alignment.
func alignmentOf(v Value, at int64) (int64, error) {
	n := int64(0)
	if v.Type == Uint32 {
		n = int64(v.Uint())
	}
	if n < 1 || n&(n-1) != 0 {
		return 0, fault(CodeHeader, at, "%s is no uint32 power of two", AlignmentKey)
	}
	return n, nil
}

func (p *parser) tensors(h *Header, n int64) error {
	seen := make(map[string]struct{})
	for range n {
		at := p.at
		name, err := p.text("tensor name")
		if err != nil {
			return err
		}
		if _, twice := seen[name]; twice {
			return fault(CodeHeader, at, "tensor %s appears twice", quote(name))
		}
		seen[name] = struct{}{}
		t, err := p.tensor(name, at)
		if err != nil {
			return err
		}
		h.Tensors = append(h.Tensors, t)
	}
	return nil
}

// tensor reads what follows a tensor's name, which stands at offset at.
func (p *parser) tensor(name string, at int64) (Tensor, error) {
	t := Tensor{Name: name}
	b, err := p.take(4, "rank")
	if err != nil {
		return t, err
	}
	rank := binary.LittleEndian.Uint32(b)
	if int64(rank) > int64(p.lim.Rank) {
		return t, fault(CodeLimit, p.at-4, "tensor %s: %d dimensions, limit %d", quote(name), rank, p.lim.Rank)
	}
	if b, err = p.take(8*int64(rank)+12, "shape, type and offset"); err != nil {
		return t, err
	}
	t.Shape = make([]int64, rank)
	for i := range t.Shape {
		dim := int64(binary.LittleEndian.Uint64(b[8*i:]))
		if dim < 0 {
			return t, fault(CodeLayout, at, "tensor %s: dimension %d is %d", quote(name), i, dim)
		}
		t.Shape[int(rank)-1-i] = dim
	}
	b = b[8*rank:]
	t.Type = Type(binary.LittleEndian.Uint32(b))
	t.DType = t.Type.DType()
	t.Begin = int64(binary.LittleEndian.Uint64(b[4:]))
	if t.Begin < 0 || t.Begin%p.alignment != 0 {
		return t, fault(CodeLayout, at, "tensor %s: offset %d is not aligned", quote(name), uint64(t.Begin))
	}
	size, problem := sizeOf(t.Type, t.Shape)
	if problem != "" {
		return t, fault(CodeLayout, at, "tensor %s: %s %v: %s", quote(name), t.Type, t.Shape, problem)
	}
	t.Size = size
	return t, nil
}
