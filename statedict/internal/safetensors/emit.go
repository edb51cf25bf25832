package safetensors

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// Layout is a header ready to be written and where each tensor's bytes belong behind it.
type Layout struct {
	Header []byte  // length, JSON and padding; the data follow at once
	Order  []int   // entry indices in the order of the data, which is also that of the JSON
	Begins []int64 // by entry index: first byte, counted from the end of Header
	Sizes  []int64 // by entry index: bytes of the tensor
	Data   int64   // bytes of all tensors
}

// Emit lays out entries as the reference writer does: widest dtype first, then names by bytes, which aligns every tensor
// to its element; metadata sorted by key (the reference leaves it to a hash map); the header padded with spaces to a
// multiple of 8 bytes. metadata nil writes no __metadata__, empty writes an empty one.
//
// Entries are given by Name, Shape and DType, or by Name, file Shape and Code where DType is Invalid; data are contiguous.
// Errors are *Error: a dtype the format lacks, a name used twice or not Unicode, a header over MaxHeader.
func Emit(entries []Entry, metadata []Pair) (*Layout, error) {
	ranks := make([]int, len(entries))
	order := make([]int, len(entries))
	for i := range entries {
		order[i] = i
		_, code, err := fileForm(&entries[i])
		if err != nil {
			return nil, err
		}
		ranks[i] = rankOf([]byte(code))
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if ranks[a] != ranks[b] {
			return cmp.Compare(ranks[b], ranks[a])
		}
		return strings.Compare(entries[a].Name, entries[b].Name)
	})
	sorted := slices.Clone(metadata)
	slices.SortFunc(sorted, func(a, b Pair) int { return strings.Compare(a.Key, b.Key) })
	return emit(entries, order, sorted)
}

func emit(entries []Entry, order []int, metadata []Pair) (*Layout, error) {
	if err := checkNames(entries, metadata); err != nil {
		return nil, err
	}
	l := &Layout{Order: order, Begins: make([]int64, len(entries)), Sizes: make([]int64, len(entries))}
	b := append(make([]byte, lengthBytes, 64+100*len(entries)), '{')
	if metadata != nil {
		b = appendString(b, metadataKey)
		b = append(b, ':', '{')
		for i, pair := range metadata {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, pair.Key), ':')
			b = appendString(b, pair.Value)
		}
		b = append(b, '}')
	}
	for n, i := range order {
		e := &entries[i]
		shape, code, err := fileForm(e)
		if err != nil {
			return nil, err
		}
		size, err := sizeOf(e, shape, code)
		if err != nil {
			return nil, err
		}
		if size > math.MaxInt64-l.Data {
			return nil, fault(CodeLimit, -1, "tensor %s: the data grow beyond 2^63-1 bytes", quote(e.Name))
		}
		l.Begins[i], l.Sizes[i] = l.Data, size
		l.Data += size
		if n > 0 || metadata != nil {
			b = append(b, ',')
		}
		b = appendString(b, e.Name)
		b = append(b, `:{"dtype":"`...)
		b = append(b, code...)
		b = append(b, `","shape":[`...)
		for k, dim := range shape {
			if k > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, dim, 10)
		}
		b = append(b, `],"data_offsets":[`...)
		b = strconv.AppendInt(b, l.Begins[i], 10)
		b = append(b, ',')
		b = strconv.AppendInt(b, l.Data, 10)
		b = append(b, ']', '}')
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	if len(b)-lengthBytes > MaxHeader {
		return nil, fault(CodeLimit, -1, "%d bytes, the format allows %d", len(b)-lengthBytes, MaxHeader)
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-lengthBytes))
	l.Header = b
	return l, nil
}

// checkNames refuses what would make a header that readers reject.
func checkNames(entries []Entry, metadata []Pair) error {
	seen := make(map[string]struct{}, len(entries))
	for i := range entries {
		name := entries[i].Name
		if name == metadataKey {
			return fault(CodeUnsupported, -1, "tensor %s: the name is taken by the metadata", quote(name))
		}
		if !utf8.ValidString(name) {
			return fault(CodeUnsupported, -1, "tensor %s: the name is not Unicode text, which JSON needs", quote(name))
		}
		if _, twice := seen[name]; twice {
			return fault(CodeHeader, -1, "tensor %s: the name appears twice", quote(name))
		}
		seen[name] = struct{}{}
	}
	clear(seen)
	for _, pair := range metadata {
		if !utf8.ValidString(pair.Key) || !utf8.ValidString(pair.Value) {
			return fault(CodeUnsupported, -1, "metadata %s: not Unicode text, which JSON needs", quote(pair.Key))
		}
		if _, twice := seen[pair.Key]; twice {
			return fault(CodeHeader, -1, "metadata %s: the key appears twice", quote(pair.Key))
		}
		seen[pair.Key] = struct{}{}
	}
	return nil
}

// fileForm returns shape and code as the file spells them.
func fileForm(e *Entry) (shape []int64, code string, err error) {
	if e.DType == dtype.Invalid {
		if rankOf([]byte(e.Code)) < 0 {
			return nil, "", fault(CodeUnsupported, -1, "tensor %s: dtype %s is not known", quote(e.Name), quote(e.Code))
		}
		return e.Shape, e.Code, nil
	}
	code, ok := CodeOf(e.DType)
	if !ok {
		return nil, "", fault(CodeUnsupported, -1, "tensor %s: the format has no %s", quote(e.Name), e.DType)
	}
	if e.DType != dtype.Float4E2M1FNx2 {
		return e.Shape, code, nil
	}
	last := len(e.Shape) - 1
	if last < 0 || e.Shape[last] > math.MaxInt64/2 {
		return nil, "", fault(CodeUnsupported, -1, "tensor %s: F4 needs a last dimension that can be doubled", quote(e.Name))
	}
	shape = slices.Clone(e.Shape)
	shape[last] *= 2
	return shape, code, nil
}

// sizeOf is the number of bytes of an entry whose file form is shape and code.
func sizeOf(e *Entry, shape []int64, code string) (int64, error) {
	dims := make([]uint64, len(shape))
	for i, dim := range shape {
		if dim < 0 {
			return 0, fault(CodeLayout, -1, "tensor %s: dimension %d is %d", quote(e.Name), i, dim)
		}
		dims[i] = uint64(dim)
	}
	size, problem := extentOf(dims, codes[rankOf([]byte(code))].bits)
	if problem == "" && bits.Len64(size) > 63 {
		problem = "the size overflows 63 bits"
	}
	if problem != "" {
		return 0, fault(CodeLayout, -1, "tensor %s: %s %v: %s", quote(e.Name), code, shape, problem)
	}
	return int64(size), nil
}

// appendString writes s as serde_json does: the short escapes, \u00xx in lower case for the other control characters, all
// else as it is. s is valid UTF-8.
func appendString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= 0x20:
			b = append(b, c)
		case c == '\b':
			b = append(b, '\\', 'b')
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\f':
			b = append(b, '\\', 'f')
		case c == '\r':
			b = append(b, '\\', 'r')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(b, '"')
}
