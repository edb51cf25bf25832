package model

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/wasm/message"
)

// Query decides which leaves a search lets through. All its words must hold:
//
//	text           occurs in the path, ignoring ASCII case
//	a.*.weight     a glob over dotted parts of the whole path
//	re:EXPR        a regular expression; it takes the rest of the query, blanks included
//	dtype:float32  the dtype or Python type, which may be a glob
//	shape:[*,768]  the shape: * for any one size, ** for any run of them; without blanks
//	size:>10MB     the bytes; also <, >=, <=, =, and kB, MB, GB, KiB, MiB, GiB
//	tied:          shares its bytes with another key
//	changed:       is new, or has another dtype or shape than in the file
type Query struct {
	tests []func(*Node) bool
	words []string // plain words, lower case
	re    *regexp.Regexp
}

// ParseQuery reads a query; nil for an empty one. base answers what changed: looks a path up in.
func ParseQuery(text string, base func(path string) *message.Row) (*Query, error) {
	q := &Query{}
	text = strings.TrimSpace(text)
	for text != "" {
		if expr, ok := strings.CutPrefix(text, "re:"); ok {
			re, err := regexp.Compile(expr)
			if err != nil {
				return nil, err
			}
			q.re = re
			q.tests = append(q.tests, func(n *Node) bool { return re.MatchString(n.Path) })
			break
		}
		word := strings.Fields(text)[0]
		text = strings.TrimSpace(text[len(word):])
		test, err := q.word(word, base)
		if err != nil {
			return nil, err
		}
		q.tests = append(q.tests, test)
	}
	if len(q.tests) == 0 {
		return nil, nil
	}
	return q, nil
}

func (q *Query) word(word string, base func(string) *message.Row) (func(*Node) bool, error) {
	name, arg, _ := strings.Cut(word, ":")
	switch name {
	case word: // no colon
	case "dtype":
		if _, err := path.Match(arg, ""); err != nil {
			return nil, err
		}
		return func(n *Node) bool { ok, _ := path.Match(arg, n.Type); return ok }, nil
	case "shape":
		return shapeTest(arg)
	case "size":
		return sizeTest(arg)
	case "tied":
		return func(n *Node) bool { return n.Row.Flags&message.Tied != 0 }, nil
	case "changed":
		return func(n *Node) bool { return changed(base(n.Path), n.Row) }, nil
	}
	if strings.ContainsAny(word, "*?") {
		re, err := regexp.Compile(globExpr(word))
		if err != nil {
			return nil, err
		}
		return func(n *Node) bool { return re.MatchString(n.Path) }, nil
	}
	q.words = append(q.words, word)
	return func(n *Node) bool { return containsFold(n.Path, word) }, nil
}

// Match tells whether a leaf is let through.
func (q *Query) Match(n *Node) bool {
	for _, t := range q.tests {
		if !t(n) {
			return false
		}
	}
	return true
}

// Spans are the parts of a name that the query names: start and end in bytes, in order, none overlapping another.
func (q *Query) Spans(name string) (out [][2]int) {
	if q == nil {
		return nil
	}
	for i := 0; i < len(name); {
		end := i
		for _, w := range q.words {
			if hasFoldPrefix(name[i:], w) {
				end = max(end, i+len(w))
			}
		}
		if end > i {
			out = append(out, [2]int{i, end})
			i = end
			continue
		}
		i++
	}
	if len(out) == 0 && q.re != nil {
		for _, m := range q.re.FindAllStringIndex(name, 16) {
			if m[1] > m[0] {
				out = append(out, [2]int{m[0], m[1]})
			}
		}
	}
	return out
}

func changed(was, is *message.Row) bool {
	if was == nil || was.Kind != is.Kind || was.Type != is.Type || was.Value != is.Value || len(was.Shape) != len(is.Shape) {
		return true
	}
	for i := range is.Shape {
		if was.Shape[i] != is.Shape[i] {
			return true
		}
	}
	return false
}

func shapeTest(arg string) (func(*Node) bool, error) {
	inner, ok := strings.CutPrefix(arg, "[")
	if ok {
		inner, ok = strings.CutSuffix(inner, "]")
	}
	if !ok {
		return nil, fmt.Errorf("shape: wants [sizes], as in shape:[*,768]")
	}
	var want []int64
	const one, run = -1, -2
	if inner != "" {
		for _, s := range strings.Split(inner, ",") {
			switch s {
			case "*":
				want = append(want, one)
			case "**":
				want = append(want, run)
			default:
				n, err := strconv.ParseUint(s, 10, 62)
				if err != nil {
					return nil, fmt.Errorf("shape: %q is no size", s)
				}
				want = append(want, int64(n))
			}
		}
	}
	return func(n *Node) bool {
		if n.Kind != Tensor {
			return false
		}
		// The classic two-finger walk: on a mismatch the last run takes one more size.
		shape := n.Row.Shape
		i, j, star, mark := 0, 0, -1, 0
		for i < len(shape) {
			switch {
			case j < len(want) && want[j] == run:
				star, mark = j, i
				j++
			case j < len(want) && (want[j] == one || want[j] == shape[i]):
				i, j = i+1, j+1
			case star >= 0:
				mark++
				i, j = mark, star+1
			default:
				return false
			}
		}
		for j < len(want) && want[j] == run {
			j++
		}
		return j == len(want)
	}, nil
}

func sizeTest(arg string) (func(*Node) bool, error) {
	op := arg[:len(arg)-len(strings.TrimLeft(arg, "<>="))]
	number := strings.ToLower(arg[len(op):])
	scale := 1.0
	for _, u := range []struct {
		name string
		size float64
	}{{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12}, {"b", 1}} {
		if s, ok := strings.CutSuffix(number, u.name); ok {
			number, scale = s, u.size
			break
		}
	}
	x, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || x < 0 {
		return nil, fmt.Errorf("size: wants a number of bytes, as in size:>10MB")
	}
	x *= scale
	tests := map[string]func(float64) bool{
		">": func(n float64) bool { return n > x }, "<": func(n float64) bool { return n < x }, "=": func(n float64) bool { return n == x },
		">=": func(n float64) bool { return n >= x }, "<=": func(n float64) bool { return n <= x }, "": func(n float64) bool { return n >= x },
	}
	test := tests[op]
	if test == nil {
		return nil, fmt.Errorf("size: %q is no comparison", op)
	}
	return func(n *Node) bool { return n.Kind == Tensor && test(float64(n.NBytes)) }, nil
}

// Next puts the cursor on the next leaf (by +1) or the one before (by -1), around the end; false when there is none.
func (v *View) Next(by int) bool {
	for k := 1; k <= len(v.Rows); k++ {
		i := ((v.Cursor+by*k)%len(v.Rows) + len(v.Rows)) % len(v.Rows)
		if v.Tree.Nodes[v.Rows[i]].Kind != Group {
			v.Cursor = i
			return true
		}
	}
	return false
}

// Spans are the parts of a name that the filter names.
func (v *View) Spans(name string) [][2]int { return v.search.Spans(name) }

// SetBase tells what the file had before the recipe, for changed:.
func (v *View) SetBase(rows []message.Row) { v.baseRows, v.base = rows, nil }

func (v *View) was(path string) *message.Row {
	v.indexBase(nil)
	return v.base[path]
}

// indexBase makes ready what was asks.
func (v *View) indexBase(breathe Breathe) {
	if v.base != nil {
		return
	}
	rows := v.baseRows
	base := make(map[string]*message.Row, len(rows))
	for i := range rows {
		breathe.at(i)
		base[rows[i].Path] = &rows[i]
	}
	if v.base == nil && len(rows) == len(v.baseRows) && (len(rows) == 0 || &rows[0] == &v.baseRows[0]) {
		v.base = base
	}
}
