package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weightroom/weightroom/internal/file"
	"github.com/weightroom/weightroom/internal/listing"
	"github.com/weightroom/weightroom/statedict"
)

// editFlags are the flags of edit that are no operations.
type editFlags struct {
	out, recipe, at, format, maxShard                 string
	hasAt                                             bool
	dryRun, force, asJSON, allowUnsafe, allowExpanded bool
}

func (e *env) editCommand() *cobra.Command {
	var o editFlags
	var ops opList
	cmd := &cobra.Command{
		Use:   "edit FILE... -o OUT [--recipe R] [operations in order]",
		Short: "Change keys, tensors and objects, and write a new file",
		Long: `Change keys, tensors and objects, and write a new file.

Operations run in the order given, after those of --recipe, each on the result
of the one before. One that touches nothing is an error. A PATTERN is a glob
over dotted parts (* within one part, ** any run of parts, ?, [abc], {a,b}), or
re: and a regular expression. Patterns want quotes in a shell.

A training checkpoint holds its weights in a mapping beside an optimizer and
more. The operations work on that mapping (--at names another), and the rest is
kept unless dropped: --drop-objects optimizer, or --recipe inference-only. The
weights alone are --at '' --extract state_dict.

The output appears whole or not at all: it is written beside OUT, synced, read
back, and renamed. A source is never written to.`,
		Example: `  weightroom edit in.pth -o out.pth --strip-prefix module.
  weightroom edit in.pth -o out.pth --drop '**.num_batches_tracked' --dry-run
  weightroom edit in.ckpt -o out.safetensors --at '' --extract state_dict
  weightroom edit in.pth -o out.pth --rename 're:^layers\.(\d+)\.=blocks.$1.'
  weightroom edit in.ckpt -o small.ckpt --recipe inference-only
  weightroom edit a-0*.safetensors -o whole.pth`,
		Args: minArgs(1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.hasAt = cmd.Flags().Changed("at")
			return e.edit(cmd.Context(), args, &o, &ops)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.out, "output", "o", "", "the `FILE` to write")
	f.StringVar(&o.recipe, "recipe", "", "run the steps of this recipe `FILE` first (YAML or JSON, - for standard input), or those of a ready-made one: "+strings.Join(presets(), ", "))
	f.StringVar(&o.at, "at", "", "`PATH` of the mapping to work on (default: found, and reported)")
	ops.register(f)
	f.StringVar(&o.format, "format", "", "`FORMAT`: torch, torch-legacy, safetensors, npz or gguf (default: by OUT's ending)")
	f.StringVar(&o.maxShard, "max-shard-size", "", "split the output into files of at most `SIZE`, like 5GB, with an index")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be done and written, and write nothing")
	f.BoolVar(&o.force, "force", false, "replace OUT where it exists")
	f.BoolVar(&o.allowExpanded, "allow-expanded", false, "write views out whole that show far more than their storages hold")
	f.BoolVar(&o.allowUnsafe, "allow-unsafe", false, "carry objects through that only torch.load(weights_only=False) opens")
	f.BoolVar(&o.asJSON, "json", false, "the report as one JSON document on stdout")
	return cmd
}

func (e *env) edit(ctx context.Context, paths []string, o *editFlags, ops *opList) error {
	if o.out == "" && !o.dryRun {
		return &usageError{msg: "missing -o OUT", hint: "name the file to write, or use --dry-run"}
	}
	if o.out == "-" {
		return &usageError{msg: "OUT is a file: what goes to a stream could not be read back and renamed", hint: "name a file; ./- is one of that name"}
	}
	if o.recipe == "-" && slices.Contains(paths, "-") {
		return errStdinTwice
	}
	recipe, err := e.wholeRecipe(o, ops)
	if err != nil {
		return err
	}
	format, maxShard, err := o.output(recipe)
	if err != nil {
		return err
	}
	cp, set, err := e.open(ctx, paths)
	if err != nil {
		return err
	}
	defer set.Close()
	others, sets, err := e.openOthers(ctx, recipe)
	for _, s := range sets {
		defer s.Close()
	}
	if err != nil {
		return err
	}
	edited, report, err := recipe.Apply(cp, others)
	if err != nil {
		return err
	}
	name := ""
	if o.out != "" {
		name = filepath.Base(o.out)
	}
	plan, err := statedict.NewPlan(edited, format, &statedict.PlanOptions{
		Name: name, MaxShardSize: maxShard, AllowUnsafe: o.allowUnsafe, AllowExpanded: o.allowExpanded})
	if err != nil {
		return err
	}
	x := &file.Export{Plan: plan, Dir: filepath.Dir(o.out), Force: o.force, Inputs: append(sets, set), Check: func() error {
		errs := []error{cp.CheckSources()}
		for _, other := range others {
			errs = append(errs, other.CheckSources())
		}
		return errors.Join(errs...)
	}}
	if o.out != "" {
		if err := x.Refuse(); err != nil {
			return err
		}
	}
	if o.dryRun {
		update, done := e.progress("reading what is cast", plan.CastBytes())
		err := plan.CountCasts(ctx, update)
		done()
		if err != nil {
			return err
		}
	} else {
		var total int64
		for i := range plan.Files {
			total += plan.Files[i].Size
		}
		var done func()
		x.Progress, done = e.progress(filepath.Base(o.out), total)
		err := x.Run(ctx)
		done()
		if err != nil {
			return err
		}
	}
	listing.SumUp(report, cp, plan)
	if byName, ok := listing.FormatOf(o.out); ok && byName != format && (byName != statedict.TorchZip || format != statedict.TorchLegacy) {
		report.Warnings = append(report.Warnings, fmt.Sprintf("%q is a %s file by its ending and holds %s, as was asked for", name, byName, format))
	}
	if o.asJSON {
		return writeJSON(e.out, report)
	}
	return listing.WriteReport(e.out, report, len(edited.Entries), o.dryRun)
}

// wholeRecipe is the recipe file's steps, then those of the flags.
func (e *env) wholeRecipe(o *editFlags, ops *opList) (*statedict.Recipe, error) {
	recipe := &statedict.Recipe{}
	if o.recipe != "" {
		doc, err := e.readText(o.recipe)
		if errors.Is(err, fs.ErrNotExist) {
			if ready, ok := statedict.PresetRecipe(o.recipe); ok {
				doc, err = ready.YAML(), nil
			} else if near := statedict.Nearest(o.recipe, presets()); near != "" {
				return nil, &usageError{msg: fmt.Sprintf("no recipe %q, neither a file nor a ready-made one", o.recipe), hint: fmt.Sprintf("did you mean %q?", near)}
			}
		}
		if err != nil {
			return nil, err
		}
		if recipe, err = statedict.ParseRecipe(doc); err != nil {
			return nil, fmt.Errorf("recipe %q: %w", o.recipe, err)
		}
	}
	if len(ops.steps) > 0 {
		flags, err := ops.recipe()
		if err != nil {
			return nil, &usageError{msg: withoutPlaces(err), hint: statedict.Hint(err)}
		}
		recipe.Steps = append(recipe.Steps, flags.Steps...)
	}
	if o.hasAt {
		recipe.At, recipe.HasAt = o.at, true
	}
	return recipe, nil
}

// presets are the names of the ready-made recipes that are complete.
func presets() (names []string) {
	for _, p := range statedict.Presets() {
		if p.Ask == "" {
			names = append(names, p.Name)
		}
	}
	return names
}

// output is the format and the shard size: flags first, then the recipe, then OUT's ending.
func (o *editFlags) output(recipe *statedict.Recipe) (statedict.Format, int64, error) {
	name := o.format
	if name == "" {
		name = recipe.Output.Format
	}
	if name == "" && o.out == "" {
		name = "torch"
	}
	format, err := outputFormat(name, o.out)
	if err != nil {
		return "", 0, err
	}
	if o.maxShard == "" {
		return format, recipe.Output.MaxShardSize, nil
	}
	n, err := shardSize(o.maxShard)
	return format, n, err
}

// openOthers opens the files that the recipe's keep_known and merge steps name. The sets are to be closed even on an error.
func (e *env) openOthers(ctx context.Context, r *statedict.Recipe) (map[string]*statedict.Checkpoint, []*file.Set, error) {
	others := make(map[string]*statedict.Checkpoint)
	var sets []*file.Set
	for _, name := range r.Files() {
		if others[name] != nil {
			continue
		}
		cp, set, err := e.open(ctx, []string{name})
		if errors.Is(err, fs.ErrNotExist) {
			err = wordBehind(name, err)
		}
		if err != nil {
			return nil, sets, err
		}
		sets = append(sets, set)
		others[name] = cp
	}
	return others, sets, nil
}

// wordBehind is the error of a file that does not exist. Where the part in front of a comma does, the part behind it was
// meant as a word of --merge or --keep-known.
func wordBehind(name string, err error) error {
	i := strings.LastIndexByte(name, ',')
	if i < 0 {
		return err
	}
	if _, statErr := os.Stat(name[:i]); statErr != nil {
		return err
	}
	return &usageError{msg: fmt.Sprintf("%q is no word that can stand behind the file %q", name[i+1:], name[:i]), hint: "--merge FILE takes error, keep or replace, --keep-known FILE takes shapes"}
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
