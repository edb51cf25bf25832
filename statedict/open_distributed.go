package statedict

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// distributed opens a folder that torch.distributed.checkpoint wrote: the file .metadata, which lists tensors and their
// chunks, and data files that hold one torch.save archive for each chunk. A tensor is put together from its chunks when
// it is read; until then only .metadata is.
//
// Source: torch/distributed/checkpoint/metadata.py, filesystem.py.
func (op *opener) distributed(files []*Source, meta int) (*Checkpoint, error) {
	src := files[meta]
	if src.Size > op.opt.pickleBytes() {
		return nil, &LimitError{Limit: "pickle bytes", Got: src.Size, Max: op.opt.pickleBytes(), Offset: -1}
	}
	data := make([]byte, src.Size)
	if _, err := readAt(src, data, 0); err != nil {
		return nil, err
	}
	pk, err := op.loadPickle(data, src.Name, pickleAt{src, -1, 0})
	if err != nil {
		return nil, err
	}
	d := dcp{op: op, files: files, chunks: map[string][]dcpChunk{}}
	if err := d.storageData(attr(pk.Root, "storage_data")); err != nil {
		return nil, err
	}
	tensors, ok := attr(pk.Root, "state_dict_metadata").(*pickle.Dict)
	if !ok {
		return nil, d.fail("", "has no state_dict_metadata")
	}
	root := &pickle.Dict{Class: &pickle.Global{Module: "collections", Name: "OrderedDict"}}
	for _, it := range tensors.Items {
		key := pickle.PyStr(it.Key)
		v, err := d.value(key, it.Value)
		if err != nil {
			return nil, err
		}
		root.Items = append(root.Items, pickle.Item{Key: key, Value: v})
	}
	return &Checkpoint{Format: DCP, root: root}, nil
}

// dcp reads the metadata of one distributed checkpoint.
type dcp struct {
	op     *opener
	files  []*Source
	chunks map[string][]dcpChunk // by tensor name
}

// dcpChunk is a box of a tensor and the archive that holds it. offset is nil for objects that are no tensors.
type dcpChunk struct {
	offset []int64
	sizes  []int64
	blob   *Source
}

func (d *dcp) fail(key, format string, args ...any) error {
	return &FormatError{Code: "E_FORMAT", Format: "torch-distributed", Part: key, Offset: -1, Msg: fmt.Sprintf(format, args...)}
}

// attr is an attribute of an inert object.
func attr(v pickle.Value, name string) pickle.Value {
	o, _ := v.(*pickle.Object)
	if o == nil {
		return nil
	}
	state, _ := o.State.(*pickle.Dict)
	if state == nil {
		return nil
	}
	return lookup(state, name)
}

// storageData reads where each chunk lies: MetadataIndex(fqn, offset) to _StorageInfo(relative_path, offset, length).
func (d *dcp) storageData(v pickle.Value) error {
	items, ok := v.(*pickle.Dict)
	if !ok {
		return d.fail("", "has no storage_data")
	}
	for _, it := range items.Items {
		name, ok1 := attr(it.Key, "fqn").(string)
		path, ok2 := attr(it.Value, "relative_path").(string)
		off, ok3 := attr(it.Value, "offset").(int64)
		n, ok4 := attr(it.Value, "length").(int64)
		if !ok1 || !ok2 || !ok3 || !ok4 {
			return d.fail(name, "a chunk without name, file, offset or length")
		}
		if t, ok := attr(it.Value, "transform_descriptors").(*pickle.List); ok && len(t.Items) > 0 {
			return &UnsupportedError{What: "compressed chunks of a distributed checkpoint", Keys: []string{name}}
		}
		i := slices.IndexFunc(d.files, func(f *Source) bool { return baseName(f.Name) == path })
		if i < 0 {
			d.op.finding("F_TENSOR_BAD", name, "its file %q is not here", path)
			continue
		}
		f := d.files[i]
		if off < 0 || n < 0 || off > f.Size || n > f.Size-off {
			return &FormatError{Code: "E_TRUNCATED", Format: "torch-distributed", Part: name, Offset: off, Msg: fmt.Sprintf("%d bytes at byte %d of %q, which has %d", n, off, path, f.Size)}
		}
		c := dcpChunk{blob: &Source{Name: f.Name, R: io.NewSectionReader(f.R, off, n), Size: n}}
		c.offset, _ = sizeOf(attr(it.Key, "offset"))
		d.chunks[name] = append(d.chunks[name], c)
	}
	return nil
}

// sizeOf is the numbers of a torch.Size.
func sizeOf(v pickle.Value) ([]int64, bool) {
	t, _ := v.(*pickle.Tuple)
	if t == nil {
		return nil, false
	}
	out := make([]int64, len(t.Items))
	for i := range t.Items {
		n, ok := t.Items[i].(int64)
		if !ok || n < 0 {
			return nil, false
		}
		out[i] = n
	}
	return out, true
}

// value is a tensor or an object of the state dict.
func (d *dcp) value(key string, meta pickle.Value) (pickle.Value, error) {
	shape, isTensor := sizeOf(attr(meta, "size"))
	if !isTensor {
		return d.object(key)
	}
	dt, err := d.dtype(key, attr(meta, "properties"))
	if err != nil {
		return nil, err
	}
	whole := View{DType: dt, Shape: shape}
	if whole.NBytes() < 0 {
		return nil, d.fail(key, "its size overflows")
	}
	a := &assembled{shape: shape, size: dt.Size(), dtype: dt}
	covered := int64(0)
	list, _ := attr(meta, "chunks").(*pickle.List)
	for i := 0; list != nil && i < len(list.Items); i++ {
		off, ok1 := sizeOf(attr(list.Items[i], "offsets"))
		sizes, ok2 := sizeOf(attr(list.Items[i], "sizes"))
		if !ok1 || !ok2 || len(off) != len(shape) || len(sizes) != len(shape) {
			return nil, d.fail(key, "chunk %d has no box inside the tensor", i)
		}
		n := int64(1)
		for k := range off {
			if off[k] > shape[k] || sizes[k] > shape[k]-off[k] {
				return nil, d.fail(key, "chunk %d leaves the tensor", i)
			}
			n *= sizes[k]
		}
		for _, c := range d.chunks[key] {
			if slices.Equal(c.offset, off) {
				covered += n
				c.sizes = sizes
				a.chunks = append(a.chunks, &assembledChunk{dcpChunk: c})
				break
			}
		}
	}
	node := d.op.plainTensor(nil, dt, shape, 0, whole.NBytes())
	st := &d.op.storages[node.Storage.Index]
	st.Data.Source = &Source{Name: key, R: a, Size: st.NBytes}
	if covered != whole.Numel() || list == nil || len(a.chunks) != len(list.Items) {
		st.Missing = fmt.Sprintf("the chunks that are here hold %d of %d elements", covered, whole.Numel())
	}
	return node, nil
}

// dtype reads TensorProperties, whose state is a tuple that starts with the dtype.
func (d *dcp) dtype(key string, props pickle.Value) (DType, error) {
	v := attr(props, "dtype")
	if o, ok := props.(*pickle.Object); ok && v == nil {
		if t, ok := o.State.(*pickle.Tuple); ok && len(t.Items) > 0 {
			v = t.Items[0]
		}
	}
	g, ok := v.(*pickle.Global)
	if !ok {
		return 0, d.fail(key, "its dtype is not given")
	}
	dt, ok := ParseDType(g.Name)
	if !ok {
		return 0, &UnsupportedError{What: "dtype " + g.Name, Keys: []string{key}}
	}
	return dt, nil
}

// object opens the archive of a value that is no tensor, or a tensor saved as bytes.
func (d *dcp) object(key string) (pickle.Value, error) {
	if len(d.chunks[key]) != 1 {
		return nil, nil
	}
	inner := &opener{opt: d.op.opt, ctx: d.op.ctx, storages: d.op.storages}
	cp, err := inner.file(d.chunks[key][0].blob)
	if err != nil {
		d.op.finding("F_UNSUPPORTED", key, "its value does not open: %s", err)
		return nil, nil
	}
	d.op.storages = inner.storages
	d.op.globals = append(d.op.globals, inner.globals...)
	d.op.findings = append(d.op.findings, inner.findings...)
	return cp.root, nil
}

// assembled is the row-major bytes of a tensor that lies in chunks. A chunk's archive is opened when it is first read.
type assembled struct {
	shape  []int64
	size   int64 // of an element, in bytes
	dtype  DType
	chunks []*assembledChunk
}

type assembledChunk struct {
	dcpChunk
	once sync.Once
	cp   *Checkpoint
	st   Storage
	view View
	err  error
}

func (c *assembledChunk) open(dt DType) error {
	c.once.Do(func() {
		if c.cp, c.err = Open(context.Background(), *c.blob); c.err != nil {
			return
		}
		if len(c.cp.Entries) != 1 {
			c.err = fmt.Errorf("a chunk with %d tensors", len(c.cp.Entries))
			return
		}
		c.view = c.cp.Entries[0].View
		if c.view.DType != dt || !slices.Equal(c.view.Shape, c.sizes) || c.view.Storage == NoStorage {
			c.err = fmt.Errorf("a chunk of %s %v where %s %v was announced", c.view.DType, c.view.Shape, dt, c.sizes)
			return
		}
		c.st = c.cp.Storages[c.view.Storage]
		if c.st.Missing != "" || c.st.Data.Method != Stored || c.st.BigEndian {
			c.err = fmt.Errorf("a chunk that cannot be read in place")
		}
	})
	return c.err
}

// ReadAt fills p with the bytes from off on. Rows of the last dimension are read from the chunk that has them.
func (a *assembled) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := a.run(p[done:], off+int64(done))
		done += n
		if err != nil {
			return done, err
		}
		if n == 0 {
			return done, io.EOF
		}
	}
	return done, nil
}

// run reads what one chunk has from off on, at most to the end of the row.
func (a *assembled) run(p []byte, off int64) (int, error) {
	// The element that off lies in, as indices.
	at := make([]int64, len(a.shape))
	e, skip := off/a.size, off%a.size
	for k := len(a.shape) - 1; k >= 0; k-- {
		at[k] = e % a.shape[k]
		e /= a.shape[k]
	}
	if e > 0 {
		return 0, io.EOF
	}
	for _, c := range a.chunks {
		inside := true
		for k := range at {
			inside = inside && at[k] >= c.offset[k] && at[k] < c.offset[k]+c.sizes[k]
		}
		if !inside {
			continue
		}
		if err := c.open(a.dtype); err != nil {
			return 0, err
		}
		pos, left := c.view.Offset, int64(1)
		for k := range at {
			pos += (at[k] - c.offset[k]) * c.view.Stride[k]
		}
		// How many elements follow each other both in the tensor and in the chunk.
		if last := len(at) - 1; last >= 0 && (c.view.Stride[last] == 1 || c.sizes[last] == 1) {
			left = c.offset[last] + c.sizes[last] - at[last]
			if c.view.Contiguous() && slices.Equal(c.sizes[1:], a.shape[1:]) {
				left = c.view.Numel() - (pos - c.view.Offset)
			}
		}
		n := min(int64(len(p)), left*a.size-skip)
		x := c.st.Data
		return c.blobRead(p[:n], x.Off+pos*a.size+skip)
	}
	return 0, fmt.Errorf("no chunk holds element %v", at)
}

func (c *assembledChunk) blobRead(p []byte, off int64) (int, error) { return readAt(c.blob, p, off) }
