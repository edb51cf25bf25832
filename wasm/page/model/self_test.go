package model

import (
	"fmt"
	"testing"
)

// An object of a class stands on one row with what is in it, whichever comes first, and goes with it into a selection.
func TestObjectWithContents(t *testing.T) {
	r := rows("net.conv.w", "a", "=net", "=net.conv", "=net.training", "=cfg", "=cfg.lr", "=cfg.opt", "=cfg.opt[0]", "=plain", "=plainer.x")
	for i, class := range map[int]string{2: "acme.Net", 3: "acme.Conv", 5: "acme.Cfg", 7: "acme.Opt"} {
		r[i].Type = class
	}
	v := NewView()
	v.SetTree(NewTree(r, nil), nil)
	v.SetAll(0, int32(len(v.Tree.Nodes)), true)
	check(t, "one row each", draw(v), `
>net (1 keys, 24 bytes, "float32")
   conv (1 keys, 24 bytes, "float32")
     w
   training
 a
 cfg (0 keys, 0 bytes, "")
   lr
   opt (0 keys, 0 bytes, "")
     [0]
 plain
 plainer (0 keys, 0 bytes, "")
   x`)
	for path, class := range map[string]string{"net": "acme.Net", "net.conv": "acme.Conv", "cfg": "acme.Cfg", "cfg.opt": "acme.Opt", "plainer": ""} {
		n := v.Tree.Find(path, Group)
		if n < 0 || v.Tree.Nodes[n].class() != class {
			t.Errorf("%s: group %d of the wrong class", path, n)
		}
		if o := v.Tree.Find(path, Object); (o == n) != (class != "") {
			t.Errorf("%s: found as object %d, as group %d", path, o, n)
		}
	}
	choose(t, v, "cfg/")
	if p := v.Picked(""); len(p.Objects) != 1 || p.Objects[0] != "cfg" {
		t.Errorf("objects %q", p.Objects)
	}
	// A search finds the object by its class, and nothing of what is in it.
	v.Deselect()
	if err := v.Filter("dtype:acme.*", nil); err != nil {
		t.Fatal(err)
	}
	if v.Matches != 4 {
		t.Errorf("%d objects of a class", v.Matches)
	}
	check(t, "filtered", draw(v), `
 net (1 keys, 24 bytes, "float32")
   conv (1 keys, 24 bytes, "float32")
>cfg (0 keys, 0 bytes, "")
   opt (0 keys, 0 bytes, "")`)
	if err := v.Filter("", nil); err != nil {
		t.Fatal(err)
	}
	if v.Matches != len(r) {
		t.Errorf("%d of %d rows match nothing", v.Matches, len(r))
	}
	// Another recipe leaves the rows in another order and number; what is selected stays.
	choose(t, v, "cfg/")
	v.SetTree(NewTree(append(r[:1:1], r[4:]...), nil), nil)
	if p := v.Picked(""); len(p.Objects) != 1 || p.Objects[0] != "cfg" {
		t.Errorf("objects after an edit %q", p.Objects)
	}
}

// More children than are looked through one by one.
func TestObjectAmongMany(t *testing.T) {
	var paths []string
	for i := range 3 * few {
		paths = append(paths, fmt.Sprint("=x", i), fmt.Sprint("=x", i, ".in"))
	}
	tree := NewTree(rows(append(paths, "=x0.more")...), nil)
	if n := len(tree.Nodes); n != 6*few+1 {
		t.Errorf("%d nodes", n)
	}
	if n := tree.Nodes[0]; n.Kind != Group || n.Self == nil || n.End != 3 || tree.Nodes[n.End].Path != "x1" {
		t.Errorf("the first is %+v", n)
	}
}

func TestShortType(t *testing.T) {
	for full, want := range map[string]string{"int": "int", "posix.system": "posix.system", "torch.nn.modules.linear.Linear": "Linear", "": ""} {
		if got := ShortType(full); got != want {
			t.Errorf("%q for %q, want %q", got, full, want)
		}
	}
}
