package statedict

import (
	"iter"
	"slices"
	"strconv"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// place is where a node stands: key inside the mapping at path dict. A list position is part of the key.
type place struct{ dict, key string }

func (p place) path() string { return joinPath(p.dict, p.key) }

func (p place) index(i int) place {
	return place{p.dict, p.key + "[" + strconv.Itoa(i) + "]"}
}

// frame is one container on the walk's stack.
type frame struct {
	node pickle.Value
	met  *met
	at   place
	path string // at.path(), made once
	next int    // child to visit next
}

// met is a container that the walk has entered.
type met struct {
	path string // its first one
	open bool   // its children are being walked: a reference to it now is a cycle
	size int64  // values in it, each counted as often as it is reached; at most maxSize
}

// maxSize bounds met.size; adding two of them cannot overflow.
const maxSize = 1 << 61

// visitor receives the nodes of a tree in file order. A container is entered once, under its first path; enter answers
// whether to walk its children, leave is called behind the last of them, ref tells the later references to it.
type visitor struct {
	tensor func(at place, node pickle.Value)
	leaf   func(at place, node pickle.Value)
	enter  func(at place, node pickle.Value) bool
	leave  func()
	ref    func(at place, node pickle.Value, first *met)
}

// maxDepth is the nesting that is walked; deeper nodes count as leaves.
const maxDepth = 1000

// walk visits the object tree. It keeps its own stack, and enters each container once, so that neither depth nor
// cycles nor shared nodes of a hostile pickle can exhaust the machine. It answers how many values there are, and how many
// when shared containers count as often as they are reached.
func (cp *Checkpoint) walk(v visitor) (values, written int64) {
	seen := map[pickle.Value]*met{}
	var stack []frame
	count := func(n int64) {
		into := &written
		if len(stack) > 0 {
			into = &stack[len(stack)-1].met.size
		}
		*into = min(*into+n, maxSize)
	}
	visit := func(at place, node pickle.Value) {
		values++
		count(1)
		switch node.(type) {
		case *pickle.Tensor, *pickle.Parameter:
			v.tensor(at, node)
			return
		case *pickle.Dict, *pickle.List, *pickle.Tuple, *pickle.Set, *pickle.Object:
			if first, ok := seen[node]; ok {
				count(first.size)
				if v.ref != nil {
					v.ref(at, node, first)
				}
				return
			}
			m := &met{path: at.path()}
			seen[node] = m
			if len(stack) >= maxDepth || v.enter != nil && !v.enter(at, node) {
				return
			}
			m.open = true
			stack = append(stack, frame{node: node, met: m, at: at, path: m.path})
		default:
			if v.leaf != nil {
				v.leaf(at, node)
			}
		}
	}
	drain := func() {
		for len(stack) > 0 {
			f := &stack[len(stack)-1]
			at, node, ok := f.child()
			if !ok {
				m := f.met
				m.open = false
				if v.leave != nil {
					v.leave()
				}
				stack = stack[:len(stack)-1]
				count(m.size)
				continue
			}
			f.next++
			visit(at, node)
		}
	}
	visit(place{}, cp.root)
	drain()
	if cp.constants != nil {
		visit(place{key: "constants.pkl"}, cp.constants)
		drain()
	}
	return values, written
}

// child answers the frame's next child.
func (f *frame) child() (place, pickle.Value, bool) {
	i := f.next
	switch n := f.node.(type) {
	case *pickle.Dict:
		if i < len(n.Items) {
			return place{f.path, pickle.PyStr(n.Items[i].Key)}, n.Items[i].Value, true
		}
		// Attributes stand behind the items; _metadata is no key (see ModuleVersions).
		if attrs, ok := n.Attrs.(*pickle.Dict); ok {
			for j := i - len(n.Items); j < len(attrs.Items); j++ {
				if attrs.Items[j].Key == "_metadata" {
					f.next++
					continue
				}
				return place{f.path, pickle.PyStr(attrs.Items[j].Key)}, attrs.Items[j].Value, true
			}
		}
	case *pickle.List:
		if i < len(n.Items) {
			return f.at.index(i), n.Items[i], true
		}
	case *pickle.Tuple:
		if i < len(n.Items) {
			return f.at.index(i), n.Items[i], true
		}
	case *pickle.Set:
		if i < len(n.Items) {
			return f.at.index(i), n.Items[i], true
		}
	case *pickle.Object:
		return f.objectChild(n, i)
	}
	return place{}, nil, false
}

// objectChild walks, in this order, what an object was called with, its state, its items and its elements.
func (f *frame) objectChild(o *pickle.Object, i int) (place, pickle.Value, bool) {
	if o.Args != nil {
		if i < len(o.Args.Items) {
			return f.at.index(i), o.Args.Items[i], true
		}
		i -= len(o.Args.Items)
	}
	if kw, ok := o.Kwargs.(*pickle.Dict); ok {
		if i < len(kw.Items) {
			return place{f.path, pickle.PyStr(kw.Items[i].Key)}, kw.Items[i].Value, true
		}
		i -= len(kw.Items)
	}
	if o.HasState {
		if state, ok := o.State.(*pickle.Dict); ok {
			if i < len(state.Items) {
				return place{f.path, pickle.PyStr(state.Items[i].Key)}, state.Items[i].Value, true
			}
			i -= len(state.Items)
		} else {
			if i == 0 {
				return f.at, o.State, true
			}
			i--
		}
	}
	if i < len(o.Items) {
		return place{f.path, pickle.PyStr(o.Items[i].Key)}, o.Items[i].Value, true
	}
	i -= len(o.Items)
	if i < len(o.Elems) {
		return f.at.index(i), o.Elems[i], true
	}
	return place{}, nil, false
}

// rebuild makes the checkpoint that has this tree and these storages: entries and use counts are derived anew.
// Tensor nodes name storages by index; base gives everything else. It reads nothing.
func (cp *Checkpoint) rebuild(root pickle.Value, storages []Storage) (*Checkpoint, error) {
	out := *cp
	if len(storages) > 0 && len(cp.Storages) > 0 && &storages[0] == &cp.Storages[0] {
		storages = slices.Clone(storages) // the use counts of cp stay its own
	}
	out.root, out.Storages, out.edited = root, storages, true
	out.index()
	return &out, nil
}

// index derives Entries, the use counts and the findings about tree and tensors from the tree.
func (cp *Checkpoint) index() {
	for i := range cp.Storages {
		st := &cp.Storages[i]
		st.Used, st.swapAs, st.mixed = 0, 0, false
	}
	cp.Entries = make([]Entry, 0, len(cp.Storages))
	found := findings{list: cp.found}
	objects := false
	values, written := cp.walk(visitor{
		tensor: func(at place, node pickle.Value) {
			cp.Entries = append(cp.Entries, Entry{Dict: at.dict, Key: at.key, node: node})
			e := &cp.Entries[len(cp.Entries)-1]
			e.Info = cp.view(&e.View, node)
			found.tensor(cp, e)
			found.name(at)
			cp.use(e)
		},
		leaf: func(at place, _ pickle.Value) { found.name(at) },
		enter: func(at place, n pickle.Value) bool {
			_, isObject := n.(*pickle.Object)
			objects = objects || isObject
			found.name(at)
			return true
		},
		ref: func(at place, _ pickle.Value, first *met) { found.cycle(at, first) },
	})
	found.shared(values, written)
	cp.Findings = found.all()
	if objects {
		cp.nameStateKeys()
	}
}

// StateDicts sums up every mapping that holds tensors, in file order.
func (cp *Checkpoint) StateDicts() []StateDict {
	var out []StateDict
	at := map[string]int{}
	for i := range cp.Entries {
		e := &cp.Entries[i]
		j, ok := at[e.Dict]
		if !ok {
			j = len(out)
			at[e.Dict] = j
			out = append(out, StateDict{Path: e.Dict})
		}
		out[j].Keys++
		out[j].NBytes += max(0, e.ByteLen())
	}
	return out
}

// TypeName is the entry's dtype: torch's name, or the format's own where torch has none ("Q8_0").
func (e *Entry) TypeName() string {
	if e.Info != nil && e.Info.Code != "" {
		return e.Info.Code
	}
	return e.DType.String()
}

// ByteLen is the number of bytes of the entry's elements; for composites the sum of the parts.
func (e *Entry) ByteLen() int64 {
	if e.Storage == NoStorage && e.Info != nil && len(e.Info.Parts) > 0 {
		var n int64
		for i := range e.Info.Parts {
			n += max(0, e.Info.Parts[i].NBytes())
		}
		return n
	}
	if e.Info != nil && e.Info.Code != "" {
		return e.Info.CodeBytes
	}
	return e.NBytes()
}

// Objects yields the leaves of the object tree that are no tensors, in file order. An empty container is a leaf; a
// container met again is one whose Ref names its first path.
func (cp *Checkpoint) Objects() iter.Seq[Object] {
	return func(yield func(Object) bool) {
		done := false
		emit := func(o Object) {
			if !done && !yield(o) {
				done = true
			}
		}
		cp.walk(visitor{
			tensor: func(place, pickle.Value) {},
			leaf:   func(at place, n pickle.Value) { emit(object(at.path(), n)) },
			enter: func(at place, n pickle.Value) bool {
				if o, leaf := containerObject(at.path(), n); leaf {
					emit(o)
					return false
				} else if o.Type != "" {
					emit(o)
				}
				return !done
			},
			ref: func(at place, n pickle.Value, first *met) {
				emit(Object{Path: at.path(), Type: pickle.TypeName(n), Ref: first.path, IsRef: true})
			},
		})
	}
}

func object(path string, n pickle.Value) Object {
	v, ok := pickle.Scalar(n)
	return Object{Path: path, Type: pickle.TypeName(n), Value: v, HasValue: ok}
}

// containerObject answers the row of a container and whether it is a leaf: an empty one, or one with a short value of its
// own such as torch.Size or a numpy scalar. A foreign object has a row of its own and is walked as well.
func containerObject(path string, n pickle.Value) (Object, bool) {
	if v, ok := pickle.Scalar(n); ok {
		return Object{Path: path, Type: pickle.TypeName(n), Value: v, HasValue: true}, true
	}
	empty := false
	switch c := n.(type) {
	case *pickle.Dict:
		empty = len(c.Items) == 0
	case *pickle.List:
		empty = len(c.Items) == 0
	case *pickle.Tuple:
		empty = len(c.Items) == 0
	case *pickle.Set:
		empty = len(c.Items) == 0
	case *pickle.Object:
		return Object{Path: path, Type: pickle.TypeName(n)}, false
	}
	if !empty {
		return Object{}, false
	}
	if _, isDict := n.(*pickle.Dict); isDict {
		return Object{Path: path, Type: pickle.TypeName(n), Value: map[string]any{}, HasValue: true}, true
	}
	return Object{Path: path, Type: pickle.TypeName(n), Value: []any{}, HasValue: true}, true
}

// DictPath is the path of the mapping that a recipe without at works on; "" is the root, also where there is none.
func (cp *Checkpoint) DictPath() string {
	path, _, _, err := findDict(cp, "", false)
	if err != nil {
		return ""
	}
	return path
}

// ModuleVersions is the _metadata of the state dict at path dict, in file order: module path and version. Entries without
// a whole-number version are left out.
func (cp *Checkpoint) ModuleVersions(dict string) (paths []string, versions []int64) {
	d, ok := cp.find(dict).(*pickle.Dict)
	if !ok {
		return nil, nil
	}
	attrs, _ := d.Attrs.(*pickle.Dict)
	if attrs == nil {
		return nil, nil
	}
	for _, it := range attrs.Items {
		meta, ok := it.Value.(*pickle.Dict)
		if it.Key != "_metadata" || !ok {
			continue
		}
		for _, m := range meta.Items {
			fields, _ := m.Value.(*pickle.Dict)
			if fields == nil {
				continue
			}
			for _, f := range fields.Items {
				if n, ok := f.Value.(int64); ok && f.Key == "version" {
					paths = append(paths, pickle.PyStr(m.Key))
					versions = append(versions, n)
				}
			}
		}
	}
	return paths, versions
}

// find answers the first container at path, nil if there is none.
func (cp *Checkpoint) find(path string) (found pickle.Value) {
	hit := false
	cp.walk(visitor{tensor: func(place, pickle.Value) {}, enter: func(at place, n pickle.Value) bool {
		if !hit && at.path() == path {
			found, hit = n, true
		}
		return !hit
	}})
	return found
}
