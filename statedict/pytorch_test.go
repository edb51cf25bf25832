package statedict_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// exported is one input of testdata/check_exports.py.
type exported struct {
	Name     string         `json:"name"`
	Original string         `json:"original"`
	Torch    []string       `json:"torch"`
	Window   bool           `json:"window"`  // storages that are windows of others become views
	Swapped  bool           `json:"swapped"` // torch 1.13 does not know of the byte order
	Flat     []flatExported `json:"flat"`
}

type flatExported struct {
	Path    string   `json:"path"`
	Tensors [][3]any `json:"tensors"`
}

// TestRow69RealPyTorch lays every file out anew in each format and has real PyTorch, numpy and a small reader of safetensors read the
// results. PyTorch loads the original as well, and both object trees are compared: values, strides, offsets, sharing,
// requires_grad, module versions, identity. weights_only=True takes every export whose original it takes.
func TestRow69RealPyTorch(t *testing.T) {
	dir := t.TempDir()
	var cases []exported
	for _, file := range corpusFiles(t) {
		cp, err := openFile(t, file)
		if err != nil || hostile(cp) {
			continue
		}
		c := exported{Name: filepath.Base(file), Window: strings.Contains(file, "view_metadata") || strings.Contains(file, "windows_") || cp.Format == statedict.TorchTar, Torch: []string{}, Flat: []flatExported{}}
		if c.Original, err = filepath.Abs(file); err != nil {
			t.Fatal(err)
		}
		for i := range cp.Storages {
			c.Swapped = c.Swapped || cp.Storages[i].BigEndian
		}
		cp = edited(t, cp)
		write := func(ending string, f statedict.Format) (string, *statedict.Checkpoint) {
			out, back, err := export(t, cp, f, &statedict.PlanOptions{AllowUnsafe: true})
			if err != nil {
				return "", nil
			}
			path := filepath.Join(dir, fmt.Sprintf("%d.%s", len(cases), ending))
			if err := os.WriteFile(path, out[0], 0o600); err != nil {
				t.Fatal(err)
			}
			return path, back
		}
		if cp.Format == statedict.TorchZip || cp.Format == statedict.TorchLegacy || cp.Format == statedict.TorchTar {
			for _, f := range []struct {
				ending string
				format statedict.Format
			}{{"zip", statedict.TorchZip}, {"legacy", statedict.TorchLegacy}} {
				if path, _ := write(f.ending, f.format); path != "" {
					c.Torch = append(c.Torch, path)
				}
			}
		}
		for _, f := range []statedict.Format{statedict.Safetensors, statedict.NPZ} {
			path, back := write(string(f), f)
			if path == "" {
				continue
			}
			out := flatExported{Path: path, Tensors: [][3]any{}}
			for i := range back.Entries {
				e := &back.Entries[i]
				out.Tensors = append(out.Tensors, [3]any{e.Key, append([]int64{}, e.Shape...), hashOf(t, back, e.View)})
			}
			c.Flat = append(c.Flat, out)
		}
		cases = append(cases, c)
	}
	doc, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "cases.json")
	script, err := os.ReadFile(filepath.Join("testdata", "check_exports.py"))
	if err == nil {
		err = os.WriteFile(list, doc, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Wrong       []string
		Compared    int
		Unloadable  []string `json:"original_unloadable"`
		WeightsOnly int      `json:"weights_only"`
		Tensors     int
		Zips, Flat  int
	}
	python(t, string(script), &report, list)
	for _, w := range report.Wrong {
		t.Error(w)
	}
	t.Logf("%d torch exports loaded and compared with their originals (%d tensors), %d with weights_only too, %d zips tested, %d safetensors and npz files read",
		report.Compared, report.Tensors, report.WeightsOnly, report.Zips, report.Flat)
	t.Logf("%d originals that torch 1.13 does not load: %q", len(report.Unloadable), report.Unloadable)
}

// hostile tells a file that would run a program; the stubs would stop it, but it need not come that far.
func hostile(cp *statedict.Checkpoint) bool {
	return slices.ContainsFunc(cp.Findings, func(f statedict.Finding) bool {
		return f.Code == "F_GLOBAL" && strings.Contains(f.Message, "(unsafe)")
	})
}
