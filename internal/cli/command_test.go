package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/weightroom/weightroom/statedict"
)

// words splits a line as a POSIX shell does, as far as Recipe.Command quotes.
func words(t *testing.T, line string) (out []string) {
	t.Helper()
	var b strings.Builder
	open, any := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\'':
			open, any = !open, true
		case c == '\\' && !open:
			i++
			b.WriteByte(line[i])
		case c == ' ' && !open:
			if any || b.Len() > 0 {
				out = append(out, b.String())
			}
			b.Reset()
			any = false
		default:
			b.WriteByte(c)
		}
	}
	if open {
		t.Fatalf("an open quote in %s", line)
	}
	if any || b.Len() > 0 {
		out = append(out, b.String())
	}
	return out
}

// The line that Copy as command gives says the same recipe, for every recipe of the cases and every ready-made one.
func TestCopyAsCommand(t *testing.T) {
	doc, err := os.ReadFile("../../testdata/recipes/cases.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name   string
		Recipe yaml.Node
	}
	if err := yaml.Unmarshal(doc, &cases); err != nil {
		t.Fatal(err)
	}
	recipes := map[string]*statedict.Recipe{}
	for _, c := range cases {
		text, err := yaml.Marshal(&c.Recipe)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := statedict.ParseRecipe(text); err == nil {
			recipes[c.Name] = r
		}
	}
	for _, p := range statedict.Presets() {
		recipes["preset "+p.Name] = p.Recipe
	}
	recipes["quotes"] = &statedict.Recipe{Steps: []statedict.Op{
		&statedict.Drop{Match: statedict.Patterns{"it's $HOME `x` \\*"}}, &statedict.Rename{From: "a=b", To: "c"}, &statedict.Keep{Match: statedict.Patterns{"-x"}},
		&statedict.SetMetadata{Values: [][2]string{{"a", "1"}, {"b", "x y"}}}, &statedict.SetMetadata{Values: [][2]string{{"a=b", ""}}},
	}}
	for name, r := range recipes {
		line := r.Command([]string{"in file.pth"}, "out.pth")
		args := words(t, line)
		if len(args) < 5 || args[0] != "weightroom" || args[1] != "edit" || args[2] != "in file.pth" {
			t.Errorf("%s: %s", name, line)
			continue
		}
		flags := pflag.NewFlagSet("edit", pflag.ContinueOnError)
		var ops opList
		ops.register(flags)
		out, at, format := flags.StringP("output", "o", "", ""), flags.String("at", "", ""), flags.String("format", "", "")
		shards := flags.String("max-shard-size", "", "")
		if err := flags.Parse(args[2:]); err != nil {
			t.Errorf("%s: %s: %v", name, line, err)
			continue
		}
		got, err := &statedict.Recipe{}, error(nil)
		if len(ops.steps) > 0 {
			got, err = ops.recipe()
		}
		if err != nil {
			t.Errorf("%s: %s: %v", name, line, err)
			continue
		}
		got.At, got.HasAt, got.Output.Format = *at, flags.Changed("at"), *format
		if *shards != "" {
			got.Output.MaxShardSize, _ = statedict.ParseSize(*shards)
		}
		if diff := cmp.Diff(expanded(r), expanded(got)); diff != "" || *out != "out.pth" {
			t.Errorf("%s: %s\n%s", name, line, diff)
		}
	}
}

// expanded writes a recipe with one set_metadata step for each entry, as the flags have it.
func expanded(r *statedict.Recipe) string {
	n := *r
	n.Steps = nil
	for _, op := range r.Steps {
		if sm, ok := op.(*statedict.SetMetadata); ok {
			for _, kv := range sm.Values {
				n.Steps = append(n.Steps, &statedict.SetMetadata{Values: [][2]string{kv}, Optional: sm.Optional})
			}
			continue
		}
		n.Steps = append(n.Steps, op)
	}
	return string(n.YAML())
}
