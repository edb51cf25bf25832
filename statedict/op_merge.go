package statedict

import (
	"fmt"
	"maps"
	"slices"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// KeepKnown keeps the keys that the state dict of the file In has too; with Shapes only those whose shape agrees. At names
// the mapping in that file, "" finds it. It is the dict comprehension `{k: v for k, v in pretrained.items() if k in model}`,
// and unlike that keeps `_metadata`.
type KeepKnown struct {
	In       string `recipe:"in,required,bare"`
	Shapes   bool   `recipe:"shapes"`
	At       string `recipe:"at"`
	Optional bool   `recipe:"optional"`
}

// Merge is dict.update: keys that exist stay in their place, new ones are appended in the other file's order. Policy says
// what happens to a key that both have: "error" (the default) lists them all, "keep" keeps ours, "replace" takes theirs.
// At names the mapping in the other file, "" finds it; Prefix goes in front of its keys. Tensors that shared a storage in
// the other file go on sharing it.
type Merge struct {
	From     string `recipe:"from,required,bare"`
	Policy   Policy `recipe:"policy"`
	At       string `recipe:"at"`
	Prefix   string `recipe:"prefix"`
	Optional bool   `recipe:"optional"`
}

// Policy is what a merge does with keys that both sides have; "" is PolicyError.
type Policy string

const (
	PolicyError   Policy = "error"
	PolicyKeep    Policy = "keep"
	PolicyReplace Policy = "replace"
)

func (Policy) choices() []string {
	return []string{string(PolicyError), string(PolicyKeep), string(PolicyReplace)}
}

func (*KeepKnown) Name() string { return "keep_known" }
func (*Merge) Name() string     { return "merge" }

func (o *KeepKnown) optional() bool { return o.Optional }
func (o *Merge) optional() bool     { return o.Optional }

// other finds a file that a step names, and the mapping in it.
func (e *edit) other(file, at string) (*Checkpoint, *pickle.Dict, error) {
	cp := e.others[file]
	if cp == nil {
		hint := ""
		if len(e.others) > 0 {
			hint = fmt.Sprintf("given are%s", quotedList(slices.Sorted(maps.Keys(e.others))))
		}
		return nil, nil, e.fail("this file is not open:", hint, file)
	}
	_, _, d, err := findDict(cp, at, at != "")
	if err != nil {
		return nil, nil, e.fail(fmt.Sprintf("in %q: %v", file, err), Hint(err))
	}
	return cp, d, nil
}

func (o *KeepKnown) apply(e *edit, r *OpReport) (int, error) {
	_, d, err := e.other(o.In, o.At)
	if err != nil {
		return 0, err
	}
	known := make(map[string]pickle.Value, len(d.Items))
	for _, it := range d.Items {
		if k, ok := it.Key.(string); ok {
			known[k] = it.Value
		}
	}
	want := func(row *row) bool {
		v, ok := known[row.name]
		return ok && row.kind == named && (!o.Shapes || sameShape(v, row.value))
	}
	touched := 0
	for i := range e.rows {
		if want(&e.rows[i]) {
			touched++
		}
	}
	if touched == 0 {
		return 0, nil
	}
	r.Touched = e.keep(func(row *row) bool { return row.kind == versions || want(row) })
	return touched, nil
}

// sameShape compares two tensors' shapes; two values that are no tensors agree.
func sameShape(a, b pickle.Value) bool {
	s, t := tensorOf(a), tensorOf(b)
	if s == nil || t == nil {
		return s == nil && t == nil
	}
	return slices.Equal(s.Shape, t.Shape)
}

func (o *Merge) apply(e *edit, r *OpReport) (int, error) {
	cp, d, err := e.other(o.From, o.At)
	if err != nil {
		return 0, err
	}
	incoming := rowsOf(d, int32(len(e.sources)))
	incoming = slices.DeleteFunc(incoming, func(r row) bool { return r.kind == versions })
	prefix := dotted(o.Prefix)
	ours := make(map[string]int, len(e.rows))
	for i := range e.rows {
		ours[e.rows[i].name] = i
	}
	var clashes []string
	var take []row
	for _, row := range incoming {
		if row.kind == named {
			row.name = prefix + row.name
		}
		_, clash := ours[row.name]
		if clash && o.Policy == PolicyKeep {
			continue
		}
		if clash && o.Policy != PolicyReplace {
			clashes = append(clashes, row.name)
		}
		take = append(take, row)
	}
	if clashes != nil {
		return 0, e.fail("both files have these keys:", fmt.Sprintf("policy: keep keeps ours (--merge %[1]s,keep), policy: replace takes theirs (--merge %[1]s,replace)", o.From), clashes...)
	}
	e.importRows(cp, take)
	e.sources = append(e.sources, metaSource{meta: metadataOf(d), before: d.Items})
	for _, row := range take {
		r.Touched = append(r.Touched, row.name)
		if i, ok := ours[row.name]; ok {
			row.key, row.kind = e.rows[i].key, e.rows[i].kind
			e.rows[i] = row
		} else {
			e.rows = append(e.rows, row)
		}
	}
	e.dirty = e.dirty || len(take) > 0
	if !slices.Contains(e.merged, cp) {
		e.merged = append(e.merged, cp)
	}
	return len(incoming), nil
}

// importRows gives the values of another checkpoint's rows storages of their own in this one. Two merges of one file
// share what they share in the file.
func (e *edit) importRows(cp *Checkpoint, rows []row) {
	values := &pickle.List{Items: make([]pickle.Value, len(rows))}
	for i := range rows {
		values.Items[i] = rows[i].value
	}
	if e.imported == nil {
		e.imported = map[*Checkpoint]map[StorageID]StorageID{}
		e.importedNodes = map[*pickle.Storage]*pickle.Storage{}
	}
	ids := e.imported[cp]
	if ids == nil {
		ids = map[StorageID]StorageID{}
		e.imported[cp] = ids
	}
	for _, id := range ids {
		e.storages[id].Used = 0 // may be reached twice now
	}
	swaps := map[pickle.Value]pickle.Value{}
	eachNode(values, nil, func(v pickle.Value) {
		if s, ok := v.(*pickle.Storage); ok && swaps[s] == nil {
			if e.importedNodes[s] == nil {
				n := *s
				n.Index = int(e.importStorage(cp, StorageID(s.Index), ids))
				e.importedNodes[s] = &n
			}
			swaps[s] = e.importedNodes[s]
		}
	})
	moved := pickle.ReplaceNodes(values, swaps).(*pickle.List)
	for i := range rows {
		rows[i].value = moved.Items[i]
	}
}

func (e *edit) importStorage(cp *Checkpoint, id StorageID, ids map[StorageID]StorageID) StorageID {
	if n, ok := ids[id]; ok {
		return n
	}
	s := cp.Storages[id]
	if s.Of != nil {
		view := *s.Of
		view.Storage = e.importStorage(cp, view.Storage, ids)
		s.Of = &view
	}
	ids[id] = e.addStorage(s)
	return ids[id]
}

func (e *edit) addStorage(s Storage) StorageID {
	e.ownStorages()
	e.storages = append(e.storages, s)
	return StorageID(len(e.storages) - 1)
}
