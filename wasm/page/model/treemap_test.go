package model

import (
	"fmt"
	"math"
	"testing"

	"github.com/weightroom/weightroom/wasm/message"
)

func sized(path string, n int64) message.Row {
	return message.Row{Path: path, Type: "float32", Shape: []int64{n / 4}, NBytes: n, Storage: 0}
}

// checkBoxes sees that the boxes inside one box fill it as their bytes say, without overlap, and that all bytes are there.
func checkBoxes(t *testing.T, tree *Tree, boxes []Box, width, height float64) {
	t.Helper()
	inside := map[int32][]Box{}
	for i, b := range boxes {
		if b.Parent >= int32(i) {
			t.Fatalf("box %d stands before the one around it", i)
		}
		inside[b.Parent] = append(inside[b.Parent], b)
	}
	for parent, kids := range inside {
		r := rect{0, 0, width, height}
		var want int64
		if parent < 0 {
			for i := int32(0); i < int32(len(tree.Nodes)); i = tree.Nodes[i].End {
				want += tree.Nodes[i].NBytes
			}
		} else {
			b := boxes[parent]
			r, want = rect{b.X + mapEdge, b.Y + mapHead, b.W - 2*mapEdge, b.H - mapHead - mapEdge}, b.NBytes
		}
		var sum int64
		for i, b := range kids {
			sum += b.NBytes
			if area, share := b.W*b.H, r.w*r.h*float64(b.NBytes)/float64(want); math.Abs(area-share) > 1e-6*share+1e-6 {
				t.Errorf("%d of %d bytes have %g of %g square pixels", b.NBytes, want, area, r.w*r.h)
			}
			if b.X < r.x-1e-6 || b.Y < r.y-1e-6 || b.X+b.W > r.x+r.w+1e-6 || b.Y+b.H > r.y+r.h+1e-6 {
				t.Errorf("%+v leaves %+v", b, r)
			}
			for _, o := range kids[:i] {
				if w, h := min(b.X+b.W, o.X+o.W)-max(b.X, o.X), min(b.Y+b.H, o.Y+o.H)-max(b.Y, o.Y); w > 1e-6 && h > 1e-6 {
					t.Errorf("%+v and %+v overlap", b, o)
				}
			}
		}
		if sum != want {
			t.Errorf("%d of %d bytes have boxes", sum, want)
		}
	}
}

func TestTreemap(t *testing.T) {
	var rows []message.Row
	for l := range 12 {
		for _, part := range []struct {
			name string
			size int64
		}{{"attn.q.weight", 4 << 20}, {"attn.q.bias", 4 << 10}, {"mlp.up.weight", 16 << 20}, {"norm.weight", 4 << 10}, {"none", 0}} {
			rows = append(rows, sized(fmt.Sprintf("model.layers.%d.%s", l, part.name), part.size))
		}
	}
	rows = append(rows, sized("embed", 100<<20), sized("head", 1))
	tree := NewTree(rows, nil)
	for _, size := range [][2]float64{{900, 400}, {366, 240}, {40, 900}, {3, 3}} {
		for _, limit := range []int{5, 60, 400} {
			boxes := Treemap(tree, -1, size[0], size[1], limit)
			checkBoxes(t, tree, boxes, size[0], size[1])
			open := 0
			for _, b := range boxes {
				if b.Open {
					open++
				}
			}
			if len(boxes) > limit+open+1 {
				t.Errorf("%d boxes, %d wanted", len(boxes), limit)
			}
		}
	}
	boxes := Treemap(tree, -1, 900, 400, 400)
	if n := tree.Nodes[boxes[0].Node]; n.Path != "model.layers" || !boxes[0].Open {
		t.Errorf("the largest box is %q: a chain of groups is one box", n.Path)
	}
	// A part of the tree: one of the layers.
	layer := tree.Find("model.layers.3", Group)
	part := Treemap(tree, layer, 500, 300, 400)
	for _, b := range part {
		if n := tree.Nodes[b.Node]; b.Node < layer || b.Node >= tree.Nodes[layer].End {
			t.Errorf("%q is no part of the layer", n.Path)
		}
	}
	if got := Treemap(NewTree(nil, nil), -1, 100, 100, 10); len(got) != 0 {
		t.Errorf("an empty tree has %+v", got)
	}
}

// A flat file of very many keys stays bounded.
func TestTreemapFlat(t *testing.T) {
	rows := make([]message.Row, 200_000)
	for i := range rows {
		rows[i] = sized(fmt.Sprintf("key%d", i), int64(4+i%7))
	}
	tree := NewTree(rows, nil)
	boxes := Treemap(tree, -1, 900, 400, 400)
	checkBoxes(t, tree, boxes, 900, 400)
	if len(boxes) > 401 || boxes[len(boxes)-1].Rest == 0 {
		t.Errorf("%d boxes, the last %+v", len(boxes), boxes[len(boxes)-1])
	}
}

// Boxes come out near squares where sizes allow it.
func TestSquarify(t *testing.T) {
	// The example of the paper: areas 6 6 4 3 2 2 1 in 6 by 4.
	got := squarify([]float64{6, 6, 4, 3, 2, 2, 1}, rect{0, 0, 6, 4})
	worst := 0.0
	for _, r := range got {
		worst = max(worst, r.w/r.h, r.h/r.w)
	}
	if len(got) != 7 || got[0].w != 3 || got[0].h != 2 || worst > 2.8 {
		t.Errorf("%+v, the worst is 1:%g", got, worst)
	}
}
