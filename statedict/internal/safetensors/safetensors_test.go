package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// file puts a length in front of a header and n data bytes behind it.
func file(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, n)...)
}

func parse(b []byte) (*Header, error) {
	return Parse(bytes.NewReader(b), int64(len(b)), Limits{})
}

func TestParse(t *testing.T) {
	header := `{ "b\u00e9\ud83d\ude00\n" : {"shape":[2, 3],"data_offsets":[8,32],"dtype":"F32","x":{"y":[1.5e3,-0,null,{"z":true}]}},` +
		"\n\t" + `"__metadata__":{"format":"pt","\"\\\/\b\f\r\t":""},` +
		`"a":{"dtype":"F4","shape":[2,8],"data_offsets":[0,8]},` +
		`"s":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[32,35]},` +
		`"":{"dtype":"BOOL","shape":[],"data_offsets":[35,36]},` +
		`"odd":{"dtype":"F4","shape":[2,3],"data_offsets":[36,39]},` +
		`"none":{"dtype":"C64","shape":[0,18446744073709551615],"data_offsets":[36,36]}}  `
	_, err := parse(file(header, 39))
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeLayout || !strings.Contains(e.Text, "larger than torch can hold") {
		t.Fatalf("a dimension of 2^64-1: %v", err)
	}
	header = strings.Replace(header, "18446744073709551615", "9223372036854775807", 1)
	h, err := parse(file(header, 39))
	if err != nil {
		t.Fatal(err)
	}
	for i := range h.Entries {
		h.Entries[i].at = 0
	}
	want := &Header{
		DataOff:  8 + int64(len(header)),
		Metadata: []Pair{{"format", "pt"}, {"\"\\/\b\f\r\t", ""}},
		Entries: []Entry{
			{Name: "bé😀\n", DType: dtype.Float32, Code: "F32", Shape: []int64{2, 3}, Begin: 8, End: 32},
			{Name: "a", DType: dtype.Float4E2M1FNx2, Code: "F4", Shape: []int64{2, 4}, Begin: 0, End: 8},
			{Name: "s", DType: dtype.Invalid, Code: "F6_E2M3", Shape: []int64{4}, Begin: 32, End: 35},
			{Name: "", DType: dtype.Bool, Code: "BOOL", Shape: []int64{}, Begin: 35, End: 36},
			{Name: "odd", DType: dtype.Invalid, Code: "F4", Shape: []int64{2, 3}, Begin: 36, End: 39},
			{Name: "none", DType: dtype.Complex64, Code: "C64", Shape: []int64{0, 9223372036854775807}, Begin: 36, End: 36},
		},
	}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got  %+v\nwant %+v", h, want)
	}
	// A reader that answers byte by byte must not matter.
	again, err := Parse(&slowReader{file(header, 39)}, int64(8+len(header)+39), Limits{})
	if err != nil || len(again.Entries) != len(want.Entries) {
		t.Errorf("short reads: %v", err)
	}
}

// slowReader gives one byte per call, which io.ReaderAt forbids and some readers do.
type slowReader struct{ b []byte }

func (r *slowReader) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(r.b)) {
		return 0, io.EOF
	}
	return copy(p[:1], r.b[off:]), nil
}

// TestReject has one case per rule; at is the offset that the error must name.
func TestReject(t *testing.T) {
	const w = `"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	deep := strings.Repeat("[", 9) + strings.Repeat("]", 9)
	cases := []struct {
		name, header string
		data         int
		code         string
		at           int64
		text         string
	}{
		{"leading space", ` {` + w + `}`, 8, CodeHeader, 8, "expected '{'"},
		{"not utf-8", "{\"w\xff\":{}}", 0, CodeHeader, 11, "not UTF-8"},
		{"duplicate", `{` + w + `,"\u0077":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}`, 8, CodeHeader, 8 + 54, "appears twice"},
		{"duplicate field", `{"w":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}}`, 1, CodeHeader, 39, `"shape" appears twice`},
		{"duplicate unknown", `{"w":{"dtype":"U8","shape":[1],"x":1,"x":1,"data_offsets":[0,1]}}`, 1, CodeHeader, 45, `"x" appears twice`},
		{"duplicate nested", `{"w":{"dtype":"U8","shape":[1],"x":{"y":1,"y":1},"data_offsets":[0,1]}}`, 1, CodeHeader, 50, `"y" appears twice`},
		{"duplicate metadata", `{"__metadata__":{},"__metadata__":{}}`, 0, CodeHeader, 27, "appears twice"},
		{"duplicate metadata key", `{"__metadata__":{"a":"b","a":"c"}}`, 0, CodeHeader, 33, "appears twice"},
		{"metadata number", `{"__metadata__":{"a":1}}`, 0, CodeHeader, 29, "no string"},
		{"metadata array", `{"__metadata__":[]}`, 0, CodeHeader, 24, "expected '{'"},
		{"deep", `{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":` + deep + `}}`, 1, CodeHeader, 70, "nested more than 8"},
		{"deep value", `{"w":` + deep + `}`, 0, CodeHeader, 13, "no object"},
		{"float", `{"w":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}`, 1, CodeHeader, 37, "digits only"},
		{"exponent", `{"w":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}`, 1, CodeHeader, 37, "digits only"},
		{"minus", `{"w":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1, CodeHeader, 36, "expected digits"},
		{"string", `{"w":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}`, 1, CodeHeader, 36, "expected digits"},
		{"leading zero", `{"w":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}}`, 1, CodeHeader, 36, "leading zero"},
		{"2^64", `{"w":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,1]}}`, 1, CodeHeader, 55, "2^64-1"},
		{"product wraps", `{"w":{"dtype":"U8","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}}`, 0, CodeLayout, 9, "overflows"},
		{"product wraps before 0", `{"w":{"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}`, 0, CodeLayout, 9, "overflows"},
		{"bits wrap", `{"w":{"dtype":"F64","shape":[288230376151711744],"data_offsets":[0,0]}}`, 0, CodeLayout, 9, "overflows"},
		{"half a byte", `{"w":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}`, 2, CodeLayout, 9, "whole number of bytes"},
		{"size", `{"fc.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,12]}}`, 12, CodeLayout, 9, `tensor "fc.bias": 12 bytes declared, 8 needed for F32 [2]`},
		{"reversed", `{"w":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}`, 1, CodeLayout, 9, "before they begin"},
		{"far", `{"w":{"dtype":"U8","shape":[0],"data_offsets":[9223372036854775808,9223372036854775808]}}`, 0, CodeLayout, 9, "beyond any file"},
		{"hole at 0", `{"w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2, CodeLayout, 9, "a hole of 1 bytes"},
		{"overlap", `{` + w + `,"v":{"dtype":"U8","shape":[8],"data_offsets":[4,12]}}`, 12, CodeLayout, 8 + 54, "overlap"},
		{"same range", `{` + w + `,"v":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}`, 8, CodeLayout, 8 + 54, "overlap"},
		{"trailing", `{` + w + `}`, 9, CodeLayout, 8 + 54 + 8, "1 bytes behind the last tensor"},
		{"early", `{` + w + `}`, 7, CodeTruncated, 8 + 54 + 7, "8 bytes declared, 7 in the file, 1 missing"},
		{"dtype", `{"w":{"dtype":"C128","shape":[1],"data_offsets":[0,16]}}`, 16, CodeUnsupported, 22, `dtype "C128" is not known`},
		{"dtype number", `{"w":{"dtype":4,"shape":[1],"data_offsets":[0,16]}}`, 16, CodeHeader, 22, "no string"},
		{"missing field", `{"w":{"dtype":"U8","shape":[1]}}`, 1, CodeHeader, 9, "one is missing"},
		{"three offsets", `{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}`, 1, CodeHeader, 58, "expected ']'"},
		{"lone surrogate", `{"\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0, CodeHeader, 10, "surrogate"},
		{"two high surrogates", `{"\ud800\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0, CodeHeader, 10, "surrogate"},
		{"control character", "{\"a\nb\":{}}", 0, CodeHeader, 11, "control character 0x0a"},
		{"escape", `{"\x":{}}`, 0, CodeHeader, 10, "unknown escape"},
		{"hex", `{"\u00g0":{}}`, 0, CodeHeader, 10, "four hex digits"},
		{"comma at the end", `{` + w + `,}`, 8, CodeHeader, 8 + 54, "expected a key"},
		{"no comma", `{` + w + w + `}`, 8, CodeHeader, 8 + 53, "expected ','"},
		{"array comma", `{"w":{"dtype":"U8","shape":[1,],"data_offsets":[0,1]}}`, 1, CodeHeader, 38, "expected digits"},
		{"open", `{` + w + ` `, 8, CodeHeader, 8 + 54, "ends early"},
		{"second value", `{` + w + `}{}`, 8, CodeHeader, 8 + 54, "behind the closing brace"},
		{"nul padding", `{` + w + "}\x00", 8, CodeHeader, 8 + 54, "behind the closing brace"},
		{"open string", `{"w`, 0, CodeHeader, 11, "without end"},
		{"open escape", `{"w\`, 0, CodeHeader, 11, "without end"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h, err := parse(file(c.header, c.data))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v", err)
			}
			if e.Code != c.code || e.Off != c.at || !strings.Contains(e.Text, c.text) {
				t.Errorf("got %s at %d: %s; want %s at %d: %s", e.Code, e.Off, e.Text, c.code, c.at, c.text)
			}
			if (h != nil) != (c.code == CodeTruncated) {
				t.Errorf("header beside the error: %v", h)
			}
		})
	}
}

func TestLength(t *testing.T) {
	for n, want := range map[uint64]string{1 << 63: CodeHeader, MaxHeader + 1: CodeHeader, 1 << 20: CodeTruncated, 1: CodeHeader, 0: CodeHeader} {
		b := append(binary.LittleEndian.AppendUint64(nil, n), `{}`...)
		var e *Error
		if _, err := parse(b); !errors.As(err, &e) || e.Code != want {
			t.Errorf("length %d: %v, want %s", n, err, want)
		}
	}
	var e *Error
	if _, err := parse([]byte("1234567")); !errors.As(err, &e) || e.Code != CodeTruncated {
		t.Errorf("7 bytes: %v", err)
	}
	b := file(`{"w":{"dtype":"U8","shape":[1,1,1],"data_offsets":[0,1]}}`, 1)
	for _, lim := range []Limits{{Header: 16}, {Rank: 2}} {
		if _, err := Parse(bytes.NewReader(b), int64(len(b)), lim); !errors.As(err, &e) || e.Code != CodeLimit {
			t.Errorf("%+v: %v", lim, err)
		}
	}
	b = file(`{"v":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0)
	if _, err := Parse(bytes.NewReader(b), int64(len(b)), Limits{Tensors: 1}); !errors.As(err, &e) || e.Code != CodeLimit {
		t.Errorf("two tensors, limit 1: %v", err)
	}
	// A reader's own failure is no statement about the file.
	_, err := Parse(readerAt{iotest.ErrReader(io.ErrClosedPipe)}, 100, Limits{})
	if !errors.Is(err, io.ErrClosedPipe) || errors.As(err, new(*Error)) {
		t.Errorf("failing reader: %v", err)
	}
}

type readerAt struct{ io.Reader }

func (r readerAt) ReadAt(p []byte, _ int64) (int, error) { return r.Read(p) }

// TestEveryByte damages a small header: no panic, and what is accepted is written again with the same meaning.
func TestEveryByte(t *testing.T) {
	good := file(`{"__metadata__":{"k\n":"v"},"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"b":{"dtype":"BOOL","shape":[],"data_offsets":[8,9]}}`, 9)
	for i := range good {
		for _, c := range []byte{0, 0x7f, 0x80, 0xff, ' ', '"', '\\', '}', '0', 'e'} {
			b := bytes.Clone(good)
			b[i] = c
			if h, err := parse(b); err == nil {
				checkEmitted(t, h, b)
			}
		}
		if _, err := parse(good[:i]); err == nil {
			t.Errorf("cut after %d bytes: accepted", i)
		}
	}
}

// checkEmitted writes h again, in order and in canonical form, and reads both back.
func checkEmitted(t *testing.T, h *Header, b []byte) {
	t.Helper()
	for name, emit := range map[string]func([]Entry, []Pair) (*Layout, error){"Emit": Emit, "in order": emitInOrder} {
		l, err := emit(h.Entries, h.Metadata)
		if err != nil {
			t.Fatalf("%s of %q: %v", name, b, err)
		}
		out := append(bytes.Clone(l.Header), make([]byte, l.Data)...)
		again, err := parse(out)
		if err != nil {
			t.Fatalf("%s of %q: %v", name, b, err)
		}
		if len(again.Entries) != len(h.Entries) || len(again.Metadata) != len(h.Metadata) {
			t.Fatalf("%s of %q: %d entries, %d metadata", name, b, len(again.Entries), len(again.Metadata))
		}
		for n, i := range l.Order {
			got, want := again.Entries[n], h.Entries[i]
			if got.Name != want.Name || got.Code != want.Code || got.DType != want.DType || fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) ||
				got.Begin != l.Begins[i] || got.End-got.Begin != want.End-want.Begin || l.Sizes[i] != want.End-want.Begin {
				t.Fatalf("%s of %q: got %+v, want %+v", name, b, got, want)
			}
		}
		if len(l.Header)%8 != 0 {
			t.Fatalf("%s: %d header bytes", name, len(l.Header))
		}
	}
}

func FuzzSafetensors(f *testing.F) {
	f.Add(file(`{}`, 0))
	f.Add(file(`{"__metadata__":{"format":"pt"},"a\u00e9":{"dtype":"F4","shape":[2,4],"data_offsets":[0,4]}} `, 4))
	f.Add(file(`{"x":{"dtype":"F6_E3M2","shape":[4],"data_offsets":[4,7],"y":[{"z":-1.5e+3}]},"":{"dtype":"I32","shape":[],"data_offsets":[0,4]}}`, 7))
	f.Add(file(`{"e":{"dtype":"U64","shape":[0,9],"data_offsets":[0,0]},"\ud83d\ude00":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}`, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := parse(b); err == nil {
			checkEmitted(t, h, b)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	entries := make([]Entry, 100_000)
	for i := range entries {
		entries[i] = Entry{Name: fmt.Sprintf("model.layers.%d.self_attn.q_proj.weight", i), DType: dtype.BFloat16, Shape: []int64{64, int64(i % 7)}}
	}
	l, err := Emit(entries, []Pair{{"format", "pt"}})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(l.Header)))
	b.ReportAllocs()
	r := bytes.NewReader(l.Header) // the data are never read
	for b.Loop() {
		if _, err := Parse(r, int64(len(l.Header))+l.Data, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
