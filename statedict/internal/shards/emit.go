package shards

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// EmitIndex writes the index of files and entries as transformers does, json.dumps(index, indent=2, sort_keys=True) and a
// line end: sorted keys, ASCII only. totalSize is in bytes; metadata, whose values are JSON text on one line, stands beside it.
//
// Keys may hold lone surrogates as three bytes each, as a pickle does; they become \ud800 as in Python. A key that is neither
// that nor UTF-8 is an *Error, and so are a key that appears twice and a file name that is no plain sibling.
func EmitIndex(files []string, entries []Entry, totalSize int64, metadata []Pair) ([]byte, error) {
	for _, name := range files {
		if problem := nameProblem(name); problem != "" {
			return nil, fault(CodeHeader, -1, "file %s %s", quote(name), problem)
		}
	}
	pairs := make([]Pair, 0, len(metadata)+1)
	for _, pair := range metadata {
		if pair.Key != "total_size" {
			pairs = append(pairs, pair)
		}
	}
	pairs = append(pairs, Pair{"total_size", strconv.FormatInt(totalSize, 10)})
	weights := make([]Pair, len(entries))
	for i, e := range entries {
		file, _ := appendASCII(nil, files[e.File]) // nameProblem has refused what is not UTF-8
		weights[i] = Pair{e.Key, string(file)}
	}
	b, err := appendObject([]byte("{\n  \"metadata\": "), pairs)
	if err != nil {
		return nil, err
	}
	b, err = appendObject(append(b, ",\n  \"weight_map\": "...), weights)
	if err != nil {
		return nil, err
	}
	return append(b, "\n}\n"...), nil
}

// appendObject writes an object one level deep, sorted by key: bytes of UTF-8 sort as code points do.
func appendObject(b []byte, pairs []Pair) ([]byte, error) {
	if len(pairs) == 0 {
		return append(b, "{}"...), nil
	}
	sorted := slices.Clone(pairs)
	slices.SortFunc(sorted, func(x, y Pair) int { return strings.Compare(x.Key, y.Key) })
	b = append(b, '{')
	for i, pair := range sorted {
		if i > 0 {
			if pair.Key == sorted[i-1].Key {
				return nil, fault(CodeHeader, -1, "key %s appears twice", quote(pair.Key))
			}
			b = append(b, ',')
		}
		b = append(b, "\n    "...)
		var ok bool
		if b, ok = appendASCII(b, pair.Key); !ok {
			return nil, fault(CodeHeader, -1, "key %s is not Unicode text, which JSON needs", quote(pair.Key))
		}
		b = append(append(b, ": "...), pair.JSON...)
	}
	return append(b, "\n  }"...), nil
}

// appendASCII writes s as Python's json module does by default; ok is false where s is no text.
func appendASCII(b []byte, s string) (_ []byte, ok bool) {
	b = append(b, '"')
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			if r, n = surrogate(s); n == 0 {
				return nil, false
			}
		}
		s = s[n:]
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r >= ' ' && r <= '~':
			b = append(b, byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\r':
			b = append(b, '\\', 'r')
		case r == '\t':
			b = append(b, '\\', 't')
		case r == '\b':
			b = append(b, '\\', 'b')
		case r == '\f':
			b = append(b, '\\', 'f')
		case r >= 0x10000:
			high, low := utf16.EncodeRune(r)
			b = appendHex(appendHex(b, high), low)
		default:
			b = appendHex(b, r)
		}
	}
	return append(b, '"'), true
}

// surrogate decodes half a surrogate pair in the three bytes that pickles use for it.
func surrogate(s string) (r rune, n int) {
	if len(s) < 3 || s[0] != 0xed || s[1] < 0xa0 || s[1] > 0xbf || s[2]&0xc0 != 0x80 {
		return 0, 0
	}
	return 0xd000 | rune(s[1]&0x3f)<<6 | rune(s[2]&0x3f), 3
}

func appendHex(b []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}
