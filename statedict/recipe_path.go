package statedict

import (
	"slices"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// lookupPath finds the value at a path of the object tree. A key with dots in it is one part, so several readings are
// possible: the longest key that leads somewhere wins.
func lookupPath(root pickle.Value, path string) (pickle.Value, bool) {
	steps, ok := resolvePath(root, path)
	if !ok {
		return nil, false
	}
	if len(steps) == 0 {
		return root, true
	}
	last := steps[len(steps)-1]
	return last.value, true
}

// pathStep is one step of a resolved path: position index of what parent lists, and what stands there.
type pathStep struct {
	parent pickle.Value
	index  int
	value  pickle.Value
}

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
		for i, it := range pathItems(at) {
			rest, ok := strings.CutPrefix(b.rest, it.name)
			if !ok || it.name == "" && rest != "" {
				continue
			}
			switch {
			case rest == "" || rest[0] == '[':
			case rest[0] == '.' && len(rest) > 1:
				rest = rest[1:]
			default:
				continue
			}
			next = append(next, branch{append(slices.Clip(b.steps), pathStep{at, i, it.value}), rest})
		}
		slices.SortStableFunc(next, func(x, y branch) int { return len(y.rest) - len(x.rest) })
		open = append(open, next...)
	}
	return nil, false
}

// pathItem is a value with the text that a path has for it: a key, or a position in brackets.
type pathItem struct {
	name  string
	value pickle.Value
}

// pathItems lists what paths may lead to below v, in the order of the tree.
func pathItems(v pickle.Value) []pathItem {
	var items []pathItem
	list := func(values []pickle.Value) {
		for i, x := range values {
			items = append(items, pathItem{"[" + strconv.Itoa(i) + "]", x})
		}
	}
	pairs := func(of []pickle.Item) {
		for _, it := range of {
			name, ok := it.Key.(string)
			if !ok {
				name = pickle.PyStr(it.Key)
			}
			items = append(items, pathItem{name, it.Value})
		}
	}
	switch v := v.(type) {
	case *pickle.Dict:
		pairs(v.Items)
	case *pickle.List:
		list(v.Items)
	case *pickle.Tuple:
		list(v.Items)
	case *pickle.Set:
		list(v.Items)
	case *pickle.Object:
		if state, ok := v.State.(*pickle.Dict); ok {
			pairs(state.Items)
		}
		pairs(v.Items)
		list(v.Elems)
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
