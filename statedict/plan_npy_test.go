package statedict_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// numpy itself loads every tensor that is saved as .npy: shape, type and bytes are those of the checkpoint.
func TestPlanArray(t *testing.T) {
	if exec.Command("/usr/bin/python3", "-c", "import numpy").Run() != nil {
		t.Skip("no numpy")
	}
	dir := t.TempDir()
	type saved struct{ file, path, hash string }
	var all []saved
	refused, noted, quantised := 0, 0, 0
	for _, name := range []string{"shapes.pth", "dtypes.pth", "tied_strided_views.pth", "bf16_half.pth", "big_endian.pth", "sparse_quantized.pth", "v3_fp8_unsigned.pth", "rezipped_deflated.pth",
		"state_dict_legacy.pth", "canonical.safetensors", "toy.gguf"} {
		data, err := os.ReadFile(filepath.Join("../testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		cp := mustOpen(t, data)
		for i := range cp.Entries {
			e := &cp.Entries[i]
			p, err := cp.PlanArray(e, "array.npy")
			if err != nil {
				if statedict.Code(err) != "E_UNSUPPORTED" {
					t.Errorf("%s %s: %v", name, e.Path(), err)
				}
				refused++
				continue
			}
			noted += len(p.Report.Warnings)
			if e.DType.IsQuantized() {
				quantised++
			}
			var out bytes.Buffer
			if err := p.Files[0].Write(context.Background(), &out, nil); err != nil || int64(out.Len()) != p.Files[0].Size {
				t.Fatalf("%s %s: %d bytes of %d, %v", name, e.Path(), out.Len(), p.Files[0].Size, err)
			}
			if err := statedict.Verify(context.Background(), p, statedict.Source{Name: "array.npy", R: bytes.NewReader(out.Bytes()), Size: int64(out.Len())}); err != nil {
				t.Errorf("%s %s: %v", name, e.Path(), err)
			}
			file := filepath.Join(dir, "a"+strings.Repeat("b", len(all))+".npy")
			if len(all) > 200 {
				t.Fatal("too many tensors for these names")
			}
			if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			all = append(all, saved{file, name + " " + e.Path(), hashOf(t, cp, e.View)})
		}
	}
	cmd := exec.Command("/usr/bin/python3", "-c", `
import sys, json, hashlib, numpy
out = []
for f in sys.stdin.read().split():
    a = numpy.load(f, allow_pickle=False)
    out.append([hashlib.sha256(numpy.ascontiguousarray(a).tobytes()).hexdigest(), a.dtype.str, list(a.shape)])
json.dump(out, sys.stdout)`)
	var names []string
	for _, s := range all {
		names = append(names, s.file)
	}
	cmd.Stdin = strings.NewReader(strings.Join(names, "\n"))
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got [][3]any
	if err := json.Unmarshal(text, &got); err != nil || len(got) != len(all) {
		t.Fatalf("%d arrays, %v", len(got), err)
	}
	for i, s := range all {
		if got[i][0] != s.hash {
			t.Errorf("%s: numpy read %v, other bytes than the tensor has", s.path, got[i])
		}
	}
	t.Logf("%d arrays, %d with a note, %d refused", len(all), noted, refused)
	if len(all) < 60 || noted < 5 || refused == 0 || quantised < 3 {
		t.Errorf("%d arrays, %d with a note, %d refused", len(all), noted, refused)
	}
}

// A part of what an operation made is read without reading the rest.
func TestReadPartOfMade(t *testing.T) {
	cp, _ := fixtureRow(t, "dataparallel_sgd.pth")
	twice := apply(t, cp, `{cast: {to: float64, match: "**"}}, {cast: {to: float32, match: "**"}}, {unshare: {match: "**", optional: true}}`)
	a, b := entry(t, cp, "state_dict.module.conv.weight").View, entry(t, twice, "state_dict.module.conv.weight").View
	for _, v := range []*statedict.View{&a, &b} {
		v.Offset += 3
		v.Shape, v.Stride = []int64{3, 2}, []int64{27, 5}
	}
	x, err := io.ReadAll(cp.Reader(a))
	y, err2 := io.ReadAll(twice.Reader(b))
	if err != nil || err2 != nil || len(x) != 24 || !bytes.Equal(x, y) {
		t.Errorf("%x and %x, %v %v", x, y, err, err2)
	}
}
