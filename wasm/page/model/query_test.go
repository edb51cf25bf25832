package model

import (
	"strings"
	"testing"

	"github.com/weightroom/weightroom/wasm/message"
)

func TestQuery(t *testing.T) {
	base := []message.Row{
		{Path: "wte.weight", Type: "float32", Shape: []int64{50257, 768}, NBytes: 154389504, Flags: message.Tied},
		{Path: "h.0.attn.bias", Type: "uint8", Shape: []int64{1, 1, 1024, 1024}, NBytes: 1 << 20},
		{Path: "h.0.ln.weight", Type: "float32", Shape: []int64{768}, NBytes: 3072},
		{Path: "step", Type: "float32", Shape: []int64{}, NBytes: 4},
		{Path: "epoch", Kind: message.Object, Type: "int", Value: "3"},
		{Path: "a:b", Type: "float64", Shape: []int64{0}},
	}
	now := append([]message.Row(nil), base...)
	now[2].Type, now[2].NBytes = "float16", 1536
	v := NewView()
	v.SetBase(base)
	v.SetTree(NewTree(now, nil), nil)
	for query, want := range map[string]string{
		"WEIGHT": "wte.weight h.0.ln.weight", "h weight": "wte.weight h.0.ln.weight", "h.*.ln.*": "h.0.ln.weight", "re:^h\\.\\d": "h.0.attn.bias h.0.ln.weight",
		"dtype:float32": "wte.weight step", "dtype:float*": "wte.weight h.0.ln.weight step a:b", "dtype:int": "epoch",
		"shape:[*,768]": "wte.weight", "shape:[**,768]": "wte.weight h.0.ln.weight", "shape:[]": "step", "shape:[**]": "wte.weight h.0.attn.bias h.0.ln.weight step a:b", "shape:[1,**,1024]": "h.0.attn.bias",
		"size:>10MB": "wte.weight", "size:<=4": "step a:b", "size:=1MiB": "h.0.attn.bias", "size:1MB": "wte.weight h.0.attn.bias",
		"tied:": "wte.weight", "changed:": "h.0.ln.weight", "a:b": "a:b", "weight dtype:float16": "h.0.ln.weight", "tied: re:w t": "",
	} {
		if err := v.Filter(query, nil); err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		var got []string
		for _, r := range v.Rows {
			if n := &v.Tree.Nodes[r]; n.Kind != Group {
				got = append(got, n.Path)
			}
		}
		if strings.Join(got, " ") != want || v.Matches != len(got) {
			t.Errorf("%s lets through %q, want %q", query, got, want)
		}
	}
	for _, query := range []string{"shape:768", "shape:[x]", "size:big", "size:", "size:=>3", "size:>", "re:(", "dtype:[", "shape:[-1]"} {
		if err := v.Filter(query, nil); err == nil {
			t.Errorf("%s is accepted", query)
		}
	}
}

func TestSpans(t *testing.T) {
	v := NewView()
	v.SetTree(NewTree([]message.Row{{Path: "a.Weight"}, {Path: "b.bias"}}, nil), nil)
	for query, want := range map[string][][2]int{"wei igh": {{0, 3}}, "": nil, "re:ig": {{2, 4}}, "eight w": {{0, 6}}, "dtype:x": nil} {
		if err := v.Filter(query, nil); err != nil {
			t.Fatal(err)
		}
		got := v.Spans("Weight")
		if query == "eight w" { // two words that touch are two spans
			want = [][2]int{{0, 1}, {1, 6}}
		}
		if len(got) != len(want) {
			t.Errorf("%q marks %v, want %v", query, got, want)
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%q marks %v, want %v", query, got, want)
			}
		}
	}
}

func TestNext(t *testing.T) {
	v := NewView()
	v.SetTree(NewTree([]message.Row{{Path: "a.x"}, {Path: "b.x"}, {Path: "b.y"}}, nil), nil)
	var got []string
	v.Cursor = 0
	for _, by := range []int{1, 1, 1, 1, -1, -1} {
		v.Next(by)
		got = append(got, v.Current().Path)
	}
	if s := strings.Join(got, " "); s != "a.x b.x b.y a.x b.y b.x" {
		t.Errorf("went to %s", s)
	}
	if NewView().Next(1) {
		t.Error("an empty tree has a next row")
	}
}
