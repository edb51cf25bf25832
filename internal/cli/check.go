package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weightroom/weightroom/internal/listing"
	"github.com/weightroom/weightroom/statedict"
)

// checkOptions are the flags of check.
type checkOptions struct {
	against   string
	errorText string
	at        string
	json      bool
	suggest   bool
}

func (e *env) checkCommand() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check FILE... (--against REFERENCE | --error TEXT)",
		Short: "Say what load_state_dict would say, and find the recipe that fits",
		Long: `Say what load_state_dict(strict=True) would say: missing keys, unexpected keys,
other shapes.

REFERENCE is what the model expects: another checkpoint, a pickled module,
TorchScript, a safetensors file or just its header, a shard index, or a JSON
object of key to shape; - for standard input. torch.save(model.state_dict(),
"mymodel.pth") makes one. Instead, --error takes the text of PyTorch's
"Error(s) in loading state_dict for ...", which may be cut off.

A dtype that differs is reported and loads all the same. The exit code is 3
when the keys or shapes differ.`,
		Example: `  weightroom check in.pth --against mymodel.pth
  weightroom check in.pth --error error.txt --suggest
  weightroom check in.pth --against m.pth --suggest --json |
    jq .suggestion | weightroom edit in.pth -o out.pth --recipe -`,
		Args: minArgs(1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (o.against == "") == (o.errorText == "") {
				return &usageError{msg: "give either --against or --error", hint: "usage: " + cmd.UseLine()}
			}
			cp, set, err := e.open(cmd.Context(), args)
			if err != nil {
				return err
			}
			defer set.Close()
			var pasted *statedict.PastedError
			at, given := o.at, cmd.Flags().Changed("at")
			if o.errorText != "" {
				text, err := e.readText(o.errorText)
				if err != nil {
					return err
				}
				if pasted, err = statedict.ParseLoadError(string(text)); err != nil {
					return err
				}
				if !given {
					at, given = pasted.Loaded(cp), true
				}
			}
			got, err := cp.KeyList(at, given)
			if err != nil {
				return err
			}
			var want *statedict.KeyList
			if pasted != nil {
				want = pasted.Reference(got)
			} else if want, err = e.reference(cmd.Context(), o.against); err != nil {
				return err
			}
			inc := statedict.CompareKeys(want, got)
			var found *statedict.Suggestion
			if o.suggest && !inc.Compatible() {
				if pasted != nil {
					found, err = statedict.SuggestForError(pasted, cp)
				} else {
					found, err = statedict.Suggest(want, cp)
				}
				if err != nil {
					return err
				}
			}
			if o.json {
				err = writeJSON(e.out, struct {
					Compatible bool `json:"compatible"`
					*statedict.Incompatible
					Suggestion *statedict.Recipe     `json:"suggestion"`
					Fit        *statedict.Suggestion `json:"fit,omitempty"`
				}{inc.Compatible(), inc, recipeOf(found), found})
			} else {
				err = e.writeCheck(inc, want, found, args, &o)
			}
			if err == nil && !inc.Compatible() {
				return errFound
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.against, "against", "", "the `REFERENCE`: what the model expects")
	f.StringVar(&o.errorText, "error", "", "a `FILE` with the text of a load_state_dict error, or - for standard input")
	f.StringVar(&o.at, "at", "", "`PATH` of the mapping to check; found when absent")
	f.BoolVar(&o.json, "json", false, "one JSON document on stdout")
	f.BoolVar(&o.suggest, "suggest", false, "look for a recipe that makes it fit; it is shown, not applied")
	return cmd
}

func recipeOf(s *statedict.Suggestion) *statedict.Recipe {
	if s == nil {
		return nil
	}
	return s.Recipe
}

// maxText bounds a recipe and a pasted error, in bytes.
const maxText = 64 << 20

// reference reads what the model expects: a checkpoint, or a list of keys.
func (e *env) reference(ctx context.Context, path string) (*statedict.KeyList, error) {
	set, err := e.files([]string{path})
	if err != nil {
		if list, ok := indexAlone(path); ok {
			return list, nil
		}
		return nil, err
	}
	defer set.Close()
	cp, err := (&statedict.Options{Lenient: e.lenient}).Open(ctx, set.Sources...)
	if err == nil {
		return cp.KeyList("", false)
	}
	if len(set.Sources) == 1 {
		if list, ok, listErr := statedict.ReadKeyList(set.Sources[0]); ok {
			return list, listErr
		}
	}
	return nil, inFile([]string{path}, err)
}

// indexAlone reads an index whose shards are not beside it: it knows the keys, not their shapes.
func indexAlone(path string) (*statedict.KeyList, bool) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	list, ok, err := statedict.ReadKeyList(statedict.Source{Name: path, R: f, Size: info.Size()})
	return list, ok && err == nil
}

func (e *env) readText(path string) ([]byte, error) {
	in := e.in
	if path == "-" {
		if err := e.takeStdin(); err != nil {
			return nil, err
		}
	} else {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxText+1))
	if err == nil && len(text) > maxText {
		err = &statedict.LimitError{Limit: "text bytes", Got: int64(len(text)), Max: maxText, Offset: -1}
	}
	return text, err
}

func (e *env) writeCheck(inc *statedict.Incompatible, want *statedict.KeyList, s *statedict.Suggestion, files []string, o *checkOptions) error {
	w := bufio.NewWriter(e.out)
	if inc.Compatible() {
		fmt.Fprintln(w, "<All keys matched successfully>")
	} else {
		model := want.Model
		if model == "" {
			model = "the model"
		}
		for _, line := range strings.Split(inc.Error(model), "\n") {
			indent := len(line) - len(strings.TrimLeft(line, "\t"))
			fmt.Fprintf(w, "%s%s\n", line[:indent], listing.Escape(line[indent:]))
		}
	}
	for _, m := range inc.DTypes {
		fmt.Fprintf(w, "%s: %s in the checkpoint, %s in the model; loading converts it\n", listing.Escape(m.Key), m.GotDType, m.WantDType)
	}
	switch {
	case s != nil:
		state := "load_state_dict then succeeds"
		if !s.Compatible {
			state = "load_state_dict still fails"
		}
		fmt.Fprintf(w, "\nsuggested recipe (%d of %d keys in place after it, %d before; %s):\n", s.Matched, s.Wanted, s.Before, state)
		for _, line := range strings.Split(strings.TrimRight(string(s.Recipe.YAML()), "\n"), "\n") {
			fmt.Fprintf(w, "  %s\n", listing.Escape(line))
		}
		for i, st := range s.Steps {
			fmt.Fprintf(w, "step %d, %s: %d keys gained, %.0f%% sure\n", i+1, st.Op, st.Gained, 100*st.Sure)
		}
		for _, a := range s.Ambiguous {
			fmt.Fprintln(w, ambiguity(a))
		}
		out := "out.pth"
		if f, ok := listing.FormatOf(files[0]); ok && f == statedict.Safetensors {
			out = "out.safetensors"
		}
		fmt.Fprintf(w, "apply it: %s\n", listing.Escape(s.Recipe.Command(files, out)))
	case o.suggest && !inc.Compatible():
		fmt.Fprintln(w, "\nno recipe was found that brings half of the keys into place")
	}
	return w.Flush()
}

// ambiguity says what else a group of keys could have become, or come from.
func ambiguity(a statedict.AmbiguousKey) string {
	name := func(group string) string {
		switch group {
		case "":
			return "the root"
		case "**":
			return "everything"
		}
		return listing.Escape(group)
	}
	var candidates []string
	for _, c := range a.Candidates {
		candidates = append(candidates, name(c))
	}
	list := strings.Join(candidates, ", ")
	switch a.Kind {
	case statedict.AmbiguousFrom:
		return fmt.Sprintf("%s could come from any of %s; the first was taken", name(a.Key), list)
	case statedict.AmbiguousOpen:
		return fmt.Sprintf("%s could become any of %s; it was left alone", name(a.Key), list)
	case statedict.AmbiguousUnsaid:
		return fmt.Sprintf("%s is dropped: the error is cut off and does not say whether the model has it", name(a.Key))
	}
	return fmt.Sprintf("%s could become any of %s; the first was taken", name(a.Key), list)
}
