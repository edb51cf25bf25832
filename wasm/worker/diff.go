package worker

import (
	"context"
	"slices"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
)

// maxDiff is how many differences of each kind are listed.
const maxDiff = 5000

// Diff compares the checkpoint after a recipe with another file. Where the two keep their state dicts in different places,
// as a Lightning checkpoint and a plain one do, the state dicts are compared, else all tensors.
func (s *Session) Diff(ctx context.Context, req *message.DiffRequest, progress func(message.Progress)) (*message.Diffed, error) {
	o, err := s.handle(req.Handle)
	if err != nil {
		return nil, err
	}
	ref, err := s.other(req.Against)
	if err != nil {
		return nil, err
	}
	if ref.cp == nil {
		return nil, &message.Error{Code: message.Internal, Message: "only checkpoints can be compared"}
	}
	here, report, err := s.after(o, req.Recipe)
	if err != nil {
		return nil, err
	}
	there, out := ref.cp, &message.Diffed{Compared: req.Values}
	if _, theirs, err := (&statedict.Recipe{}).Apply(there, nil); err == nil && theirs.At != report.At {
		if here, err = alone(here, report.At); err != nil {
			return nil, err
		}
		if there, err = alone(there, theirs.At); err != nil {
			return nil, err
		}
		if report.At != "" {
			out.Prefix = report.At + "."
		}
	}
	a, b := byPath(here), byPath(there)
	total := int64(0)
	for path, x := range a {
		if y := b[path]; y != nil && slices.Equal(x.Shape, y.Shape) {
			total += x.NBytes()
		}
	}
	d, err := statedict.DiffCheckpoints(ctx, here, there, statedict.DiffOptions{Values: req.Values, Progress: func(done int64) {
		progress(message.Progress{Phase: "compare", Done: done, Total: total})
	}})
	if err != nil {
		return nil, err
	}
	fillDiff(out, d, a, b)
	return out, nil
}

// alone is the mapping at a path as a checkpoint of its own.
func alone(cp *statedict.Checkpoint, at string) (*statedict.Checkpoint, error) {
	if at == "" {
		return cp, nil
	}
	out, _, err := (&statedict.Recipe{HasAt: true, Steps: []statedict.Op{&statedict.Extract{Prefix: at}}}).Apply(cp, nil)
	return out, err
}

func byPath(cp *statedict.Checkpoint) map[string]*statedict.Entry {
	m := make(map[string]*statedict.Entry, len(cp.Entries))
	for i := range cp.Entries {
		m[cp.Entries[i].Path()] = &cp.Entries[i]
	}
	return m
}

// fillDiff counts the differences and lists them with what the two sides are.
func fillDiff(out *message.Diffed, d *statedict.Diff, a, b map[string]*statedict.Entry) {
	out.Here, out.There = len(d.OnlyInA), len(d.OnlyInB)
	out.Equal = len(a) - len(d.OnlyInA) - len(d.Changed)
	listed := map[string]int{}
	row := func(key, kind string) message.DiffRow {
		r := message.DiffRow{Key: key, Kind: kind}
		if x := a[key]; x != nil {
			r.HereShape, r.HereDType = x.Shape, x.TypeName()
		}
		if y := b[key]; y != nil {
			r.ThereShape, r.ThereDType = y.Shape, y.TypeName()
		}
		return r
	}
	add := func(r message.DiffRow) {
		if listed[r.Kind]++; listed[r.Kind] <= maxDiff {
			out.Rows = append(out.Rows, r)
		}
	}
	for _, k := range d.OnlyInA {
		add(row(k, "here"))
	}
	for _, k := range d.OnlyInB {
		add(row(k, "there"))
	}
	for _, c := range d.Changed {
		r := row(c.Key, "changed")
		r.What, r.MaxAbs, r.Cosine, r.Differ, r.Numel = c.What, c.MaxAbsDiff, c.Cosine, c.Differ, c.Numel
		for what, n := range map[string]*int{"shape": &out.Shape, "dtype": &out.DType, "values": &out.Values} {
			if slices.Contains(c.What, what) {
				*n++
			}
		}
		add(r)
	}
}
