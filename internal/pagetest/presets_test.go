package pagetest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// pressAt presses the control of a selector by script, once it can be pressed: what stands above it may still grow.
func (b *tab) pressAt(selector string) {
	b.Helper()
	b.until("document.querySelector($1) && !document.querySelector($1).disabled", selector)
	js[bool](b, "(document.querySelector($1).click(), true)", selector)
}

// openPresets opens the menu of ready-made recipes and waits for its counts.
func (b *tab) openPresets() {
	b.Helper()
	js[bool](b, "(document.querySelector('[data-role=presets]').open = true)")
	b.until("document.querySelector('[data-preset=dataparallel] .preset-effect')?.innerText")
}

// A ready-made recipe says what it would do, becomes steps, and the export is what the codec makes of it. The program that
// the page copies makes the same tensors with torch alone.
func TestPresetStory(t *testing.T) {
	b := newTab(t)
	file := fixture("dataparallel_sgd.pth")
	b.choose(file)
	b.openPresets()
	for name, want := range map[string]string{"dataparallel": "9 keys", "inference-only": "1 object", "ema": "nothing to do", "submodule": ""} {
		b.until("document.querySelector('[data-preset=' + $1 + '] .preset-effect').innerText === $2", name, want)
	}
	if b.str("document.querySelector('[data-preset=ema]').disabled") != "true" {
		t.Error("a recipe that does nothing can be chosen")
	}
	js[bool](b, "(document.querySelector('[data-role=presets]').scrollIntoView({block: 'center'}), true)")
	b.shot("presets")
	b.pressAt("[data-preset=dataparallel]")
	b.until("document.querySelectorAll('[data-role=steps] .step').length === 1")
	b.wait("ready")
	b.until("document.querySelector('[data-preset=dataparallel] .preset-effect').innerText === 'nothing to do'")
	if b.str("document.querySelector('[data-preset=lightning]').disabled") != "true" {
		t.Error("a recipe on another mapping can be put behind other steps")
	}
	b.pressAt("[data-preset=inference-only]")
	b.until("document.querySelectorAll('[data-role=steps] .step').length === 4")
	b.wait("ready")
	b.shot("presets-done")
	recipe := `{"recipe":1,"steps":[{"strip_prefix":["module."]},`
	for _, p := range statedict.Presets() {
		if p.Name == "inference-only" {
			doc, err := json.Marshal(p.Recipe)
			if err != nil {
				t.Fatal(err)
			}
			recipe += string(doc[bytes.IndexByte(doc, '[')+1:])
		}
	}
	got := b.export("torch", "out.pth")
	if want := nativeAs(t, file, recipe, statedict.TorchZip, "out"); !bytes.Equal(got, want) {
		t.Errorf("keys %q, want %q", keys(openBytes(t, got)), keys(openBytes(t, want)))
	}
	program := js[string](b, `new Promise(done => { navigator.clipboard.writeText = async s => done(s); document.querySelector("[data-action=copy-python]").click() })`)
	sameInTorch(t, file, program, got)
	// One sub-module: the menu opens the form that asks for its prefix.
	b.pressAt("[data-preset=submodule]")
	b.fill("prefix", "conv")
	b.apply()
	b.until("document.querySelectorAll('[data-role=steps] .step').length === 5")
	// A step of a ready-made recipe is changed like any other, and stays optional.
	b.step(3, "edit")
	b.fill("match", "none.**")
	b.apply()
	b.until("document.querySelectorAll('[data-role=steps] .step-args')[3].innerText === 'none.**'")
	b.clean()
}

// sameInTorch runs a program of the page beside the file that it names and compares what it saves with what the page saved.
func sameInTorch(t *testing.T, file, program string, saved []byte) {
	t.Helper()
	python := os.Getenv("WEIGHTROOM_PYTHON")
	if python == "" {
		python = "/usr/bin/python3"
	}
	if err := exec.Command(python, "-c", "import torch").Run(); err != nil {
		t.Log("torch is missing: the program was not run")
		return
	}
	dir := t.TempDir()
	base := filepath.Base(file)
	stem := base[:len(base)-len(filepath.Ext(base))]
	compare := "\nimport torch\n" +
		"def flat(v, at=()):\n" +
		"    if torch.is_tensor(v): yield at, v\n" +
		"    elif isinstance(v, dict):\n" +
		"        for k in v: yield from flat(v[k], at + (k,))\n" +
		"    elif isinstance(v, (list, tuple)):\n" +
		"        for i, x in enumerate(v): yield from flat(x, at + (i,))\n" +
		"    else: yield at, v\n" +
		"a, b = (dict(flat(torch.load(f))) for f in ('" + stem + "-edited.pth', 'page.pth'))\n" +
		"assert list(a) == list(b), (list(a), list(b))\n" +
		"for k in a:\n" +
		"    assert torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype if torch.is_tensor(a[k]) else a[k] == b[k], k\n" +
		"print(sum(map(torch.is_tensor, a.values())))\n"
	for name, data := range map[string][]byte{base: mustRead(t, file), "page.pth": saved, "edit.py": []byte(program), "compare.py": []byte(compare)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, script := range []string{"edit.py", "compare.py"} {
		cmd := exec.Command(python, script)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s\n%s", script, err, out, program)
		}
		t.Logf("%s %s", script, out)
	}
}
