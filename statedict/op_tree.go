package statedict

import (
	"maps"
	"slices"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

const untypedDType = dtype.UInt8

// hasStorageClass tells the dtypes that have a torch.FloatStorage or the like; tensors of the others stand on an
// UntypedStorage.
//
// Source: torch/storage.py, _dtype_to_storage_type_map.
func hasStorageClass(d DType) bool {
	switch {
	case d >= dtype.Float8E4M3FN && d <= dtype.Float4E2M1FNx2, d >= dtype.UInt64 && d <= dtype.UInt16,
		d == dtype.Complex32, d >= dtype.Bits8:
		return false
	}
	return true
}

// plainForm is the spelling of a tensor whose dtype or storage changed: the old spellings name a class of their own.
func plainForm(f pickle.Form) pickle.Form {
	switch f {
	case pickle.FormV1, pickle.FormLegacy, pickle.FormV3, pickle.FormTar:
		return pickle.FormV2
	}
	return f
}

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
		e.swapAll(swaps)
	}
	return len(r.Touched), nil
}

func (o *SetMetadata) apply(e *edit, r *OpReport) (int, error) {
	e.metadata, e.metadataKeys = maps.Clone(e.metadata), slices.Clone(e.metadataKeys)
	if e.metadata == nil {
		e.metadata = map[string]string{}
	}
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
	eachNode(v, func(x pickle.Value) { found = found || x == target })
	return found
}

// eachNode calls f once for every node at v and below, parents first, storages and the parts of tensors included. Cycles
// are walked once.
func eachNode(v pickle.Value, f func(pickle.Value)) {
	seen := map[pickle.Value]struct{}{}
	todo := []pickle.Value{v}
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
	for len(todo) > 0 {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		switch v.(type) {
		case nil, bool, int64, float64, complex128, string, *pickle.Bytes, *pickle.Global:
			continue
		}
		if _, ok := seen[v]; ok {
			continue
		}
		seen[v] = struct{}{}
		f(v)
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
			if x := v.Extra; x != nil {
				push(x.State, x.Metadata)
				if x.Args != nil {
					push(x.Args)
				}
				for i := len(x.Parts) - 1; i >= 0; i-- {
					push(x.Parts[i].Value)
				}
			}
			if v.Storage != nil {
				push(v.Storage)
			}
		case *pickle.Storage:
			if v.Root != nil {
				push(v.Root)
			}
		}
	}
}
