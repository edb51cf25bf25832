package cli

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the console blocks of README.md and docs/ with what the commands print")

// TestReadme runs every console block of README.md and docs/*.md, in order and in one folder for each document, and wants the
// output that stands there; testscript.Main has put the command into PATH. A block holds lines of `$ command` followed by what the command prints, on either stream.
func TestReadme(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the examples are written for a shell")
	}
	docs, _ := filepath.Glob("../../docs/*.md")
	for _, doc := range append(docs, "../../README.md") {
		t.Run(filepath.Base(doc), func(t *testing.T) { checkConsole(t, doc) })
	}
}

func checkConsole(t *testing.T, doc string) {
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/readme")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	inside := false
	commands := 0
	for _, line := range strings.SplitAfter(string(text), "\n") {
		switch {
		case strings.TrimSpace(line) == "```console":
			inside = true
		case inside && strings.HasPrefix(line, "```"):
			inside = false
		case inside && strings.HasPrefix(line, "$ "):
			out.WriteString(line)
			cmd := exec.Command("sh", "-c", strings.TrimPrefix(line, "$ "))
			cmd.Dir = dir
			printed, _ := cmd.CombinedOutput()
			out.Write(printed)
			commands++
			continue
		case inside:
			continue
		}
		out.WriteString(line)
	}
	if *update {
		if err := os.WriteFile(doc, out.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := out.String(); got != string(text) {
		t.Errorf("%s is not what its %d commands print (rewrite it with go test ./internal/cli -run TestReadme -update):\n%s", doc, commands, firstDifference(string(text), got))
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range w {
		if i >= len(g) || w[i] != g[i] {
			return "want: " + w[i] + "\ngot:  " + strings.Join(g[min(i, len(g)):min(i+1, len(g))], "")
		}
	}
	return "more lines than expected"
}
