//go:build js

package page

import (
	"strings"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/page/model"
)

// diffLine is a line of the table of differences, with the path that its key has in the open file, or would have.
type diffLine struct {
	path   string
	here   bool // the open file has it
	marked bool
	el     element
}

// markDiff marks the lines of what the cursor of the tree is on, the key or all below the group, and scrolls to the first one
// where the cursor has moved on to others.
func (a *app) markDiff() {
	if a.diff.with == nil {
		return
	}
	on := func(string) bool { return false }
	if n := a.tree.view.Current(); n != nil && a.tree.touched && n.Blocks == 0 {
		on = func(path string) bool { return path == n.Path }
		if n.Kind == model.Group {
			on = func(path string) bool {
				return strings.HasPrefix(path, n.Path) && strings.IndexByte(".[", (path + " ")[len(n.Path)]) >= 0
			}
		}
	}
	first := -1
	moved := false
	for i := range a.diff.lines {
		l := &a.diff.lines[i]
		marked := on(l.path)
		if marked && first < 0 {
			first = i
		}
		if marked != l.marked {
			l.marked, moved = marked, true
			l.el.Get("classList").Call("toggle", "marked", marked)
			l.el.SetAttribute("aria-current", map[bool]string{true: "true", false: "false"}[marked])
		}
	}
	if moved && first >= 0 {
		a.diff.lines[first].el.Call("scrollIntoView", map[string]any{"block": "nearest"})
	}
}

// keyDiff goes to the next or previous key of the table that the open file has.
func (a *app) keyDiff(ev js.Value) {
	by := map[string]int{"ArrowUp": -1, "ArrowDown": 1}[ev.Get("key").String()]
	tr := ev.Get("target").Call("closest", "tr")
	if by == 0 || tr.IsNull() {
		return
	}
	ev.Call("preventDefault")
	at := 0
	for i := range a.diff.lines {
		if a.diff.lines[i].el.Underlying().Equal(tr) {
			at = i
		}
	}
	for at += by; at >= 0 && at < len(a.diff.lines); at += by {
		if l := &a.diff.lines[at]; l.here {
			find(l.el, ".diff-key").Focus()
			a.goTo(l.path)
			return
		}
	}
}
