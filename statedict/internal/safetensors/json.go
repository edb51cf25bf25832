package safetensors

import (
	"math"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// parser walks the JSON of a header once, left to right, without recursion. encoding/json would not do: it keeps the last
// of two equal keys, takes 1e3 for an integer and replaces broken surrogates.
type parser struct {
	text    []byte // valid UTF-8
	at      int    // next byte
	lim     Limits
	scratch []byte // holds the last string that had escapes
	dims    []uint64
	shapes  []int64 // room that entries' shapes are cut from
}

func (p *parser) fault(format string, args ...any) *Error {
	return fault(CodeHeader, lengthBytes+int64(p.at), format, args...)
}

// header reads the whole object into h. What it does not check is how the ranges lie to each other.
func (p *parser) header(h *Header) error {
	// The estimate allocates for what is there: each entry spells data_offsets once.
	h.Entries = make([]Entry, 0, min(p.lim.Tensors, countEntries(p.text)))
	names := make(map[string]struct{}, cap(h.Entries))
	seenMetadata := false
	p.at = 1
	for first := true; ; first = false {
		more, err := p.more(first, '}')
		if err != nil {
			return err
		}
		if !more {
			break
		}
		at := p.at
		raw, err := p.key()
		if err != nil {
			return err
		}
		if string(raw) == metadataKey {
			if seenMetadata {
				return fault(CodeHeader, lengthBytes+int64(at), "key %s appears twice", quote(metadataKey))
			}
			seenMetadata = true
			if h.Metadata, err = p.metadata(); err != nil {
				return err
			}
			continue
		}
		if len(h.Entries) >= p.lim.Tensors {
			return fault(CodeLimit, lengthBytes+int64(at), "more than %d tensors", p.lim.Tensors)
		}
		name := string(raw)
		if _, twice := names[name]; twice {
			return fault(CodeHeader, lengthBytes+int64(at), "key %s appears twice", quote(name))
		}
		names[name] = struct{}{}
		e, err := p.tensor(name, at)
		if err != nil {
			return err
		}
		h.Entries = append(h.Entries, e)
	}
	p.space()
	if p.at < len(p.text) {
		return p.fault("0x%02x behind the closing brace, expected spaces only", p.text[p.at])
	}
	return nil
}

// countEntries counts how often text says data_offsets as a key.
func countEntries(text []byte) int {
	const key = `"data_offsets"`
	n := 0
	for i := 0; i+len(key) <= len(text); {
		if text[i] == '"' && string(text[i:i+len(key)]) == key {
			n++
			i += len(key)
			continue
		}
		i++
	}
	return n
}

// metadata reads the value of __metadata__: an object of strings, or null for none, as the reference reads it.
func (p *parser) metadata() ([]Pair, error) {
	if p.literal("null") {
		return nil, nil
	}
	if err := p.expect('{'); err != nil {
		return nil, err
	}
	pairs := []Pair{}
	seen := make(map[string]struct{})
	for first := true; ; first = false {
		more, err := p.more(first, '}')
		if err != nil || !more {
			return pairs, err
		}
		at := p.at
		raw, err := p.key()
		if err != nil {
			return nil, err
		}
		key := string(raw)
		if _, twice := seen[key]; twice {
			return nil, fault(CodeHeader, lengthBytes+int64(at), "metadata key %s appears twice", quote(key))
		}
		seen[key] = struct{}{}
		if len(pairs) >= p.lim.Pairs {
			return nil, fault(CodeLimit, lengthBytes+int64(at), "more than %d pairs of metadata", p.lim.Pairs)
		}
		if p.peek() != '"' {
			return nil, p.fault("metadata %s: the value is no string", quote(key))
		}
		value, err := p.str()
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, Pair{key, string(value)})
	}
}

// Fields of a tensor that have been seen.
const (
	sawDType = 1 << iota
	sawShape
	sawOffsets
	sawAll = sawDType | sawShape | sawOffsets
)

func fieldOf(key []byte) int {
	switch string(key) {
	case "dtype":
		return sawDType
	case "shape":
		return sawShape
	case "data_offsets":
		return sawOffsets
	}
	return 0
}

// tensor reads the value of one entry. Fields that the format does not know are skipped, as the reference does.
func (p *parser) tensor(name string, at int) (Entry, error) {
	e := Entry{Name: name, at: uint32(at)}
	if p.peek() != '{' {
		return e, p.fault("tensor %s: the value is no object", quote(name))
	}
	p.at++
	seen := 0
	rank := -1
	var begin, end uint64
	var unknown map[string]struct{}
	for first := true; ; first = false {
		more, err := p.more(first, '}')
		if err != nil {
			return e, err
		}
		if !more {
			break
		}
		keyAt := p.at
		raw, err := p.key()
		if err != nil {
			return e, err
		}
		field := fieldOf(raw)
		twice := seen&field != 0
		if field == 0 {
			if _, twice = unknown[string(raw)]; !twice {
				if unknown == nil {
					unknown = make(map[string]struct{})
				}
				unknown[string(raw)] = struct{}{}
			}
		}
		if twice {
			return e, fault(CodeHeader, lengthBytes+int64(keyAt), "tensor %s: field %s appears twice", quote(name), quote(string(raw)))
		}
		seen |= field
		switch field {
		case sawDType:
			rank, err = p.dtype(name)
		case sawShape:
			err = p.shape(name)
		case sawOffsets:
			begin, end, err = p.offsets(name)
		default:
			err = p.skip(2)
		}
		if err != nil {
			return e, err
		}
	}
	if seen != sawAll {
		return e, fault(CodeHeader, lengthBytes+int64(at), "tensor %s: dtype, shape and data_offsets are needed, one is missing", quote(name))
	}
	return e, p.finish(&e, rank, begin, end)
}

// finish fills e from its parts and checks that they agree.
func (p *parser) finish(e *Entry, rank int, begin, end uint64) error {
	bad := func(format string, args ...any) error {
		return fault(CodeLayout, lengthBytes+int64(e.at), "tensor %s: "+format, append([]any{quote(e.Name)}, args...)...)
	}
	c := &codes[rank]
	if end < begin {
		return bad("data_offsets end at %d before they begin at %d", end, begin)
	}
	if end > math.MaxInt64 {
		return bad("data_offsets end at %d, beyond any file", end)
	}
	need, problem := extentOf(p.dims, c.bits)
	if problem != "" {
		return bad("%s %v: %s", c.code, p.dims, problem)
	}
	if need != end-begin {
		return bad("%d bytes declared, %d needed for %s %v", end-begin, need, c.code, p.dims)
	}
	e.Code, e.DType = c.code, c.dtype
	e.Begin, e.End = int64(begin), int64(end)
	n := len(p.dims)
	if len(p.shapes) < n {
		p.shapes = make([]int64, max(n, 4096))
	}
	e.Shape, p.shapes = p.shapes[:n:n], p.shapes[n:]
	for i, dim := range p.dims {
		if dim > math.MaxInt64 {
			return bad("dimension %d is %d, larger than torch can hold", i, dim)
		}
		e.Shape[i] = int64(dim)
	}
	if c.dtype == dtype.Float4E2M1FNx2 {
		if n == 0 || e.Shape[n-1]%2 != 0 {
			e.DType = dtype.Invalid
		} else {
			e.Shape[n-1] /= 2
		}
	}
	return nil
}

func (p *parser) dtype(name string) (int, error) {
	if p.peek() != '"' {
		return 0, p.fault("tensor %s: dtype is no string", quote(name))
	}
	at := p.at
	code, err := p.str()
	if err != nil {
		return 0, err
	}
	rank := rankOf(code)
	if rank < 0 {
		return 0, fault(CodeUnsupported, lengthBytes+int64(at), "tensor %s: dtype %s is not known", quote(name), quote(string(code)))
	}
	return rank, nil
}

// shape leaves the dimensions in p.dims.
func (p *parser) shape(name string) error {
	if p.peek() != '[' {
		return p.fault("tensor %s: shape is no array", quote(name))
	}
	p.at++
	p.dims = p.dims[:0]
	for first := true; ; first = false {
		more, err := p.more(first, ']')
		if err != nil || !more {
			return err
		}
		if len(p.dims) >= p.lim.Rank {
			return fault(CodeLimit, lengthBytes+int64(p.at), "tensor %s: more than %d dimensions", quote(name), p.lim.Rank)
		}
		dim, err := p.integer()
		if err != nil {
			return err
		}
		p.dims = append(p.dims, dim)
	}
}

func (p *parser) offsets(name string) (begin, end uint64, err error) {
	if p.peek() != '[' {
		return 0, 0, p.fault("tensor %s: data_offsets is no array", quote(name))
	}
	p.at++
	if begin, err = p.integer(); err != nil {
		return
	}
	if err = p.expect(','); err != nil {
		return
	}
	if end, err = p.integer(); err != nil {
		return
	}
	return begin, end, p.expect(']')
}
