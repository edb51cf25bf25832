package statedict

import (
	"fmt"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
	"github.com/weightroom/weightroom/statedict/internal/torchfile"
)

// tar opens a checkpoint of torch 0.1.0 to 0.1.9: the members storages and tensors hold what the persistent ids of the
// member pickle name.
//
// Source: torch/serialization.py of 0.1.9 and _load of later versions, legacy_load.
func (op *opener) tar(src *Source) (*Checkpoint, error) {
	a, err := torchfile.ReadTar(src.R, src.Size, torchfile.Limits{Entries: op.opt.Records})
	if err != nil {
		return nil, torchfileError(src, "tar", err)
	}
	for _, f := range a.Findings {
		op.finding(f.Code, f.Record, "%s", f.Msg)
	}
	if !a.Torch {
		names := make([]string, 0, len(a.Members))
		for _, m := range a.Members {
			names = append(names, m.Name)
		}
		return nil, &FormatError{Code: "E_FORMAT", Offset: -1, Err: ErrNotCheckpoint,
			Msg: "not a checkpoint: this is a tar of other files:" + quotedList(names), Hint: "unpack it and open one of the files inside"}
	}
	t := &tarReader{op: op, src: src, a: a, storages: map[string]*pickle.Storage{}, tensors: map[string]*pickle.Tensor{}}
	if err := t.readStorages(); err != nil {
		return nil, err
	}
	if err := t.readTensors(); err != nil {
		return nil, err
	}
	pk, err := t.pickle("pickle", pickle.Options{PersistentLoad: t.persistent})
	if err != nil {
		return nil, err
	}
	return &Checkpoint{Format: TorchTar, root: pk.Root}, nil
}

type tarReader struct {
	op       *opener
	src      *Source
	a        *torchfile.TarArchive
	storages map[string]*pickle.Storage
	tensors  map[string]*pickle.Tensor
}

func (t *tarReader) fail(part string, c *torchfile.Cursor, format string, args ...any) error {
	return &FormatError{Code: "E_PICKLE", Format: "torch-tar", Part: part, Offset: c.Off(), Msg: fmt.Sprintf(format, args...)}
}

func (t *tarReader) pickle(member string, opt pickle.Options) (*pickle.Pickle, error) {
	c, _ := t.a.Cursor(member)
	return t.op.next(t.src, c, "torch-tar", member, opt)
}

// count reads how many records follow in a member.
func (t *tarReader) count(c *torchfile.Cursor, member string) (int64, error) {
	pk, err := t.op.next(t.src, c, "torch-tar", member, pickle.Options{})
	if err != nil {
		return 0, err
	}
	n, ok := pk.Root.(int64)
	if !ok || n < 0 || n > c.Left() {
		return 0, t.fail(member, c, "no count of records where one belongs")
	}
	return n, nil
}

// triple reads a record's pickle: key, something, class.
func (t *tarReader) triple(c *torchfile.Cursor, member string) (items []pickle.Value, class *pickle.Global, err error) {
	pk, err := t.op.next(t.src, c, "torch-tar", member, pickle.Options{})
	if err != nil {
		return nil, nil, err
	}
	tuple, ok := pk.Root.(*pickle.Tuple)
	if ok && len(tuple.Items) == 3 {
		if class, ok = tuple.Items[2].(*pickle.Global); ok {
			return tuple.Items, class, nil
		}
	}
	return nil, nil, t.fail(member, c, "a record is not (key, value, class)")
}

func (t *tarReader) readStorages() error {
	const member = "storages"
	c, _ := t.a.Cursor(member)
	n, err := t.count(c, member)
	if err != nil {
		return err
	}
	for range n {
		items, class, err := t.triple(c, member)
		if err != nil {
			return err
		}
		dt, untyped, ok := pickle.StorageType(class.Name)
		if !ok {
			return t.fail(member, c, "storage class %q is not known", class.Name)
		}
		numel, err := c.Int64()
		if err != nil {
			return torchfileError(t.src, "torch-tar", err)
		}
		if numel < 0 || numel > c.Left()/dt.Size() {
			return t.fail(member, c, "a storage of %d elements in %d bytes", numel, c.Left())
		}
		x, err := c.Skip(numel * dt.Size())
		if err != nil {
			return torchfileError(t.src, "torch-tar", err)
		}
		node := &pickle.Storage{Key: pickle.PyStr(items[0]), Location: pickle.PyStr(items[1]), DType: dt, Untyped: untyped, Class: class, Numel: numel}
		t.op.add(node, Storage{Key: node.Key, Location: node.Location, DType: dt, NBytes: x.Len, Data: Extent{Source: t.src, Off: x.Off, Len: x.Len}})
		t.storages[node.Key] = node
	}
	if c.Left() == 0 {
		return nil
	}
	pk, err := t.op.next(t.src, c, "torch-tar", member, pickle.Options{})
	if err != nil {
		return err
	}
	views, _ := pk.Root.(*pickle.List)
	if views == nil {
		return t.fail(member, c, "the views are not a list")
	}
	for _, v := range views.Items {
		if err := t.view(c, v); err != nil {
			return err
		}
	}
	return nil
}

// view adds a storage that is a window of another: (target key, root key, offset, numel), in elements.
func (t *tarReader) view(c *torchfile.Cursor, v pickle.Value) error {
	tuple, _ := v.(*pickle.Tuple)
	if tuple == nil || len(tuple.Items) != 4 {
		return t.fail("storages", c, "a view is not (key, root, offset, numel)")
	}
	root := t.storages[pickle.PyStr(tuple.Items[1])]
	off, ok1 := tuple.Items[2].(int64)
	numel, ok2 := tuple.Items[3].(int64)
	if root == nil || !ok1 || !ok2 || off < 0 || numel < 0 || off > root.Numel || numel > root.Numel-off {
		return t.fail("storages", c, "view %q leaves its storage", pickle.PyStr(tuple.Items[0]))
	}
	node := *root
	node.Key, node.Root, node.Offset, node.Numel = pickle.PyStr(tuple.Items[0]), root, off, numel
	st := t.op.storages[root.Index]
	size := root.DType.Size()
	st.Key, st.NBytes = node.Key, numel*size
	st.Data.Off += off * size
	st.Data.Len = st.NBytes
	t.op.add(&node, st)
	t.storages[node.Key] = &node
	return nil
}

func (t *tarReader) readTensors() error {
	const member = "tensors"
	c, _ := t.a.Cursor(member)
	n, err := t.count(c, member)
	if err != nil {
		return err
	}
	for range n {
		items, _, err := t.triple(c, member)
		if err != nil {
			return err
		}
		h, err := c.TensorHeader(torchfile.Limits{})
		if err != nil {
			return torchfileError(t.src, "torch-tar", err)
		}
		st := t.storages[pickle.PyStr(items[1])]
		if st == nil {
			return t.fail(member, c, "tensor %q names storage %q, which is not in the file", pickle.PyStr(items[0]), pickle.PyStr(items[1]))
		}
		t.tensors[pickle.PyStr(items[0])] = &pickle.Tensor{Storage: st, DType: st.DType, Offset: h.Offset, Shape: h.Shape, Stride: h.Stride, Form: pickle.FormTar}
	}
	return nil
}

// persistent answers the ids of the member pickle: a tensor's key, or a tuple whose first item stands for a class.
func (t *tarReader) persistent(id pickle.Value) (pickle.Value, error) {
	if tuple, ok := id.(*pickle.Tuple); ok && len(tuple.Items) > 0 {
		return tuple.Items[0], nil
	}
	if tensor := t.tensors[pickle.PyStr(id)]; tensor != nil {
		return tensor, nil
	}
	return nil, fmt.Errorf("tensor %q is not in the file", pickle.PyStr(id))
}
