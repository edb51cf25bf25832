package listing

import (
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// The last line says what storages carry along for nothing, where that is much and all of the tensors are listed.
func TestUnseenBytes(t *testing.T) {
	f32, _ := statedict.ParseDType("float32")
	view := func(key string, offset int64, shape, stride []int64) statedict.Entry {
		return statedict.Entry{Key: key, View: statedict.View{DType: f32, Offset: offset, Shape: shape, Stride: stride}}
	}
	for _, c := range []struct {
		name    string
		entries []statedict.Entry
		want    string
	}{
		{"a slice", []statedict.Entry{view("a", 100, []int64{10}, []int64{1})}, "no tensor shows 40.0 kB of that"},
		{"two ends", []statedict.Entry{view("a", 0, []int64{10}, []int64{1}), view("b", 9990, []int64{10}, []int64{1})}, ""},
		{"a column", []statedict.Entry{view("a", 0, []int64{100}, []int64{100})}, ""},
		{"nearly all", []statedict.Entry{view("a", 300, []int64{9700}, []int64{1})}, ""},
		{"out of bounds", []statedict.Entry{view("a", 9999, []int64{2}, []int64{1})}, ""},
	} {
		cp := &statedict.Checkpoint{Format: statedict.TorchZip, Entries: c.entries, Storages: []statedict.Storage{{Key: "0", DType: f32, NBytes: 40000}}}
		l := New(cp)
		if got := l.totals(); !strings.Contains(got, c.want) || c.want == "" && strings.Contains(got, "no tensor shows") {
			t.Errorf("%s: %s", c.name, got)
		}
		if err := l.Match("nothing"); err != nil || strings.Contains(l.totals(), "no tensor shows") {
			t.Errorf("%s, narrowed: %s", c.name, l.totals())
		}
	}
}
