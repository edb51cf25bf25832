package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// What a header may hold of anything is bounded, besides its length.
func TestLimits(t *testing.T) {
	many := func(n int, one string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, one, i)
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	tensor := `"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},`
	text := strings.Repeat("x", 100)
	lim := Limits{Tensors: 3, Pairs: 3, Text: 100}
	for doc, code := range map[string]string{
		"{" + many(3, tensor) + "}":                      "",
		"{" + many(4, tensor) + "}":                      CodeLimit,
		`{"__metadata__":{` + many(3, `"%d":"",`) + "}}": "",
		`{"__metadata__":{` + many(4, `"%d":"",`) + "}}": CodeLimit,
		`{"__metadata__":{"a":"` + text + `"}}`:          "",
		`{"__metadata__":{"a":"` + text + `x"}}`:         CodeLimit,
		`{"__metadata__":{"a":"\n` + text[2:] + `"}}`:    "",
		`{"__metadata__":{"a":"\n` + text + `"}}`:        CodeLimit,
		`{"__metadata__":{"` + text + `x":""}}`:          CodeLimit,
		`{"` + text + text + `":{}}`:                     CodeLimit,
		`{"__metadata__":{"a":"` + text[50:] + `x`:       CodeHeader,
	} {
		file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(doc))), doc...)
		_, err := Parse(bytes.NewReader(file), int64(len(file)), lim)
		var e *Error
		if got := ""; errors.As(err, &e) {
			if got = e.Code; got != code {
				t.Errorf("%s: %v, want %q", doc, err, code)
			}
		} else if err != nil || code != "" {
			t.Errorf("%s: %v, want %q", doc, err, code)
		}
	}
}
