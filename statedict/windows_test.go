package statedict

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestWindows has real torch read what the steps on storages make of an old legacy file with windows: what shared memory
// there shares it still, unless it was told to come apart.
func TestWindows(t *testing.T) {
	python := torchPython(t)
	script, err := filepath.Abs("../testdata/recipes/windows.py")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if out, err := exec.Command(python, script, "build", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	in := filepath.Join(dir, "in.pth")
	for out, recipe := range map[string]string{
		"cast.pth":    `steps: [cast: float16]`,
		"cpu.pth":     `steps: [set_device: "cuda:0", set_device: cpu]`,
		"cuda.pth":    `steps: [set_device: {device: "cuda:0", match: view}]`,
		"unshare.pth": `steps: [unshare: "**"]`,
		"compact.pth": `steps: [compact: true]`,
		"slice.pth":   `steps: [keep: view, compact: true]`,
		"merged.pth":  `steps: [merge: {from: in.pth, prefix: old}, cast: {to: float16, match: old.whole}]`,
	} {
		r, err := ParseRecipe([]byte(recipe))
		if err != nil {
			t.Fatal(err)
		}
		base := openPath(t, in)
		cp, _, err := r.Apply(base, map[string]*Checkpoint{"in.pth": base})
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if err := writeTorch(t, cp, filepath.Join(dir, out)); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
	}
	if out, err := exec.Command(python, script, "check", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
