package statedict

import (
	"fmt"
	"slices"
)

// Tie gives the tensors Keys the storage of the tensor To, which holds the same bytes: what was saved several times is written
// once, and loads as it did. The tensors must be alike in dtype, shape and strides, and the checksums that the archive states for
// their storages must be equal; files without checksums are refused. Nothing is read here: Plan.Confirm compares the bytes.
type Tie struct {
	To       string   `recipe:"to,required"`
	Keys     []string `recipe:"keys,required"`
	Optional bool     `recipe:"optional"`
}

func (*Tie) Name() string     { return "tie" }
func (o *Tie) optional() bool { return o.Optional }

func (o *Tie) apply(e *edit, r *OpReport) (int, error) {
	at := map[string]int{}
	for i := range e.rows {
		if t := tensorOf(e.rows[i].value); t != nil && plain(t) {
			at[e.rows[i].name] = i
		}
	}
	to, ok := at[o.To]
	if !ok {
		return 0, e.fail("there is no plain tensor to share under this name:", "", o.To)
	}
	first := tensorOf(e.rows[to].value)
	target := e.storage(first)
	touched := 0
	for _, key := range o.Keys {
		i, ok := at[key]
		if !ok {
			continue
		}
		touched++
		t := tensorOf(e.rows[i].value)
		id := e.storage(t)
		if id == target {
			continue
		}
		if t.DType != first.DType || t.Offset != first.Offset || !slices.Equal(t.Shape, first.Shape) || !slices.Equal(t.Stride, first.Stride) {
			return 0, e.fail(fmt.Sprintf("not like %q in dtype, shape, strides or offset:", o.To), "", key)
		}
		if why := differing(&e.storages[id], &e.storages[target]); why != "" {
			return 0, e.fail(fmt.Sprintf("cannot share the bytes of %q, %s:", o.To, why), "", key)
		}
		e.twins = append(slices.Clip(e.twins), twin{key, o.To, e.storages[id], e.storages[target]})
		n := *t
		n.Storage = first.Storage
		e.ownStorages()
		e.storages[id].Used--
		e.storages[target].Used++
		e.rows[i].value, e.dirty = withTensor(e.rows[i].value, &n), true
		r.Touched = append(r.Touched, key)
	}
	return touched, nil
}

// differing says why two storages cannot be told to hold the same bytes, "" if they can.
func differing(a, b *Storage) string {
	for _, s := range []*Storage{a, b} {
		if s.Missing != "" || s.Of != nil || s.Cast != 0 {
			return "they are not bytes of a file as they are"
		}
		if !s.Data.HasCRC || s.Data.more != nil && s.Data.more.skip != 0 {
			return "the file states no checksums, and nothing is read here"
		}
	}
	if a.NBytes != b.NBytes || a.Data.CRC != b.Data.CRC || a.BigEndian != b.BigEndian || a.DType != b.DType {
		return "their sizes or checksums differ"
	}
	return ""
}

// Twins are the tensors of cp that hold the same bytes in storages of their own, as far as the checksums of a zip archive tell: groups
// of indices into Entries, in file order, each of tensors in one mapping that Tie can bring together. Nothing is read.
func (cp *Checkpoint) Twins() (groups [][]int) {
	type look struct {
		dict   string
		dtype  DType
		crc    uint32
		nbytes int64
		offset int64
		shape  string
	}
	at := map[look]int{}
	for i := range cp.Entries {
		e := &cp.Entries[i]
		if e.Storage == NoStorage || e.Info != nil || e.Numel() <= 0 || tensorOf(e.node) == nil || !plain(tensorOf(e.node)) {
			continue
		}
		st := &cp.Storages[e.Storage]
		if differing(st, st) != "" {
			continue
		}
		l := look{e.Dict, e.DType, st.Data.CRC, st.NBytes, e.Offset, fmt.Sprint(e.Shape, e.Stride, st.DType)}
		g, ok := at[l]
		if !ok {
			g = len(groups)
			at[l] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return slices.DeleteFunc(groups, func(g []int) bool {
		return !slices.ContainsFunc(g, func(i int) bool { return cp.Entries[i].Storage != cp.Entries[g[0]].Storage })
	})
}
