package model

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/wasm/message"
)

// shape writes all nodes of a tree with their depth.
func outline(t *Tree) string {
	var b strings.Builder
	for i := range t.Nodes {
		n := &t.Nodes[i]
		fmt.Fprintf(&b, "%s%s", strings.Repeat("  ", int(n.Depth)), n.Name)
		if n.Blocks > 0 {
			fmt.Fprintf(&b, " (%d alike, %d keys, %d bytes, %s)", n.Blocks, n.Keys, n.NBytes, n.Type)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// sound fails where a tree contradicts itself.
func sound(t *testing.T, tree *Tree) {
	t.Helper()
	for i := range tree.Nodes {
		n := &tree.Nodes[i]
		if n.Parent >= int32(i) || n.End <= int32(i) || int(n.End) > len(tree.Nodes) || n.Parent >= 0 && (tree.Nodes[n.Parent].End < n.End || tree.Nodes[n.Parent].Depth != n.Depth-1) {
			t.Fatalf("node %d %q: parent %d, depth %d, end %d", i, n.Path, n.Parent, n.Depth, n.End)
		}
		if n.Kind == Group && n.End == int32(i)+1 {
			t.Fatalf("group %q has no children", n.Path)
		}
	}
}

func TestFold(t *testing.T) {
	r := rows("emb.w", "layers.0.a.w", "layers.0.a.b", "layers.1.a.w", "layers.1.a.b", "layers.2.a.w", "layers.2.a.b", "layers.3.a.w", "layers.3.a.c",
		"layers.4.a.w", "layers.4.a.b", "layers.5.a.w", "layers.5.a.b", "layers.7.a.w", "layers.7.a.b", "layers.08.a.w", "layers.x.a.w",
		"=steps[0].n", "=steps[1].n", "=steps[2].n")
	base := NewTree(r, nil)
	folded := base.Arrange(Arrangement{Fold: true}, nil)
	sound(t, folded)
	check(t, "folded", outline(folded), `
emb
  w
layers
  0…2 (3 alike, 6 keys, 144 bytes, float32)
    0
      a
        w
        b
    1
      a
        w
        b
    2
      a
        w
        b
  3
    a
      w
      c
  4…5 (2 alike, 4 keys, 96 bytes, float32)
    4
      a
        w
        b
    5
      a
        w
        b
  7
    a
      w
      b
  08
    a
      w
  x
    a
      w
steps
  [0]…[2] (3 alike, 0 keys, 0 bytes, )
    [0]
      n
    [1]
      n
    [2]
      n
`)
	// A shape or a dtype that differs ends a run.
	for what, change := range map[string]func(r *message.Row){
		"shape": func(r *message.Row) { r.Shape = []int64{3, 2} }, "dtype": func(r *message.Row) { r.Type = "int64" }, "damage": func(r *message.Row) { r.Flags |= message.Bad },
	} {
		r := rows("0.a.w", "1.a.w", "2.a.w", "3.a.w")
		change(&r[1])
		check(t, what, strings.Join(names(NewTree(r, nil).Arrange(Arrangement{Fold: true}, nil)), " "), "0 1 2…3")
	}
	// Blocks inside blocks.
	var nested []string
	for i := range 3 {
		for j := range 2 {
			nested = append(nested, fmt.Sprintf("layers.%d.experts.%d.w", i, j))
		}
	}
	tree := NewTree(rows(nested...), nil).Arrange(Arrangement{Fold: true}, nil)
	sound(t, tree)
	check(t, "nested", outline(tree)[:strings.Index(outline(tree), "\n    1\n")], `
layers
  0…2 (3 alike, 6 keys, 144 bytes, float32)
    0
      experts
        0…1 (2 alike, 2 keys, 48 bytes, float32)
          0
            w
          1
            w
`)
}

// names of the nodes at the top.
func names(t *Tree) (out []string) {
	for i := int32(0); i < int32(len(t.Nodes)); i = t.Nodes[i].End {
		out = append(out, t.Nodes[i].Name)
	}
	return out
}

func TestSort(t *testing.T) {
	r := rows("layer10.w", "layer9.w", "b", "a2", "a10", "a1", "layer9.b")
	r[2].NBytes, r[2].Type, r[2].Shape = 100, "int64", []int64{100}
	base := NewTree(r, nil)
	for _, c := range []struct {
		a    Arrangement
		want string
	}{
		{Arrangement{}, "layer10 layer9 b a2 a10 a1"},
		{Arrangement{Order: ByName}, "a1 a2 a10 b layer9 layer10"},
		{Arrangement{Order: ByName, Desc: true}, "layer10 layer9 b a10 a2 a1"},
		{Arrangement{Order: ByBytes, Desc: true}, "b layer9 layer10 a2 a10 a1"},
		{Arrangement{Order: ByBytes}, "layer10 a2 a10 a1 layer9 b"},
		{Arrangement{Order: ByNumel, Desc: true}, "b layer9 layer10 a2 a10 a1"},
		{Arrangement{Order: ByType}, "layer10 layer9 a2 a10 a1 b"},
	} {
		tree := base.Arrange(c.a, nil)
		sound(t, tree)
		check(t, fmt.Sprint(c.a), strings.Join(names(tree), " "), c.want)
		if len(tree.Nodes) != len(base.Nodes) {
			t.Errorf("%v: %d nodes of %d", c.a, len(tree.Nodes), len(base.Nodes))
		}
	}
}

// However the tree is arranged, what is open, the cursor and the selection are the same keys.
func TestArrangeKeeps(t *testing.T) {
	v := NewView()
	v.SetTree(NewTree(rows("m.0.w", "m.0.b", "m.1.w", "m.1.b", "m.2.w", "m.2.b", "head.w", "=epoch"), nil), nil)
	choose(t, v, "m.1.b", "m.2/")
	v.SetOpen(v.Tree.Find("head", Group), false)
	v.Reveal(v.Tree.Find("m.1.b", Tensor))
	want := selected(v)
	for _, a := range []Arrangement{{Order: ByName, Desc: true}, {Fold: true}, {Order: ByBytes, Fold: true}, {}} {
		v.Arrange(a, nil)
		if got := selected(v); len(strings.Fields(got)) != 3 || strings.Count(got, "m.2.") != 2 || !strings.Contains(got, "m.1.b") {
			t.Errorf("%v: selected %q, want %q", a, got, want)
		}
		if v.Open(v.Tree.Find("head", Group)) {
			t.Errorf("%v: head is open", a)
		}
		if a.Fold {
			if got := v.Current(); got.Blocks != 3 { // the row is inside
				t.Errorf("%v: the cursor is on %q", a, got.Path)
			}
			continue
		}
		if got := v.Current().Path; a.Order == ByFile && got != "m.0" || a.Order != ByFile && got != "m.1.b" {
			t.Errorf("%v: the cursor is on %q", a, v.Current().Path)
		}
		if got := v.Base.Nodes[v.InBase(v.Rows[v.Cursor])].Path; got != v.Current().Path {
			t.Errorf("%v: in the file's order that is %q", a, got)
		}
	}
	// A folded run stands for all its blocks.
	v.Arrange(Arrangement{Fold: true}, nil)
	for i := range v.Tree.Nodes {
		if v.Tree.Nodes[i].Blocks > 0 {
			v.Reveal(int32(i))
		}
	}
	v.SelectCursor()
	if got := selected(v); got != "m.0.w m.0.b m.1.w m.1.b m.2.w m.2.b" {
		t.Errorf("the run selects %q", got)
	}
	p := v.Picked("")
	check(t, "patterns", strings.Join(p.Patterns, " "), "m.**")
	v.SetTree(NewTree(rows("m.0.w", "m.0.b", "m.1.w", "m.1.b", "m.2.w", "m.2.b", "m.last.w", "head.w"), nil), nil)
	p = v.Picked("")
	check(t, "patterns beside others", strings.Join(p.Patterns, " "), "m.{0,1,2}.**")
}

func BenchmarkArrange(b *testing.B) {
	var paths []string
	for i := range 200_000 {
		paths = append(paths, fmt.Sprintf("model.layers.%d.experts.%d.%s", i/2000, i/4%500, []string{"gate.weight", "up.weight", "down.weight", "norm"}[i%4]))
	}
	v := NewView()
	v.SetTree(NewTree(rows(paths...), nil), nil)
	for _, a := range []Arrangement{{Order: ByBytes, Desc: true}, {Order: ByName}, {Fold: true}} {
		b.Run(fmt.Sprint(a), func(b *testing.B) {
			for b.Loop() {
				v.Arrange(a, nil)
				v.Arrange(Arrangement{}, nil)
			}
		})
	}
	b.Run("select", func(b *testing.B) {
		for b.Loop() {
			v.SelectAll()
			v.Picked("")
			v.Selected(0)
		}
	})
}
