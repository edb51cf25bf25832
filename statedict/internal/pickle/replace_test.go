package pickle

import "testing"

func TestReplaceCopiesOnlyTheWay(t *testing.T) {
	inner := &Dict{Items: []Item{{"w", int64(1)}}}
	shared := &List{Items: []Value{"x"}}
	holder := &List{Items: []Value{inner, shared}}
	root := &Dict{Items: []Item{{"a", holder}, {"b", holder}, {"c", shared}, {"t", &Tuple{Items: []Value{inner}}}}}
	fresh := &Dict{Items: []Item{{"v", int64(2)}}}

	got := ReplaceNodes(root, map[Value]Value{inner: fresh}).(*Dict)
	if got == root {
		t.Fatal("the root is the old one")
	}
	a := got.Items[0].Value.(*List)
	if a == holder || a != got.Items[1].Value {
		t.Error("a list that is reached twice is to be copied once")
	}
	if a.Items[0] != Value(fresh) || a.Items[1] != Value(shared) || got.Items[2].Value != Value(shared) {
		t.Error("want the new dict, and the list beside it as it was")
	}
	if got.Items[3].Value.(*Tuple).Items[0] != Value(fresh) {
		t.Error("the tuple holds the old dict")
	}
	if holder.Items[0] != Value(inner) || root.Items[0].Value != Value(holder) {
		t.Error("the old tree has changed")
	}
}

func TestReplaceInCyclesAndStandIns(t *testing.T) {
	inner := &Dict{}
	loop := &List{}
	root := &Dict{Items: []Item{{"loop", loop}, {"inner", inner}}}
	loop.Items = []Value{loop, root}
	fresh := &Dict{Items: []Item{{"new", true}}}
	got := ReplaceNodes(root, map[Value]Value{inner: fresh}).(*Dict)
	l := got.Items[0].Value.(*List)
	if l == loop || l.Items[0] != Value(l) || l.Items[1] != Value(got) {
		t.Error("the cycle does not close in the new tree")
	}

	// a dict that is replaced inside the stand-in of another
	outer := &Dict{Items: []Item{{"inner", inner}, {"gone", int64(1)}}}
	slim := &Dict{Items: outer.Items[:1]}
	got = ReplaceNodes(outer, map[Value]Value{outer: slim, inner: fresh}).(*Dict)
	if len(got.Items) != 1 || got.Items[0].Value != Value(fresh) {
		t.Error("want the stand-in with the other stand-in in it")
	}
	if slim.Items[0].Value != Value(inner) {
		t.Error("the stand-in itself has changed")
	}
	if ReplaceNodes(root, map[Value]Value{&Dict{}: fresh}) != Value(root) {
		t.Error("nothing to replace: want the old root")
	}
	attrs := &Dict{Class: &Global{"collections", "OrderedDict"}, Attrs: &Dict{Items: []Item{{"_metadata", inner}}}}
	got = ReplaceNodes(attrs, map[Value]Value{inner: fresh}).(*Dict)
	if got.Attrs.(*Dict).Items[0].Value != Value(fresh) || got.Class != attrs.Class {
		t.Error("the attributes hold the old dict")
	}
}
