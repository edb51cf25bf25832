package pickle

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// storageTypes maps the names of storage classes, without the module: torch takes any module for them.
var storageTypes = map[string]dtype.DType{
	"DoubleStorage": dtype.Float64, "FloatStorage": dtype.Float32, "HalfStorage": dtype.Float16, "BFloat16Storage": dtype.BFloat16,
	"LongStorage": dtype.Int64, "IntStorage": dtype.Int32, "ShortStorage": dtype.Int16, "CharStorage": dtype.Int8,
	"ByteStorage": dtype.UInt8, "BoolStorage": dtype.Bool,
	"ComplexDoubleStorage": dtype.Complex128, "ComplexFloatStorage": dtype.Complex64,
	"QInt8Storage": dtype.QInt8, "QUInt8Storage": dtype.QUInt8, "QInt32Storage": dtype.QInt32,
	"QUInt4x2Storage": dtype.QUInt4x2, "QUInt2x4Storage": dtype.QUInt2x4,
	"UntypedStorage": dtype.UInt8, "_UntypedStorage": dtype.UInt8, "TypedStorage": dtype.UInt8, "_TypedStorage": dtype.UInt8,
}

// StorageType is the dtype of the elements of a storage class, untyped where its sizes count bytes. The module of the
// class plays no part: torch resolves "FloatStorage" of any.
func StorageType(name string) (d dtype.DType, untyped, ok bool) {
	d, ok = storageTypes[name]
	return d, strings.HasSuffix(name, "typedStorage"), ok
}

// storageNames is storageTypes backwards, for the dtypes that have a class of their own.
var storageNames = func() map[dtype.DType]string {
	m := make(map[dtype.DType]string)
	for name, d := range storageTypes {
		if !strings.HasSuffix(name, "ypedStorage") {
			m[d] = name
		}
	}
	return m
}()

// StorageClass is the class that torch.save names for a storage of this dtype: torch.FloatStorage and so on. The dtypes that
// came with _rebuild_tensor_v3 have none.
func StorageClass(d dtype.DType) (*Global, bool) {
	name, ok := storageNames[d]
	return &Global{Module: "torch", Name: name}, ok
}

// persistent resolves a persistent id: ('storage', class, key, location, numel[, view]) or ('module', class, file, source).
func (l *loader) persistent(id any) (any, error) {
	if l.opt.PersistentLoad != nil {
		return l.override(id)
	}
	items, ok := tupleItems(id)
	if !ok || len(items) == 0 {
		return l.unknownID(id), nil
	}
	switch tag, _ := items[0].(string); {
	case tag == "storage" && len(items) >= 5:
		if n := l.storageID(items); n != nil {
			return n, nil
		}
	case tag == "module" && len(items) >= 2:
		if c, ok := items[1].(*classNode); ok {
			m := Module{Class: c.g}
			if len(items) > 2 {
				m.File, _ = items[2].(string)
			}
			if len(items) > 3 {
				m.Source, _ = items[3].(string)
			}
			l.pickle.Modules = append(l.pickle.Modules, m)
			return c, nil
		}
	}
	return l.unknownID(id), nil
}

// unknownID keeps an id that torch would not understand either.
func (l *loader) unknownID(id any) any {
	if l.bad++; l.bad > maxBad {
		panic(overLimit(0, "impossible tensors", maxBad))
	}
	n := &objectNode{made: made{l}, class: &Global{Name: "persistent_load"}, args: []any{id}}
	l.find(Finding{Code: FindingUnsupported, Message: "a persistent id that names no storage"})
	return n
}

func (l *loader) override(id any) (any, error) {
	var key Value
	switch v := id.(type) {
	case int:
		key = int64(v)
	case int64, string:
		key = v
	default:
		items, ok := tupleItems(id)
		if !ok {
			return l.unknownID(id), nil
		}
		t := &Tuple{}
		for _, it := range items {
			switch it := it.(type) {
			case nil, string, bool, int64:
				t.Items = append(t.Items, it)
			case int:
				t.Items = append(t.Items, int64(it))
			case *classNode:
				t.Items = append(t.Items, it.g)
			case *storageNode:
				t.Items = append(t.Items, it.s)
			default:
				return l.unknownID(id), nil
			}
		}
		key = t
	}
	v, err := l.opt.PersistentLoad(key)
	if err != nil {
		return nil, err
	}
	return l.wrap(v), nil
}

// wrap makes a final value fit for the VM.
func (l *loader) wrap(v Value) any {
	switch v := v.(type) {
	case *Tensor:
		return &tensorNode{made: made{l}, t: v}
	case *Storage:
		return &storageNode{made: made{l}, s: v}
	case *Global:
		return newClass(l, v.Module, v.Name)
	}
	return &valueNode{made: made{l}, v: v}
}

// storageID returns the node of a storage id, nil where the id makes no sense.
func (l *loader) storageID(items []any) any {
	class, ok := items[1].(*classNode)
	if !ok || class.storage == nil {
		return nil
	}
	d, untyped := class.storage.dtype, class.storage.untyped
	key, ok := items[2].(string)
	if n, isInt := asInt(items[2]); isInt {
		key, ok = strconv.FormatInt(n, 10), true
	}
	if !ok {
		return nil
	}
	var bad string
	numel, ok := asInt(items[4])
	if !ok || numel < 0 {
		numel, bad = -1, fmt.Sprintf("storage %s: its number of elements is negative or beyond 64 bits", quoteKey(key))
	}
	n := l.storages[key]
	if n == nil {
		n = l.newStorage(Storage{Key: key, DType: d, Untyped: untyped, Class: class.g, Numel: numel})
		n.bad = bad
		n.s.Tag, _ = items[0].(string)
		n.s.Location, _ = items[3].(string)
		l.storages[key] = n
	} else if n.s.DType != d || n.s.Untyped != untyped || n.s.Numel != numel {
		clash := &storageNode{made: made{l}, s: n.s}
		clash.bad = fmt.Sprintf("storage %s is %s of %d elements elsewhere, here %s of %d", quoteKey(key), n.s.Class.Name, n.s.Numel, class.g.Name, numel)
		n = clash
	}
	if len(items) > 5 && items[5] != nil {
		location, _ := items[3].(string)
		return l.window(n, location, items[5])
	}
	return n
}

// window resolves the view metadata of old legacy files: (view key, offset, size) in elements.
func (l *loader) window(root *storageNode, location string, view any) any {
	items, _ := tupleItems(view)
	if len(items) != 3 {
		return nil
	}
	key, ok := items[0].(string)
	off, ok2 := asInt(items[1])
	size, ok3 := asInt(items[2])
	if !ok || !ok2 || !ok3 {
		return nil
	}
	if n := l.storages[key]; n != nil && n.s.Root == root.s {
		return n
	}
	r := root.s
	n := l.newStorage(Storage{Tag: r.Tag, Key: key, Location: location, DType: r.DType, Untyped: r.Untyped, Class: r.Class, Numel: size, Root: r, Offset: off})
	n.bad = root.bad
	if off < 0 || size < 0 || off > r.Numel || size > r.Numel-off {
		n.bad = fmt.Sprintf("storage %s: a window of %d elements from %d on, but %s has %d", quoteKey(key), size, off, quoteKey(r.Key), r.Numel)
	}
	if l.storages[key] == nil {
		l.storages[key] = n
	}
	return n
}

func (l *loader) newStorage(s Storage) *storageNode {
	n := slab(&l.slabs.ids)
	n.l = l
	n.s = slab(&l.slabs.storages)
	*n.s = s
	n.s.Index = len(l.pickle.Storages)
	l.pickle.Storages = append(l.pickle.Storages, n.s)
	return n
}
