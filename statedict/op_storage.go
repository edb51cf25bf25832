package statedict

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

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

// deviceKinds are the devices of PyTorch itself and the names that its out-of-tree backends register.
//
// Source: torch/serialization.py, register_package; c10/core/DeviceType.cpp.
var deviceKinds = []string{"cpu", "cuda", "mps", "xpu", "hpu", "mtia", "xla", "meta", "ipu", "npu", "mlu", "musa", "privateuseone", "hip", "vulkan"}

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
	rows := make([]int, 0, len(e.rows))
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
	if kind, _, _ := strings.Cut(device, ":"); !slices.Contains(deviceKinds, kind) {
		e.warn("set_device: PyTorch itself knows no device %q (cpu, cuda:0 and mps are some); the file loads with map_location only, or where one of that name is registered", device)
	}
	if device == "cuda" {
		device = "cuda:0" // the tag that torch.save writes
	}
	here := map[StorageID]bool{}
	move := func(s *pickle.Storage) (moved bool) {
		for ; s != nil; s = s.Root {
			id := e.storage(&pickle.Tensor{Storage: s})
			moved = moved || here[id]
			if e.storages[id].Location != device {
				moved = true
				here[id] = e.shared(id)
				e.retype(StorageID(s.Index), func(*retype) {})
				e.storages[id].Location = device
			}
		}
		return moved
	}
	for _, i := range rows {
		moved := false
		if t := tensorOf(e.rows[i].value); t.Extra == nil && t.Storage != nil {
			moved = move(t.Storage)
		} else {
			eachNode(t, nil, func(v pickle.Value) {
				if s, ok := v.(*pickle.Storage); ok && move(s) {
					moved = true
				}
			})
		}
		if moved {
			r.Touched = append(r.Touched, e.rows[i].name)
		}
	}
	left := map[StorageID]bool{}
	note := func(t *pickle.Tensor) {
		if id := e.storage(t); e.storages[id].Location != device {
			left[id] = true
		}
	}
	if len(r.Touched) > 0 {
		e.eachInRows(func(t *pickle.Tensor, _ int) { note(t) })
		e.eachOutside(note)
	}
	if len(left) > 0 {
		e.warn("set_device: %d storages that this step does not reach stay on another device", len(left))
	}
	return len(rows), nil
}

func (o *SetRequiresGrad) apply(e *edit, r *OpReport) (int, error) {
	rows, err := e.selected(o.Match, o.Except)
	if err != nil {
		return 0, err
	}
	touched := 0
	for _, i := range rows {
		v := e.rows[i].value
		t := tensorOf(v)
		if _, bare := v.(*pickle.Tensor); bare && !plain(t) {
			continue // what is made of parts has no such flag in the file
		}
		if d := e.dtypeNow(t); o.Value && !d.IsFloat() && !d.IsComplex() {
			continue
		}
		touched++
		switch v := v.(type) {
		case *pickle.Tensor:
			if v.RequiresGrad != o.Value {
				n := *v
				n.RequiresGrad = o.Value
				e.setValue(i, &n)
				r.Touched = append(r.Touched, e.rows[i].name)
			}
		case *pickle.Parameter:
			if v.RequiresGrad != o.Value {
				n := *v
				n.RequiresGrad = o.Value
				e.setValue(i, &n)
				r.Touched = append(r.Touched, e.rows[i].name)
			}
		}
	}
	e.settle()
	return touched, nil
}

// window is a view of a storage, comparable: two tensors with one window are the same weights.
type window struct {
	storage   StorageID
	dtype     DType
	offset    int64
	dims      string // shape and stride
	conj, neg bool
}

func (e *edit) window(t *pickle.Tensor) window {
	v := e.view(t)
	return window{v.Storage, v.DType, v.Offset, fmt.Sprint(v.Shape, v.Stride), v.Conj, v.Neg}
}

func (o *Unshare) apply(e *edit, r *OpReport) (int, error) {
	rows, err := e.selected(o.Match, o.Except)
	if err != nil {
		return 0, err
	}
	sharing := map[StorageID]int{}
	count := func(t *pickle.Tensor) {
		if id := e.storage(t); e.shared(id) {
			sharing[id]++
		}
	}
	e.eachInRows(func(t *pickle.Tensor, _ int) { count(t) })
	e.eachOutside(count)
	apart := map[StorageID]int{}
	for _, i := range rows {
		t := tensorOf(e.rows[i].value)
		if !plain(t) {
			continue
		}
		id := e.storage(t)
		n := sharing[id]
		if n < 2 {
			continue
		}
		// The last of those that were told to come apart may keep the storage: nobody else is there any more.
		if apart[id]++; apart[id] == n {
			continue
		}
		e.rows[i].value, e.dirty = withTensor(e.rows[i].value, e.ownStorage(t)), true
		r.Touched = append(r.Touched, e.rows[i].name)
	}
	return len(rows), nil
}

// compacting is the work of one compact step.
type compacting struct {
	*edit
	stays map[StorageID]window      // the window that keeps a storage
	moved map[window]*pickle.Tensor // the others, in storages of their own
	names map[StorageID][]string    // the first key of each window, in order
	seen  map[window]bool
}

func (o *Compact) apply(e *edit, r *OpReport) (int, error) {
	rows, err := e.selected(o.Match, o.Except)
	if err != nil {
		return 0, err
	}
	c := compacting{e, map[StorageID]window{}, map[window]*pickle.Tensor{}, map[StorageID][]string{}, map[window]bool{}}
	for _, i := range rows {
		t := tensorOf(e.rows[i].value)
		if !plain(t) || e.whole(t) && !e.shared(e.storage(t)) {
			continue
		}
		if own := c.own(t, e.rows[i].name); own != nil {
			e.setValue(i, withTensor(e.rows[i].value, own))
			r.Touched = append(r.Touched, e.rows[i].name)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.names)) {
		if names := c.names[id]; len(names) > 1 {
			e.warn("compact: these were different views of one storage and are separate now:%s", quotedList(names))
		}
	}
	e.settle()
	if len(c.moved) > 0 {
		// Tensors outside that are the same views stay tied.
		e.eachOutside(func(t *pickle.Tensor) {
			if plain(t) {
				if own := c.moved[e.window(t)]; own != nil {
					e.setSwap(t, like(own, t))
				}
			}
		})
	}
	return len(rows), nil
}

// own is what t becomes; nil where it keeps its storage.
func (c *compacting) own(t *pickle.Tensor, name string) *pickle.Tensor {
	w := c.window(t)
	if !c.seen[w] {
		c.seen[w] = true
		c.names[w.storage] = append(c.names[w.storage], name)
	}
	if c.whole(t) {
		if first, ok := c.stays[w.storage]; !ok || first == w {
			c.stays[w.storage] = w
			return nil
		}
	}
	if own := c.moved[w]; own != nil {
		c.storages[own.Storage.Index].Used++
		return like(own, t)
	}
	c.moved[w] = c.ownStorage(t)
	return c.moved[w]
}

// like is the tensor own for a place where t stood.
func like(own, t *pickle.Tensor) *pickle.Tensor {
	n := *own
	n.RequiresGrad, n.Extra = t.RequiresGrad, t.Extra
	return &n
}
