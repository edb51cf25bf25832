package model

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/wasm/message"
)

// marks writes the rows on show with how much of each is selected: # all, + some.
func marks(v *View) string {
	var b strings.Builder
	for _, i := range v.Rows {
		n := &v.Tree.Nodes[i]
		fmt.Fprintf(&b, "%s%s%s ", n.Path, map[bool]string{true: "/"}[n.Kind == Group], []string{"", "+", "#"}[v.Selected(i)])
	}
	return b.String()
}

func selected(v *View) string {
	var out []string
	v.EachSelected(func(r *message.Row) bool {
		out = append(out, r.Path)
		return true
	})
	return strings.Join(out, " ")
}

func TestSelection(t *testing.T) {
	v := NewView()
	v.SetTree(NewTree(rows("a.x", "a.y", "fc.w", "c.x.p", "c.x.q", "=epoch"), nil), nil)
	at := func(path string) {
		t.Helper()
		for i, n := range v.Rows {
			if v.Tree.Nodes[n].Path == path {
				v.Cursor = i
				return
			}
		}
		t.Fatalf("no row %s", path)
	}
	at("fc.w")
	v.SelectCursor()
	check(t, "one key", marks(v), "a/ a.x a.y fc/+ fc.w# c/ c.x/ c.x.p c.x.q epoch")
	at("a")
	v.SelectCursor()
	check(t, "a group", marks(v), "a/# a.x# a.y# fc/ fc.w c/ c.x/ c.x.p c.x.q epoch")
	at("c.x.q")
	v.ToggleCursor()
	at("a.x")
	v.ToggleCursor()
	check(t, "toggled", marks(v), "a/+ a.x a.y# fc/ fc.w c/+ c.x/+ c.x.p c.x.q# epoch")
	at("c.x.p")
	v.SelectRange()
	check(t, "a range ends inside a group", marks(v), "a/+ a.x# a.y# fc/# fc.w# c/+ c.x/+ c.x.p# c.x.q epoch")
	at("c.x.q")
	v.SelectRange()
	check(t, "and at its end", marks(v), "a/+ a.x# a.y# fc/# fc.w# c/# c.x/# c.x.p# c.x.q# epoch")
	v.SelectAll()
	check(t, "all", marks(v), "a/# a.x# a.y# fc/# fc.w# c/# c.x/# c.x.p# c.x.q# epoch#")
	at("c")
	v.SelectCursor()
	v.Left()
	check(t, "a closed group", selected(v), "c.x.p c.x.q")

	// Under a filter a group stands for what is on show of it; without the filter a part of the group is left.
	v.Filter("x", nil)
	at("a")
	v.SelectCursor()
	check(t, "filtered", marks(v), "a/# a.x# c/ c.x/ c.x.p c.x.q")
	v.Filter("", nil)
	check(t, "and not", marks(v), "a/+ a.x# a.y fc/ fc.w c/ epoch")

	// After an edit what is left of it stays selected.
	v.SelectAll()
	v.SetTree(NewTree(rows("new", "c.x.q", "=epoch", "a.z"), nil), nil)
	check(t, "after an edit", selected(v), "c.x.q epoch")
	v.Deselect()
	check(t, "nothing", selected(v), "")
	v.SetTree(NewTree(nil, nil), nil)
	v.SelectCursor()
	v.ToggleCursor()
	v.SelectRange()
	v.SelectAll()
}

func TestPinned(t *testing.T) {
	v := NewView()
	v.SetTree(NewTree(rows("a.b.c.d.x", "a.b.c.d.y", "a.b.z", "last"), nil), nil)
	want := []string{"", "a.b a.b.c a.b.c.d", "a.b a.b.c a.b.c.d", "a a.b", "a a.b", "", "", "", ""}
	for top, want := range want {
		var got []string
		for _, i := range v.Pinned(top, 3) {
			got = append(got, v.Tree.Nodes[i].Path)
		}
		check(t, fmt.Sprint("row ", top, " on top"), strings.Join(got, " "), want)
	}
	if got := v.Pinned(2, 0); got != nil {
		t.Errorf("none are allowed, %v come", got)
	}
}
