package message

import (
	"fmt"
	"reflect"
	"testing"
)

func sample(n int) []Row {
	rows := make([]Row, 0, n+3)
	rows = append(rows,
		Row{Path: "", Type: "float32", Shape: []int64{}, NBytes: 4, Storage: 0},
		Row{Path: "a.b\x00\xff\u202e", KeyAt: 2, Type: "float16", Shape: []int64{0, 1 << 40}, Storage: 7, Flags: Tied | Parameter},
		Row{Kind: Object, Path: "epoch", Type: "int", Value: "3", Storage: -1, Shape: []int64{}})
	for i := range n {
		rows = append(rows, Row{Path: fmt.Sprintf("state_dict.layers.%d.weight", i), KeyAt: 11, Type: "bfloat16", Shape: []int64{4096, 11008}, NBytes: 90177536, Storage: int32(i)})
	}
	return rows
}

func TestRowsRoundTrip(t *testing.T) {
	want := sample(3)
	got, err := DecodeRows(EncodeRows(want), rest)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestRowsDamaged(t *testing.T) {
	b := EncodeRows(sample(3))
	for n := range b {
		if _, err := DecodeRows(b[:n], rest); err == nil {
			t.Errorf("the first %d of %d bytes decoded", n, len(b))
		}
	}
	if _, err := DecodeRows(append(b, 'x'), rest); err == nil {
		t.Error("a byte too many decoded")
	}
	for i := range b {
		c := append([]byte(nil), b...)
		c[i] ^= 0xff
		DecodeRows(c, rest) // must not panic or allocate by a wrong count
	}
}

func BenchmarkRows(b *testing.B) {
	rows := sample(100_000)
	for b.Loop() {
		if _, err := DecodeRows(EncodeRows(rows), rest); err != nil {
			b.Fatal(err)
		}
	}
}

func rest() {}
