package pagetest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// compareCast casts what a file holds with real torch and compares bit patterns with a file that was cast elsewhere.
const compareCast = `
import sys, torch
old, new, dtype = torch.load(sys.argv[1], map_location="cpu"), torch.load(sys.argv[2], map_location="cpu"), getattr(torch, sys.argv[3])
def flat(v, at=()):
    if torch.is_tensor(v): yield at, v
    elif isinstance(v, dict):
        for k in v: yield from flat(v[k], at + (k,))
old, new = dict(flat(old)), dict(flat(new))
assert list(old) == list(new), (list(old)[:3], list(new)[:3])
cast = 0
for k, v in old.items():
    if v.is_floating_point():
        cast += 1
        v = v.to(dtype)
    assert v.dtype == new[k].dtype and v.shape == new[k].shape, k
    a, b = (t.contiguous().view(torch.int16) if t.is_floating_point() else t for t in (v, new[k]))
    assert torch.equal(a, b), k
assert cast > 10, cast
print(cast)
`

// Real checkpoints of both containers: the page on either road, the command and torch's .to() give the same bytes per tensor.
func TestCastCorpus(t *testing.T) {
	python := os.Getenv("WEIGHTROOM_PYTHON")
	if python == "" {
		python = "/usr/bin/python3"
	}
	torch := exec.Command(python, "-c", "import torch").Run() == nil
	if !torch {
		t.Log("torch is missing: no comparison with it")
	}
	dir := t.TempDir()
	weightroom := filepath.Join(dir, "weightroom")
	if out, err := exec.Command("go", "build", "-o", weightroom, "../../cmd/weightroom").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range []struct{ file, to string }{
		{"silent-face-anti-spoofing__2.7_80x80_MiniFASNetV2.pth", "float16"},
		{"kair__dncnn_25.pth", "bfloat16"},
	} {
		file := corpus(t, c.file)
		command := filepath.Join(dir, "command-"+c.to+".pth")
		if out, err := exec.Command(weightroom, "edit", file, "-o", command, "--cast", c.to).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		want := mustRead(t, command)
		b := newTab(t)
		b.choose(file)
		b.wait("ready")
		b.more()
		b.edit("cast", "to", c.to)
		for _, road := range []string{"processor", "gpu"} {
			name := road + ".pth"
			if got := b.cast(road, "torch", name); !bytes.Equal(got, want) {
				t.Errorf("%s to %s, %s: %d bytes that differ from the %d of the command", c.file, c.to, road, len(got), len(want))
			}
			if road == "gpu" && (b.taken("device") == 0 || b.taken("processor") != 0) {
				t.Errorf("%s: forced to the GPU, %d bytes were cast there and %d on the processor", c.file, b.taken("device"), b.taken("processor"))
			}
			b.click("close-panel")
		}
		if torch {
			out, err := exec.Command(python, "-c", compareCast, file, command, c.to).CombinedOutput()
			if err != nil {
				t.Errorf("%s: torch casts otherwise: %v\n%s", c.file, err, out)
			}
			t.Logf("%s to %s: %s tensors as torch casts them", c.file, c.to, bytes.TrimSpace(out))
		}
		b.clean()
	}
}
