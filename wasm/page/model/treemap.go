package model

import (
	"container/heap"
	"math"
	"slices"
)

// Box is a rectangle of a treemap, in CSS pixels from its top left corner.
type Box struct {
	Node       int32 // of the tree; of a rest the group it belongs to
	Rest       int32 // how many small children a rest stands for; 0 for the box of a node
	NBytes     int64
	Parent     int32 // the box around it, -1 for none
	Depth      int32 // 1 for the outermost boxes
	Open       bool  // its children have boxes
	X, Y, W, H float64
}

const (
	mapHead   = 18.0 // the line above the children of a box
	mapEdge   = 2.0  // around the children
	mapLeast  = 24.0 // square pixels: what would be smaller goes into the rest of its group
	mapOpenAt = 44.0 // pixels on each side: smaller boxes stay closed
)

// Treemap lays the tensors below node root out in a rectangle, -1 being the whole tree: every group a box with its children inside,
// larger ones first. Within one box, areas are as the bytes. At most limit boxes are made, and one more for the rest of a group; the
// largest groups are opened first. A box stands behind the one around it. A group with one child has no box of its own.
func Treemap(t *Tree, root int32, width, height float64, limit int) []Box {
	m := &treemap{t: t, limit: limit}
	m.fill(root, -1, rect{0, 0, width, height})
	for len(m.queue) > 0 && len(m.boxes) < limit {
		i := heap.Pop(m).(int32)
		b := &m.boxes[i]
		b.Open = true
		m.fill(b.Node, i, rect{b.X + mapEdge, b.Y + mapHead, b.W - 2*mapEdge, b.H - mapHead - mapEdge})
	}
	return m.boxes
}

type rect struct{ x, y, w, h float64 }

type treemap struct {
	t     *Tree
	limit int
	boxes []Box
	queue []int32 // boxes that may be opened, the largest first
}

func (m *treemap) Len() int           { return len(m.queue) }
func (m *treemap) Less(i, j int) bool { return m.area(m.queue[i]) > m.area(m.queue[j]) }
func (m *treemap) Swap(i, j int)      { m.queue[i], m.queue[j] = m.queue[j], m.queue[i] }
func (m *treemap) Push(x any)         { m.queue = append(m.queue, x.(int32)) }
func (m *treemap) Pop() any {
	last := m.queue[len(m.queue)-1]
	m.queue = m.queue[:len(m.queue)-1]
	return last
}

func (m *treemap) area(box int32) float64 { return m.boxes[box].W * m.boxes[box].H }

// children are those of a node that have bytes, the largest first.
func (m *treemap) children(node int32) (out []int32, sum int64) {
	from, end := int32(0), int32(len(m.t.Nodes))
	if node >= 0 {
		from, end = node+1, m.t.Nodes[node].End
	}
	for i := from; i < end; i = m.t.Nodes[i].End {
		if n := m.t.Nodes[i].NBytes; n > 0 {
			out = append(out, i)
			sum += n
		}
	}
	slices.SortStableFunc(out, func(a, b int32) int {
		switch x, y := m.t.Nodes[a].NBytes, m.t.Nodes[b].NBytes; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return out, sum
}

// inner is the last node of a chain of groups with one child each.
func (m *treemap) inner(node int32) int32 {
	for m.t.Nodes[node].Kind == Group {
		kids, _ := m.children(node)
		if len(kids) != 1 {
			break
		}
		node = kids[0]
	}
	return node
}

// fill gives the children of a node their boxes inside r.
func (m *treemap) fill(node, parent int32, r rect) {
	kids, sum := m.children(node)
	if len(kids) == 0 || r.w <= 0 || r.h <= 0 {
		return
	}
	depth := int32(1)
	if parent >= 0 {
		depth = m.boxes[parent].Depth + 1
	}
	scale := r.w * r.h / float64(sum)
	shown := min(len(kids), m.limit-len(m.boxes))
	for shown > 0 && float64(m.t.Nodes[kids[shown-1]].NBytes)*scale < mapLeast {
		shown--
	}
	var areas []float64
	first, left := len(m.boxes), sum
	for _, k := range kids[:shown] {
		n := m.t.Nodes[k].NBytes
		left -= n
		areas = append(areas, float64(n)*scale)
		m.boxes = append(m.boxes, Box{Node: m.inner(k), NBytes: n, Parent: parent, Depth: depth})
	}
	if left > 0 {
		areas = append(areas, float64(left)*scale)
		m.boxes = append(m.boxes, Box{Node: node, Rest: int32(len(kids) - shown), NBytes: left, Parent: parent, Depth: depth})
	}
	for i, place := range squarify(areas, r) {
		b := &m.boxes[first+i]
		b.X, b.Y, b.W, b.H = place.x, place.y, place.w, place.h
		if b.Rest == 0 && m.t.Nodes[b.Node].Kind == Group && b.W >= mapOpenAt && b.H >= mapOpenAt {
			heap.Push(m, int32(first+i))
		}
	}
}

// squarify divides r into rectangles of these areas, which add up to that of r, as square as it can without changing their order:
// rows along the shorter side take areas for as long as that makes their worst proportion better.
//
// Source: Bruls, Huizing, van Wijk, "Squarified Treemaps", 2000.
func squarify(areas []float64, r rect) []rect {
	out := make([]rect, 0, len(areas))
	for len(areas) > 0 {
		side := min(r.w, r.h)
		n, sum, worst := 0, 0.0, math.Inf(1)
		high, low := 0.0, math.Inf(1)
		for n < len(areas) {
			a := areas[n]
			s, hi, lo := sum+a, max(high, a), min(low, a)
			next := max(side*side*hi/(s*s), s*s/(side*side*lo))
			if next > worst {
				break
			}
			n, sum, worst, high, low = n+1, s, next, hi, lo
		}
		n = max(n, 1) // areas that are no numbers at all
		thick := sum / max(side, math.SmallestNonzeroFloat64)
		if n == len(areas) {
			thick = max(r.w, r.h)
		}
		at := 0.0
		for i, a := range areas[:n] {
			long := a / max(thick, math.SmallestNonzeroFloat64)
			if i == n-1 {
				long = side - at // what rounding left
			}
			if r.w >= r.h {
				out = append(out, rect{r.x, r.y + at, thick, long})
			} else {
				out = append(out, rect{r.x + at, r.y, long, thick})
			}
			at += long
		}
		if r.w >= r.h {
			r.x, r.w = r.x+thick, r.w-thick
		} else {
			r.y, r.h = r.y+thick, r.h-thick
		}
		areas = areas[n:]
	}
	return out
}
