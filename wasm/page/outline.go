//go:build js

package page

import (
	"context"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

const (
	deepest  = 16 // levels that are nested; deeper ones stand at this one
	unfolded = 24 // values that a container may hold to be open at first
)

// drawGroup shows what the rows below a group amount to.
func (in *inspector) drawGroup(n *model.Node) (objects bool) {
	a, facts := in.app, find(in.el, ".facts")
	types := map[string]int{}
	var order []string
	v := a.tree.view
	run, last := 0, "" // of tensors of one type; most follow each other
	add := func() {
		if run == 0 {
			return
		}
		if types[last] == 0 {
			order = append(order, last)
		}
		types[last] += run
		run = 0
	}
	for i := v.Rows[v.Cursor] + 1; i < n.End; i++ {
		c := &v.Tree.Nodes[i]
		switch {
		case c.Kind == model.Object:
			objects = true
		case c.Kind == model.Tensor:
			if c.Type != last {
				add()
				last = c.Type
			}
			run++
		}
	}
	add()
	if n.Keys == 0 {
		return objects
	}
	in.fact(facts, "keys", count(int(n.Keys)))
	in.fact(facts, "parameters", model.Number(n.Numel))
	in.fact(facts, "size", a.text.Text("export.size.exact", "size", model.Bytes(n.NBytes), "bytes", model.Number(n.NBytes))+" · "+percent(n.NBytes, max(1, a.open.state.NBytes)))
	for _, typ := range order {
		in.fact(facts, "type", model.Visible(typ)+" · "+a.keys(types[typ]))
	}
	return objects
}

// readOutline shows the value at a path as a tree.
func (in *inspector) readOutline(ctx context.Context, turn int, path string) {
	a := in.app
	var got message.Outlined
	req := message.OutlineRequest{Handle: a.open.about.Handle, Recipe: a.open.recipe.Document(), Path: path}
	_, err := a.worker.do(ctx, message.Outline, req, &got, nil, nil)
	if turn != in.turn || in.failed(err) || len(got.Nodes) < 2 {
		return // a scalar is shown as text
	}
	box := find(in.el, ".outline")
	show(box, true)
	lists := []element{find(box, "ul")} // by level
	for i := range got.Nodes {
		n := &got.Nodes[i]
		level := min(n.Depth, deepest)
		lists = lists[:min(level+1, len(lists))]
		li := clone("t-outline")
		line := find(li, ".outline-line")
		in.drawOutlineLine(line, n)
		if n.Items > 0 && level < deepest {
			details, summary := textElement("details", ""), textElement("summary", "")
			inside := textElement("ul", "")
			summary.AppendChild(line)
			details.AppendChild(summary)
			details.AppendChild(inside)
			details.Set("open", n.Depth == 0 || n.Items <= unfolded)
			li.AppendChild(details)
			lists = append(lists, inside)
		}
		lists[level].AppendChild(li)
	}
	if got.More > 0 {
		lists[0].AppendChild(textElement("li", a.text.Text("change.more", "n", count(got.More))))
	}
	show(find(in.el, ".inspect-value"), false)
}

func (in *inspector) drawOutlineLine(line element, n *statedict.OutlineNode) {
	text := in.app.text
	if n.Depth > 0 {
		setText(find(line, ".outline-key"), in.app.shown(n.Key))
	}
	typ := n.Type
	switch {
	case n.Shape != nil:
		typ += " " + model.Shape(n.Shape)
	case n.Items > 0:
		typ += " · " + text.Count("outline.items", int64(n.Items), count(n.Items))
	}
	setText(find(line, ".outline-type"), model.Visible(typ))
	value := n.Value
	if n.Again {
		value = text.Text("outline.again", "path", n.Ref)
	}
	setText(find(line, ".outline-value"), model.Visible(value))
}
