package statedict_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// python runs a script under the system's Python, which has PyTorch, and decodes what it prints. Files are its arguments.
func python(t testing.TB, script string, out any, args ...string) {
	t.Helper()
	const interpreter = "/usr/bin/python3"
	if err := exec.Command(interpreter, "-c", "import torch").Run(); err != nil {
		t.Skip("no PyTorch under " + interpreter)
	}
	cmd := exec.Command(interpreter, append([]string{"-W", "ignore", "-c", script}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("python: %v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatalf("python printed %.200s: %v", text, err)
	}
}

const stateDictScript = `
import sys, json, hashlib, torch
out = {}
for f in sys.argv[1:]:
    try:
        m = torch.jit.load(f, map_location='cpu') if f.endswith('.script') else torch.load(f, map_location='cpu')
        sd = m.state_dict()
    except Exception as e:
        out[f] = {'error': str(e)[:200]}
        continue
    ptr, keys = {}, []
    for k, v in sd.items():
        if not isinstance(v, torch.Tensor) or v.is_quantized: continue
        a = v.detach().contiguous().reshape(-1)
        b = a.view(torch.int16) if a.dtype == torch.bfloat16 else a
        keys.append([k, str(v.dtype)[6:], list(v.shape), list(v.stride()), hashlib.sha256(b.numpy().tobytes()).hexdigest(), ptr.setdefault(v.storage().data_ptr(), len(ptr)) if v.numel() else -1])
    out[f] = {'keys': keys, 'versions': [[k, v.get('version')] for k, v in sd._metadata.items()]}
print(json.dumps(out))
`

// TestModuleStateDict exports whole modules and TorchScript files, and compares the result with the state_dict() that real
// PyTorch gives for them: keys in order, dtypes, shapes, strides, values, sharing, module versions. Only modules of torch.nn's own
// classes can be loaded there.
func TestModuleStateDict(t *testing.T) {
	dir := t.TempDir()
	var args []string
	opened := map[string]*statedict.Checkpoint{}
	for _, file := range corpusFiles(t) {
		cp, err := openFile(t, file)
		if err != nil || len(cp.Entries) == 0 || cp.Entries[0].StateKey == "" {
			continue
		}
		name := filepath.Join(dir, fmt.Sprintf("%d%s", len(args), filepath.Ext(file)))
		if cp.Format == statedict.TorchScript {
			name = filepath.Join(dir, fmt.Sprintf("%d.script", len(args)))
		} else if !loadable(cp) {
			continue
		}
		data, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(name, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		opened[name] = cp
		args = append(args, name)
	}
	type answer struct {
		Error    string
		Keys     [][]any
		Versions [][2]any
	}
	var want map[string]answer
	python(t, stateDictScript, &want, args...)
	modules, scripts := 0, 0
	for _, name := range args {
		cp, w := opened[name], want[name]
		if w.Error != "" {
			t.Logf("%s: PyTorch cannot load it: %s", cp.Sources[0].Name, w.Error)
			continue
		}
		recipe, err := statedict.ParseRecipe([]byte("steps: [{set_requires_grad: {value: false, optional: true}}]"))
		if err != nil {
			t.Fatal(err)
		}
		sd, _, err := recipe.Apply(cp, nil)
		if err != nil {
			t.Errorf("%s: %v", cp.Sources[0].Name, err)
			continue
		}
		_, back, err := export(t, sd, statedict.TorchZip, nil)
		if err != nil {
			t.Errorf("%s: %v", cp.Sources[0].Name, err)
			continue
		}
		var got, expected []string
		storages := map[statedict.StorageID]int{}
		for i := range back.Entries {
			e := &back.Entries[i]
			if e.Info != nil && e.Info.QScheme != "" {
				continue
			}
			id := -1
			if e.Numel() > 0 {
				if _, ok := storages[e.Storage]; !ok {
					storages[e.Storage] = len(storages)
				}
				id = storages[e.Storage]
			}
			got = append(got, fmt.Sprint([]any{e.Path(), e.DType.String(), e.Shape, e.Stride, hashOf(t, back, e.View), id}))
		}
		for _, k := range w.Keys {
			expected = append(expected, fmt.Sprint(k))
		}
		if strings.Join(got, "\n") != strings.Join(expected, "\n") {
			i := 0
			for i < len(got) && i < len(expected) && got[i] == expected[i] {
				i++
			}
			t.Errorf("%s: %d keys, want %d; from key %d on: %q, want %q", cp.Sources[0].Name, len(got), len(expected), i, got[i:min(i+3, len(got))], expected[i:min(i+3, len(expected))])
		}
		paths, versions := back.ModuleVersions("")
		var have [][2]any
		for i := range paths {
			have = append(have, [2]any{paths[i], versions[i]})
		}
		if fmt.Sprint(have) != fmt.Sprint(w.Versions) {
			t.Errorf("%s: versions %v, want %v", cp.Sources[0].Name, have, w.Versions)
		}
		if strings.HasSuffix(name, ".script") {
			scripts++
		} else {
			modules++
		}
	}
	t.Logf("%d modules and %d scripts have the state dict that PyTorch gives", modules, scripts)
	if modules == 0 && os.Getenv("WEIGHTROOM_CORPUS") != "" {
		t.Error("no module was compared")
	}
}

// loadable tells a pickle that names nothing but torch's own classes and containers.
func loadable(cp *statedict.Checkpoint) bool {
	for _, g := range cp.Globals {
		top, _, _ := strings.Cut(g.Module, ".")
		if top != "torch" && top != "collections" && g.String() != "__builtin__.set" || strings.Contains(g.Name, "load") {
			return false
		}
	}
	return true
}

// TestModuleExport writes whole modules and scripts in formats that hold tensors only, without a recipe.
func TestModuleExport(t *testing.T) {
	for _, name := range []string{"module.pth", "module_source_legacy.pth", "torchscript.pt"} {
		cp, err := openFile(t, filepath.Join("..", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		_, back, err := export(t, cp, statedict.Safetensors, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i := range back.Entries {
			if strings.Contains(back.Entries[i].Key, "_parameters") {
				t.Errorf("%s: key %q", name, back.Entries[i].Key)
			}
		}
	}
}
