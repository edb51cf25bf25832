package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// python is the Python that has torch: $WEIGHTROOM_PYTHON, or the system's.
func python(t *testing.T) string {
	t.Helper()
	p := os.Getenv("WEIGHTROOM_PYTHON")
	if p == "" {
		p = "/usr/bin/python3"
	}
	if err := exec.Command(p, "-c", "import torch").Run(); err != nil {
		t.Skipf("%s has no torch", p)
	}
	return p
}

// renamedByHand does in Python what the edit under test does, and compares: keys in order, dtype, shape, stride, every bit,
// ties, and the rest of the checkpoint. It loads the result with and without weights_only.
const renamedByHand = `
import sys, torch
source, result, at = sys.argv[1:]
try:
    whole, ways = torch.load(source, map_location="cpu", weights_only=True), (True, False)
except Exception:  # torch 1.13 refuses Python floats there
    assert source.startswith("testdata/")
    whole, ways = torch.load(source, map_location="cpu"), (False,)
before = whole[at] if at else whole
want = {k[7:] if k.startswith("module.") else k: v for k, v in before.items() if not k.endswith("num_batches_tracked")}
versions = {k[7:] if k.startswith("module.") else "" if k == "module" else k: v for k, v in before._metadata.items() if k or "module" not in before._metadata}
bits = lambda t: t.contiguous().view(-1).numpy().tobytes()
for weights_only in ways:
    loaded = torch.load(result, weights_only=weights_only)
    got = loaded[at] if at else loaded
    assert type(got) is type(before), type(got)
    assert list(got) == list(want), (list(got), list(want))
    for k, v in want.items():
        assert got[k].dtype == v.dtype and got[k].shape == v.shape and got[k].stride() == v.stride(), k
        assert bits(got[k]) == bits(v), k
        assert got[k].requires_grad == v.requires_grad, k
    ties = lambda d: sorted(sorted(k for k in d if d[k].storage().data_ptr() == d[j].storage().data_ptr()) for j in d)
    assert ties(got) == ties(want)
    for k, v in versions.items():
        assert got._metadata.get(k) == v, (k, v, dict(got._metadata))
    if at:
        assert list(loaded) == list(whole), (list(loaded), list(whole))
print(len(want), "tensors")
`

// TestRealTorch strips DataParallel's prefix and drops the counters, and has real PyTorch load the result and compare it
// with the original, renamed in Python.
func TestRealTorch(t *testing.T) {
	python := python(t)
	type file struct{ path, at string }
	files := []file{{"testdata/readme/checkpoint.pth.tar", "state_dict"}}
	if corpus := os.Getenv("WEIGHTROOM_CORPUS"); corpus != "" {
		for _, name := range []string{"dataparallel_zip.pt", "dataparallel_legacy.pt"} {
			files = append(files, file{filepath.Join(corpus, "synthetic", name), "state_dict"})
		}
	}
	for _, f := range files {
		t.Run(filepath.Base(f.path), func(t *testing.T) {
			dir := t.TempDir()
			out := filepath.Join(dir, "out.pth")
			weightroom(t, "edit", f.path, "-o", out, "--at", f.at, "--strip-prefix", "module.", "--drop", "**.num_batches_tracked")
			run(t, python, "-c", renamedByHand, f.path, out, f.at)
			if _, err := exec.LookPath("unzip"); err == nil {
				run(t, "unzip", "-t", out)
			}
			again := filepath.Join(dir, "again.pth")
			weightroom(t, "edit", f.path, "-o", again, "--at", f.at, "--strip-prefix", "module.", "--drop", "**.num_batches_tracked")
			run(t, "cmp", out, again)
		})
	}
}

func weightroom(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := Main(args, nil, &out, &errs); code != 0 {
		t.Fatalf("weightroom %q: exit code %d\n%s%s", args, code, &out, &errs)
	}
	return out.String()
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}
