package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weightroom/weightroom/internal/listing"
	"github.com/weightroom/weightroom/statedict"
)

func (e *env) showCommand() *cobra.Command {
	var asJSON bool
	opt := statedict.InspectOptions{Values: 8}
	cmd := &cobra.Command{
		Use:   "show FILE... KEY",
		Short: "Show one tensor: storage, hash, statistics, first values",
		Long: `Show one tensor: where it lies, its hash, statistics, histogram, first values.

KEY is the whole path that ls shows, or a key that only one mapping has. The
hash is that of the elements in row-major order, little-endian. NaN and Inf are
counted, and left out of range, mean and std (of the sample, as torch.std).`,
		Example: `  weightroom show in.pth conv1.weight --histogram 20
  weightroom show in.pth state_dict.fc.bias --json --values 100`,
		Args: minArgs(2, "FILE and KEY"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return e.completeKeys(cmd.Context(), args, start), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cp, set, err := e.open(cmd.Context(), args[:len(args)-1])
			if err != nil {
				return err
			}
			defer set.Close()
			entry, err := listing.Find(cp, args[len(args)-1])
			if err != nil {
				return err
			}
			if opt.Values < 0 || opt.Bins < 0 || opt.Values > 1<<20 || opt.Bins > 1<<16 {
				return &usageError{msg: "--values goes up to 1048576 and --histogram to 65536"}
			}
			found := &statedict.Inspection{}
			if entry.Storage != statedict.NoStorage { // else it is made of parts, or has no data
				update, done := e.progress(entry.Key, max(entry.NBytes(), 0))
				opt.Progress = update
				found, err = cp.Inspect(cmd.Context(), entry.View, opt)
				done()
				if err != nil {
					return err
				}
			}
			if asJSON {
				return listing.WriteInspectionJSON(e.out, entry, found)
			}
			return writeInspection(e.out, cp, entry, found)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "one JSON document on stdout")
	f.IntVar(&opt.Values, "values", opt.Values, "how many (`N`) of the first elements to show")
	f.IntVar(&opt.Bins, "histogram", 0, "a histogram with so many `BINS`")
	return cmd
}

// completeKeys offers the keys of the files already on the command line.
func (e *env) completeKeys(ctx context.Context, paths []string, start string) (keys []string) {
	cp, set, err := e.open(ctx, paths)
	if err != nil {
		return nil
	}
	defer set.Close()
	for i := range cp.Entries {
		if p := cp.Entries[i].Path(); strings.HasPrefix(p, start) && listing.Escape(p) == p {
			keys = append(keys, p)
		}
	}
	return keys
}

func writeInspection(out io.Writer, cp *statedict.Checkpoint, e *statedict.Entry, found *statedict.Inspection) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "%s\n", listing.Escape(e.Path()))
	line := func(name, value string) { fmt.Fprintf(w, "  %-9s %s\n", name, value) }
	line("dtype", listing.DType(e))
	line("shape", listing.Shape(e.Shape))
	line("size", listing.Size(listing.NBytes(e)))
	if e.Storage != statedict.NoStorage {
		st := &cp.Storages[e.Storage]
		line("storage", fmt.Sprintf("%s of %s on %s, offset %d, stride %s", listing.Escape(strconv.Quote(st.Key)), listing.Size(st.NBytes), listing.Escape(st.Location), e.Offset, listing.Shape(e.Stride)))
	}
	if info := e.Info; info != nil {
		writeInfo(e, info, line)
	}
	if found.SHA256 != "" {
		line("sha256", found.SHA256)
	}
	if s := found.Stats; s != nil {
		if s.Finite > 0 {
			line("range", fmt.Sprintf("%s to %s", number(s.Min), number(s.Max)))
			line("mean", fmt.Sprintf("%s, std %s", number(s.Mean), number(s.Std)))
		}
		line("counts", fmt.Sprintf("%d elements, %d zeros, %d NaN, %d Inf", s.Numel, s.Zeros, s.NaN, s.Inf))
	}
	most := int64(1)
	for _, n := range found.Counts {
		most = max(most, n)
	}
	for i, n := range found.Counts {
		bar := strings.Repeat("█", int((n*40+most-1)/most))
		fmt.Fprintf(w, "  %12s  %-40s %d\n", number(found.Edges[i]), bar, n)
	}
	if len(found.Values) > 0 {
		var text []string
		for _, v := range found.Values {
			if f, ok := v.(float64); ok {
				v = number(f)
			}
			text = append(text, fmt.Sprint(v))
		}
		if numel := e.Numel(); int64(len(text)) < numel {
			text = append(text, "…")
		}
		line("values", strings.Join(text, " "))
	}
	return w.Flush()
}

// writeInfo says what few tensors have: a layout, a device without data, a quantizer, parts.
func writeInfo(e *statedict.Entry, info *statedict.TensorInfo, line func(name, value string)) {
	if info.Layout != "" {
		line("layout", listing.Escape(info.Layout))
	}
	if info.Device != "" {
		line("device", listing.Escape(info.Device)+", without a storage")
	}
	if info.Class != "" {
		line("class", listing.Escape(info.Class))
	}
	switch {
	case info.QScheme == "":
	case len(info.Parts) > 0:
		line("quantised", fmt.Sprintf("%s, axis %d", listing.Escape(info.QScheme), info.Axis))
	default:
		line("quantised", fmt.Sprintf("%s, scale %s, zero point %d", listing.Escape(info.QScheme), number(info.Scale), info.ZeroPoint))
	}
	for i := range info.Parts {
		p := &info.Parts[i]
		line("part", fmt.Sprintf("%s %s %s", listing.Escape(e.Path()+"."+p.Name), p.DType, listing.Shape(p.Shape)))
	}
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }
