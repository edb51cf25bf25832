package statedict

import (
	"maps"
	"slices"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// DropObjects removes values from the object tree, by path from the root: `optimizer`, `callbacks[0].state`.
type DropObjects struct {
	Paths    []string `recipe:"paths,required,bare"`
	Optional bool     `recipe:"optional"`
}

// SetMetadata sets entries of the string map that safetensors files have; pairs of name and text.
type SetMetadata struct {
	Values   [][2]string `recipe:"-"`
	Optional bool        `recipe:"optional"`
}

func (*DropObjects) Name() string { return "drop_objects" }
func (*SetMetadata) Name() string { return "set_metadata" }

func (o *DropObjects) optional() bool { return o.Optional }
func (o *SetMetadata) optional() bool { return o.Optional }

func (o *DropObjects) apply(e *edit, r *OpReport) (int, error) {
	e.flush()
	gone := map[pickle.Value][]slot{} // of containers
	var missing []string
	for _, path := range o.Paths {
		steps, ok := resolvePath(e.root, path)
		if !ok || len(steps) == 0 {
			missing = append(missing, path)
			continue
		}
		last := steps[len(steps)-1]
		if e.anchor != nil && reaches(last.value, e.anchor) {
			return 0, e.fail("this holds the mapping that the recipe works on:", "name another mapping with at, or extract what you need first", path)
		}
		if !slices.Contains(gone[last.parent], last.slot) {
			gone[last.parent] = append(gone[last.parent], last.slot)
			r.Touched = append(r.Touched, path)
		}
	}
	if len(r.Touched) == 0 {
		return 0, nil
	}
	if missing != nil && !o.Optional {
		e.warn("drop_objects: not in the file:%s", quotedList(missing))
	}
	e.report.DroppedObjects = append(e.report.DroppedObjects, r.Touched...)
	swaps := make(map[pickle.Value]pickle.Value, len(gone))
	for parent, drop := range gone {
		if parent == e.anchor {
			i := -1
			e.keep(func(*row) bool { i++; return !slices.Contains(drop, slot{inItems, i}) })
			continue
		}
		less, ok := without(parent, drop)
		if !ok {
			return 0, e.fail("an object is made with one of these, so it cannot be dropped:", "drop the whole object", r.Touched...)
		}
		swaps[parent] = less
	}
	if len(swaps) > 0 {
		e.flush()
		e.replace(swaps)
	}
	return len(r.Touched), nil
}

func (o *SetMetadata) apply(e *edit, r *OpReport) (int, error) {
	e.metadata, e.metadataKeys = maps.Clone(e.metadata), slices.Clone(e.metadataKeys)
	if e.metadata == nil {
		e.metadata = map[string]string{}
	}
	e.described = len(o.Values) > 0
	for _, kv := range o.Values {
		if _, ok := e.metadata[kv[0]]; !ok {
			e.metadataKeys = append(e.metadataKeys, kv[0])
		}
		e.metadata[kv[0]] = kv[1]
		r.Touched = append(r.Touched, kv[0])
	}
	return len(o.Values), nil
}

// reaches tells whether target is v or somewhere below it.
func reaches(v, target pickle.Value) bool {
	found := false
	eachNode(v, nil, func(x pickle.Value) { found = found || x == target })
	return found
}

// eachNode calls f for the nodes at v and below, parents first, storages and the parts of tensors included, but not for skip
// and what is only below that. Containers are walked once; a tensor or storage comes as often as something refers to it.
func eachNode(v, skip pickle.Value, f func(pickle.Value)) {
	seen := map[pickle.Value]struct{}{}
	if skip != nil {
		seen[skip] = struct{}{}
	}
	todo := []pickle.Value{v}
	for len(todo) > 0 {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		switch n := v.(type) {
		case *pickle.Storage:
			f(n)
			if n.Root != nil {
				todo = append(todo, n.Root)
			}
			continue
		case *pickle.Tensor:
			if n.Extra == nil {
				f(n)
				if n.Storage != nil {
					todo = append(todo, n.Storage)
				}
				continue
			}
		case *pickle.Parameter, *pickle.Dict, *pickle.List, *pickle.Tuple, *pickle.Set, *pickle.Object:
		default:
			continue
		}
		if _, ok := seen[v]; ok {
			continue
		}
		seen[v] = struct{}{}
		f(v)
		todo = appendChildren(todo, v)
	}
}

// appendChildren puts what v holds on the stack, the first on top.
func appendChildren(todo []pickle.Value, v pickle.Value) []pickle.Value {
	push := func(values ...pickle.Value) {
		for i := len(values) - 1; i >= 0; i-- {
			todo = append(todo, values[i])
		}
	}
	pairs := func(items []pickle.Item) {
		for i := len(items) - 1; i >= 0; i-- {
			push(items[i].Key, items[i].Value)
		}
	}
	switch v := v.(type) {
	case *pickle.Tuple:
		push(v.Items...)
	case *pickle.List:
		push(v.Items...)
	case *pickle.Set:
		push(v.Items...)
	case *pickle.Dict:
		push(v.Attrs)
		if v.Args != nil {
			push(v.Args)
		}
		pairs(v.Items)
	case *pickle.Object:
		push(v.Elems...)
		pairs(v.Items)
		push(v.State, v.Kwargs)
		if v.Args != nil {
			push(v.Args)
		}
	case *pickle.Parameter:
		push(v.State)
		if v.Data != nil {
			push(v.Data)
		}
	case *pickle.Tensor:
		push(v.Extra.State, v.Extra.Metadata)
		if v.Extra.Args != nil {
			push(v.Extra.Args)
		}
		for i := len(v.Extra.Parts) - 1; i >= 0; i-- {
			push(v.Extra.Parts[i].Value)
		}
		if v.Storage != nil {
			push(v.Storage)
		}
	}
	return todo
}
