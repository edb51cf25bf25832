package statedict_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// Tensors that were saved several times are written once, and PyTorch loads the same values and finds them tied; the Python of the
// recipe does the same.
func TestTie(t *testing.T) {
	if !havePyTorch() {
		t.Skip("no PyTorch")
	}
	dir := t.TempDir()
	file, out := filepath.Join(dir, "twins.pth"), filepath.Join(dir, "tied.pth")
	if text, err := exec.Command("/usr/bin/python3", "-c", `import torch, sys
mask = torch.tril(torch.ones(64, 64))
torch.save({**{f"h.{i}.mask": mask.clone() for i in range(4)}, "p": torch.nn.Parameter(mask.clone()), "other": mask * 2, "turned": mask.clone().t(), "small": mask[:3].clone()}, sys.argv[1])`, file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cp := mustOpen(t, data)
	twins := cp.Twins()
	if len(twins) != 1 || len(twins[0]) != 5 {
		t.Fatalf("twins %v", twins)
	}
	const step = `{tie: {to: h.0.mask, keys: [h.1.mask, h.2.mask, h.3.mask, p]}}`
	tied := apply(t, cp, step)
	want(t, "twins left", len(tied.Twins()), 0)
	written, _, err := export(t, tied, statedict.TorchZip, nil)
	if err != nil {
		t.Fatal(err)
	}
	if saved := len(data) - len(written[0]); saved < 4*64*64*4 {
		t.Errorf("%d bytes saved", saved)
	}
	if err := os.WriteFile(out, written[0], 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := statedict.ParseRecipe([]byte("{recipe: 1, steps: [" + step + "]}"))
	if err != nil {
		t.Fatal(err)
	}
	script := r.Python(cp, file, filepath.Join(dir, "python.pth"))
	text, err := exec.Command("/usr/bin/python3", "-c", script+`
import sys
for name in sys.argv[2:]:
    a, b = torch.load(sys.argv[1]), torch.load(name)
    same = list(a) == list(b) and all(torch.equal(a[k], b[k]) and type(a[k]) is type(b[k]) and a[k].requires_grad == b[k].requires_grad for k in a)
    print(same, len({b[k].storage().data_ptr() for k in b}))
`, file, out, filepath.Join(dir, "python.pth")).CombinedOutput()
	if err != nil || string(bytes.TrimSpace(text)) != "True 4\nTrue 4" {
		t.Errorf("%v\n%s\n%s", err, text, script)
	}
	for step, why := range map[string]string{
		`{tie: {to: h.0.mask, keys: [other]}}`: "checksums differ", `{tie: {to: h.0.mask, keys: [turned]}}`: "strides", `{tie: {to: nobody, keys: [other]}}`: "no plain tensor", `{tie: {to: h.0.mask, keys: [nobody]}}`: "touches nothing",
	} {
		if err := applyError(cp, step); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", step, err)
		}
	}
	legacy, _ := fixtureRow(t, "state_dict_legacy.pth")
	if err := applyError(legacy, `{tie: {to: bn.running_mean, keys: [bn.running_var]}}`); err == nil {
		t.Error("a file without checksums is tied")
	}
	want(t, "twins of a file without checksums", len(legacy.Twins()), 0)
}

func applyError(cp *statedict.Checkpoint, step string) error {
	r, err := statedict.ParseRecipe([]byte("{recipe: 1, steps: [" + step + "]}"))
	if err == nil {
		_, _, err = r.Apply(cp, nil)
	}
	return err
}
