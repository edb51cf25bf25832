package statedict

import (
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// edit is a recipe at work. The mapping under edit is a list of rows of its own; everything else is shared with the base.
type edit struct {
	base   *Checkpoint
	others map[string]*Checkpoint
	report *Report
	found  bool // the mapping was found, not named
	step   int
	op     string

	root    pickle.Value // the tree, in which anchor stands for the rows
	anchor  pickle.Value // a dict; a pickled module until the first flush makes it its state dict
	rows    []row
	shell   pickle.Dict // the mapping without its items: class, arguments, attributes
	dirty   bool        // rows and shell differ from anchor
	sources []metaSource

	storages []Storage
	retyped  []retype                                // by storage: what its tensors and node have to become when the edit is finished
	swaps    map[pickle.Value]pickle.Value           // tensors and parameters that the tree refers to more than once, and what they became
	twins    []twin                                  // what tie steps took for equal
	owned    bool                                    // storages is a copy
	imported map[*Checkpoint]map[StorageID]StorageID // what merges brought, so that aliases stay aliases
	// importedNodes are the tree's nodes for those storages: a storage is written once for each node.
	importedNodes map[*pickle.Storage]*pickle.Storage

	metadata     map[string]string
	metadataKeys []string
	described    bool // metadata was set
	merged       []*Checkpoint
}

// row is a key and its value.
type row struct {
	key   pickle.Value // as the mapping has it
	name  string       // as Python's str writes it
	value pickle.Value
	was   string // name before the first step
	from  int32  // index in edit.sources
	kind  rowKind
}

type rowKind uint8

const (
	named    rowKind = iota // the key is a string
	foreign                 // the key is something else: patterns see its str, but nothing renames it
	versions                // `_metadata` as an ordinary key: it follows the other keys and is left alone by name
)

func newEdit(base *Checkpoint, others map[string]*Checkpoint, r *Recipe) (*edit, error) {
	base, others, err := withoutWindows(r, base, others)
	if err != nil {
		return nil, err
	}
	e := &edit{
		base: base, others: others, found: !r.HasAt, root: base.root, storages: base.Storages, twins: base.twins,
		metadata: base.Metadata, metadataKeys: base.MetadataKeys,
		report: &Report{Files: []FileReport{}, Ops: make([]OpReport, 0, len(r.Steps)), DroppedObjects: []string{}, Warnings: []string{}},
	}
	path, node, d, err := findDict(base, r.At, r.HasAt)
	if err != nil {
		if r.HasAt || slices.ContainsFunc(r.Steps, needsDict) {
			return nil, err
		}
		return e, nil
	}
	e.report.At = path
	e.anchor, e.shell = node, *d
	if e.dirty = node != pickle.Value(d) && slices.ContainsFunc(r.Steps, needsDict); e.dirty { // a module becomes its state dict
		if left := base.outsideStateDicts(map[pickle.Value]pickle.Value{node: d}); left != "" {
			e.warn("%s", left)
		}
	}
	e.rows = rowsOf(d, 0)
	e.sources = []metaSource{{meta: metadataOf(d), before: d.Items}}
	return e, nil
}

// needsDict tells the steps that work on the keys of a mapping from those that work on the file.
func needsDict(op Op) bool {
	switch op.(type) {
	case *DropObjects, *SetMetadata:
		return false
	}
	return true
}

func rowsOf(d *pickle.Dict, from int32) []row {
	rows := make([]row, len(d.Items))
	for i, it := range d.Items {
		r := &rows[i]
		r.key, r.value, r.from = it.Key, it.Value, from
		if s, ok := it.Key.(string); ok {
			r.name = s
			if s == "_metadata" && isVersions(it.Value) {
				r.kind = versions
			}
		} else {
			r.name, r.kind = pickle.PyStr(it.Key), foreign
		}
		r.was = r.name
	}
	return rows
}

// keep filters the rows in place: those for which want is true stay. It answers the names of the others.
func (e *edit) keep(want func(*row) bool) (gone []string) {
	n := 0
	for i := range e.rows {
		if want(&e.rows[i]) {
			if n != i {
				e.rows[n] = e.rows[i]
			}
			n++
			continue
		}
		if gone == nil {
			gone = make([]string, 0, min(len(e.rows)-i, 64+(len(e.rows)-i)/4))
		}
		gone = append(gone, e.rows[i].name)
	}
	clear(e.rows[n:])
	e.rows = e.rows[:n]
	e.dirty = e.dirty || len(gone) > 0
	return gone
}

// rename gives every row with a string key the name that to answers, and refuses when two rows end up with one name.
// to's second result tells whether the step applies to the key; alike, that it exchanges one prefix for another on each key
// that it applies to. When it applies to all of them, they stay as different as they were.
func (e *edit) rename(r *OpReport, alike bool, to func(name string) (string, bool)) (touched int, err error) {
	var renamed []int32 // rows, beside r.Renamed
	for i := range e.rows {
		if e.rows[i].kind != named {
			alike = alike && e.rows[i].kind == foreign
			continue
		}
		name, ok := to(e.rows[i].name)
		if !ok {
			alike = false
			continue
		}
		touched++
		if name == e.rows[i].name {
			continue
		}
		if len(r.Renamed) == 0 {
			r.Renamed = make([][2]string, 0, len(e.rows)-i)
			renamed = make([]int32, 0, len(e.rows)-i)
		}
		renamed = append(renamed, int32(i))
		r.Renamed = append(r.Renamed, [2]string{e.rows[i].name, name})
		e.rows[i].name = name
		e.dirty = true
	}
	if len(r.Renamed) == 0 || alike {
		return touched, nil
	}
	return touched, e.collisions(r.Renamed, renamed)
}

// collisions reports every pair of rows that have one name now. pairs are the renames of this step, rows where they are.
func (e *edit) collisions(renames [][2]string, rows []int32) error {
	index := newNameIndex(len(e.rows))
	old := func(i int) string {
		if at, ok := slices.BinarySearch(rows, int32(i)); ok {
			return renames[at][0]
		}
		return e.rows[i].name
	}
	var pairs []string
	hint := ""
	for i := range e.rows {
		r := &e.rows[i]
		if r.kind == foreign {
			continue
		}
		first := index.add(e.rows, i)
		if first == i {
			continue
		}
		pairs = append(pairs, old(first), old(i))
		if hint == "" {
			hint = fmt.Sprintf("%q and %q both become %q; drop or rename one of them first", old(first), old(i), r.name)
		}
	}
	if pairs == nil {
		return nil
	}
	msg := "two keys would get one name:"
	if n := len(pairs) / 2; n > 1 {
		msg = fmt.Sprintf("%d pairs of keys would get one name each:", n)
	}
	return &KeyError{Op: e.op, Step: e.step, Keys: pairs, Msg: msg, Hint: hint}
}

// extractMapping makes the mapping that stands under key (or a path below it) the mapping under edit.
func (e *edit) extractMapping(key string, r *OpReport) (int, error) {
	e.flush()
	v, _ := lookupPath(e.anchor, key)
	d := mappingOf(v)
	if d == nil || key == "" || len(d.Items) == 0 {
		return 0, nil
	}
	for i := range e.rows {
		r.Touched = append(r.Touched, e.rows[i].name)
	}
	e.shell, e.rows, e.dirty = *d, rowsOf(d, 0), true
	e.sources = []metaSource{{meta: metadataOf(d), before: d.Items}}
	return len(e.rows), nil
}

// names lists the rows' names.
func (e *edit) names() []string {
	names := make([]string, len(e.rows))
	for i := range e.rows {
		names[i] = e.rows[i].name
	}
	return names
}

// ownStorages makes the list of storages the edit's own before it is changed.
func (e *edit) ownStorages() {
	if !e.owned {
		e.storages, e.owned = slices.Clone(e.storages), true
	}
}

func (e *edit) warn(format string, args ...any) {
	e.report.Warnings = append(e.report.Warnings, fmt.Sprintf(format, args...))
}

func (e *edit) fail(msg, hint string, keys ...string) error {
	return &KeyError{Op: e.op, Step: e.step, Keys: keys, Msg: msg, Hint: hint}
}

// flush puts the rows back into the tree.
func (e *edit) flush() {
	if !e.dirty && e.swaps == nil || e.anchor == nil {
		return
	}
	d := e.shell
	d.Items = make([]pickle.Item, len(e.rows))
	for i := range e.rows {
		r := &e.rows[i]
		if s, ok := r.key.(string); ok && s != r.name {
			r.key = r.name
		}
		d.Items[i] = pickle.Item{Key: r.key, Value: r.value}
	}
	nodes := map[pickle.Value]pickle.Value{e.anchor: &d}
	for old := range e.swaps {
		nodes[old] = e.current(old)
	}
	e.dirty, e.swaps = false, nil
	if e.root == e.anchor && len(nodes) == 1 {
		e.root, e.anchor = &d, &d
		return
	}
	e.replace(nodes)
}

// replace exchanges nodes of the tree by identity, wherever they stand, and reads the rows again. The rows are flushed.
func (e *edit) replace(nodes map[pickle.Value]pickle.Value) {
	both := pickle.ReplaceNodes(&pickle.Tuple{Items: []pickle.Value{e.root, e.anchor}}, nodes).(*pickle.Tuple)
	e.root, e.anchor = both.Items[0], both.Items[1]
	if d, ok := e.anchor.(*pickle.Dict); ok {
		for i := range e.rows {
			e.rows[i].value = d.Items[i].Value
		}
		e.shell = *d
	}
}

func (e *edit) finish() (*Checkpoint, error) {
	if e.anchor != nil {
		e.applyMetadata()
		e.materialise()
	}
	e.flush()
	if e.root == e.base.root && !e.owned && !e.described {
		cp := *e.base
		return &cp, nil
	}
	e.ownStorages()
	cp, err := e.base.rebuild(e.root, e.storages)
	if err != nil {
		return nil, err
	}
	cp.Metadata, cp.MetadataKeys = e.metadata, e.metadataKeys
	cp.twins = e.twins
	for _, o := range e.merged {
		for _, src := range o.Sources {
			if !slices.Contains(cp.Sources, src) {
				cp.Sources = append(slices.Clip(cp.Sources), src)
			}
		}
	}
	return cp, nil
}

// nameIndex finds equal names among rows: open addressing over row numbers, for a Go map of 100,000 strings per step costs
// more than the step.
type nameIndex struct {
	slots []int32 // row number plus one
	mask  uint64
}

func newNameIndex(n int) nameIndex {
	size := 16
	for size < 2*n {
		size *= 2
	}
	return nameIndex{make([]int32, size), uint64(size - 1)}
}

// add enters row i and answers the row that had its name first: i itself when none had.
func (x nameIndex) add(rows []row, i int) int {
	name := rows[i].name
	for h := hashString(name) & x.mask; ; h = (h + 1) & x.mask {
		switch j := int(x.slots[h]) - 1; {
		case j < 0:
			x.slots[h] = int32(i + 1)
			return i
		case rows[j].name == name:
			return j
		}
	}
}

var nameSeed = maphash.MakeSeed()

func hashString(s string) uint64 { return maphash.String(nameSeed, s) }
