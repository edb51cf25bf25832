package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weightroom/weightroom/internal/listing"
	"github.com/weightroom/weightroom/statedict"
)

func (e *env) verifyCommand() *cobra.Command {
	var asJSON, values bool
	cmd := &cobra.Command{
		Use:   "verify FILE...",
		Short: "Read every byte and compare it with what the file states",
		Long: `Read every byte and compare it with the checksums, bounds and sizes that the
file states. safetensors, GGUF and old torch files state no checksums: there it
is bounds, sizes and overlaps. With --values, NaN and Inf are wrong as well, and
tensors of two dimensions or more with one value all over are named. The exit
code is 1 when something is wrong.`,
		Example: `  weightroom verify in.pth
  weightroom verify model.safetensors.index.json --values --json`,
		Args: minArgs(1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cp, set, err := e.open(cmd.Context(), args)
			if err != nil {
				return err
			}
			defer set.Close()
			var total int64
			for _, s := range cp.Sources {
				total += s.Size
			}
			update, done := e.progress(strings.Join(args, " "), total)
			faults, checked, err := cp.CheckBytes(cmd.Context(), update)
			done()
			if err != nil {
				return err
			}
			notes := slices.Clip(cp.Findings)
			// A tensor that cannot be read is a fault here, although the file opens.
			for _, f := range cp.Findings {
				if f.Code == "F_TENSOR_BAD" {
					faults = append(faults, f)
				}
			}
			if values {
				bad, same, err := e.oddValues(cmd.Context(), cp)
				if err != nil {
					return err
				}
				faults, notes = append(faults, bad...), append(notes, same...)
			}
			if asJSON {
				err = writeJSON(e.out, struct {
					OK       bool                `json:"ok"`
					Checked  int64               `json:"checked_bytes"`
					Faults   []statedict.Finding `json:"faults"`
					Findings []statedict.Finding `json:"findings"`
				}{len(faults) == 0, checked, append([]statedict.Finding{}, faults...), append([]statedict.Finding{}, notes...)})
				if err == nil && len(faults) > 0 {
					return errFaults
				}
				return err
			}
			for _, f := range notes {
				if f.Code == "F_VALUES" {
					fmt.Fprintf(e.out, "note  %q  %s\n", f.Path, listing.Escape(f.Message))
				}
			}
			if len(faults) > 0 {
				for _, f := range faults {
					fmt.Fprintf(e.out, "%s  %q  %s\n", f.Code, f.Path, listing.Escape(f.Message))
				}
				return &statedict.FormatError{Code: "E_CHECKSUM", Offset: -1, Msg: fmt.Sprintf("%d of the checks failed", len(faults)),
					Hint: "fetch the file again; what is not named above is as the file states"}
			}
			_, err = fmt.Fprintf(e.out, "every byte is as the file states: %s checked\n", listing.Size(checked))
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON document on stdout")
	cmd.Flags().BoolVar(&values, "values", false, "look at the values too: NaN, Inf, and what is one value all over")
	return cmd
}

// oddValues reads every tensor of floating point numbers: bad are those with NaN or Inf, same those of one value, which
// trained weights are not.
func (e *env) oddValues(ctx context.Context, cp *statedict.Checkpoint) (bad, same []statedict.Finding, err error) {
	for i := range cp.Entries {
		entry := &cp.Entries[i]
		if entry.Storage == statedict.NoStorage || !entry.DType.IsFloat() || entry.Info != nil && entry.Info.Bad != "" {
			continue
		}
		found, err := cp.Inspect(ctx, entry.View, statedict.InspectOptions{})
		if err != nil {
			if ctx.Err() != nil {
				return nil, nil, err
			}
			bad = append(bad, statedict.Finding{Code: statedict.Code(err), Path: entry.Path(), Message: err.Error()})
			continue
		}
		s := found.Stats
		if s == nil {
			continue
		}
		if s.NaN+s.Inf > 0 {
			bad = append(bad, statedict.Finding{Code: "F_VALUES", Path: entry.Path(), Message: fmt.Sprintf("%d NaN and %d Inf among %d elements", s.NaN, s.Inf, s.Numel)})
		} else if len(entry.Shape) > 1 && s.Numel > 1 && s.Min == s.Max {
			same = append(same, statedict.Finding{Code: "F_VALUES", Path: entry.Path(), Message: fmt.Sprintf("all of its %d elements are %s", s.Numel, number(s.Min))})
		}
	}
	return bad, same, nil
}
