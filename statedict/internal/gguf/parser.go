package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
)

// parser reads the front of a file forward. Its length is not known before its end, so buf grows by doubling; bytes are
// only asked for that the file is known to have.
type parser struct {
	src       io.ReaderAt
	size      int64  // bytes of the file
	buf       []byte // the file from its start
	at        int64  // next byte
	lim       Limits
	alignment int64
}

// firstRead is how much is fetched at once at first, the page size of browser sources.
const firstRead = 256 << 10

// take returns the next n bytes, named what in errors.
func (p *parser) take(n int64, what string) ([]byte, error) {
	if n > p.size-p.at {
		return nil, fault(CodeTruncated, p.size, "the file ends inside the header: %s of %d bytes, %d left", what, n, p.size-p.at)
	}
	if p.at+n > p.lim.Header {
		return nil, fault(CodeLimit, p.at, "more than %d bytes in front of the data", p.lim.Header)
	}
	if have := int64(len(p.buf)); p.at+n > have {
		want := min(max(p.at+n, 2*have, firstRead), p.size, p.lim.Header)
		grown := make([]byte, want)
		copy(grown, p.buf)
		if _, err := io.ReadFull(io.NewSectionReader(p.src, have, want-have), grown[have:]); err != nil {
			return nil, fmt.Errorf("reading the gguf header (byte %d): %w", have, err)
		}
		p.buf = grown
	}
	b := p.buf[p.at : p.at+n : p.at+n]
	p.at += n
	return b, nil
}

// text reads a string: u64 length and bytes.
func (p *parser) text(what string) (string, error) {
	b, err := p.textBytes(what)
	return string(b), err
}

func (p *parser) textBytes(what string) ([]byte, error) {
	b, err := p.take(8, "the length of a "+what)
	if err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(b)
	if n > uint64(p.size-p.at) {
		return nil, fault(CodeTruncated, p.size, "the file ends inside the header: %s of %d bytes at %d, %d left", what, n, p.at, p.size-p.at)
	}
	if n > uint64(p.lim.Text) {
		return nil, fault(CodeLimit, p.at, "%s of %d bytes, limit %d", what, n, p.lim.Text)
	}
	return p.take(int64(n), what)
}

// value reads the type and the value of a pair.
func (p *parser) value(key string) (Value, error) {
	b, err := p.take(4, "value type")
	if err != nil {
		return Value{}, err
	}
	t := ValueType(binary.LittleEndian.Uint32(b))
	start := p.at
	if err := p.skip(t, key); err != nil {
		return Value{}, err
	}
	return Value{t, p.buf[start:p.at:p.at]}, nil
}

// skip steps over one value of type t, arrays in arrays included.
func (p *parser) skip(t ValueType, key string) error {
	type open struct {
		elem ValueType
		left uint64
	}
	var stack []open // at most lim.Depth
	for {
		switch {
		case !t.known():
			return fault(CodeHeader, p.at, "key %s: value type %d is not known", quote(key), uint32(t))
		case t == String:
			if _, err := p.textBytes("string"); err != nil {
				return err
			}
		case t == Array:
			b, err := p.take(12, "an array's type and count")
			if err != nil {
				return err
			}
			elem, n := ValueType(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint64(b[4:])
			if !elem.known() {
				return fault(CodeHeader, p.at-12, "key %s: element type %d is not known", quote(key), uint32(elem))
			}
			if len(stack) >= p.lim.Depth {
				return fault(CodeLimit, p.at-12, "key %s: arrays nested more than %d deep", quote(key), p.lim.Depth)
			}
			fixed := valueTypes[elem].size
			each := fixed
			if fixed == 0 {
				each = 8 // a string takes as much at least, an array 12
			}
			if n > uint64(p.size-p.at)/uint64(each) {
				return fault(CodeTruncated, p.size, "the file ends inside the header: key %s: %d elements of %s at %d, %d bytes left",
					quote(key), n, elem, p.at, p.size-p.at)
			}
			if fixed > 0 {
				if _, err := p.take(int64(n)*each, "an array"); err != nil {
					return err
				}
			} else {
				stack = append(stack, open{elem, n})
			}
		default:
			if _, err := p.take(valueTypes[t].size, "a value"); err != nil {
				return err
			}
		}
		for len(stack) > 0 && stack[len(stack)-1].left == 0 {
			stack = stack[:len(stack)-1]
		}
		if len(stack) == 0 {
			return nil
		}
		top := &stack[len(stack)-1]
		top.left--
		t = top.elem
	}
}
