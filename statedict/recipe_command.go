package statedict

import (
	"encoding/json"
	"regexp"
	"strings"
)

// Command is the `weightroom edit` line that does the recipe's edit, quoted for a POSIX shell. Steps that the flags cannot
// say (lists, except, optional) are given whole with --step.
func (r *Recipe) Command(in []string, out string) string {
	words := []string{"weightroom", "edit"}
	for _, f := range in {
		words = append(words, shellQuote(f))
	}
	words = append(words, "-o", shellQuote(out))
	if r.HasAt || r.At != "" {
		words = append(words, "--at", shellQuote(r.At))
	}
	for _, op := range r.Steps {
		words = append(words, flagOf(op)...)
	}
	if r.Output.Format != "" {
		words = append(words, "--format", r.Output.Format)
	}
	if r.Output.MaxShardSize > 0 {
		words = append(words, "--max-shard-size", formatSize(r.Output.MaxShardSize))
	}
	return strings.Join(words, " ")
}

// flagOf is the flag of a step, with its value.
func flagOf(op Op) []string {
	flag := "--" + strings.ReplaceAll(op.Name(), "_", "-")
	one := func(v string) []string { return []string{flag, shellQuote(v)} }
	switch op := op.(type) {
	case *Keep:
		if len(op.Match) == 1 && op.Except == nil && !op.Optional {
			return one(op.Match[0])
		}
	case *Drop:
		if len(op.Match) == 1 && op.Except == nil && !op.Optional {
			return one(op.Match[0])
		}
	case *Rename:
		if !strings.Contains(op.From, "=") && !op.Optional {
			return one(op.From + "=" + op.To)
		}
	case *StripPrefix:
		if len(op.Prefix) == 1 && !op.Repeat && !op.Optional {
			return one(op.Prefix[0])
		}
	case *AddPrefix:
		if op.Match == nil && op.Except == nil && !op.Optional {
			return one(op.Prefix)
		}
	case *Extract:
		if !op.Optional {
			return one(op.Prefix)
		}
	case *KeepKnown:
		if op.At == "" && !op.Optional && !strings.Contains(op.In, ",") {
			if op.Shapes {
				return one(op.In + ",shapes")
			}
			return one(op.In)
		}
	case *Merge:
		if op.At == "" && op.Prefix == "" && !op.Optional {
			if op.Policy != "" {
				return one(op.From + "," + string(op.Policy))
			}
			if _, end, comma := strings.Cut(op.From, ","); !comma || end == "" {
				return one(op.From)
			}
		}
	case *Cast:
		if op.Except == nil && len(op.Match) < 2 && !strings.Contains(op.To, ",") && !op.Integers && !op.Optional {
			return one(strings.Join(append([]string{op.To}, op.Match...), ","))
		}
	case *SetDevice:
		if op.Match == nil && op.Except == nil && !op.Optional {
			return one(op.Device)
		}
	case *SetRequiresGrad:
		if op.Match == nil && op.Except == nil && !op.Optional {
			return []string{flag + "=" + strings.ToLower(pyBool(op.Value))}
		}
	case *Unshare:
		if len(op.Match) == 1 && op.Except == nil && !op.Optional {
			return []string{shellQuote(flag + "=" + op.Match[0])}
		}
	case *Compact:
		if op.Match == nil && op.Except == nil && !op.Optional {
			return []string{flag}
		}
	case *DropObjects:
		if !op.Optional && !strings.Contains(strings.Join(op.Paths, ""), ",") {
			return one(strings.Join(op.Paths, ","))
		}
	case *SetMetadata:
		if !op.Optional {
			var words []string
			for _, kv := range op.Values {
				if strings.Contains(kv[0], "=") {
					return wholeStep(op)
				}
				words = append(words, one(kv[0]+"="+kv[1])...)
			}
			return words
		}
	}
	return wholeStep(op)
}

func wholeStep(op Op) []string {
	var doc struct{ Steps []json.RawMessage }
	text, err := json.Marshal(&Recipe{Steps: []Op{op}})
	if err == nil {
		err = json.Unmarshal(text, &doc)
	}
	if err != nil {
		panic(err) // our own document
	}
	return []string{"--step", shellQuote(string(doc.Steps[0]))}
}

var shellPlain = regexp.MustCompile(`^[A-Za-z0-9_./:=,@%+-]+$`)

// shellQuote is a word for a POSIX shell.
func shellQuote(s string) string {
	if shellPlain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
