package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// builder writes fields of a file by hand, right or wrong.
type builder struct{ bytes.Buffer }

func (b *builder) u32(n uint32) *builder { binary.Write(b, binary.LittleEndian, n); return b }
func (b *builder) u64(n uint64) *builder { binary.Write(b, binary.LittleEndian, n); return b }
func (b *builder) str(s string) *builder { b.u64(uint64(len(s))); b.WriteString(s); return b }

func front(version uint32, tensors, pairs uint64) *builder {
	b := &builder{}
	b.WriteString(Magic)
	return b.u32(version).u64(tensors).u64(pairs)
}

func (b *builder) tensor(name string, t Type, begin uint64, dims ...uint64) *builder {
	b.str(name).u32(uint32(len(dims)))
	for _, dim := range dims {
		b.u64(dim)
	}
	return b.u32(uint32(t)).u64(begin)
}

// data pads to 32 and adds n bytes.
func (b *builder) data(n int) []byte {
	for b.Len()%32 != 0 {
		b.WriteByte(0)
	}
	b.Write(make([]byte, n))
	return b.Bytes()
}

func parse(b []byte) (*Header, error) { return Parse(bytes.NewReader(b), int64(len(b)), Limits{}) }

// allValues has each of the thirteen types, and arrays of everything variable.
func allValues() []KV {
	minus := func(n int64) uint64 { return uint64(n) }
	return []KV{
		{"general.architecture", NewString("toy")},
		{"u8", newScalar(Uint8, 255)}, {"i8", newScalar(Int8, minus(-128))}, {"u16", newScalar(Uint16, 65535)}, {"i16", newScalar(Int16, minus(-2))},
		{"u32", newScalar(Uint32, 1<<31)}, {"i32", newScalar(Int32, minus(-3))}, {"u64", newScalar(Uint64, 1<<63)}, {"i64", newScalar(Int64, minus(-4))},
		{"f32", newScalar(Float32, uint64(math.Float32bits(0.1)))}, {"f64", newScalar(Float64, math.Float64bits(math.Inf(-1)))}, {"yes", newScalar(Bool, 1)},
		{"tokens", newArray(String, NewString("a"), NewString(""), NewString("\xff\n"))},
		{"numbers", newArray(Int16, newScalar(Int16, 7), newScalar(Int16, minus(-7)))},
		{"none", newArray(Float64)},
		{"nested", newArray(Array, newArray(String, NewString("x")), newArray(Array), newArray(Uint8, newScalar(Uint8, 1), newScalar(Uint8, 2)))},
		{"", NewString("")},
	}
}

// TestRoundTrip writes every value type and several tensor types and reads them back.
func TestRoundTrip(t *testing.T) {
	tensors := []Tensor{
		{Name: "w", Type: 0, Shape: []int64{2, 3}}, {Name: "s", Type: 1, Shape: nil}, {Name: "q", Type: 12, Shape: []int64{3, 512}},
		{Name: strings.Repeat("n", 63), Type: 30, Shape: []int64{1, 2, 3, 5}}, {Name: "", Type: 27, Shape: []int64{1}},
	}
	for _, alignment := range []uint64{0, 1, 64, 4096} {
		kv := allValues()
		if alignment > 0 {
			kv = append(kv, KV{AlignmentKey, newScalar(Uint32, alignment)})
		}
		l, err := Emit(kv, tensors)
		if err != nil {
			t.Fatal(err)
		}
		b := append(bytes.Clone(l.Header), make([]byte, l.Data)...)
		h, err := Parse(iotestReaderAt{bytes.NewReader(b)}, int64(len(b)), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if h.Version != 3 || h.Alignment != l.Alignment || h.DataOff != int64(len(l.Header)) || h.DataOff%l.Alignment != 0 || h.Unowned != 0 {
			t.Errorf("alignment %d: %+v", alignment, h)
		}
		if !reflect.DeepEqual(h.KV, kv) {
			t.Errorf("pairs %+v", h.KV)
		}
		for i, want := range tensors {
			got := h.Tensors[i]
			if len(want.Shape) == 0 {
				want.Shape = []int64{1}
			}
			if got.Name != want.Name || got.Type != want.Type || got.DType != want.Type.DType() || !slices.Equal(got.Shape, want.Shape) ||
				got.Begin != l.Begins[i] || got.Size != l.Sizes[i] || got.Begin%l.Alignment != 0 {
				t.Errorf("tensor %+v, want %+v", got, want)
			}
		}
		if l.Sizes[2] != 3*2*144 || l.Sizes[1] != 2 {
			t.Errorf("sizes %v", l.Sizes)
		}
		// Cut anywhere in the data: the header stays usable. Cut in the header: no header.
		for n := range b {
			h, err := parse(b[:n])
			var e *Error
			last := l.Begins[4] + l.Sizes[4] + int64(len(l.Header))
			if int64(n) >= last {
				if err != nil {
					t.Errorf("cut in the last padding: %v", err)
				}
				continue
			}
			if !errors.As(err, &e) || e.Code != CodeTruncated {
				t.Fatalf("cut after %d of %d: %v", n, len(b), err)
			}
			if n >= len(l.Header) && h == nil {
				t.Fatalf("cut after %d: header %v", n, h)
			}
		}
	}
}

// iotestReaderAt gives at most 7 bytes per call, which io.ReaderAt forbids and some readers do.
type iotestReaderAt struct{ r io.ReaderAt }

func (r iotestReaderAt) ReadAt(p []byte, off int64) (int, error) {
	return r.r.ReadAt(p[:min(7, len(p))], off)
}

func TestValues(t *testing.T) {
	byKey := map[string]Value{}
	for _, pair := range allValues() {
		byKey[pair.Key] = pair.Value
	}
	for key, want := range map[string]any{
		"u8": uint64(255), "u16": uint64(65535), "u32": uint64(1 << 31), "u64": uint64(1 << 63), "yes": uint64(1),
		"i8": int64(-128), "i16": int64(-2), "i32": int64(-3), "i64": int64(-4), "f32": float64(float32(0.1)), "f64": math.Inf(-1), "general.architecture": "toy",
	} {
		v := byKey[key]
		var got any
		switch want.(type) {
		case uint64:
			got = v.Uint()
		case int64:
			got = v.Int()
		case float64:
			got = v.Float()
		case string:
			got = v.Text()
		}
		if got != want {
			t.Errorf("%s: %v, want %v", key, got, want)
		}
	}
	var show func(v Value) string
	show = func(v Value) string {
		if v.Type != Array {
			return fmt.Sprintf("%d %d %s", v.Uint(), v.Int(), v.Text())
		}
		s := fmt.Sprintf("%s*%d[", v.Elem(), v.Len())
		for item := range v.Items() {
			s += show(item) + ";"
		}
		return s + "]"
	}
	for key, want := range map[string]string{
		"tokens":  "string*3[0 0 a;0 0 ;0 0 \xff\n;]",
		"numbers": "int16*2[0 7 ;0 -7 ;]",
		"none":    "float64*0[]",
		"nested":  "array*3[string*1[0 0 x;];array*0[];uint8*2[1 0 ;2 0 ;];]",
	} {
		if got := show(byKey[key]); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

func TestReject(t *testing.T) {
	nested := func(depth int) []byte {
		b := front(3, 0, 1).str("k").u32(uint32(Array))
		for range depth - 1 {
			b.u32(uint32(Array)).u64(1)
		}
		return b.u32(uint32(Uint8)).u64(0).data(0)
	}
	if _, err := parse(nested(8)); err != nil {
		t.Errorf("eight arrays deep: %v", err)
	}
	for _, c := range []struct {
		name string
		file []byte
		code string
		at   int64
		text string
	}{
		{"magic", []byte("GGUFF\x00\x00\x00")[1:], CodeTruncated, 7, "ends inside"},
		{"other magic", []byte("GGML\x03\x00\x00\x00"), CodeFormat, 0, "magic"},
		{"version 1", front(1, 0, 0).Bytes(), CodeUnsupported, 4, "version 1 of August 2023"},
		{"version 4", front(4, 0, 0).Bytes(), CodeUnsupported, 4, "version 4"},
		{"big-endian", []byte("GGUF\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), CodeUnsupported, 4, "a big-endian file, version 3"},
		{"negative count", front(3, 1<<63, 0).data(64), CodeHeader, 8, "-9223372036854775808 tensors"},
		{"many pairs", front(3, 0, 1<<40).data(64), CodeTruncated, 96, "pairs cannot be in the file's 96 bytes"},
		{"value type", front(3, 0, 1).str("k").u32(13).data(9), CodeHeader, 37, "value type 13"},
		{"element type", front(3, 0, 1).str("k").u32(9).u32(99).u64(0).data(9), CodeHeader, 37, "element type 99"},
		{"key twice", front(3, 0, 2).str("k").u32(0).WriteZero().str("k").u32(0).data(9), CodeHeader, 38, `"k" appears twice`},
		{"long string", front(3, 0, 1).u64(1 << 62).data(0), CodeTruncated, 32, "4611686018427387904 bytes at 32, 0 left"},
		{"long array", front(3, 0, 1).str("k").u32(9).u32(uint32(Float64)).u64(1<<61 + 1).data(9), CodeTruncated, 73, "elements of float64"},
		{"long array of strings", front(3, 0, 1).str("k").u32(9).u32(uint32(String)).u64(1 << 61).data(9), CodeTruncated, 73, "elements of string"},
		{"deep", nested(9), CodeLimit, -1, "nested more than 8"},
		{"alignment 0", front(3, 0, 1).str(AlignmentKey).u32(uint32(Uint32)).u32(0).data(0), CodeHeader, 24, "power of two"},
		{"alignment 48", front(3, 0, 1).str(AlignmentKey).u32(uint32(Uint32)).u32(48).data(0), CodeHeader, 24, "power of two"},
		{"alignment u64", front(3, 0, 1).str(AlignmentKey).u32(uint32(Uint64)).u64(32).data(0), CodeHeader, 24, "power of two"},
		{"rank", front(3, 1, 0).str("w").u32(65).data(600), CodeLimit, 33, "65 dimensions"},
		{"dimension", front(3, 1, 0).tensor("w", 0, 0, 1<<63).data(64), CodeLayout, 24, "dimension 0 is -"},
		{"wraps", front(3, 1, 0).tensor("w", 0, 0, 1<<32, 1<<32).data(64), CodeLayout, 24, "overflows 63 bits"},
		{"size wraps", front(3, 1, 0).tensor("w", 28, 0, 1<<61).data(64), CodeLayout, 24, "overflows 63 bits"},
		{"blocks", front(3, 1, 0).tensor("w", 8, 0, 33, 32).data(64), CodeLayout, 24, "no multiple of 32"},
		{"alignment", front(3, 1, 0).tensor("w", 0, 16, 1).data(64), CodeLayout, 24, "not aligned"},
		{"far", front(3, 1, 0).tensor("w", 0, 1<<63-32, 1).data(64), CodeLayout, 64, "overflow 63 bits"},
		{"negative offset", front(3, 1, 0).tensor("w", 0, 1<<63, 1).data(64), CodeLayout, 24, "not aligned"},
		{"name twice", front(3, 2, 0).tensor("w", 0, 0, 1).tensor("w", 0, 32, 1).data(64), CodeHeader, 24 + 33, "appears twice"},
		{"overlap", front(3, 2, 0).tensor("w", 0, 0, 9).tensor("v", 0, 32, 1).data(64), CodeLayout, 96, "overlap"},
		{"same place", front(3, 2, 0).tensor("w", 0, 0, 1).tensor("v", 0, 0, 1).data(64), CodeLayout, 96, "overlap"},
		{"early", front(3, 1, 0).tensor("w", 0, 32, 2).data(39), CodeTruncated, 64 + 39, `"w" needs 8 bytes at 96, 7 in the file`},
	} {
		h, err := parse(c.file)
		var e *Error
		if !errors.As(err, &e) || e.Code != c.code || c.at >= 0 && e.Off != c.at || !strings.Contains(e.Text, c.text) {
			t.Errorf("%s: got %v, want %s %q at %d", c.name, err, c.code, c.text, c.at)
		}
		if (h != nil) != (c.name == "early") {
			t.Errorf("%s: header %v", c.name, h)
		}
	}
	good := front(2, 1, 1).str("k").u32(uint32(String)).str("value").tensor("w", 0, 0, 1).data(4)
	if h, err := parse(good); err != nil || h.Version != 2 {
		t.Errorf("version 2: %v", err)
	}
	for _, lim := range []Limits{{Header: 40}, {Text: 4}} {
		var e *Error
		if _, err := Parse(bytes.NewReader(good), int64(len(good)), lim); !errors.As(err, &e) || e.Code != CodeLimit {
			t.Errorf("%+v: %v", lim, err)
		}
	}
	var e *Error
	two := front(3, 2, 0).tensor("w", 0, 0, 1).tensor("v", 0, 32, 1).data(64)
	if _, err := Parse(bytes.NewReader(two), int64(len(two)), Limits{Count: 1}); !errors.As(err, &e) || e.Code != CodeLimit {
		t.Errorf("two tensors, limit 1: %v", err)
	}
	if _, err := Parse(readerAt{iotest.ErrReader(io.ErrClosedPipe)}, 100, Limits{}); !errors.Is(err, io.ErrClosedPipe) || errors.As(err, new(*Error)) {
		t.Errorf("failing reader: %v", err)
	}
}

func (b *builder) WriteZero() *builder { b.WriteByte(0); return b }

type readerAt struct{ io.Reader }

func (r readerAt) ReadAt(p []byte, _ int64) (int, error) { return r.Read(p) }

// TestUnknownType keeps a file open whose tensor has a type from the future: it is measured by its neighbour.
func TestUnknownType(t *testing.T) {
	b := front(3, 3, 0).tensor("last", 77, 96, 1, 0).tensor("new", 77, 0, 1000).tensor("w", 0, 64, 1).data(200)
	h, err := parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if h.Tensors[1].Size != 64 || h.Tensors[0].Size != 104 || h.Tensors[1].Type.String() != "type 77" || h.Tensors[1].DType != dtype.Invalid {
		t.Errorf("%+v", h.Tensors)
	}
	// Holes and bytes at the end are counted.
	b = front(3, 2, 0).tensor("a", 0, 64, 1).tensor("e", 0, 96, 0).data(64 + 32 + 5)
	if h, err = parse(b); err != nil || h.Unowned != 64+5 {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestEmitRefuses(t *testing.T) {
	one := []int64{1}
	for _, c := range []struct {
		code, text string
		kv         []KV
		tensors    []Tensor
	}{
		{CodeHeader, "key \"k\" appears twice", []KV{{"k", NewString("")}, {"k", NewString("")}}, nil},
		{CodeHeader, "power of two", []KV{{AlignmentKey, newScalar(Uint32, 3)}}, nil},
		{CodeHeader, "appears twice", nil, []Tensor{{Name: "a", Shape: one}, {Name: "a", Shape: one}}},
		{CodeUnsupported, "64 bytes, ggml reads 63", nil, []Tensor{{Name: strings.Repeat("n", 64), Shape: one}}},
		{CodeUnsupported, "5 dimensions", nil, []Tensor{{Name: "a", Shape: []int64{1, 1, 1, 1, 1}}}},
		{CodeUnsupported, "type 5 is not known", nil, []Tensor{{Name: "a", Type: 5, Shape: one}}},
		{CodeUnsupported, "empty", nil, []Tensor{{Name: "a", Shape: []int64{2, 0}}}},
		{CodeLayout, "dimension 0 is -1", nil, []Tensor{{Name: "a", Shape: []int64{-1}}}},
		{CodeLayout, "no multiple of 256", nil, []Tensor{{Name: "a", Type: 14, Shape: []int64{256, 255}}}},
		{CodeLayout, "overflows", nil, []Tensor{{Name: "a", Shape: []int64{1 << 62}}}},
		{CodeLimit, "beyond 63 bits", nil, []Tensor{{Name: "a", Shape: []int64{1 << 60}}, {Name: "b", Shape: []int64{1 << 60}}}},
	} {
		_, err := Emit(c.kv, c.tensors)
		var e *Error
		if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Text, c.text) {
			t.Errorf("got %v, want %s %s", err, c.code, c.text)
		}
	}
}

// TestTypes holds the table against the dtypes, and the quantised sizes against their bits per element as ggml states them.
func TestTypes(t *testing.T) {
	for _, d := range dtype.All() {
		code, ok := TypeOf(d)
		has := slices.Contains([]dtype.DType{dtype.Float64, dtype.Float32, dtype.Float16, dtype.BFloat16, dtype.Int64, dtype.Int32, dtype.Int16, dtype.Int8}, d)
		if ok != has {
			t.Errorf("%s: %v", d, code)
		}
		if n, size, _ := code.Block(); ok && (n != 1 || size != d.Size() || code.DType() != d) {
			t.Errorf("%s: %d bytes for %d", code, size, n)
		}
	}
	for name, bits := range map[string]float64{
		"Q4_0": 4.5, "Q4_1": 5, "Q5_0": 5.5, "Q5_1": 6, "Q8_0": 8.5, "Q2_K": 2.625, "Q3_K": 3.4375, "Q4_K": 4.5, "Q5_K": 5.5, "Q6_K": 6.5625,
		"IQ2_XXS": 2.0625, "IQ2_XS": 2.3125, "IQ2_S": 2.5625, "IQ3_XXS": 3.0625, "IQ3_S": 3.4375, "IQ1_S": 1.5625, "IQ1_M": 1.75, "IQ4_NL": 4.5, "IQ4_XS": 4.25,
		"TQ1_0": 1.6875, "TQ2_0": 2.0625, "MXFP4": 4.25, "NVFP4": 4.5, "Q1_0": 1.125, "Q2_0": 2.25,
	} {
		found := false
		for code := range Type(len(table)) {
			if code.String() == name {
				n, size, ok := code.Block()
				found = ok && float64(8*size)/float64(n) == bits
			}
		}
		if !found {
			t.Errorf("%s: not %v bits", name, bits)
		}
	}
}

func FuzzGGUF(f *testing.F) {
	kv := append(allValues(), KV{AlignmentKey, newScalar(Uint32, 64)})
	l, err := Emit(kv, []Tensor{{Name: "w", Type: 0, Shape: []int64{2, 3}}, {Name: "q", Type: 8, Shape: []int64{64}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(l.Header, make([]byte, l.Data)...))
	f.Add(front(2, 0, 0).data(0))
	f.Add(front(3, 2, 1).str("k").u32(9).u32(9).u64(1).u32(8).u64(1).str("x").tensor("a", 1, 32, 3).tensor("b", 90, 0, 1).data(64))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parse(b)
		if err != nil {
			return
		}
		for _, x := range h.Tensors {
			if x.Size == 0 && x.Begin == 0 {
				continue // behind a header that nothing follows, not even its padding
			}
			if x.Begin < 0 || x.Size < 0 || x.Begin > int64(len(b))-h.DataOff || x.Size > int64(len(b))-h.DataOff-x.Begin {
				t.Fatalf("%q: %+v", b, x)
			}
		}
		for _, pair := range h.KV {
			n := int64(0)
			for range pair.Value.Items() {
				n++
			}
			if pair.Value.Type == Array && n != pair.Value.Len() {
				t.Fatalf("%q: %d items, %d declared", b, n, pair.Value.Len())
			}
		}
		if l, err := Emit(h.KV, h.Tensors); err == nil {
			again, err := parse(append(l.Header, make([]byte, l.Data)...))
			if err != nil || !reflect.DeepEqual(again.KV, h.KV) || len(again.Tensors) != len(h.Tensors) {
				t.Fatalf("%q: read back %+v, %v", b, again, err)
			}
		}
	})
}

// newScalar makes a value of a fixed-size type from its bits: integers in two's complement, floats as math.Float32bits and
// math.Float64bits give them, bools as 0 and 1.
func newScalar(t ValueType, bits uint64) Value {
	if !t.known() || valueTypes[t].size == 0 {
		panic("gguf: newScalar of " + t.String())
	}
	return Value{t, binary.LittleEndian.AppendUint64(nil, bits)[:valueTypes[t].size]}
}

// newArray makes an array of values that all have the type elem.
func newArray(elem ValueType, values ...Value) Value {
	raw := binary.LittleEndian.AppendUint32(nil, uint32(elem))
	raw = binary.LittleEndian.AppendUint64(raw, uint64(len(values)))
	for _, v := range values {
		if v.Type != elem {
			panic("gguf: " + v.Type.String() + " in an array of " + elem.String())
		}
		raw = append(raw, v.Raw...)
	}
	return Value{Array, raw}
}
