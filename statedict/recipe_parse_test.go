package statedict

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite golden files")

// The document of the interface description, whole.
const wholeRecipe = `recipe: 1
at: state_dict                       # absent: found, see below
steps:
  - strip_prefix: module.
  - keep: ["backbone.**", "neck.**"]
  - drop: "**.num_batches_tracked"
  - rename: {from: 're:^layers\.(\d+)\.', to: 'blocks.$1.'}
  - add_prefix: {prefix: net., match: "head.**"}
  - extract: net
  - keep_known: {in: model.pth, shapes: true}
  - merge: {from: pretrained.pth, policy: replace}
  - cast: {to: float16, match: "**.weight", except: "**.norm*.*"}
  - set_device: cpu
  - set_requires_grad: false
  - unshare: "**"
  - compact: true
  - drop_objects: [optimizer, lr_schedulers]
  - set_metadata: {format: pt}
output: {format: safetensors, max_shard_size: 5GB}
`

func TestParseWholeRecipe(t *testing.T) {
	r, err := ParseRecipe([]byte(wholeRecipe))
	if err != nil {
		t.Fatal(err)
	}
	want := &Recipe{At: "state_dict", HasAt: true, Output: Output{"safetensors", 5e9}, Steps: []Op{
		&StripPrefix{Prefix: []string{"module."}},
		&Keep{Match: Patterns{"backbone.**", "neck.**"}},
		&Drop{Match: Patterns{"**.num_batches_tracked"}},
		&Rename{From: `re:^layers\.(\d+)\.`, To: "blocks.$1."},
		&AddPrefix{Prefix: "net.", Match: Patterns{"head.**"}},
		&Extract{Prefix: "net"},
		&KeepKnown{In: "model.pth", Shapes: true},
		&Merge{From: "pretrained.pth", Policy: PolicyReplace},
		&Cast{To: "float16", Match: Patterns{"**.weight"}, Except: Patterns{"**.norm*.*"}},
		&SetDevice{Device: "cpu"},
		&SetRequiresGrad{Value: false},
		&Unshare{Match: Patterns{"**"}},
		&Compact{},
		&DropObjects{Paths: []string{"optimizer", "lr_schedulers"}},
		&SetMetadata{Values: [][2]string{{"format", "pt"}}},
	}}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Fatal(diff)
	}
	again, err := ParseRecipe(r.YAML())
	if err != nil {
		t.Fatalf("%v in\n%s", err, r.YAML())
	}
	if diff := cmp.Diff(r, again); diff != "" {
		t.Fatalf("YAML does not come back: %s\n%s", diff, r.YAML())
	}
	doc, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if again, err = ParseRecipe(doc); err != nil {
		t.Fatalf("%v in\n%s", err, doc)
	}
	if diff := cmp.Diff(r, again); diff != "" {
		t.Fatalf("JSON does not come back: %s\n%s", diff, doc)
	}
}

// accepted and refused documents; parser and schema have to agree on each.
var acceptedRecipes = []string{
	"recipe: 1\n",
	"recipe: 1\nsteps: []\n",
	`{"recipe": 1, "steps": [{"strip_prefix": ["module.", "_orig_mod."]}]}`,
	"{\n\t\"steps\": [\n\t\t{\"keep\": \"\\ud83d\\ude00.a\\/b\"}\n\t]\n}",
	"steps:\n- strip_prefix: 0.\n- drop: 12\n",
	"at: ''\nsteps: [{compact: {match: '**.weight', except: a}}]",
	"steps: [{cast: torch.bfloat16}, {cast: {to: float8_e4m3fn, integers: true, optional: true}}]",
	"steps: [{merge: a.pth}, {merge: {from: a.pth, policy: keep, at: model, prefix: x.}}]",
	"steps: [{keep_known: a.pth}, {set_device: 'cuda:1'}, {set_requires_grad: {value: true, match: a}}]",
	"steps: [{set_metadata: {a: '', optional: true}}, {set_metadata: {optional: 'x'}}]",
	"steps: [{drop_objects: {paths: 'a[0]', optional: true}}]",
	"steps: [{rename: {from: a, to: ''}}]",
	"output: {max_shard_size: 500000}",
	"output: {max_shard_size: 1.5GiB, format: torch-legacy}",
	"steps: [{add_prefix: {prefix: a, match: [], except: []}}]",
}

var refusedRecipes = []struct{ doc, at, text string }{
	{"", "line 1, column 1", "empty"},
	{"- a", "line 1, column 1", "a recipe is a mapping"},
	{"recipe: 2", "line 1, column 9", "version 1"},
	{"recipe: '1'", "line 1, column 9", "version 1"},
	{"recipe: 1\nstpes: []", "line 2, column 1", `did you mean "steps"`},
	{"steps: {keep: a}", "line 1, column 8", "steps is a list"},
	{"steps:\n- kepe: a", "line 2, column 3", `unknown operation "kepe", did you mean "keep"`},
	{"steps:\n- frobnicate: a", "line 2, column 3", "unknown operation"},
	{"steps:\n- keep: a\n  drop: b", "line 2, column 3", "one key"},
	{"steps:\n- keep: a\n  optional: true", "line 2, column 3", "one key"},
	{"steps: [keep]", "line 1, column 9", "found the word"},
	{"steps: [[keep]]", "line 1, column 9", "found a list"},
	{"steps:\n- keep: {mach: a}", "line 2, column 10", `did you mean "match"`},
	{"steps:\n- keep: {except: a}", "line 2, column 3", `keep needs "match"`},
	{"steps:\n- keep: {match: a, match: b}", "line 2, column 20", "twice"},
	{"steps:\n- keep: {match: a, optional: yes}", "line 2, column 30", "true or false"},
	{"steps:\n- keep: []", "line 2, column 9", "empty list"},
	{"steps:\n- keep: ''", "line 2, column 9", "is empty"},
	{"steps:\n- keep: [a, {b: c}]", "line 2, column 13", "is a text"},
	{"steps:\n- keep: ~", "line 2, column 9", "is a text"},
	{"steps:\n- keep: true", "line 2, column 9", "is a text"},
	{"steps:\n- keep: [a, '[b']", "line 2, column 13", "bracket"},
	{"steps:\n- drop: 're:('", "line 2, column 9", "missing closing )"},
	{"steps:\n- rename: {from: a}", "line 2, column 3", `rename needs "to"`},
	{"steps:\n- rename: a", "line 2, column 11", "rename needs a mapping"},
	{"steps:\n- rename: {from: 're:a', to: $1}", "line 2, column 11", "uses $1"},
	{"steps:\n- cast: float17", "line 2, column 9", `did you mean "float16"`},
	{"steps:\n- cast: complex64", "line 2, column 9", "unknown dtype"},
	{"steps:\n- merge: {from: a, policy: replce}", "line 2, column 28", `did you mean "replace"`},
	{"steps:\n- set_device: 'CUDA 0'", "line 2, column 15", "no device"},
	{"steps:\n- set_requires_grad: 1", "line 2, column 22", "true or false"},
	{"steps:\n- compact: false", "line 2, column 12", "either true"},
	{"steps:\n- compact: [a]", "line 2, column 12", "compact needs a mapping"},
	{"steps:\n- set_metadata: {a: [b]}", "line 2, column 21", "is a text"},
	{"steps:\n- set_metadata: a", "line 2, column 17", "needs a mapping"},
	{"output: safetensors", "line 1, column 9", "output is a mapping"},
	{"output: {format: safetensor}", "line 1, column 18", `did you mean "safetensors"`},
	{"output: {max_shard_size: 5XB}", "line 1, column 26", "no size"},
	{"output: {size: 5}", "line 1, column 10", "unknown field"},
	{"at: [a]", "line 1, column 5", "at is a text"},
	{"{\"steps\": [{\"keep\": \"a\"},\n  {\"keap\": \"b\"}]}", "line 2, column 4", `did you mean "keep"`},
}

func TestParseRecipe(t *testing.T) {
	schema := compiledSchema(t)
	for _, doc := range acceptedRecipes {
		r, err := ParseRecipe([]byte(doc))
		if err != nil {
			t.Errorf("%s\nis refused: %v", doc, err)
			continue
		}
		if err := schema.Validate(instance(t, doc)); err != nil {
			t.Errorf("%s\nis refused by the schema: %v", doc, err)
		}
		again, err := ParseRecipe(r.YAML())
		if err != nil {
			t.Errorf("%s\nis written as\n%s\nwhich is refused: %v", doc, r.YAML(), err)
		} else if diff := cmp.Diff(r, again); diff != "" {
			t.Errorf("%s\ndoes not come back: %s", doc, diff)
		}
		if err := schema.Validate(instance(t, string(r.YAML()))); err != nil {
			t.Errorf("%s\nis refused by the schema: %v", r.YAML(), err)
		}
	}
	for _, c := range refusedRecipes {
		_, err := ParseRecipe([]byte(c.doc))
		if err == nil {
			t.Errorf("%s\nis accepted", c.doc)
			continue
		}
		text := err.Error() + " " + Hint(err)
		if !strings.Contains(text, c.at+":") || !strings.Contains(text, c.text) {
			t.Errorf("%s\nis refused with %q, want %q at %q", c.doc, text, c.text, c.at)
		}
		if Code(err) != "E_RECIPE" {
			t.Errorf("%s: code %s", c.doc, Code(err))
		}
		// What only the parser knows: whether patterns compile, and keys that are given twice.
		if strings.Contains(c.text, "twice") || strings.Contains(c.text, "bracket") || strings.Contains(c.text, "missing closing") ||
			strings.Contains(c.text, "$1") || c.text == "empty" {
			continue
		}
		if err := schema.Validate(instance(t, c.doc)); err == nil {
			t.Errorf("%s\nis accepted by the schema", c.doc)
		}
	}
	if _, err := ParseRecipe([]byte("steps: [{keep: a}, {keap: b}, {drpo: c}]")); strings.Count(err.Error(), "did you mean") != 2 {
		t.Errorf("not all mistakes are reported: %v", err)
	}
	for _, doc := range []string{"a: [", "steps:\n  - keep: a\n - drop: b", "\t- a", "recipe: 1\n---\nrecipe: 1", "a: &a [*a]\nsteps: *a", "&a [*a]", "\xff\xfe\x00", "a: \"\\x\""} {
		if _, err := ParseRecipe([]byte(doc)); err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%q gives %v", doc, err)
		}
	}
	if _, err := ParseRecipe(bytes.Repeat([]byte(" "), maxRecipeBytes+1)); Code(err) != "E_LIMIT" {
		t.Errorf("a huge document gives %v", err)
	}
}

func TestRecipeSchemaIsCurrent(t *testing.T) {
	const name = "../web/schema/recipe.schema.json"
	if *update {
		if err := os.WriteFile(name, recipeSchema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, recipeSchema()) {
		t.Errorf("%s is out of date: go test ./statedict -run Schema -update", name)
	}
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(recipeSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("recipe.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("recipe.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func instance(t *testing.T, doc string) any {
	t.Helper()
	var v any
	if json.Valid([]byte(doc)) {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(doc))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if err := yaml.Unmarshal([]byte(doc), &v); err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	v, err = jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"5GB": 5e9, "500MB": 5e8, "2GiB": 2 << 30, "1.5 kb": 1500, "7": 7, "3b": 3, "1TB": 1e12, "10G": 1e10, "1Ki": 1024} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v", text, got, err)
		}
		if again, err := ParseSize(formatSize(want)); err != nil || again != want {
			t.Errorf("formatSize(%d) = %q", want, formatSize(want))
		}
	}
	for _, text := range []string{"", "GB", "-1", "0", "5iB", "9e9", "1e400GB", "99999999TB"} {
		if n, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d", text, n)
		}
	}
}

// Every operation is in the list that drives parser, writer and schema, and has the tags for it.
func TestOperationsAreListed(t *testing.T) {
	for _, make := range operations {
		op := make()
		if _, ok := reflect.TypeOf(op).Elem().FieldByName("Optional"); !ok {
			t.Errorf("%s has no Optional", op.Name())
		}
	}
	if len(operations) != 16 {
		t.Errorf("%d operations", len(operations))
	}
}
