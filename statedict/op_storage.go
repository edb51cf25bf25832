package statedict

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// SetDevice writes another device tag ("cpu", "cuda:0") on the storages of the tensors that match. Tensors that share a
// storage share its device.
type SetDevice struct {
	Device   string   `recipe:"device,required,bare"`
	Match    Patterns `recipe:"match"`
	Except   Patterns `recipe:"except"`
	Optional bool     `recipe:"optional"`
}

// SetRequiresGrad sets the flag of the tensors that match. Only floating point and complex tensors can have it set.
type SetRequiresGrad struct {
	Value    bool     `recipe:"value,required,bare"`
	Match    Patterns `recipe:"match"`
	Except   Patterns `recipe:"except"`
	Optional bool     `recipe:"optional"`
}

// Unshare gives each matching tensor that shares its storage a storage of its own: tied weights come apart.
type Unshare struct {
	Match    Patterns `recipe:"match,required,bare"`
	Except   Patterns `recipe:"except"`
	Optional bool     `recipe:"optional"`
}

// Compact gives each tensor that is a part of a larger storage, or not in row-major order, a row-major storage of just its
// elements. Tensors that are the same view stay tied; tensors that merely overlap come apart, and the report says so. In a
// document `compact: true` is all of them.
type Compact struct {
	Match    Patterns `recipe:"match"`
	Except   Patterns `recipe:"except"`
	Optional bool     `recipe:"optional"`
}

func (*SetDevice) Name() string       { return "set_device" }
func (*SetRequiresGrad) Name() string { return "set_requires_grad" }
func (*Unshare) Name() string         { return "unshare" }
func (*Compact) Name() string         { return "compact" }

func (o *SetDevice) optional() bool       { return o.Optional }
func (o *SetRequiresGrad) optional() bool { return o.Optional }
func (o *Unshare) optional() bool         { return o.Optional }
func (o *Compact) optional() bool         { return o.Optional }

var devicePattern = regexp.MustCompile(`^[a-z][a-z0-9_]*(:\d+)?$`)

func (o *SetDevice) check() error {
	if !devicePattern.MatchString(o.Device) {
		return &KeyError{Op: "set_device", Msg: fmt.Sprintf("%q is no device; write cpu, cuda:0, mps", o.Device)}
	}
	return nil
}

// selected answers the rows that match and hold a tensor.
func (e *edit) selected(match, except Patterns) ([]int, error) {
	sel, err := compileSelection(match, except)
	if err != nil {
		return nil, e.fail(err.Error(), "")
	}
	var rows []int
	for i := range e.rows {
		if tensorOf(e.rows[i].value) != nil && sel.has(e.rows[i].name) {
			rows = append(rows, i)
		}
	}
	return rows, nil
}

func (o *SetDevice) apply(e *edit, r *OpReport) (int, error) {
	if err := o.check(); err != nil {
		return 0, e.fail(err.(*KeyError).Msg, "")
	}
	rows, err := e.selected(o.Match, o.Except)
	if err != nil {
		return 0, err
	}
	device := o.Device
	if device == "cuda" {
		device = "cuda:0" // the tag that torch.save writes
	}
	moving := map[int]bool{}
	for _, i := range rows {
		changes := false
		eachNode(e.rows[i].value, func(v pickle.Value) {
			if s, ok := v.(*pickle.Storage); ok && s.Location != device {
				moving[s.Index], changes = true, true
			}
		})
		if changes {
			r.Touched = append(r.Touched, e.rows[i].name)
		}
	}
	if len(moving) == 0 {
		return len(rows), nil
	}
	e.flush()
	e.ownStorages()
	swaps := map[pickle.Value]pickle.Value{}
	elsewhere := map[int]bool{}
	eachNode(e.root, func(v pickle.Value) {
		s, ok := v.(*pickle.Storage)
		if !ok {
			return
		}
		if !moving[s.Index] {
			if s.Location != device {
				elsewhere[s.Index] = true
			}
			return
		}
		n := *s
		n.Location = device
		swaps[s] = &n
		e.storages[s.Index].Location = device
	})
	if len(elsewhere) > 0 {
		e.warn("set_device: %d storages that this step does not reach stay on another device", len(elsewhere))
	}
	e.swapAll(swaps)
	return len(rows), nil
}

func (o *SetRequiresGrad) apply(e *edit, r *OpReport) (int, error) {
	rows, err := e.selected(o.Match, o.Except)
	if err != nil {
		return 0, err
	}
	swaps := map[pickle.Value]pickle.Value{}
	touched := 0
	for _, i := range rows {
		v := e.rows[i].value
		if d := tensorOf(v).DType; o.Value && !d.IsFloat() && !d.IsComplex() {
			continue
		}
		touched++
		switch v := v.(type) {
		case *pickle.Tensor:
			if v.RequiresGrad != o.Value {
				n := *v
				n.RequiresGrad = o.Value
				swaps[v] = &n
				r.Touched = append(r.Touched, e.rows[i].name)
			}
		case *pickle.Parameter:
			if v.RequiresGrad != o.Value {
				n := *v
				n.RequiresGrad = o.Value
				swaps[v] = &n
				r.Touched = append(r.Touched, e.rows[i].name)
			}
		}
	}
	if len(swaps) > 0 {
		e.flush()
		e.swapAll(swaps)
	}
	return touched, nil
}

// window is a view of a storage, comparable: two tensors with one window are the same weights.
type window struct {
	storage int
	dtype   DType
	offset  int64
	shape   string // shape and stride, packed
	bits    uint8
}

func windowOf(t *pickle.Tensor) window {
	w := window{storage: t.Storage.Index, dtype: t.DType, offset: t.Offset, shape: fmt.Sprint(t.Shape, t.Stride)}
	if t.Conj {
		w.bits |= 1
	}
	if t.Neg {
		w.bits |= 2
	}
	return w
}

func viewOf(t *pickle.Tensor) View {
	return View{Storage: StorageID(t.Storage.Index), DType: t.DType, Offset: t.Offset, Shape: t.Shape, Stride: t.Stride, Conj: t.Conj, Neg: t.Neg}
}

// plain tells a strided tensor with a storage from a composite, which the operations on storages leave alone.
func plain(t *pickle.Tensor) bool {
	return t.Storage != nil && (t.Extra == nil || t.Extra.Layout == "" && t.Extra.Parts == nil && t.Extra.QScheme == "" && t.Extra.Class == nil && t.Extra.Args == nil)
}

// users lists the tensors of the whole tree by the storage that they are views of. It puts the rows back first.
func (e *edit) users() map[int][]*pickle.Tensor {
	e.flush()
	users := map[int][]*pickle.Tensor{}
	eachNode(e.root, func(v pickle.Value) {
		if t, ok := v.(*pickle.Tensor); ok && t.Storage != nil {
			users[t.Storage.Index] = append(users[t.Storage.Index], t)
		}
	})
	return users
}

// whole tells whether the view is the whole storage in row-major order.
func (e *edit) whole(t *pickle.Tensor) bool {
	v := viewOf(t)
	s := &e.storages[t.Storage.Index]
	return v.Offset == 0 && v.Contiguous() && v.Numel() >= 0 && v.NBytes() == storageLen(s)
}

// storageLen is the number of bytes of a storage after its cast.
func storageLen(s *Storage) int64 {
	if s.Cast == 0 || s.DType.Size() == 0 {
		return s.NBytes
	}
	return s.NBytes / s.DType.Size() * s.Cast.Size()
}

// ownStorage makes a tensor like t with a storage of its own, row-major from offset 0. A whole storage is taken over with
// its extent and checksum; of anything else the elements are gathered when they are read.
func (e *edit) ownStorage(t *pickle.Tensor) *pickle.Tensor {
	old := e.storages[t.Storage.Index]
	s := old
	s.Key, s.Used = "", 0
	if !e.whole(t) {
		view := viewOf(t)
		if old.Cast != 0 {
			// The elements are gathered as they are stored and cast afterwards.
			view.DType = old.DType
			uncast := old
			uncast.Cast, uncast.Used = 0, 0
			view.Storage = e.addStorage(uncast)
		}
		s = Storage{Location: old.Location, DType: view.DType, Of: &view, Cast: old.Cast, NBytes: view.NBytes(), Missing: old.Missing}
	}
	n := *t
	n.Conj, n.Neg = t.Conj && s.Of == nil, t.Neg && s.Of == nil
	n.Offset, n.Stride = 0, rowMajor(t.Shape)
	if s.Of == nil {
		n.Stride = t.Stride
	}
	id := e.addStorage(s)
	n.Storage = newStorageNode(&e.storages[id], id, t.Storage.Location)
	n.Form = plainForm(t.Form)
	return &n
}

// replaced is the row's value with the tensor in it exchanged.
func replaced(v pickle.Value, t *pickle.Tensor) pickle.Value {
	if p, ok := v.(*pickle.Parameter); ok {
		n := *p
		n.Data = t
		return &n
	}
	return t
}

func (o *Unshare) apply(e *edit, r *OpReport) (int, error) {
	rows, err := e.selected(o.Match, o.Except)
	if err != nil {
		return 0, err
	}
	users := e.users()
	// One tensor object under two keys is one user, but two rows.
	sharing := map[int]int{}
	inRows := map[*pickle.Tensor]bool{}
	for i := range e.rows {
		if t := tensorOf(e.rows[i].value); t != nil && t.Storage != nil {
			sharing[t.Storage.Index]++
			inRows[t] = true
		}
	}
	for id, list := range users {
		for _, t := range list {
			if !inRows[t] {
				sharing[id]++
			}
		}
	}
	left := map[int]int{}
	for _, i := range rows {
		t := tensorOf(e.rows[i].value)
		if !plain(t) {
			continue
		}
		id := t.Storage.Index
		n := sharing[id]
		if n < 2 {
			continue
		}
		// The last of those that were told to come apart may keep the storage: nobody else is there any more.
		if left[id]++; left[id] == n {
			continue
		}
		e.rows[i].value = replaced(e.rows[i].value, e.ownStorage(t))
		e.dirty = true
		r.Touched = append(r.Touched, e.rows[i].name)
	}
	return len(rows), nil
}

func (o *Compact) apply(e *edit, r *OpReport) (int, error) {
	rows, err := e.selected(o.Match, o.Except)
	if err != nil {
		return 0, err
	}
	users := e.users()
	moved := map[window]*pickle.Tensor{}
	stays := map[int]window{} // the window that keeps a storage
	name := map[window]string{}
	groups := map[int][]window{}
	swaps := map[pickle.Value]pickle.Value{}
	for _, i := range rows {
		t := tensorOf(e.rows[i].value)
		if !plain(t) {
			continue
		}
		w := windowOf(t)
		if _, ok := name[w]; !ok {
			name[w] = e.rows[i].name
			groups[w.storage] = append(groups[w.storage], w)
		}
		if e.whole(t) {
			if first, ok := stays[w.storage]; !ok || first == w {
				stays[w.storage] = w
				continue
			}
		}
		if moved[w] == nil {
			moved[w] = e.ownStorage(t)
		}
		r.Touched = append(r.Touched, e.rows[i].name)
	}
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		if views := groups[id]; len(views) > 1 {
			names := make([]string, len(views))
			for i, w := range views {
				names[i] = name[w]
			}
			e.warn("compact: these were different views of one storage and are separate now:%s", quotedList(names))
		}
	}
	for w, own := range moved {
		for _, t := range users[w.storage] {
			if plain(t) && windowOf(t) == w {
				n := *own
				n.RequiresGrad, n.Extra = t.RequiresGrad, t.Extra
				swaps[t] = &n
			}
		}
	}
	if len(swaps) > 0 {
		e.swapAll(swaps)
	}
	return len(rows), nil
}

// newStorageNode is the tree's node for a storage that an operation made or changed.
func newStorageNode(s *Storage, id StorageID, location string) *pickle.Storage {
	d := s.DType
	if s.Cast != 0 {
		d = s.Cast
	}
	n := &pickle.Storage{Tag: "storage", Key: s.Key, Location: location, DType: d, Index: int(id)}
	length := storageLen(s)
	if hasStorageClass(d) {
		n.Numel = length / d.Size()
	} else {
		n.DType, n.Untyped, n.Numel = untypedDType, true, length
	}
	return n
}
