package statedict

import (
	"slices"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// Old legacy and tar files have windows: storages that are a run of another storage's elements. Tensors on them share
// memory with those on the other one, which nothing that counts by storage sees. Steps on storages therefore work on a
// checkpoint in which such tensors stand on the storage itself, at their offset in it.
//
// Source: torch/serialization.py, _legacy_load, view_metadata.

// changesStorages tells the steps that work on storages.
func changesStorages(op Op) bool {
	switch op.(type) {
	case *Cast, *SetDevice, *Unshare, *Compact, *Tie:
		return true
	}
	return false
}

// withoutWindows are the checkpoints of a recipe as its steps need them; each is itself where there is nothing to do.
func withoutWindows(r *Recipe, base *Checkpoint, others map[string]*Checkpoint) (*Checkpoint, map[string]*Checkpoint, error) {
	if !slices.ContainsFunc(r.Steps, changesStorages) {
		return base, others, nil
	}
	done := map[*Checkpoint]*Checkpoint{}
	resolve := func(cp *Checkpoint) (*Checkpoint, error) {
		if cp == nil || cp.Format != TorchLegacy && cp.Format != TorchTar {
			return cp, nil
		}
		if done[cp] == nil {
			out, err := cp.resolveWindows()
			if err != nil {
				return nil, err
			}
			done[cp] = out
		}
		return done[cp], nil
	}
	base, err := resolve(base)
	if err != nil {
		return nil, nil, err
	}
	resolved := make(map[string]*Checkpoint, len(others))
	for name, cp := range others {
		if resolved[name], err = resolve(cp); err != nil {
			return nil, nil, err
		}
	}
	return base, resolved, nil
}

func (cp *Checkpoint) resolveWindows() (*Checkpoint, error) {
	swaps := map[pickle.Value]pickle.Value{}
	eachNode(cp.root, nil, func(v pickle.Value) {
		t, ok := v.(*pickle.Tensor)
		if !ok || t.Storage == nil || t.Storage.Root == nil || swaps[t] != nil {
			return
		}
		n := *t
		for n.Storage.Root != nil {
			n.Offset += n.Storage.Offset
			n.Storage = n.Storage.Root
		}
		swaps[t] = &n
	})
	if len(swaps) == 0 {
		return cp, nil
	}
	return cp.rebuild(pickle.ReplaceNodes(cp.root, swaps), cp.Storages)
}
