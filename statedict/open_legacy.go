package statedict

import (
	"errors"
	"fmt"
	"io"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
	"github.com/weightroom/weightroom/statedict/internal/torchfile"
)

// legacy opens a stream of torch 0.1.10 to 1.5: five pickles, then the storages without an index. The pickles are read in
// windows that grow, so that a file of many GB costs what its pickles do.
func (op *opener) legacy(src *Source) (*Checkpoint, error) {
	c := torchfile.NewCursor(src.R, 0, src.Size)
	var object, keys *pickle.Pickle
	for i, part := range []string{"magic number", "protocol", "system info", "object", "storage keys"} {
		pk, err := op.next(src, c, "torch-legacy", part, pickle.Options{})
		if err != nil {
			return nil, err
		}
		if pk.Len == 0 || pk.Root == nil && i >= 3 {
			// Broken behind a name that matters: the findings tell, the tensors cannot be had.
			return &Checkpoint{Format: TorchLegacy}, nil
		}
		switch i {
		case 0:
			if !isLegacyMagic(pk.Root) {
				return nil, &FormatError{Code: "E_FORMAT", Format: "torch-legacy", Offset: 0, Msg: "the first pickle is not torch's magic number", Err: ErrNotCheckpoint}
			}
		case 3:
			object = pk
		case 4:
			keys = pk
		}
	}
	cp := &Checkpoint{Format: TorchLegacy, root: object.Root, origin: &origin{modules: object.Modules}}
	for _, m := range object.Modules {
		if m.Source != "" {
			cp.Code = append(cp.Code, Text{Name: m.Class.String(), Text: m.Source})
		}
	}
	return cp, op.legacyStorages(src, object, keys, c.Off())
}

// next loads the pickle at c and moves behind it. The window grows until the pickle is whole, and only then are its
// globals noted.
func (op *opener) next(src *Source, c *torchfile.Cursor, format, part string, opt pickle.Options) (*pickle.Pickle, error) {
	base := c.Off()
	opt.Limits = op.opt.pickleLimits()
	stream := pickle.NewStream(&opt)
	broken := false
	_, err := c.Pickle(op.opt.pickleBytes(), func(window []byte) (int64, error) {
		n, err := stream.Extend(window)
		var pe *pickle.Error
		if errors.As(err, &pe) && pe.More {
			return 0, io.ErrUnexpectedEOF
		}
		if broken = err != nil; broken {
			// What stands in front of the fault is worth a report; Load gives it.
			return int64(len(window)), nil
		}
		return n, nil
	})
	if err != nil {
		err = torchfileError(src, format, err)
		var fe *FormatError
		if errors.As(err, &fe) {
			fe.Part = part
			fe.Hint = "download or copy the file again"
		}
		return nil, err
	}
	pk, err := stream.Load()
	op.remember(pickleAt{src, -1, base}, pk)
	pk, err = op.noted(pk, err, part, base)
	if broken && err == nil {
		pk.Root = nil
	}
	return pk, err
}

// isLegacyMagic tells torch's number, 0x1950a86a20f9469cfc6c, which is wider than 64 bits.
func isLegacyMagic(v pickle.Value) bool { return pickle.PyStr(v) == "119547037146038801333356" }

// legacyStorages finds the bytes behind the key list, which ends at off.
func (op *opener) legacyStorages(src *Source, object, keys *pickle.Pickle, off int64) error {
	list, ok := keys.Root.(*pickle.List)
	if !ok {
		return &FormatError{Code: "E_PICKLE", Format: "torch-legacy", Part: "storage keys", Offset: off - int64(keys.Len), Msg: "not a list"}
	}
	at := make(map[string]int, len(list.Items)) // by key
	storages := make([]torchfile.LegacyStorage, len(list.Items))
	for i, it := range list.Items {
		storages[i].Key = pickle.PyStr(it)
		at[storages[i].Key] = i
	}
	for _, node := range object.Storages {
		if i, ok := at[node.Key]; ok && node.Root == nil {
			storages[i].Numel, storages[i].ElemSize = node.Numel, node.DType.Size()
		}
	}
	for i := range storages {
		if storages[i].ElemSize == 0 { // nobody's, or listed twice
			storages[i] = storages[at[storages[i].Key]]
		}
	}
	data, err := torchfile.LocateStorages(src.R, src.Size, off, storages)
	if err != nil {
		return torchfileError(src, "torch-legacy", err)
	}
	if e := data.Truncated(); e != nil {
		return torchfileError(src, "torch-legacy", e)
	}
	for _, f := range data.Findings {
		op.finding(f.Code, f.Record, "%s", f.Msg)
	}
	op.reserve(len(object.Storages))
	for _, node := range object.Storages {
		st := storageOf(node)
		root, skip := node, int64(0)
		if node.Root != nil {
			root, skip = node.Root, node.Offset*node.DType.Size()
			st.Key = root.Key
		}
		i, ok := at[root.Key]
		switch {
		case st.Missing != "":
		case !ok:
			st.Missing = fmt.Sprintf("storage %q is not in the file's key list", root.Key)
		case data.Bad[i] != nil:
			st.Missing = data.Bad[i].Msg
		case skip < 0 || skip > data.Extents[i].Len || st.NBytes > data.Extents[i].Len-skip:
			st.Missing = fmt.Sprintf("a window of %d bytes at byte %d leaves storage %q of %d bytes", st.NBytes, skip, root.Key, data.Extents[i].Len)
		default:
			st.Data = Extent{Source: src, Off: data.Extents[i].Off + skip, Len: st.NBytes}
		}
		op.add(node, st)
	}
	return nil
}
