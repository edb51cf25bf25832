package statedict

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	docsSection = regexp.MustCompile(`(?s)<!-- base: (\S+), result: (.*?) -->\n` + "```python\n(.*?)```\n```yaml\n(.*?)```\n```sh\n(.*?)```")
	docsCommand = regexp.MustCompile(`^weightroom (edit|check) `)
)

// TestLoadStateDictDocs runs what docs/load_state_dict.md shows: the Python with real torch, the recipe here, on the same
// files; and the command lines are those of the recipes.
func TestLoadStateDictDocs(t *testing.T) {
	python := torchPython(t)
	text, err := os.ReadFile("../docs/load_state_dict.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("../testdata/recipes/article.py")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if out, err := exec.Command(python, script, "build", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sections := docsSection.FindAllStringSubmatch(string(text), -1)
	if len(sections) != 6 || strings.Count(string(text), "\n## ") != 6 {
		t.Fatalf("%d passages", len(sections))
	}
	for i, s := range sections {
		name := string(rune('1' + i))
		r, err := ParseRecipe([]byte(s[4]))
		if err != nil {
			t.Fatalf("passage %s: %v", name, err)
		}
		others := map[string]*Checkpoint{}
		for _, file := range r.Files() {
			others[file] = openPath(t, filepath.Join(dir, file))
		}
		cp, _, err := r.Apply(openPath(t, filepath.Join(dir, s[1])), others)
		if err != nil {
			t.Fatalf("passage %s: %v", name, err)
		}
		if err := writeTorch(t, cp, filepath.Join(dir, name+".ours.pth")); err != nil {
			t.Fatalf("passage %s: %v", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".py"), []byte(s[3]+"\n# result: "+s[2]), 0o644); err != nil {
			t.Fatal(err)
		}
		line := strings.TrimSpace(s[5])
		m := docsCommand.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("passage %s: %s", name, line)
		}
		if m[1] == "edit" {
			_, rest, _ := strings.Cut(line, " -o ")
			out, _, _ := strings.Cut(rest, " ")
			if want := r.Command([]string{s[1]}, out); line != want {
				t.Errorf("passage %s: %s\nis not\n%s", name, line, want)
			}
		}
	}
	out, err := exec.Command(python, script, "run", dir).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var failures map[string]string
	if err := json.Unmarshal(out, &failures); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, why := range failures {
		t.Errorf("passage %s: %s", name, why)
	}
}
