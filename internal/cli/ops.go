package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/pflag"

	"github.com/weightroom/weightroom/internal/listing"
	"github.com/weightroom/weightroom/statedict"
)

// opList collects the operation flags in the order of the command line, as steps of a recipe document: one parser reads
// flags and recipe files.
type opList struct{ steps []map[string]any }

// opFlag is one operation flag. Setting it appends a step.
type opFlag struct {
	list *opList
	name string
	arg  string
	step func(value string) (any, error)
}

func (f *opFlag) String() string { return "" }
func (f *opFlag) Type() string   { return f.arg }
func (f *opFlag) Set(value string) error {
	v, err := f.step(value)
	if whole, ok := v.(map[string]any); ok && f.name == "step" {
		f.list.steps = append(f.list.steps, whole)
	} else if err == nil && v != nil {
		f.list.steps = append(f.list.steps, map[string]any{strings.ReplaceAll(f.name, "-", "_"): v})
	}
	return err
}

func bare(v string) (any, error) { return v, nil }

// register adds the operation flags to a command.
func (l *opList) register(flags *pflag.FlagSet) {
	add := func(name, arg, usage, without string, step func(string) (any, error)) {
		f := flags.VarPF(&opFlag{l, name, arg, step}, name, "", usage)
		f.NoOptDefVal = without
	}
	add("keep", "PATTERN", "keep only the keys that match", "", bare)
	add("drop", "PATTERN", "drop the keys that match", "", bare)
	add("strip-prefix", "PREFIX", "take PREFIX off the keys that start with it", "", bare)
	add("add-prefix", "PREFIX", "put PREFIX in front of every key", "", bare)
	add("rename", "FROM=TO", "rename the keys that match; with re:FROM, TO takes $1", "", func(v string) (any, error) {
		from, to, ok := strings.Cut(v, "=")
		if !ok || from == "" {
			return nil, fmt.Errorf("FROM=TO expected")
		}
		return map[string]any{"from": from, "to": to}, nil
	})
	add("extract", "PREFIX", "keep only the keys below PREFIX, without it", "", bare)
	add("keep-known", "FILE", "keep only the keys that FILE has as well; FILE,shapes wants equal shapes too", "", func(v string) (any, error) {
		if name, ok := strings.CutSuffix(v, ",shapes"); ok {
			return map[string]any{"in": name, "shapes": true}, nil
		}
		return map[string]any{"in": v}, nil
	})
	add("merge", "FILE", "add the tensors of FILE; FILE,POLICY with error, keep or replace for keys that both have", "", func(v string) (any, error) {
		for _, policy := range []string{"error", "keep", "replace"} {
			if name, ok := strings.CutSuffix(v, ","+policy); ok {
				return map[string]any{"from": name, "policy": policy}, nil
			}
		}
		return map[string]any{"from": v}, nil
	})
	add("cast", "DTYPE", "convert floating-point tensors; DTYPE,PATTERN only those that match", "", func(v string) (any, error) {
		to, pattern, ok := strings.Cut(v, ",")
		m := map[string]any{"to": to}
		if ok {
			m["match"] = pattern
		}
		return m, nil
	})
	add("set-device", "DEVICE", "the device that tensors are loaded to: cpu, cuda:0", "", bare)
	add("set-requires-grad", "BOOL", "set requires_grad of every tensor", "true", boolean)
	add("unshare", "PATTERN", "give tied tensors storages of their own (all of them without =PATTERN)", "**", bare)
	add("compact", "BOOL", "give views row-major storages of just their size", "true", boolean)
	add("drop-objects", "PATHS", "drop objects that are no tensors of the state dict: optimizer,lr_schedulers", "", func(v string) (any, error) {
		return strings.Split(v, ","), nil
	})
	add("set-metadata", "KEY=VALUE", "set a metadata entry of a safetensors output", "", func(v string) (any, error) {
		k, val, ok := strings.Cut(v, "=")
		if !ok {
			return nil, fmt.Errorf("KEY=VALUE expected")
		}
		return map[string]any{k: val}, nil
	})
	add("step", "STEP", `one step as a recipe has it: '{drop: {match: "**.bias", except: "fc.*"}}'`, "", wholeStep)
}

// wholeStep reads a step as recipes have it, for what the other flags cannot say: lists, except, optional.
func wholeStep(v string) (any, error) {
	recipe, err := statedict.ParseRecipe([]byte("steps: [" + v + "]"))
	if err != nil {
		return nil, errors.New(withoutPlaces(err))
	}
	text, err := json.Marshal(recipe)
	if err != nil {
		return nil, err
	}
	var doc struct{ Steps []map[string]any }
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if len(doc.Steps) != 1 {
		return nil, fmt.Errorf("one step expected, found %d", len(doc.Steps))
	}
	return doc.Steps[0], nil
}

var placeInRecipe = regexp.MustCompile(`recipe: line \d+, column \d+: `)

// withoutPlaces is the text of an error about a recipe that came from flags: its lines and columns are none of the user's.
func withoutPlaces(err error) string {
	return strings.ReplaceAll(placeInRecipe.ReplaceAllString(err.Error(), ""), "\n", "; ")
}

func boolean(v string) (any, error) {
	switch v {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, fmt.Errorf("true or false expected")
}

// recipe parses the collected steps.
func (l *opList) recipe() (*statedict.Recipe, error) {
	doc, err := json.Marshal(map[string]any{"recipe": 1, "steps": l.steps})
	if err != nil {
		return nil, err
	}
	return statedict.ParseRecipe(doc)
}

// outputFormat is the format called name, or the one that out's ending asks for where name is empty.
func outputFormat(name, out string) (statedict.Format, error) {
	names := strings.Join(listing.FormatNames(), ", ")
	if name != "" {
		f, _, ok := listing.OutputFormat(name)
		if !ok {
			return "", &usageError{msg: fmt.Sprintf("unknown format %q", name), hint: "the formats are " + names}
		}
		return f, nil
	}
	f, ok := listing.FormatOf(out)
	if !ok {
		return "", &usageError{msg: fmt.Sprintf("the ending of %q says no format", out), hint: "use --format: " + names}
	}
	return f, nil
}

// shardSize parses --max-shard-size.
func shardSize(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := statedict.ParseSize(s)
	if err != nil {
		return 0, &usageError{msg: "--max-shard-size: " + err.Error()}
	}
	return n, nil
}
