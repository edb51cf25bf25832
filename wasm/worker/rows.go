package worker

import (
	"encoding/json"
	"strconv"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
)

// rows is every line the page can show: the tensors in file order, then the other objects.
func rows(cp *statedict.Checkpoint) []message.Row {
	out := make([]message.Row, 0, len(cp.Entries))
	used := make([]int32, len(cp.Storages))
	for i := range cp.Entries {
		if s := cp.Entries[i].Storage; s >= 0 && int(s) < len(used) {
			used[s]++
		}
	}
	for i := range cp.Entries {
		e := &cp.Entries[i]
		r := message.Row{Path: e.Path(), Type: e.TypeName(), Shape: e.Shape, NBytes: e.ByteLen(), Storage: int32(e.Storage)}
		r.KeyAt = len(r.Path) - len(e.Key)
		if e.Parameter {
			r.Flags |= message.Parameter
		}
		if e.RequiresGrad {
			r.Flags |= message.RequiresGrad
		}
		if s := e.Storage; s >= 0 && int(s) < len(used) {
			if used[s] > 1 {
				r.Flags |= message.Tied
			}
			if m := cp.Storages[s].Missing; m != "" {
				r.Flags |= message.Bad
				r.Value = m
			}
		}
		if e.Info != nil && e.Info.Bad != "" {
			r.Flags |= message.Bad
			r.Value = e.Info.Bad
		}
		out = append(out, r)
	}
	for o := range cp.Objects() {
		out = append(out, message.Row{Kind: message.Object, Path: o.Path, Type: o.Type, Value: value(o), Storage: -1})
	}
	return out
}

// shownValue is how many bytes of a value travel with its row.
const shownValue = 200

// value is the short form of an object's value, "" for none.
func value(o statedict.Object) string {
	if !o.HasValue {
		return ""
	}
	s := ""
	switch v := o.Value.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		if s = v; o.Type == "str" { // of another class it is a description
			s = strconv.Quote(v)
		}
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		s = string(b)
	}
	if len(s) > shownValue {
		s = s[:shownValue] + "…"
	}
	return s
}

// sampled is how many keys of a step travel with the state.
const sampled = 60

// state sums a checkpoint up. report is that of the recipe that made it, nil for the file as it is.
func state(cp *statedict.Checkpoint, report *statedict.Report) message.State {
	st := message.State{Keys: len(cp.Entries), Dicts: cp.StateDicts()}
	for i := range cp.Entries {
		st.NBytes += max(0, cp.Entries[i].ByteLen())
	}
	if report == nil {
		return st
	}
	st.At, st.Warnings = report.At, report.Warnings
	for i := range report.Ops {
		st.Steps = append(st.Steps, step(&report.Ops[i], sampled))
	}
	return st
}

// step is what one operation did, with at most limit of its keys.
func step(op *statedict.OpReport, limit int) message.Step {
	out := message.Step{Op: op.Op, Before: op.KeysBefore, After: op.KeysAfter, Renamed: len(op.Renamed), Touched: len(op.Touched)}
	for _, r := range op.Renamed[:min(limit, len(op.Renamed))] {
		out.Changes = append(out.Changes, message.Change{From: r[0], To: r[1]})
	}
	for _, k := range op.Touched[:min(limit-len(out.Changes), len(op.Touched))] {
		c := message.Change{From: k}
		if op.KeysAfter >= op.KeysBefore {
			c.To = k // changed in place
		}
		out.Changes = append(out.Changes, c)
	}
	return out
}
