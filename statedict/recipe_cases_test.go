package statedict

import (
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// recipeCase is one case of testdata/recipes/cases.yaml; the language of the trees is that of treeBuilder.
type recipeCase struct {
	Name   string
	Before yaml.Node
	Others map[string]yaml.Node
	Recipe yaml.Node
	After  yaml.Node
	Report *struct {
		At       *string
		Renamed  [][2]string // of the last step
		Touched  []string    // of the last step
		Dropped  []string
		Warnings []string // texts that the warnings contain, in order
	}
	Error *struct {
		Has  []string // texts that the message contains
		Keys []string
		Hint string
	}
}

func recipeCases(t testing.TB) []recipeCase {
	t.Helper()
	doc, err := os.ReadFile("../testdata/recipes/cases.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases []recipeCase
	if err := yaml.Unmarshal(doc, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func (c *recipeCase) document(t testing.TB) []byte {
	t.Helper()
	doc, err := yaml.Marshal(&c.Recipe)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func (c *recipeCase) build(t testing.TB) (*Checkpoint, map[string]*Checkpoint) {
	t.Helper()
	others := map[string]*Checkpoint{}
	for name, n := range c.Others {
		others[name] = buildTree(t, &n)
	}
	return buildTree(t, &c.Before), others
}

func TestRecipeCases(t *testing.T) {
	cases := recipeCases(t)
	names := map[string]bool{}
	for _, c := range cases {
		if names[c.Name] {
			t.Errorf("two cases are called %q", c.Name)
		}
		names[c.Name] = true
		t.Run(c.Name, func(t *testing.T) { c.run(t) })
	}
	t.Logf("%d cases", len(cases))
}

func (c *recipeCase) run(t *testing.T) {
	base, others := c.build(t)
	before := dumpTree(base)
	r, err := ParseRecipe(c.document(t))
	var cp *Checkpoint
	var report *Report
	if err == nil {
		cp, report, err = r.Apply(base, others)
	}
	if now := dumpTree(base); now != before {
		t.Errorf("the base changed:\n%s\nwas:\n%s", now, before)
	}
	if c.Error != nil {
		if err == nil {
			t.Fatalf("no error; result:%s", dumpTree(cp))
		}
		for _, want := range c.Error.Has {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %q does not contain %q", err, want)
			}
		}
		if !strings.Contains(Hint(err), c.Error.Hint) {
			t.Errorf("hint %q does not contain %q", Hint(err), c.Error.Hint)
		}
		if ke, ok := err.(*KeyError); c.Error.Keys != nil && (!ok || !slices.Equal(ke.Keys, c.Error.Keys)) {
			t.Errorf("error %#v does not name the keys %q", err, c.Error.Keys)
		}
		return
	}
	if err != nil {
		t.Fatalf("%v (%s)", err, Hint(err))
	}
	if got, want := dumpTree(cp), textTree(&c.After, 0); got != want {
		t.Errorf("result:%s\nwant:%s", got, want)
	}
	c.checkReport(t, report)
}

func (c *recipeCase) checkReport(t *testing.T, report *Report) {
	want := c.Report
	if want == nil {
		return
	}
	last := OpReport{}
	if n := len(report.Ops); n > 0 {
		last = report.Ops[n-1]
	}
	if want.At != nil && report.At != *want.At {
		t.Errorf("at %q, want %q", report.At, *want.At)
	}
	if want.Renamed != nil && !slices.Equal(last.Renamed, want.Renamed) {
		t.Errorf("renamed %q, want %q", last.Renamed, want.Renamed)
	}
	if want.Touched != nil && !slices.Equal(last.Touched, want.Touched) {
		t.Errorf("touched %q, want %q", last.Touched, want.Touched)
	}
	if want.Dropped != nil && !slices.Equal(report.DroppedObjects, want.Dropped) {
		t.Errorf("dropped objects %q, want %q", report.DroppedObjects, want.Dropped)
	}
	if want.Warnings != nil {
		ok := len(report.Warnings) == len(want.Warnings)
		for i := 0; ok && i < len(want.Warnings); i++ {
			ok = strings.Contains(report.Warnings[i], want.Warnings[i])
		}
		if !ok {
			t.Errorf("warnings %q, want %q", report.Warnings, want.Warnings)
		}
	}
}
