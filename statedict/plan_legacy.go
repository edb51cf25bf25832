package statedict

import (
	"sort"
	"strconv"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
	"github.com/weightroom/weightroom/statedict/internal/torchfile"
)

// planTorchLegacy lays cp out as torch.save(_use_new_zipfile_serialization=False) does, which every torch since 0.4 loads.
// A legacy source's storage keys are kept; else they are counters, where torch uses addresses.
//
// Source: torch/serialization.py, _legacy_save.
func planTorchLegacy(cp *Checkpoint, o *PlanOptions) (*Plan, error) {
	if o.MaxShardSize > 0 {
		return planShardedTorch(cp, o, cp.torchLegacyFile)
	}
	f, warnings, err := cp.torchLegacyFile(cp.root, o)
	if err != nil {
		return nil, err
	}
	f.Name = o.Name
	p := &Plan{Files: []File{*f}}
	p.Report.Warnings = warnings
	p.promise(cp)
	p.finish()
	return p, nil
}

// torchLegacyFile is the stream of one object tree.
func (cp *Checkpoint) torchLegacyFile(root pickle.Value, o *PlanOptions) (*File, []string, error) {
	if err := cp.torchCannot(); err != nil {
		return nil, nil, err
	}
	warnings, err := checkGlobals(root, o)
	if err != nil {
		return nil, nil, err
	}
	opt := &pickle.EmitOptions{Legacy: true}
	if cp.Format == TorchLegacy && cp.origin != nil {
		opt.Key, opt.Modules = cp.legacyKeys(), cp.origin.modules
	}
	pkl, nodes, err := pickle.Emit(root, opt)
	if err != nil {
		return nil, nil, emitError(err)
	}
	// Keys are numbered by first appearance and listed as sorted strings.
	type keyed struct {
		key string
		rec zipRecord
	}
	recs := make([]keyed, len(nodes))
	for i, node := range nodes {
		rec, err := cp.storageRecord(node)
		if err != nil {
			return nil, nil, err
		}
		recs[i] = keyed{strconv.Itoa(i), rec}
		if opt.Key != nil {
			recs[i].key = node.Key
		}
	}
	sizes := make(map[string]torchfile.LegacyStorage, len(nodes))
	for i, node := range nodes {
		ls := torchfile.LegacyStorage{Key: recs[i].key, Numel: node.Numel, ElemSize: node.DType.Size()}
		if _, typed := pickle.StorageClass(node.DType); !typed {
			// torch 2.2 and newer: an untyped storage, whose persistent id counts bytes.
			ls.Numel, ls.ElemSize = node.NBytes(), 1
		}
		sizes[ls.Key] = ls
	}
	sort.Slice(recs, func(i, j int) bool { return recs[i].key < recs[j].key })
	keys := &pickle.List{Items: make([]pickle.Value, len(recs))}
	storages := make([]torchfile.LegacyStorage, len(recs))
	for i, r := range recs {
		keys.Items[i] = r.key
		storages[i] = sizes[r.key]
	}
	keyPickle, _, err := pickle.Emit(keys, nil)
	if err != nil {
		return nil, nil, emitError(err)
	}
	l, err := torchfile.NewLegacyLayout(int64(len(pkl)), int64(len(keyPickle)), storages)
	if err != nil {
		return nil, nil, &UnsupportedError{What: err.Error()}
	}
	f := &File{Size: l.Size()}
	f.add(Literal(l.Front()))
	f.add(Literal(pkl))
	f.add(Literal(keyPickle))
	for i, r := range recs {
		f.add(Literal(l.Count(i)))
		f.add(r.rec.segment)
	}
	return f, warnings, nil
}

// legacyKeys keeps the keys of the source; nil, for counters, when an operation has added a storage without one.
func (cp *Checkpoint) legacyKeys() func(*pickle.Storage) string {
	seen := map[string]bool{}
	for i := range cp.Storages {
		st := &cp.Storages[i]
		if st.Used == 0 {
			continue
		}
		if st.Key == "" || seen[st.Key] || st.Of != nil {
			return nil
		}
		seen[st.Key] = true
	}
	return func(s *pickle.Storage) string { return s.Key }
}
