package statedict

import (
	"maps"
	"slices"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// Steps that change storages do not make new tensors at once: a recipe casts, moves and renames 100,000 tensors, and each
// would be made three times. They change edit.storages and note in edit.retyped what the tensors on a storage have become;
// materialise makes the new tensors at the end, of the rows and of everything else in the tree that is on such a storage.

// retype says that the nodes of a storage are out of date.
type retype struct {
	on    bool
	dtype DType     // of the tensors on it; 0 as they say
	to    StorageID // the storage that stands in for it, plus one; 0 for itself
}

// tensorOf is the tensor of a value that is one, bare or a Parameter; nil otherwise.
func tensorOf(v pickle.Value) *pickle.Tensor {
	switch v := v.(type) {
	case *pickle.Tensor:
		return v
	case *pickle.Parameter:
		return v.Data
	}
	return nil
}

// plain tells a strided tensor with a storage from a composite, which the operations on storages leave alone.
func plain(t *pickle.Tensor) bool {
	if t.Storage == nil {
		return false
	}
	x := t.Extra
	return x == nil || x.Layout == "" && x.Parts == nil && x.QScheme == "" && x.Class == nil && x.Args == nil && x.Code == "" && x.Bad == ""
}

// storage is where a tensor's elements are now, and dtypeNow their dtype there.
func (e *edit) storage(t *pickle.Tensor) StorageID {
	id := StorageID(t.Storage.Index)
	for int(id) < len(e.retyped) && e.retyped[id].to != 0 {
		id = e.retyped[id].to - 1
	}
	return id
}

func (e *edit) dtypeNow(t *pickle.Tensor) DType {
	d := t.DType
	if t.Storage == nil {
		return d
	}
	for id := t.Storage.Index; id < len(e.retyped); {
		r := e.retyped[id]
		if r.dtype != 0 {
			d = r.dtype
		}
		if r.to == 0 {
			break
		}
		id = int(r.to - 1)
	}
	return d
}

func (e *edit) retype(id StorageID, change func(*retype)) {
	e.ownStorages()
	if n := len(e.storages); n > len(e.retyped) {
		e.retyped = append(e.retyped, make([]retype, n-len(e.retyped))...)
	}
	r := &e.retyped[id]
	r.on = true
	change(r)
}

func (e *edit) view(t *pickle.Tensor) View {
	return View{Storage: e.storage(t), DType: e.dtypeNow(t), Offset: t.Offset, Shape: t.Shape, Stride: t.Stride, Conj: t.Conj, Neg: t.Neg}
}

// shared tells whether more than one key reaches a storage, or did before the recipe began.
func (e *edit) shared(id StorageID) bool { return e.storages[id].Used != 1 }

// whole tells whether the view is the whole storage in row-major order.
func (e *edit) whole(t *pickle.Tensor) bool {
	v := e.view(t)
	return v.Offset == 0 && v.Contiguous() && v.Numel() >= 0 && v.NBytes() == e.storages[v.Storage].byteLen()
}

// ownStorage makes a tensor like t with a storage of its own, row-major from offset 0. A whole storage is taken over with
// its extent and checksum; of anything else the elements are gathered when they are read.
func (e *edit) ownStorage(t *pickle.Tensor) *pickle.Tensor {
	view := e.view(t)
	s := e.storages[view.Storage]
	n := *t
	n.DType, n.Form = view.DType, plainForm(t.Form)
	if e.whole(t) {
		s.Key = ""
		if s.Cast == 0 {
			s.DType = view.DType // an untyped storage takes the dtype of its one view
		}
	} else {
		s = Storage{Location: s.Location, DType: view.DType, Of: &view, NBytes: view.NBytes(), Missing: s.Missing}
		n.Conj, n.Neg, n.Offset, n.Stride = false, false, 0, rowMajor(t.Shape)
	}
	s.Used = 1
	id := e.addStorage(s)
	n.Storage = newStorageNode(&e.storages[id], id)
	return &n
}

// newStorageNode is the tree's node for a storage that an operation made or changed.
func newStorageNode(s *Storage, id StorageID) *pickle.Storage {
	d := s.DType
	if s.Cast != 0 {
		d = s.Cast
	}
	n := &pickle.Storage{Tag: "storage", Key: s.Key, Location: s.Location, DType: d, Index: int(id)}
	if hasStorageClass(d) && d.Size() > 0 {
		n.Numel = s.byteLen() / d.Size()
	} else {
		n.DType, n.Untyped, n.Numel = dtype.UInt8, true, s.byteLen()
	}
	return n
}

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

// withTensor is a value with the tensor in it exchanged.
func withTensor(v pickle.Value, t *pickle.Tensor) pickle.Value {
	if p, ok := v.(*pickle.Parameter); ok {
		n := *p
		n.Data = t
		return &n
	}
	return t
}

// setValue gives a row another value. A value that other keys may have too is one Python object and stays one: settle
// exchanges it wherever it stands.
func (e *edit) setValue(i int, v pickle.Value) {
	old := e.rows[i].value
	e.dirty = true
	if t := tensorOf(old); t.Storage != nil && !e.shared(e.storage(t)) {
		e.rows[i].value = v
		return
	}
	e.setSwap(old, v)
	e.rows[i].value = e.swaps[old]
}

// setSwap notes what a value becomes; the first answer stays.
func (e *edit) setSwap(old, v pickle.Value) {
	if e.swaps == nil {
		e.swaps = map[pickle.Value]pickle.Value{}
	}
	if e.swaps[old] == nil {
		e.swaps[old] = v
	}
}

// current is what a value has become.
func (e *edit) current(v pickle.Value) pickle.Value {
	for {
		n, ok := e.swaps[v]
		if !ok {
			return v
		}
		v = n
	}
}

// settle ends a step that called setValue.
func (e *edit) settle() {
	if len(e.swaps) == 0 {
		return
	}
	for i := range e.rows {
		if isTensor(e.rows[i].value) {
			e.rows[i].value = e.current(e.rows[i].value)
		}
	}
}

// eachOutside calls f for the tensors of the tree that are not in the mapping under edit, as they are now.
func (e *edit) eachOutside(f func(t *pickle.Tensor)) {
	eachNode(e.root, e.anchor, func(v pickle.Value) {
		if t, ok := v.(*pickle.Tensor); ok && t.Storage != nil {
			f(e.current(t).(*pickle.Tensor))
		}
	})
}

// eachInRows calls f for the tensors in the rows; row is the number of the row.
func (e *edit) eachInRows(f func(t *pickle.Tensor, row int)) {
	for i := range e.rows {
		switch v := e.rows[i].value.(type) {
		case *pickle.Tensor:
			if v.Extra == nil && v.Storage != nil {
				f(v, i)
				continue
			}
		case nil, int64, string, bool, float64:
			continue
		}
		eachNode(e.rows[i].value, nil, func(v pickle.Value) {
			if t, ok := v.(*pickle.Tensor); ok && t.Storage != nil {
				f(t, i)
			}
		})
	}
}

// materialise makes the new tensors and storage nodes of retyped storages.
func (e *edit) materialise() {
	if e.retyped == nil {
		return
	}
	nodes := make([]*pickle.Storage, len(e.retyped))
	stale := func(t *pickle.Tensor) bool {
		return t.Storage != nil && t.Storage.Index < len(e.retyped) && e.retyped[t.Storage.Index].on
	}
	node := func(old *pickle.Storage) *pickle.Storage {
		i := old.Index
		if nodes[i] != nil {
			return nodes[i]
		}
		if r := e.retyped[i]; r.dtype == 0 && r.to == 0 {
			n := *old
			n.Location = e.storages[i].Location
			nodes[i] = &n
		} else {
			id := e.storage(&pickle.Tensor{Storage: old})
			nodes[i] = newStorageNode(&e.storages[id], id)
		}
		return nodes[i]
	}
	renew := func(t *pickle.Tensor) *pickle.Tensor {
		n := *t
		n.DType, n.Storage = e.dtypeNow(t), node(t.Storage)
		if n.DType != t.DType {
			n.Form = plainForm(t.Form)
		}
		return &n
	}
	swaps := map[pickle.Value]pickle.Value{}
	deep := false
	for i := range e.rows {
		v := e.rows[i].value
		t := tensorOf(v)
		if t == nil || t.Extra != nil {
			deep = deep || t != nil || isContainer(v)
			continue
		}
		if !stale(t) {
			continue
		}
		e.dirty = true
		if !e.shared(StorageID(t.Storage.Index)) {
			e.rows[i].value = withTensor(v, renew(t))
			continue
		}
		if swaps[v] == nil {
			if swaps[t] == nil {
				swaps[t] = renew(t)
			}
			swaps[v] = withTensor(v, swaps[t].(*pickle.Tensor))
		}
		e.rows[i].value = swaps[v]
	}
	// What else is on these storages: in nested values, in composites, in other mappings, and storages by themselves.
	note := func(v pickle.Value) {
		switch v := v.(type) {
		case *pickle.Tensor:
			if stale(v) && plain(v) && swaps[v] == nil {
				swaps[v] = renew(v)
			}
		case *pickle.Storage:
			if v.Index < len(e.retyped) && e.retyped[v.Index].on && swaps[v] == nil {
				swaps[v] = node(v)
			}
		}
	}
	eachNode(e.root, e.anchor, note)
	if deep {
		for i := range e.rows {
			if t := tensorOf(e.rows[i].value); t == nil || t.Extra != nil {
				eachNode(e.rows[i].value, nil, note)
			}
		}
	}
	e.retyped = nil
	if len(swaps) == 0 {
		return
	}
	if deep {
		values := &pickle.List{Items: make([]pickle.Value, len(e.rows))}
		for i := range e.rows {
			values.Items[i] = e.rows[i].value
		}
		values = pickle.ReplaceNodes(values, swaps).(*pickle.List)
		for i := range e.rows {
			e.dirty = e.dirty || e.rows[i].value != values.Items[i]
			e.rows[i].value = values.Items[i]
			e.sparseDType(i)
		}
	}
	if e.swaps == nil {
		e.swaps = map[pickle.Value]pickle.Value{}
	}
	maps.Copy(e.swaps, swaps)
}

// sparseDType gives a sparse tensor the dtype of its values.
func (e *edit) sparseDType(i int) {
	t := tensorOf(e.rows[i].value)
	if v := sparseValues(t); v != nil && v.DType != t.DType {
		n := *t
		n.DType = v.DType
		e.rows[i].value = withTensor(e.rows[i].value, &n)
	}
}

// sparseValues is the part of a sparse tensor that holds its values; nil for any other tensor.
func sparseValues(t *pickle.Tensor) *pickle.Tensor {
	if t == nil || t.Extra == nil || t.Extra.Layout == "" {
		return nil
	}
	i := slices.IndexFunc(t.Extra.Parts, func(p pickle.Part) bool { return p.Name == "values" })
	if i < 0 {
		return nil
	}
	if v, ok := t.Extra.Parts[i].Value.(*pickle.Tensor); ok && plain(v) {
		return v
	}
	return nil
}
