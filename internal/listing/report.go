package listing

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/weightroom/weightroom/statedict"
)

// WriteReport writes for people what an edit did, or with dry what it would do. keys is the number of tensors in the result.
func WriteReport(out io.Writer, r *statedict.Report, keys int, dry bool) error {
	w := bufio.NewWriter(out)
	if r.At != "" {
		fmt.Fprintf(w, "at %s\n", show(r.At))
	}
	t := table{}
	for _, op := range r.Ops {
		t.add(op.Op, keysChange(op), example(op))
	}
	t.write(w, Text{}.styles())
	if n := len(r.DroppedObjects); n > 0 {
		shown := make([]string, min(n, fewObjects))
		for i := range shown {
			shown[i] = show(r.DroppedObjects[i])
		}
		more := ""
		if n > len(shown) {
			more = " …"
		}
		fmt.Fprintf(w, "dropped %s: %s%s\n", count(n, "object"), strings.Join(shown, ", "), more)
	}
	if c := r.Cast; c.Overflowed+c.Flushed+c.NaNs > 0 {
		fmt.Fprintf(w, "cast: %d overflowed to Inf, %d flushed to zero, %d lost a NaN payload\n", c.Overflowed, c.Flushed, c.NaNs)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(w, "warning: %s\n", show(warning))
	}
	verb := "wrote"
	if dry {
		verb = "would write"
	}
	for _, f := range r.Files {
		fmt.Fprintf(w, "%s %s  %s\n", verb, show(f.Name), Size(f.Size))
	}
	if before, after := total(r.Sources), total(r.Files); before > 0 && slices.ContainsFunc(r.Ops, func(op statedict.OpReport) bool { return op.Op == "cast" }) {
		fmt.Fprintf(w, "size %s -> %s\n", Size(before), Size(after))
	}
	fmt.Fprintf(w, "%s\n", count(keys, "tensor"))
	return w.Flush()
}

func total(files []statedict.FileReport) (n int64) {
	for _, f := range files {
		n += f.Size
	}
	return n
}

func keysChange(op statedict.OpReport) string {
	if op.KeysBefore == op.KeysAfter {
		return count(op.KeysAfter, "key")
	}
	return fmt.Sprintf("%d -> %s", op.KeysBefore, count(op.KeysAfter, "key"))
}

// example shows how many keys a step touched, and the first of them.
func example(op statedict.OpReport) string {
	switch {
	case len(op.Renamed) > 0:
		return fmt.Sprintf("%d renamed: %s -> %s%s", len(op.Renamed), show(op.Renamed[0][0]), show(op.Renamed[0][1]), ellipsis(len(op.Renamed)))
	case len(op.Touched) > 0:
		return fmt.Sprintf("%d touched: %s%s", len(op.Touched), show(op.Touched[0]), ellipsis(len(op.Touched)))
	}
	return ""
}

func ellipsis(n int) string {
	if n > 1 {
		return " …"
	}
	return ""
}

// SumUp adds to the recipe's report what was read, what the plan decided and what writing it counted.
func SumUp(r *statedict.Report, cp *statedict.Checkpoint, plan *statedict.Plan) {
	for _, src := range cp.Sources {
		r.Sources = append(r.Sources, statedict.FileReport{Name: src.Name, Size: src.Size})
	}
	for _, f := range cp.Findings {
		if f.Code == "F_DUPKEY" { // one of the two is not in the output
			r.Warnings = append(r.Warnings, fmt.Sprintf("%q %s", f.Path, f.Message))
		}
	}
	r.Files = plan.Report.Files
	r.Warnings = append(r.Warnings, plan.Report.Warnings...)
	r.DroppedObjects = append(r.DroppedObjects, plan.Report.DroppedObjects...)
	for i := range plan.Files {
		r.Cast.Add(plan.Files[i].Cast)
	}
}
