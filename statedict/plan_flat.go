package statedict

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/weightroom/weightroom/statedict/internal/gguf"
	"github.com/weightroom/weightroom/statedict/internal/npy"
	"github.com/weightroom/weightroom/statedict/internal/pickle"
	"github.com/weightroom/weightroom/statedict/internal/safetensors"
)

// flatTensor is one tensor of a format that knows names and row-major bytes, nothing else.
type flatTensor struct {
	name  string
	entry *Entry
	group int // tensors of one group are tied: equal storage and equal view
}

// flatten lists the tensors of cp under the names that a header format gives them: the keys alone where one mapping
// holds them all, else full paths. What such a format cannot hold is one error with every path: objects that are no
// tensors, keys that are no strings, sparse and other composite tensors, tensors without bytes, dtypes that the format lacks.
func (cp *Checkpoint) flatten(f Format) ([]flatTensor, error) {
	var objects, bad []string
	for o := range cp.Objects() {
		// Containers that are empty or met again hold nothing that would be lost.
		if o.IsRef || o.emptyContainer() {
			continue
		}
		objects = append(objects, o.Path)
	}
	bare := true
	for i := range cp.Entries {
		bare = bare && cp.Entries[i].Dict == cp.Entries[0].Dict
	}
	out := make([]flatTensor, len(cp.Entries))
	for i := range cp.Entries {
		e := &cp.Entries[i]
		name := e.Key
		if !bare {
			name = e.Path()
		}
		out[i] = flatTensor{name: name, entry: e}
		switch {
		case e.Info != nil && e.Info.Bad != "":
			bad = append(bad, fmt.Sprintf("%s (%s)", e.Path(), e.Info.Bad))
		case f == shardedTorch && (e.Info == nil || e.Info.Code == ""):
		case e.Info != nil && e.Info.Layout != "":
			bad = append(bad, fmt.Sprintf("%s (%s)", e.Path(), e.Info.Layout))
		case e.Info != nil && e.Info.Class != "" && !plainClass(e.Info.Class):
			bad = append(bad, fmt.Sprintf("%s (%s)", e.Path(), e.Info.Class))
		case e.Info != nil && e.Info.Code != "" && (f != cp.Format || !e.Contiguous()):
			bad = append(bad, fmt.Sprintf("%s (%s)", e.Path(), e.Info.Code))
		case e.Storage == NoStorage:
			bad = append(bad, e.Path()+" (no data)")
		case f == NPZ && !utf8.ValidString(name):
			bad = append(bad, fmt.Sprintf("%s (the name is not valid Unicode)", e.Path()))
		case e.DType.IsQuantized(), (e.Info == nil || e.Info.Code == "") && !f.holds(e.DType):
			bad = append(bad, fmt.Sprintf("%s (%s)", e.Path(), e.DType))
		case f == GGUF:
			if why := gguf.Refusal(ggufTensor(name, e)); why != "" {
				bad = append(bad, fmt.Sprintf("%s (%s)", e.Path(), why))
			}
		}
	}
	odd := cp.oddKeys()
	cure := "drop or cast them, or write a torch file"
	if len(bad) == 0 {
		cure = "a format that holds tensors only names them by strings: drop them, or write a torch file"
	}
	bad = append(bad, odd...)
	hint, few := "write a torch file", objects
	if tops := topLevel(objects); !slices.Contains(tops, "") {
		hint = "drop them with drop_objects (--drop-objects " + strings.Join(tops, ",") + "), or " + hint
		if dict := cp.DictPath(); dict != "" {
			hint = fmt.Sprintf("take the weights out alone (first of all --at '' --extract %s), %s", shellQuote(dict), hint)
		}
		few = folded(objects, tops)
	}
	switch {
	case len(objects) > 0 && len(bad) > 0:
		return nil, &UnsupportedError{What: fmt.Sprintf("%s holds tensors only, and these are none, or of kinds that it lacks:", f), Keys: append(objects, bad...), Hint: hint, folded: append(slices.Clip(few), bad...)}
	case len(objects) > 0:
		return nil, &UnsupportedError{What: fmt.Sprintf("%s holds tensors only, and these are none:", f), Keys: objects, Hint: hint, folded: few}
	case len(bad) > 0:
		return nil, &UnsupportedError{What: fmt.Sprintf("%s cannot hold these:", f), Keys: bad, Hint: cure}
	}
	return out, cp.group(out)
}

// plainClass tells torch's own classes, which are named where a tensor has Python attributes: its elements are what they are.
func plainClass(name string) bool {
	return name == "torch.Tensor" || name == "torch.nn.parameter.Parameter" || name == "torch.nn.parameter.Buffer"
}

// holds tells whether the format has the dtype, by any name.
func (f Format) holds(d DType) (ok bool) {
	switch f {
	case Safetensors:
		_, ok = safetensors.CodeOf(d)
	case NPZ:
		_, _, ok = npy.DescrOf(d)
	case GGUF:
		_, ok = gguf.TypeOf(d)
	default:
		ok = true
	}
	return ok
}

// emptyContainer tells a row that stands for {} or [].
func (o *Object) emptyContainer() bool {
	switch v := o.Value.(type) {
	case map[string]any:
		return len(v) == 0 && o.HasValue
	case []any:
		return len(v) == 0 && o.HasValue && o.Type != "torch.Size"
	}
	return false
}

// oddKeys lists the tensors whose key is no string.
func (cp *Checkpoint) oddKeys() (odd []string) {
	dicts := map[*pickle.Dict]bool{}
	cp.walk(visitor{tensor: func(place, pickle.Value) {}, enter: func(at place, n pickle.Value) bool {
		d, ok := n.(*pickle.Dict)
		if !ok || dicts[d] {
			return true
		}
		dicts[d] = true
		for i := range d.Items {
			if _, isString := d.Items[i].Key.(string); isString {
				continue
			}
			switch d.Items[i].Value.(type) {
			case *pickle.Tensor, *pickle.Parameter:
				odd = append(odd, joinPath(at.path(), pickle.PyStr(d.Items[i].Key))+" (its key is no string)")
			}
		}
		return true
	}})
	return odd
}

// manyObjects is how many objects a message lists by path.
const manyObjects = 16

// folded names many objects by what they stand in, which is what would be dropped: the groups of an optimizer hold the
// number of every parameter.
func folded(paths, tops []string) []string {
	if len(paths) <= manyObjects {
		return paths
	}
	names := make([]string, len(tops))
	for i, top := range tops {
		below := 0
		for _, p := range paths {
			if p != top && topLevel([]string{p})[0] == top {
				below++
			}
		}
		if names[i] = top; below > 0 {
			names[i] = fmt.Sprintf("%s (%d below it)", top, below)
		}
	}
	return names
}

// topLevel are the first parts of paths, each once.
func topLevel(paths []string) (tops []string) {
	seen := map[string]bool{}
	for _, p := range paths {
		top, _, _ := strings.Cut(p, ".")
		top, _, _ = strings.Cut(top, "[")
		if !seen[top] {
			seen[top] = true
			tops = append(tops, top)
		}
	}
	return tops
}

// group numbers the tensors by what they show: two have the same number when they are the same elements of the same
// storage in the same shape. Names must be unique.
func (cp *Checkpoint) group(ts []flatTensor) error {
	type view struct {
		st     StorageID
		dt     DType
		off    int64
		extent string
		neg    bool
		conj   bool
	}
	groups := map[view]int{}
	names := map[string]bool{}
	var twice []string
	for i := range ts {
		e := ts[i].entry
		if names[ts[i].name] {
			twice = append(twice, ts[i].name)
		}
		names[ts[i].name] = true
		if e.Numel() == 0 || e.Storage == NoStorage {
			ts[i].group = -1 - i
			continue
		}
		v := view{e.Storage, e.DType, e.Offset, "", e.Neg, e.Conj}
		if cp.Storages[e.Storage].Used > 1 {
			v.extent = fmt.Sprint(e.Shape, e.effectiveStride())
		}
		g, ok := groups[v]
		if !ok {
			g = i
			groups[v] = g
		}
		ts[i].group = g
	}
	if len(twice) > 0 {
		return &KeyError{Op: "export", Keys: twice, Msg: "two tensors would have the same name:", Hint: "rename one of them"}
	}
	return nil
}

// effectiveStride is the stride with the arbitrary ones of dimensions of size 1 put to 0.
func (v *View) effectiveStride() []int64 {
	s := make([]int64, len(v.Stride))
	for i := range s {
		if v.Shape[i] != 1 {
			s[i] = v.Stride[i]
		}
	}
	return s
}

// untied splits tensors into those that are written and those dropped for a tied twin: of each group the first by name
// stays, as safetensors.torch.save_model does. Views that share a storage without being equal are written each; the
// warnings name both kinds.
func (cp *Checkpoint) untied(ts []flatTensor) (kept []flatTensor, dropped map[string]string, warnings []string) {
	first := map[int]int{}
	for i := range ts {
		if ts[i].group < 0 {
			continue
		}
		if j, ok := first[ts[i].group]; !ok || ts[i].name < ts[j].name {
			first[ts[i].group] = i
		}
	}
	dropped = map[string]string{}
	perStorage := map[StorageID][]string{}
	for i := range ts {
		if ts[i].group >= 0 && first[ts[i].group] != i {
			dropped[ts[i].name] = ts[first[ts[i].group]].name
			continue
		}
		kept = append(kept, ts[i])
		if e := ts[i].entry; e.Numel() > 0 && cp.Storages[e.Storage].Used > 1 {
			perStorage[e.Storage] = append(perStorage[e.Storage], ts[i].name)
		}
	}
	for _, name := range sortedKeys(dropped) {
		warnings = append(warnings, fmt.Sprintf("%q is tied to %q: written once, and named in the metadata", name, dropped[name]))
	}
	var ids []int
	for id, names := range perStorage {
		if len(names) > 1 {
			ids = append(ids, int(id))
		}
	}
	sort.Ints(ids)
	for _, id := range ids {
		warnings = append(warnings, fmt.Sprintf("views of one storage, each written whole:%s", quotedList(perStorage[StorageID(id)])))
	}
	return kept, dropped, warnings
}

// grown warns of the views that show more bytes than their storage holds: written out, each has them all.
func (cp *Checkpoint) grown(ts []flatTensor) (warnings []string) {
	for i := range ts {
		e := ts[i].entry
		if has := cp.Storages[e.Storage].byteLen(); e.NBytes() > has {
			warnings = append(warnings, fmt.Sprintf("%q shows the %d bytes of its storage more than once: written out, it has %d bytes", ts[i].name, has, e.NBytes()))
		}
	}
	return warnings
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// segment is the bytes of a tensor, row-major and little-endian, conj and neg applied: a copy where they lie so in the
// source, else a conversion. Nothing is read now, except a zip record's local header.
func (cp *Checkpoint) segment(v *View) (Segment, error) {
	base, view, casts, err := cp.resolve(v)
	if err != nil {
		return nil, err
	}
	x, err := base.Data.resolve()
	if err != nil {
		return nil, err
	}
	swapped := base.BigEndian && view.DType.SwapUnit() > 1
	if view.Numel() == 0 {
		return Literal(nil), nil
	}
	if len(casts) == 0 && x.Method == Stored && !swapped && !view.Conj && !view.Neg && view.Contiguous() {
		size, per := view.DType.Size(), view.DType.PerByte()
		n := view.NBytes()
		x.HasCRC = x.HasCRC && view.Offset == 0 && n == x.Len
		x.Off += view.Offset * size / per
		x.Len = n
		return Copy{x}, nil
	}
	base.Data = x
	to := view.DType
	if len(casts) > 0 {
		to = casts[len(casts)-1]
		casts = casts[:len(casts)-1]
	}
	return Convert{Src: base, View: view, Via: casts, To: to}, nil
}

// tensorSegment is segment for an entry whose dtype may be a format's own: those bytes are copied.
func (cp *Checkpoint) tensorSegment(e *Entry) (Segment, error) {
	if e.Info == nil || e.Info.Code == "" {
		return cp.segment(&e.View)
	}
	n := e.Info.CodeBytes
	return cp.segment(&View{Storage: e.Storage, DType: byteType, Shape: []int64{n}, Stride: []int64{1}})
}

// flatSegment is tensorSegment with bools of 0 and 1: torch takes any byte but zero for true and keeps it, numpy and
// safetensors know no other true than 1.
func (cp *Checkpoint) flatSegment(e *Entry) (Segment, error) {
	s, err := cp.tensorSegment(e)
	if err != nil || e.DType != boolType {
		return s, err
	}
	zeroOne := []DType{boolType}
	switch s := s.(type) {
	case Copy:
		src := Storage{NBytes: s.Len(), Data: s.Extent, DType: boolType}
		return Convert{Src: src, View: View{DType: boolType, Shape: []int64{s.Len()}, Stride: []int64{1}}, Via: zeroOne, To: boolType}, nil
	case Convert:
		if !s.casts() {
			s.Via = zeroOne
		}
		return s, nil
	}
	return s, nil
}

// resolve follows a view through the storages that operations made, down to bytes in a source: the storage that has
// them, the view of it in its stored dtype, and the casts to apply in turn.
func (cp *Checkpoint) resolve(v *View) (base Storage, view View, casts []DType, err error) {
	view = *v
	for {
		base = cp.Storages[view.Storage]
		if base.Missing != "" {
			return base, view, nil, &FormatError{Code: "E_LAYOUT", Part: base.Key, Offset: -1, Msg: base.Missing}
		}
		if base.Cast != 0 {
			casts = append([]DType{base.Cast}, casts...)
			view.DType = base.DType
		}
		if base.Of == nil {
			return base, view, casts, nil
		}
		of := *base.Of
		if of.Contiguous() && !of.Conj && !of.Neg { // its elements lie in order: a part of them is a part of what they were made of
			view = View{Storage: of.Storage, DType: of.DType, Conj: view.Conj, Neg: view.Neg, Offset: of.Offset + view.Offset, Shape: view.Shape, Stride: view.Stride}
			continue
		}
		// Any other made storage is read as a whole, in order: that is how every operation makes and uses one.
		if view.Offset != 0 || !view.Contiguous() || view.Numel() != of.Numel() {
			return base, view, nil, &UnsupportedError{What: "a strided view of a storage that an operation made"}
		}
		of.Conj, of.Neg = of.Conj != view.Conj, of.Neg != view.Neg
		view = of
	}
}
