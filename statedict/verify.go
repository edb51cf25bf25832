package statedict

import (
	"context"
	"fmt"
	"slices"
)

// Verify opens what was written, in the order of p.Files, with the decoder that opens any file, and compares it with the
// plan: sizes, keys, order, dtypes, shapes; for torch files strides, offsets, sharing and the checksums of the records.
// It reads headers, no tensor bytes. Errors say what differs first.
func Verify(ctx context.Context, p *Plan, written ...Source) error {
	if len(written) != len(p.Files) {
		return fmt.Errorf("verify: %d files planned, %d given", len(p.Files), len(written))
	}
	for i, f := range p.Files {
		if written[i].Size != f.Size {
			return fmt.Errorf("verify %q: %d bytes planned, %d written", f.Name, f.Size, written[i].Size)
		}
	}
	got, err := Open(ctx, written...)
	if err != nil {
		return fmt.Errorf("verify: the result does not open: %w", err)
	}
	return p.compare(got)
}

// wanted is one tensor that a plan promises.
type wanted struct {
	path          string
	dtype         DType
	shape, stride []int64
	offset        int64
	storage       int  // tensors of one storage have one number; -1 where the format keeps no sharing
	bad           bool // impossible in the source as well, of which the file is a copy
}

// compare checks got against the promised tensors.
func (p *Plan) compare(got *Checkpoint) error {
	if len(got.Entries) != len(p.want) {
		return fmt.Errorf("verify: %d tensors planned, %d read back", len(p.want), len(got.Entries))
	}
	byPath := map[string]*Entry{}
	ordered := true
	for i := range got.Entries {
		ordered = ordered && got.Entries[i].Path() == p.want[i].path
	}
	if !ordered {
		// Header formats put the widest dtype first.
		for i := range got.Entries {
			byPath[got.Entries[i].Path()] = &got.Entries[i]
		}
	}
	storage := map[int]StorageID{}
	for i := range p.want {
		w := &p.want[i]
		e := &got.Entries[i]
		if !ordered {
			e = byPath[w.path]
		}
		switch {
		case e == nil:
			return fmt.Errorf("verify: tensor %q is not in the result", w.path)
		case e.DType != w.dtype && w.dtype != 0 || !slices.Equal(e.Shape, w.shape):
			return fmt.Errorf("verify: tensor %q: %s %v planned, %s %v read back", w.path, w.dtype, w.shape, e.DType, e.Shape)
		case !w.bad && e.Info != nil && e.Info.Bad != "":
			return fmt.Errorf("verify: tensor %q: %s", w.path, e.Info.Bad)
		}
		if w.storage < 0 {
			continue
		}
		if !slices.Equal(e.Stride, w.stride) || e.Offset != w.offset {
			return fmt.Errorf("verify: tensor %q: stride %v offset %d planned, %v and %d read back", w.path, w.stride, w.offset, e.Stride, e.Offset)
		}
		if id, ok := storage[w.storage]; ok && id != e.Storage {
			return fmt.Errorf("verify: tensor %q no longer shares its storage", w.path)
		}
		storage[w.storage] = e.Storage
	}
	return nil
}

func wantedOf(e *Entry) wanted {
	return wanted{path: e.Path(), dtype: e.DType, shape: e.Shape, stride: e.Stride, offset: e.Offset, storage: int(e.Storage),
		bad: e.Info != nil && e.Info.Bad != ""}
}

// promiseCopied notes what the entries of cp look like in a copy of its file.
func (p *Plan) promiseCopied(cp *Checkpoint) {
	for i := range cp.Entries {
		p.want = append(p.want, wantedOf(&cp.Entries[i]))
	}
}

// promise notes what the entries of cp must look like in a torch file. A window of a storage (old legacy files) is written
// as a view of the whole storage. TorchScript's constants are no part of the object tree that is written.
func (p *Plan) promise(cp *Checkpoint) {
	for i := range cp.Entries {
		e := &cp.Entries[i]
		if cp.constants != nil && e.constant() {
			continue
		}
		w := wantedOf(e)
		if t := tensorOf(e.node); t != nil && t.Storage != nil && t.Storage.Root != nil {
			w.offset += t.Storage.Offset
			w.storage = t.Storage.Root.Index
		}
		p.want = append(p.want, w)
	}
}

// promiseFlat notes what tensors must look like in a format that has names and row-major bytes only.
func (p *Plan) promiseFlat(ts []flatTensor) {
	for _, t := range ts {
		p.want = append(p.want, wanted{path: t.name, dtype: t.entry.DType, shape: t.entry.Shape, storage: -1})
	}
}
