package model

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/wasm/message"
)

// rows makes a tensor of each path; "dict|key" sets where the key begins, and a leading "=" makes an object.
func rows(paths ...string) []message.Row {
	var out []message.Row
	for i, p := range paths {
		r := message.Row{Type: "float32", Shape: []int64{2, 3}, NBytes: 24, Storage: int32(i)}
		if rest, ok := strings.CutPrefix(p, "="); ok {
			r, p = message.Row{Kind: message.Object, Type: "int", Value: "1", Storage: -1}, rest
		}
		if dict, key, ok := strings.Cut(p, "|"); ok {
			r.KeyAt, p = len(dict)+1, dict+"."+key
		}
		r.Path = p
		out = append(out, r)
	}
	return out
}

// draw writes the rows on show: indent, name, a + for a closed group, keys and bytes of a group.
func draw(v *View) string {
	var b strings.Builder
	for i, n := range v.Rows {
		d := &v.Tree.Nodes[n]
		mark := " "
		if i == v.Cursor {
			mark = ">"
		}
		fmt.Fprintf(&b, "%s%s%s", mark, strings.Repeat("  ", int(d.Depth)), d.Name)
		if d.Kind == Group {
			fmt.Fprintf(&b, " (%d keys, %d bytes, %q)", d.Keys, d.NBytes, d.Type)
			if !v.Open(n) {
				b.WriteString("+")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func check(t *testing.T, what, got, want string) {
	t.Helper()
	if strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("%s:\n%s\nwant:\n%s", what, got, want)
	}
}

func TestTree(t *testing.T) {
	v := NewView()
	r := rows("a.x", "b", "a.y.z", "a", "opt.state[0]|exp.avg", "opt.state[1]|exp.avg", "=opt.lr", "=epoch", "=cfg[0]", "=cfg[1].x")
	r[2].Type = "int64"
	v.SetTree(NewTree(r, nil), nil)
	check(t, "tree", draw(v), `
>a (2 keys, 48 bytes, "")
   x
   y (1 keys, 24 bytes, "int64")
     z
 b
 a
 opt (2 keys, 48 bytes, "float32")
   state (2 keys, 48 bytes, "float32")
     [0] (1 keys, 24 bytes, "float32")
       exp (1 keys, 24 bytes, "float32")
         avg
     [1] (1 keys, 24 bytes, "float32")
       exp (1 keys, 24 bytes, "float32")
         avg
   lr
 epoch
 cfg (0 keys, 0 bytes, "")+
`)
	for i, n := range v.Tree.Nodes {
		if got := v.Tree.Find(n.Path, n.Kind); got != int32(i) {
			t.Errorf("Find(%q, %s) = %d, want %d", n.Path, n.Kind, got, i)
		}
		if n.Kind != Group && n.Path != n.Row.Path {
			t.Errorf("node %d: path %q, row %q", i, n.Path, n.Row.Path)
		}
	}
	if n := v.Tree.Nodes[v.Tree.Find("b", Tensor)]; n.Pos != 2 || n.Size != 6 {
		t.Errorf("b is %d of %d, want 2 of 6", n.Pos, n.Size)
	}
}

// Groups whose keys are scattered over the file are one group each, in small parents and in large ones.
func TestTreeScattered(t *testing.T) {
	for _, n := range []int{3, 16, 17, 40} {
		var paths []string
		for _, leaf := range []string{"w", "b"} {
			for i := range n {
				paths = append(paths, fmt.Sprintf("g%d.%s", i, leaf), fmt.Sprintf("leaf%d%s", i, leaf))
			}
		}
		groups := 0
		for _, d := range NewTree(rows(paths...), nil).Nodes {
			if d.Kind == Group {
				groups++
				if d.Keys != 2 {
					t.Errorf("%d groups: %s has %d keys", n, d.Path, d.Keys)
				}
			}
		}
		if groups != n {
			t.Errorf("%d groups, want %d", groups, n)
		}
	}
}

func TestTreeOddNames(t *testing.T) {
	// Empty parts, a key that is a bracket, a key with a bracket inside the state dict: no part is lost.
	v := NewView()
	v.SetTree(NewTree(rows("", "a..b", ".", "d[0]|k[1].w", "x[", "__proto__.constructor"), nil), nil)
	var leaves []string
	for i := range v.Tree.Nodes {
		if n := &v.Tree.Nodes[i]; n.Kind == Tensor {
			leaves = append(leaves, n.Path)
		}
	}
	check(t, "leaves", strings.Join(leaves, "|"), "|a..b|.|d[0].k[1].w|x[|__proto__.constructor")
	if i := v.Tree.Find("d[0].k[1]", Group); i < 0 || v.Tree.Nodes[i].Name != "k[1]" {
		t.Error("a bracket inside a key must not split it")
	}
}

func TestViewKeys(t *testing.T) {
	v := NewView()
	v.SetTree(NewTree(rows("a.x", "a.y", "b.x", "b.y"), nil), nil)
	v.Left()
	check(t, "closed", draw(v), `
>a (2 keys, 48 bytes, "float32")+
 b (2 keys, 48 bytes, "float32")
   x
   y`)
	v.Move(100)
	v.Left()
	check(t, "to the parent", draw(v), `
 a (2 keys, 48 bytes, "float32")+
>b (2 keys, 48 bytes, "float32")
   x
   y`)
	v.Move(-100)
	v.Right()
	v.Right()
	if n := v.Current(); n.Path != "a.x" {
		t.Errorf("cursor at %q, want a.x", n.Path)
	}
	v.OpenToLevel(1)
	check(t, "level 1, cursor on the group that was around it", draw(v), `
>a (2 keys, 48 bytes, "float32")+
 b (2 keys, 48 bytes, "float32")+`)
	v.OpenSiblings(0)
	if len(v.Rows) != 6 {
		t.Errorf("%d rows after *, want 6", len(v.Rows))
	}
	if !v.TypeAhead("Y", false) || v.Current().Path != "a.y" {
		t.Errorf("type-ahead went to %q", v.Current().Path)
	}
	v.TypeAhead("y", false)
	if v.Current().Path != "b.y" {
		t.Errorf("type-ahead again went to %q", v.Current().Path)
	}
	// After an edit the cursor follows its key and the groups stay as they were.
	v.SetOpen(0, false)
	v.SetTree(NewTree(rows("a.x", "b.y"), nil), nil)
	check(t, "after an edit", draw(v), `
 a (1 keys, 24 bytes, "float32")+
 b (1 keys, 24 bytes, "float32")
>  y`)
	v.SetTree(NewTree(nil, nil), nil)
	if v.Cursor != -1 || v.Current() != nil {
		t.Error("an empty tree has no cursor")
	}
	v.Move(1)
	v.Left()
	v.Right()
	v.TypeAhead("a", false)
}

func TestFilter(t *testing.T) {
	v := NewView()
	v.SetTree(NewTree(rows("layer1.conv.weight", "layer1.bn.num_batches_tracked", "layer2.conv.bias", "fc.weight", "=epoch"), nil), nil)
	for _, c := range []struct {
		query string
		want  string
	}{
		{"", "layer1.conv.weight layer1.bn.num_batches_tracked layer2.conv.bias fc.weight epoch"},
		{"CONV", "layer1.conv.weight layer2.conv.bias"},
		{"conv bias", "layer2.conv.bias"},
		{"**.weight", "layer1.conv.weight fc.weight"},
		{"*.weight", "fc.weight"},
		{"layer?.**", "layer1.conv.weight layer1.bn.num_batches_tracked layer2.conv.bias"},
		{`re:^layer\d\.conv`, "layer1.conv.weight layer2.conv.bias"},
		{"nothing", ""},
	} {
		if err := v.Filter(c.query, nil); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range v.Rows {
			if d := &v.Tree.Nodes[n]; d.Kind != Group {
				got = append(got, d.Path)
			}
		}
		check(t, c.query, strings.Join(got, " "), c.want)
		if len(got) != v.Matches {
			t.Errorf("%q: %d matches counted, %d rows", c.query, v.Matches, len(got))
		}
	}
	if err := v.Filter("re:(", nil); err == nil {
		t.Error("a broken expression was taken")
	}
	if err := v.Filter("re:(", nil); err == nil {
		t.Error("the second time as well")
	}
}

func TestStartOpen(t *testing.T) {
	var many []string
	for i := range 5000 {
		many = append(many, fmt.Sprintf("model.layers.%d.mlp.weight", i))
	}
	v := NewView()
	v.SetTree(NewTree(rows(many...), nil), nil)
	if len(v.Rows) > 5100 || len(v.Rows) < 5 {
		t.Errorf("%d rows at first", len(v.Rows))
	}
	leaf := false
	for _, n := range v.Rows[:min(10, len(v.Rows))] {
		leaf = leaf || v.Tree.Nodes[n].Kind == Tensor
	}
	if !leaf {
		t.Error("no key among the first rows")
	}
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"layer.0.weight":        "layer.0.weight",
		"":                      "",
		"\x1b[31mred":           `\x1b[31mred`,
		"a\u202egnp.\u2066":     `a\u202egnp.\u2066`,
		"zero\u200bwidth\ufeff": `zero\u200bwidth\ufeff`,
		"line\u2028\u0085":      `line\u2028\u0085`,
		"tag\U000e0041":         `tag\U000e0041`,
		"bad\xff\xc0":           `bad\xff\xc0`,
		"<img src=x onerror=1>": "<img src=x onerror=1>",
		"Größe 層 😀":             "Größe 層 😀",
		"\ufffd":                "\ufffd",
		"nbsp\u00a0":            `nbsp\u00a0`,
	} {
		if got := Visible(in); got != want {
			t.Errorf("Visible(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Visible(strings.Repeat("a", 1<<20)); len(got) != 256+len("…") {
		t.Errorf("a long name is shown in %d bytes", len(got))
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 46807446: "46.8 MB", 999_949: "1.0 MB", 123_456_789: "123 MB", 12_000_000_000: "12.0 GB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := Number(n); got != want {
			t.Errorf("Number(%d) = %q, want %q", n, got, want)
		}
	}
	check(t, "shape", Shape([]int64{64, 3, 7, 7})+Shape(nil), "[64, 3, 7, 7][]")
}

func op(action string, values ...string) Op {
	o := Op{Spec: SpecOf(action), Values: map[string]string{}}
	for i := 0; i+1 < len(values); i += 2 {
		o.Values[values[i]] = values[i+1]
	}
	return o
}

func TestRecipe(t *testing.T) {
	var r Recipe
	check(t, "empty", string(r.Document()), `{"recipe":1,"steps":[]}`)
	r.Push(op("strip-prefix", "prefix", "module., _orig_mod."))
	r.Push(op("drop", "match", "**.{a,b}, c"))
	r.Push(op("rename", "from", `re:^a{1,2}`, "to", "\"$1\""))
	want := `{"recipe":1,"steps":[{"strip_prefix":{"prefix":["module.","_orig_mod."]}},{"drop":{"match":["**.{a,b}","c"]}},{"rename":{"from":"re:^a{1,2}","to":"\"$1\""}}]}`
	check(t, "three", string(r.Document()), want)
	if !json.Valid(r.Document()) {
		t.Error("the document is no JSON")
	}
	r.Undo()
	check(t, "with", string(r.With(op("extract", "prefix", "net"))), `{"recipe":1,"steps":[{"strip_prefix":{"prefix":["module.","_orig_mod."]}},{"drop":{"match":["**.{a,b}","c"]}},{"extract":{"prefix":"net"}}]}`)
	if !r.Redo() || r.Redo() {
		t.Error("one step can be done again")
	}
	check(t, "redone", string(r.Document()), want)
	r.Undo()
	r.Undo()
	r.Push(op("add-prefix", "prefix", "net."))
	check(t, "new tail", string(r.Document()), `{"recipe":1,"steps":[{"strip_prefix":{"prefix":["module.","_orig_mod."]}},{"add_prefix":{"prefix":"net."}}]}`)
	check(t, "only", string(Only("state_dict", op("keep", "match", "a"))), `{"recipe":1,"at":"state_dict","steps":[{"keep":{"match":"a"}}]}`)
	if f := op("rename", "from", "a").Empty(); f != "" {
		t.Errorf("%q must be filled for a rename", f)
	}
	if f := op("add-prefix").Empty(); f != "prefix" {
		t.Errorf("%q must be filled to add a prefix", f)
	}
}

func TestSplit(t *testing.T) {
	for in, want := range map[string]string{
		"": "", " a , b,": "a|b", "{a,b},c": "{a,b}|c", "re:a{1,2},b": "re:a{1,2},b", `a\,b,c`: `a,b|c`, `{a\,b},c`: `{a\,b}|c`, `end\`: `end\`, ",,": "", "[,]x,y": "[,]x|y",
	} {
		if got := strings.Join(Split(in), "|"); got != want {
			t.Errorf("Split(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSuggest(t *testing.T) {
	r := rows("sd|module.a.w", "sd|module.b.w", "sd|head.w", "other|module.x", "sd|head.b", "sd|one.w", "=sd.module.n")
	got := Prefixes(r, "sd", 5)
	if fmt.Sprint(got) != "[{module. 2} {head. 2}]" {
		t.Errorf("prefixes %v", got)
	}
}

func BenchmarkTree(b *testing.B) {
	var paths []string
	for i := range 100_000 {
		paths = append(paths, fmt.Sprintf("model.layers.%d.block.%d.mlp.weight", i/100, i%100))
	}
	r := rows(paths...)
	v := NewView()
	b.Run("build", func(b *testing.B) {
		for b.Loop() {
			v.SetTree(NewTree(r, nil), nil)
		}
	})
	b.Run("filter", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			v.Filter(fmt.Sprintf("mlp %d", i%2), nil)
		}
	})
}
