package safetensors

import (
	"errors"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// TestEmit spells out the bytes of the reference writer: dtype order, then names, then padding.
func TestEmit(t *testing.T) {
	entries := []Entry{
		{Name: "b", DType: dtype.Bool, Shape: []int64{3}},
		{Name: "w2", DType: dtype.Float32, Shape: []int64{2, 3}},
		{Name: "w10", DType: dtype.Float32, Shape: []int64{}},
		{Name: "q", DType: dtype.Float4E2M1FNx2, Shape: []int64{2, 4}},
		{Name: "n", DType: dtype.Int64, Shape: []int64{1}},
		{Name: "h\"\\\x01\x1f\x7f/é\u2028", DType: dtype.Float16, Shape: []int64{0}},
		{Name: "six", Code: "F6_E3M2", Shape: []int64{4}},
	}
	l, err := Emit(entries, []Pair{{"format", "pt"}, {"a", "\n"}})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"__metadata__":{"a":"\n","format":"pt"},` +
		`"n":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},` +
		`"w10":{"dtype":"F32","shape":[],"data_offsets":[8,12]},` +
		`"w2":{"dtype":"F32","shape":[2,3],"data_offsets":[12,36]},` +
		`"h\"\\\u0001\u001f` + "\x7f/é\u2028" + `":{"dtype":"F16","shape":[0],"data_offsets":[36,36]},` +
		`"six":{"dtype":"F6_E3M2","shape":[4],"data_offsets":[36,39]},` +
		`"q":{"dtype":"F4","shape":[2,8],"data_offsets":[39,47]},` +
		`"b":{"dtype":"BOOL","shape":[3],"data_offsets":[47,50]}}`
	want += strings.Repeat(" ", (8-len(want)%8)%8)
	if got := string(l.Header[8:]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if l.Data != 50 || l.Begins[0] != 47 || l.Begins[4] != 0 || l.Sizes[1] != 24 {
		t.Errorf("layout %+v", l)
	}
	l, err = emitInOrder(entries[:2], nil)
	want = `{"b":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]},"w2":{"dtype":"F32","shape":[2,3],"data_offsets":[3,27]}}`
	if err != nil || strings.TrimRight(string(l.Header[8:]), " ") != want {
		t.Errorf("in order: %v %s", err, l.Header)
	}
	if l, err = Emit(nil, []Pair{}); err != nil || string(l.Header[8:]) != `{"__metadata__":{}}     ` {
		t.Errorf("empty metadata: %v %q", err, l.Header)
	}
	if l, err = Emit(nil, nil); err != nil || string(l.Header[8:]) != `{}      ` {
		t.Errorf("nothing: %v %q", err, l.Header)
	}
}

// emitInOrder lays out entries and metadata as they are given.
func emitInOrder(entries []Entry, metadata []Pair) (*Layout, error) {
	order := make([]int, len(entries))
	for i := range order {
		order[i] = i
	}
	return emit(entries, order, metadata)
}

func TestEmitRefuses(t *testing.T) {
	one := []int64{1}
	for _, c := range []struct {
		code, text string
		entries    []Entry
		metadata   []Pair
	}{
		{CodeUnsupported, "no complex128", []Entry{{Name: "z", DType: dtype.Complex128, Shape: one}}, nil},
		{CodeUnsupported, "no qint8", []Entry{{Name: "z", DType: dtype.QInt8, Shape: one}}, nil},
		{CodeUnsupported, "not known", []Entry{{Name: "z", Code: "F2", Shape: one}}, nil},
		{CodeUnsupported, "doubled", []Entry{{Name: "z", DType: dtype.Float4E2M1FNx2}}, nil},
		{CodeUnsupported, "taken", []Entry{{Name: "__metadata__", DType: dtype.Int8, Shape: one}}, nil},
		{CodeUnsupported, "not Unicode", []Entry{{Name: "\xed\xa0\x80", DType: dtype.Int8, Shape: one}}, nil},
		{CodeUnsupported, "not Unicode", nil, []Pair{{"a", "\xff"}}},
		{CodeHeader, "twice", []Entry{{Name: "a", DType: dtype.Int8, Shape: one}, {Name: "a", DType: dtype.Int8, Shape: one}}, nil},
		{CodeHeader, "twice", nil, []Pair{{"a", ""}, {"a", ""}}},
		{CodeLayout, "dimension 0 is -1", []Entry{{Name: "a", DType: dtype.Int8, Shape: []int64{-1}}}, nil},
		{CodeLayout, "overflows", []Entry{{Name: "a", DType: dtype.Int8, Shape: []int64{1 << 62, 1 << 62}}}, nil},
		{CodeLimit, "2^63-1", []Entry{{Name: "a", DType: dtype.Int8, Shape: []int64{1 << 60}}, {Name: "b", DType: dtype.Int64, Shape: []int64{1<<57 + 1<<56 + 1<<55}},
			{Name: "c", DType: dtype.Int64, Shape: []int64{1 << 57}}, {Name: "d", DType: dtype.Int64, Shape: []int64{1 << 57}},
			{Name: "e", DType: dtype.Int64, Shape: []int64{1 << 57}}, {Name: "f", DType: dtype.Int64, Shape: []int64{1 << 57}},
			{Name: "g", DType: dtype.Int64, Shape: []int64{1 << 57}}, {Name: "h", DType: dtype.Int64, Shape: []int64{1 << 57}}}, nil},
	} {
		_, err := emitInOrder(c.entries, c.metadata)
		var e *Error
		if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Text, c.text) {
			t.Errorf("got %v, want %s %s", err, c.code, c.text)
		}
	}
}

// TestCodes holds the table against the dtypes: sizes agree, none is named twice.
func TestCodes(t *testing.T) {
	for _, d := range dtype.All() {
		code, ok := CodeOf(d)
		lacking := d.IsQuantized() || d == dtype.Complex128 || d == dtype.Complex32 || d >= dtype.Bits8
		if ok == lacking {
			t.Errorf("%s: %q", d, code)
		}
		if ok && d != dtype.Float4E2M1FNx2 && codes[rankOf([]byte(code))].bits != 8*d.Size() {
			t.Errorf("%s: %d bits", code, codes[rankOf([]byte(code))].bits)
		}
	}
}
