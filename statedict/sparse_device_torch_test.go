package statedict

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestSparseCastsAndDevices has real torch make sparse tensors of every layout, and look at what casts and set_device made of
// them: layout, indices, values, what is shared, and the device tags that torch.load meets.
func TestSparseCastsAndDevices(t *testing.T) {
	python := torchPython(t)
	script, err := filepath.Abs("../testdata/recipes/sparse_device.py")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if out, err := exec.Command(python, script, "build", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	edit := func(in, out, recipe string) {
		t.Helper()
		r, err := ParseRecipe([]byte(recipe))
		if err != nil {
			t.Fatal(err)
		}
		cp, _, err := r.Apply(openPath(t, in), nil)
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		// The function that torch 1.13 rebuilds CSR tensors with is in no version's safe list.
		plan, err := NewPlan(cp, TorchZip, &PlanOptions{Name: out, AllowUnsafe: true})
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		var b bytes.Buffer
		if err := plan.Files[0].Write(context.Background(), &b, nil); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if err := os.WriteFile(filepath.Join(dir, out), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	in := filepath.Join(dir, "in.pth")
	edit(in, "half.pth", `steps: [cast: float16]`)
	edit(in, "twice.pth", `steps: [cast: bfloat16, cast: float32]`)
	edit(in, "some.pth", `steps: [cast: {to: float16, match: [csr, coo]}]`)
	edit(in, "cuda.pth", `steps: [set_device: "cuda:1"]`)
	edit(in, "mixed.pth", `steps: [set_device: {device: cuda, match: [weight, coo]}]`)
	edit(filepath.Join(dir, "cuda.pth"), "cpu.pth", `steps: [set_device: cpu]`)
	edit("../testdata/cuda.pth", "fixture.pth", `steps: [set_device: cpu]`)
	if out, err := exec.Command(python, script, "check", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
