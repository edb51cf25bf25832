package statedict

import (
	"slices"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// lookupPath finds the value at a path of the object tree, as walk writes paths. A key with dots in it is one part, so
// several readings are possible: the longest key that leads somewhere wins.
func lookupPath(root pickle.Value, path string) (pickle.Value, bool) {
	steps, ok := resolvePath(root, path)
	if !ok {
		return nil, false
	}
	if len(steps) == 0 {
		return root, true
	}
	return steps[len(steps)-1].value, true
}

// pathStep is one step of a resolved path: where in parent the value stands.
type pathStep struct {
	parent pickle.Value
	pathItem
}

// pathItem is a value with the text that a path has for it: a key, or a position in brackets.
type pathItem struct {
	name  string
	value pickle.Value
	slot  slot
}

// slot is a place in a container: a position in one of its lists.
type slot struct {
	list slotList
	at   int
}

type slotList uint8

const (
	inItems slotList = iota
	inAttrs
	inArgs
	inKwargs
	inState
	wholeState // a state that is no dict stands at the object's own path
	inElems
)

// resolvePath tries the readings of path depth first, longest keys first.
func resolvePath(root pickle.Value, path string) ([]pathStep, bool) {
	if path == "" {
		return nil, true
	}
	type branch struct {
		steps []pathStep
		rest  string
	}
	type visit struct {
		at   pickle.Value
		rest int
	}
	seen := map[visit]bool{} // of containers only: a cycle must not be walked for every reading of a path
	open := []branch{{nil, path}}
	for len(open) > 0 {
		b := open[len(open)-1]
		open = open[:len(open)-1]
		if b.rest == "" {
			return b.steps, true
		}
		at := root
		if n := len(b.steps); n > 0 {
			at = b.steps[n-1].value
		}
		if !isContainer(at) || seen[visit{at, len(b.rest)}] {
			continue
		}
		seen[visit{at, len(b.rest)}] = true
		var next []branch
		for _, it := range pathItems(at) {
			if rest, ok := afterPart(b.rest, it); ok {
				next = append(next, branch{append(slices.Clip(b.steps), pathStep{at, it}), rest})
			}
		}
		slices.SortStableFunc(next, func(x, y branch) int { return len(y.rest) - len(x.rest) })
		open = append(open, next...)
	}
	return nil, false
}

// afterPart is what is left of path behind the part that leads to it.
func afterPart(path string, it pathItem) (string, bool) {
	if it.slot.list == wholeState {
		return path, true
	}
	rest, ok := strings.CutPrefix(path, it.name)
	switch {
	case !ok:
		return "", false
	case rest == "" || rest[0] == '[':
		return rest, true
	case rest[0] == '.' && len(rest) > 1:
		return rest[1:], true
	}
	return "", false
}

// pathItems lists what paths may lead to below v, in the order of walk.
func pathItems(v pickle.Value) []pathItem {
	var items []pathItem
	list := func(in slotList, values []pickle.Value) {
		for i, x := range values {
			items = append(items, pathItem{"[" + strconv.Itoa(i) + "]", x, slot{in, i}})
		}
	}
	pairs := func(in slotList, v pickle.Value) {
		if d, ok := v.(*pickle.Dict); ok {
			for i, it := range d.Items {
				if in != inAttrs || it.Key != "_metadata" {
					items = append(items, pathItem{pickle.PyStr(it.Key), it.Value, slot{in, i}})
				}
			}
		}
	}
	switch v := v.(type) {
	case *pickle.Dict:
		pairs(inItems, v)
		pairs(inAttrs, v.Attrs)
	case *pickle.List:
		list(inItems, v.Items)
	case *pickle.Tuple:
		list(inItems, v.Items)
	case *pickle.Set:
		list(inItems, v.Items)
	case *pickle.Object:
		if v.Args != nil {
			list(inArgs, v.Args.Items)
		}
		pairs(inKwargs, v.Kwargs)
		if _, ok := v.State.(*pickle.Dict); ok {
			pairs(inState, v.State)
		} else if v.HasState {
			items = append(items, pathItem{"", v.State, slot{wholeState, 0}})
		}
		pairs(inItems, &pickle.Dict{Items: v.Items})
		list(inElems, v.Elems)
	}
	return items
}

func isContainer(v pickle.Value) bool {
	switch v.(type) {
	case *pickle.Dict, *pickle.List, *pickle.Tuple, *pickle.Set, *pickle.Object:
		return true
	}
	return false
}

// without is a container less what stands in the given slots; ok is false where a slot is an argument that the object was
// made with.
func without(v pickle.Value, drop []slot) (less pickle.Value, ok bool) {
	gone := func(in slotList, i int) bool { return slices.Contains(drop, slot{in, i}) }
	pairs := func(in slotList, of []pickle.Item) []pickle.Item {
		kept := make([]pickle.Item, 0, len(of))
		for i, it := range of {
			if !gone(in, i) {
				kept = append(kept, it)
			}
		}
		return kept
	}
	values := func(in slotList, of []pickle.Value) []pickle.Value {
		kept := make([]pickle.Value, 0, len(of))
		for i, x := range of {
			if !gone(in, i) {
				kept = append(kept, x)
			}
		}
		return kept
	}
	dict := func(in slotList, v pickle.Value) pickle.Value {
		d, ok := v.(*pickle.Dict)
		if !ok {
			return v
		}
		n := *d
		n.Items = pairs(in, d.Items)
		return &n
	}
	for _, s := range drop {
		if s.list == inArgs || s.list == inKwargs || s.list == wholeState {
			return nil, false
		}
	}
	switch v := v.(type) {
	case *pickle.Dict:
		n := *v
		n.Items, n.Attrs = pairs(inItems, v.Items), dict(inAttrs, v.Attrs)
		return &n, true
	case *pickle.List:
		return &pickle.List{Items: values(inItems, v.Items)}, true
	case *pickle.Tuple:
		return &pickle.Tuple{Items: values(inItems, v.Items), Size: v.Size}, true
	case *pickle.Set:
		return &pickle.Set{Items: values(inItems, v.Items), Frozen: v.Frozen}, true
	case *pickle.Object:
		n := *v
		n.State, n.Items, n.Elems = dict(inState, v.State), pairs(inItems, v.Items), values(inElems, v.Elems)
		return &n, true
	}
	return v, true
}
