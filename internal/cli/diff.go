package cli

import (
	"bufio"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weightroom/weightroom/internal/file"
	"github.com/weightroom/weightroom/internal/listing"
	"github.com/weightroom/weightroom/statedict"
)

func (e *env) diffCommand() *cobra.Command {
	var asJSON bool
	var opt statedict.DiffOptions
	var sides [2]diffSide
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two checkpoints: keys, shapes, dtypes, and values",
		Long: `Compare two checkpoints: keys, shapes, dtypes, and with --values the values.

Tensors are compared by their whole paths, as ls shows them. Where the two files
keep their weights under other names, say which mapping of each is meant, and
what to take off its keys. The exit code is 3 when something differs.`,
		Example: `  weightroom diff a.pth b.safetensors --values
  weightroom diff in.ckpt model.pth --at-a state_dict --strip-prefix-a model.`,
		Args: exactArgs(2, "A and B"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var cps [2]*statedict.Checkpoint
			for i, path := range args {
				cp, set, err := e.open(cmd.Context(), []string{path})
				if err != nil {
					return err
				}
				defer func(s *file.Set) { s.Close() }(set)
				if cps[i], err = sides[i].of(cp); err != nil {
					return inFile([]string{path}, err)
				}
			}
			done := func() {}
			if opt.Values {
				var total int64
				for i := range cps[0].Entries {
					total += max(0, cps[0].Entries[i].ByteLen())
				}
				opt.Progress, done = e.progress(args[0], total)
			}
			d, err := statedict.DiffCheckpoints(cmd.Context(), cps[0], cps[1], opt)
			done()
			if err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(e.out, d)
			} else {
				err = e.writeDiff(d, args)
				e.hintDiff(d, cps)
			}
			if err == nil && !d.Equal {
				return errFound
			}
			return err
		},
	}
	for i, name := range []string{"a", "b"} {
		cmd.Flags().StringVar(&sides[i].at, "at-"+name, "", "of "+strings.ToUpper(name)+" only the mapping at `PATH`, without that path")
		cmd.Flags().StringArrayVar(&sides[i].strip, "strip-prefix-"+name, nil, "take `PREFIX` off the keys of "+strings.ToUpper(name)+" that start with it")
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON document on stdout")
	cmd.Flags().BoolVar(&opt.Values, "values", false, "compare the values too: largest difference, cosine, how many elements differ")
	return cmd
}

// diffSide is how one of the files is looked at.
type diffSide struct {
	at    string
	strip []string
}

// of is the checkpoint as the flags have it: edited by the recipe that says the same.
func (s *diffSide) of(cp *statedict.Checkpoint) (*statedict.Checkpoint, error) {
	r := &statedict.Recipe{}
	if s.at != "" {
		if _, _, err := (&statedict.Recipe{At: s.at, HasAt: true}).Apply(cp, nil); err != nil {
			return nil, err
		}
		r.HasAt, r.Steps = true, append(r.Steps, &statedict.Extract{Prefix: s.at})
	}
	if len(s.strip) > 0 {
		r.Steps = append(r.Steps, &statedict.StripPrefix{Prefix: s.strip, Repeat: true})
	}
	if len(r.Steps) == 0 {
		return cp, nil
	}
	edited, _, err := r.Apply(cp, nil)
	return edited, err
}

// hintDiff says how to compare two files whose weights have no key in common.
func (e *env) hintDiff(d *statedict.Diff, cps [2]*statedict.Checkpoint) {
	if e.quiet || len(d.OnlyInA) == 0 || len(d.OnlyInB) == 0 {
		return
	}
	only := make(map[string]bool, len(d.OnlyInA))
	for _, k := range d.OnlyInA {
		only[k] = true
	}
	dict := cps[0].DictPath()
	for i := range cps[0].Entries {
		if entry := &cps[0].Entries[i]; entry.Dict == dict && !only[entry.Path()] {
			return
		}
	}
	var flags []string
	for i, name := range []string{"a", "b"} {
		if path := cps[i].DictPath(); path != "" {
			flags = append(flags, fmt.Sprintf("--at-%s %s", name, path))
		}
	}
	hint := "no key of the weights is in both; --strip-prefix-a and --strip-prefix-b take prefixes off"
	if len(flags) > 0 {
		hint = "no key of the weights is in both; compare them alone: " + strings.Join(flags, " ")
	}
	fmt.Fprintf(e.err, "hint: %s\n", listing.Escape(hint))
}

func (e *env) writeDiff(d *statedict.Diff, names []string) error {
	w := bufio.NewWriter(e.out)
	only := func(name string, keys []string) {
		for _, k := range keys {
			fmt.Fprintf(w, "only in %s: %s\n", listing.Escape(name), listing.Escape(k))
		}
	}
	only(names[0], d.OnlyInA)
	only(names[1], d.OnlyInB)
	for _, c := range d.Changed {
		fmt.Fprintf(w, "%s: other %s", listing.Escape(c.Key), strings.Join(c.What, ", "))
		if slices.Contains(c.What, "values") && c.Numel > 0 {
			fmt.Fprintf(w, "; %d of %d elements", c.Differ, c.Numel)
			if c.MaxAbsDiff != nil {
				fmt.Fprintf(w, ", at most %.6g apart", *c.MaxAbsDiff)
			}
			if c.Cosine != nil {
				fmt.Fprintf(w, ", cosine %.6g", *c.Cosine)
			}
		}
		fmt.Fprintln(w)
	}
	if d.Equal {
		fmt.Fprintln(w, "no differences")
	}
	return w.Flush()
}
