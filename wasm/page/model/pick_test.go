package model

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
)

// choose selects the rows with these paths; one that ends in / is a group.
func choose(t *testing.T, v *View, paths ...string) {
	t.Helper()
	v.Deselect()
	for _, path := range paths {
		path, kind := strings.CutSuffix(path, "/")
		found := int32(-1)
		for i := range v.Tree.Nodes {
			if n := &v.Tree.Nodes[i]; n.Path == path && (n.Kind == Group) == kind && n.Blocks == 0 {
				found = int32(i)
			}
		}
		if found < 0 || !v.Reveal(found) {
			t.Fatalf("no row %q", path)
		}
		v.ToggleCursor()
	}
}

// offers writes the operations that fit, with their counts and steps.
func offers(p Picked) string {
	var b strings.Builder
	for _, o := range p.Offers() {
		fmt.Fprintf(&b, "%d %s\n", o.N, o.Op.Step())
	}
	return b.String()
}

func TestOffers(t *testing.T) {
	r := rows("sd|module.a.w", "sd|module.a.b", "sd|module.bn.n", "sd|head.w", "sd|head.bn.n", "sd|last.bn.n", "other|x.y", "=epoch", "=opt.lr", "=opt.wd")
	v := NewView()
	v.SetTree(NewTree(r, nil), nil)
	for _, c := range []struct {
		paths, want string
	}{
		{"sd.module.a.w", `1 {"drop":{"match":"module.a.w"}}
1 {"keep":{"match":"module.a.w"}}
1 {"rename":{"from":"module.a.w","to":"module.a.w"}}
1 {"cast":{"to":"","match":"module.a.w"}}`},
		{"sd.module/", `3 {"drop":{"match":"module.**"}}
3 {"keep":{"match":"module.**"}}
3 {"extract":{"prefix":"module."}}
3 {"strip_prefix":{"prefix":"module."}}
3 {"rename":{"from":"module.","to":"module."}}
3 {"cast":{"to":"","match":"module.**"}}`},
		{"sd.module.bn/", `1 {"drop":{"match":"module.bn.**"}}
1 {"keep":{"match":"module.bn.**"}}
1 {"extract":{"prefix":"module.bn."}}
1 {"strip_prefix":{"prefix":"module.bn."}}
1 {"rename":{"from":"module.bn.","to":"module.bn."}}
1 {"cast":{"to":"","match":"module.bn.**"}}`},
		{"sd.module.a.b sd.module.a.w sd.head.w", `3 {"drop":{"match":["module.a.**","head.w"]}}
3 {"keep":{"match":["module.a.**","head.w"]}}
3 {"cast":{"to":"","match":["module.a.**","head.w"]}}`},
		{"sd.module.bn.n sd.head.bn.n sd.last.bn.n", `3 {"drop":{"match":"**.n"}}
3 {"keep":{"match":"**.n"}}
3 {"cast":{"to":"","match":"**.n"}}`},
		{"sd.module/ sd.head/ sd.last.bn.n", `6 {"drop":{"match":"**"}}
6 {"cast":{"to":"","match":"**"}}`},
		{"epoch opt/", `3 {"drop_objects":{"paths":["epoch","opt"]}}`},
		{"other.x.y", `1 {"drop_objects":{"paths":"other.x.y"}}`},
		{"", ""},
	} {
		choose(t, v, strings.Fields(c.paths)...)
		check(t, c.paths, offers(v.Picked("sd")), c.want)
	}
}

// Whatever is selected, dropping it drops those keys and no other: also where a key is called as a group is, and where names
// hold what patterns, lists and forms read as something else.
func TestPatternsAreExact(t *testing.T) {
	odd := []string{"a", "a.x", "a.y", "b.x", "re:b.x", " c ", "c", "d,e", "d", "e", "f[0].{x,y}*", "f[0].z?", "\\", "g\nh.i", "g\nh.j", "$1.x", "", ".", "..", "[x", "{a,b", "A.x", "a.x.y", "名前.重み", "re:(", "k,{l", "<img src=x>.w", "1.w", "1.b", "2.w", "2.b", "n.0", "n.1", "n.3", "n.0.x", "{1}.2", "{1}.3"}
	cp := checkpointOf(t, odd)
	var list []message.Row
	for _, k := range odd {
		list = append(list, message.Row{Path: k, Type: "float32", Shape: []int64{1}, NBytes: 4})
	}
	v := NewView()
	v.SetTree(NewTree(list, nil), nil)
	try := func(what string) {
		t.Helper()
		gone := map[string]bool{}
		v.EachSelected(func(r *message.Row) bool { gone[r.Path] = true; return true })
		p := v.Picked("")
		if p.Keys != len(gone) || p.Patterns == nil {
			t.Errorf("%s: %d keys of %d, patterns %q", what, p.Keys, len(gone), p.Patterns)
			return
		}
		op := p.Offers()[0].Op
		doc := Only("", op)
		r, err := statedict.ParseRecipe(doc)
		if err != nil {
			t.Errorf("%s: %s: %v", what, doc, err)
			return
		}
		after, _, err := r.Apply(cp, nil)
		if err != nil {
			t.Errorf("%s: %s: %v", what, doc, err)
			return
		}
		var want, got []string
		for _, k := range odd {
			if !gone[k] {
				want = append(want, k)
			}
		}
		for i := range after.Entries {
			got = append(got, after.Entries[i].Key)
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%s: %s leaves\n%q, want\n%q", what, doc, got, want)
		}
		// The same through the form, and through a saved recipe.
		if back, err := FromDocument(doc); err != nil {
			t.Errorf("%s: %v", what, err)
		} else {
			o := back.Steps[0]
			o.Raw = nil
			var a, b any
			if json.Unmarshal(Only("", o), &a) != nil || json.Unmarshal(doc, &b) != nil || fmt.Sprint(a) != fmt.Sprint(b) {
				t.Errorf("%s: %s became %s", what, doc, Only("", o))
			}
		}
	}
	for i := range v.Tree.Nodes {
		v.Deselect()
		v.set(int32(i), true)
		try(fmt.Sprintf("%s %q", v.Tree.Nodes[i].Kind, v.Tree.Nodes[i].Path))
	}
	for seed := range 200 { // several rows, chosen by the bits of a number
		v.Deselect()
		x := uint64(seed)*0x9e3779b97f4a7c15 + 1
		for i := range v.Tree.Nodes {
			if x = x*6364136223846793005 + 1442695040888963407; x>>61 == 0 {
				v.set(int32(i), true)
			}
		}
		if v.picked {
			try(fmt.Sprintf("several %d", seed))
		}
	}
}

// checkpointOf opens a safetensors file with these keys.
func checkpointOf(t *testing.T, keys []string) *statedict.Checkpoint {
	t.Helper()
	var b strings.Builder
	for i, k := range keys {
		name, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, `%s%s:{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}`, map[bool]string{true: "{", false: ","}[i == 0], name, 4*i, 4*i+4)
	}
	head := b.String() + "}"
	data := string([]byte{byte(len(head)), byte(len(head) >> 8), byte(len(head) >> 16), 0, 0, 0, 0, 0}) + head + strings.Repeat("\x00", 4*len(keys))
	cp, err := statedict.Open(context.Background(), statedict.Source{Name: "odd.safetensors", R: strings.NewReader(data), Size: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

// A tie starts with the first selected key and those that follow; one key, or keys without end, leave the form empty.
func TestTieFits(t *testing.T) {
	v := NewView()
	v.SetTree(NewTree(rows("a.w", "a.b", "c, d"), nil), nil)
	choose(t, v, "a.b", "a.w", "c, d")
	p := v.Picked("")
	if got := p.Fit(SpecOf("tie")); got == nil || string(got.Step()) != `{"tie":{"to":"a.w","keys":["a.b","c, d"]}}` {
		t.Errorf("fits %v", got)
	}
	choose(t, v, "a.b")
	p = v.Picked("")
	if got := p.Fit(SpecOf("tie")); got != nil {
		t.Errorf("one key fits %s", got.Step())
	}
	var many []string
	for i := range manyKeys + 1 {
		many = append(many, fmt.Sprint("k", i))
	}
	v = NewView()
	v.SetTree(NewTree(rows(many...), nil), nil)
	v.SelectAll()
	if p := v.Picked(""); p.List != nil {
		t.Errorf("%d keys by name", len(p.List))
	}
}
