package statedict

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// torchPython is a Python that has torch; the test skips where there is none.
func torchPython(t *testing.T) string {
	t.Helper()
	python := os.Getenv("WEIGHTROOM_PYTHON")
	if python == "" {
		python = "/usr/bin/python3"
	}
	if runtime.GOOS == "js" {
		t.Skip("no processes")
	}
	if exec.Command(python, "-c", "import torch").Run() != nil {
		t.Skip("no torch for " + python)
	}
	return python
}

func openPath(t *testing.T, path string) *Checkpoint {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cp, err := Open(context.Background(), Source{Name: filepath.Base(path), R: bytes.NewReader(data), Size: int64(len(data))})
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return cp
}

func writeTorch(t *testing.T, cp *Checkpoint, path string) error {
	t.Helper()
	plan, err := NewPlan(cp, TorchZip, &PlanOptions{Name: filepath.Base(path), AllowExpanded: true})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := plan.Files[0].Write(context.Background(), &b, nil); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// TestCopyAs has real torch make the files of the recipe cases, runs the recipes on them here, runs the programs that
// Recipe.Python writes there, and compares the results: keys and their order, values, dtypes, strides, sharing, flags,
// _metadata. The lines of Recipe.Command run in a shell, and what they write has to be the recipe's output to the byte.
func TestCopyAs(t *testing.T) {
	python := torchPython(t)
	script, err := filepath.Abs("../testdata/recipes/torch_cases.py")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var cases []recipeCase
	var docs []json.RawMessage
	for _, c := range recipeCases(t) {
		if c.Error != nil {
			continue
		}
		cases = append(cases, c)
		docs = append(docs, caseJSON(&c))
	}
	doc, err := json.Marshal(docs)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cases.json"), doc, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(python, script, "build", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	skipped := readJSON[map[string]string](t, filepath.Join(dir, "skipped.json"))
	command := filepath.Join(dir, "weightroom")
	if out, err := exec.Command("go", "build", "-o", command, "../cmd/weightroom").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	programs, lines := 0, 0
	for i, c := range cases {
		here := filepath.Join(dir, strconv.Itoa(i))
		if why := skipped[strconv.Itoa(i)]; why != "" {
			t.Logf("%s: not with torch: %s", c.Name, why)
			continue
		}
		r, err := ParseRecipe(c.document(t))
		if err != nil {
			t.Fatal(err)
		}
		base, others := openPath(t, filepath.Join(here, "in.pth")), map[string]*Checkpoint{}
		for name := range c.Others {
			others[name] = openPath(t, filepath.Join(here, name))
		}
		cp, _, err := r.Apply(base, others)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if err := writeTorch(t, cp, filepath.Join(here, "ours.pth")); err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if line, err := runCommand(r, here); err != nil {
			t.Errorf("%s: %s: %v", c.Name, line, err)
		} else {
			lines++
		}
		program := r.Python(base, "in.pth", "python.pth")
		if err := os.WriteFile(filepath.Join(here, "edit.py"), []byte(program), 0o644); err != nil {
			t.Fatal(err)
		}
		programs++
	}
	out, err := exec.Command(python, script, "run", dir).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var failures map[string]string
	if err := json.Unmarshal(out, &failures); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for i, why := range failures {
		n, _ := strconv.Atoi(i)
		program, _ := os.ReadFile(filepath.Join(dir, i, "edit.py"))
		_, steps, _ := strings.Cut(string(program), "\ncheckpoint = ")
		t.Errorf("%s:\n%s\ncheckpoint = %s", cases[n].Name, why, steps)
	}
	t.Logf("%d programs and %d command lines give what the recipe gives", programs-len(failures), lines)
}

// runCommand runs the recipe's command line in a shell in the folder here, and compares what it writes with ours.pth.
func runCommand(r *Recipe, here string) (line string, err error) {
	if err := os.Mkdir(filepath.Join(here, "command"), 0o755); err != nil {
		return "", err
	}
	as := *r
	as.Output = Output{} // ours.pth is a torch file
	line = as.Command([]string{"in.pth"}, "command/ours.pth") + " --allow-expanded"
	sh := exec.Command("sh", "-c", line)
	sh.Dir = here
	if out, err := sh.CombinedOutput(); err != nil {
		return line, fmt.Errorf("%w\n%s", err, out)
	}
	want, err := os.ReadFile(filepath.Join(here, "ours.pth"))
	if err != nil {
		return line, err
	}
	got, err := os.ReadFile(filepath.Join(here, "command", "ours.pth"))
	if err == nil && !bytes.Equal(got, want) {
		err = errors.New("writes another file")
	}
	return line, err
}

func readJSON[T any](t *testing.T, path string) (v T) {
	t.Helper()
	doc, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(doc, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// caseJSON keeps the order of the trees' keys, which is what the cases are about.
func caseJSON(c *recipeCase) json.RawMessage {
	var b bytes.Buffer
	b.WriteString(`{"before": `)
	treeJSON(&b, &c.Before)
	b.WriteString(`, "others": {`)
	n := 0
	for name, other := range c.Others {
		if n++; n > 1 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Quote(name) + ":")
		treeJSON(&b, &other)
	}
	b.WriteString("}}")
	return b.Bytes()
}

func treeJSON(b *bytes.Buffer, n *yaml.Node) {
	n = follow(n)
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.Quote(n.Content[i].Value) + ":")
			treeJSON(b, n.Content[i+1])
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, c := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			treeJSON(b, c)
		}
		b.WriteByte(']')
	default:
		if n.Tag == "!!int" || n.Tag == "!!bool" || n.Tag == "!!null" {
			b.WriteString(n.Value)
			return
		}
		b.WriteString(strconv.Quote(n.Value))
	}
}
