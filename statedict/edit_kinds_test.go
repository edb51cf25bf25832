package statedict_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// TestEditEveryKind runs each step that changes storages on files with every kind of tensor and writes the results: what has
// nothing to change stays as it is, and values are those of the source but for casts.
func TestEditEveryKind(t *testing.T) {
	files := []string{"sparse_quantized.pth", "v3_fp8_unsigned.pth", "dtypes.pth", "shapes.pth", "tied_strided_views.pth", "big_endian.pth", "windows_legacy.pth",
		"tar_0.1.pth", "rezipped_deflated.pth", "torchscript.pt", "arrays.npz", "toy.gguf", "unordered_unaligned.safetensors"}
	for i, name := range files {
		files[i] = filepath.Join("..", "testdata", name)
	}
	if havePyTorch() {
		for _, name := range []string{"new_sparse.pt", "new_conj.pt", "new_parameter.pt", "new_attributes.pt", "subclass.pt", "meta.pt", "quint4x2.pt", "dynamic.pt", "untyped.pt"} {
			files = append(files, torchFile(t, name))
		}
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			cp, _ := openRow(t, file)
			for _, step := range []string{"unshare: {match: '**', optional: true}", "compact: {optional: true}", "set_device: {device: 'cuda:1', optional: true}",
				"set_requires_grad: {value: true, optional: true}", "set_requires_grad: {value: false, optional: true}",
				"cast: {to: bfloat16, optional: true}", "cast: {to: float64, integers: true, optional: true, except: [a, b, c]}"} {
				r, err := statedict.ParseRecipe([]byte("{recipe: 1, steps: [{" + step + "}]}"))
				if err != nil {
					t.Fatal(err)
				}
				out, _, err := r.Apply(cp, nil)
				if statedict.Code(err) == "E_KEY" && step[:4] == "cast" {
					continue // one storage under several dtypes
				}
				if err != nil {
					t.Fatalf("%s: %v", step, err)
				}
				for _, f := range []statedict.Format{statedict.TorchZip, statedict.TorchLegacy, statedict.Safetensors} {
					_, back, err := export(t, out, f, &statedict.PlanOptions{AllowUnsafe: true})
					var ue *statedict.UnsupportedError
					if errors.As(err, &ue) && len(ue.Keys) > 0 {
						continue
					}
					if err != nil {
						t.Fatalf("%s to %s: %v", step, f, err)
					}
					compareTensors(t, f, out, back, false)
					if step[:4] != "cast" {
						compareTensors(t, f, cp, back, false)
					}
				}
			}
		})
	}
}
