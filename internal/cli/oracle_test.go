package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listed is what `ls --json` says of a tensor; oracleTensor is what real PyTorch says.
type listed struct {
	Dict, Key, Path, DType, Device, Layout string
	Shape, Stride                          []int64
	StorageOffset                          int64 `json:"storage_offset"`
	Storage                                *string
	RequiresGrad                           bool `json:"requires_grad"`
	Parameter                              bool
	NBytes                                 *int64
}

type oracleTensor struct {
	Path              [][2]any
	Kind, DType       string
	Shape, Stride     []int64
	Offset            int64
	Storage, Location *string
	RequiresGrad      bool `json:"requires_grad"`
	Parameter         bool
}

// TestListAgreesWithOracle lists every torch and safetensors file of the corpus and compares each field with its oracle.
func TestListAgreesWithOracle(t *testing.T) {
	corpus := os.Getenv("WEIGHTROOM_CORPUS")
	if corpus == "" {
		t.Skip("WEIGHTROOM_CORPUS is not set")
	}
	files, tensors := 0, 0
	err := filepath.WalkDir(corpus, func(path string, d fs.DirEntry, err error) error {
		file, ok := strings.CutSuffix(path, ".oracle.json")
		if err != nil || !ok {
			return err
		}
		var oracle struct {
			Format, Oracle string
			Tensors        []oracleTensor
			Metadata       map[string]string `json:"__metadata__"`
		}
		doc, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(doc, &oracle)
		}
		if err != nil {
			return err
		}
		if !slices.Contains([]string{"torch zip", "torch legacy", "safetensors"}, oracle.Format) || oracle.Oracle == "none" || len(oracle.Tensors) == 0 {
			return nil
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := Main([]string{"ls", "--json", file}, nil, &out, &errs); code != 0 {
				t.Fatalf("exit code %d: %s%s", code, &out, &errs)
			}
			var got struct {
				Format   string
				Tensors  []listed
				Metadata map[string]string
			}
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if want := strings.ReplaceAll(oracle.Format, " ", "-"); got.Format != want {
				t.Errorf("format %s, want %s", got.Format, want)
			}
			if len(got.Metadata) != len(oracle.Metadata) || len(oracle.Metadata) > 0 && fmt.Sprint(got.Metadata) != fmt.Sprint(oracle.Metadata) {
				t.Errorf("metadata %v, want %v", got.Metadata, oracle.Metadata)
			}
			want := slices.DeleteFunc(oracle.Tensors, func(o oracleTensor) bool { return isPart(o.Path) })
			if len(got.Tensors) != len(want) {
				t.Fatalf("%d tensors, want %d", len(got.Tensors), len(want))
			}
			for i := range want {
				compareListed(t, &got.Tensors[i], &want[i], oracle.Format)
			}
			files++
			tensors += len(want)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Error("the corpus holds no file with an oracle")
	}
	t.Logf("%d files, %d tensors agree", files, tensors)
}

func isPart(path [][2]any) bool {
	return slices.ContainsFunc(path, func(step [2]any) bool { return step[0] == "part" })
}

func compareListed(t *testing.T, got *listed, want *oracleTensor, format string) {
	path, ok := spell(want.Path)
	if ok && got.Path != path {
		t.Errorf("path %q, want %q", got.Path, path)
	}
	if whole := strings.TrimPrefix(got.Dict+"."+got.Key, "."); got.Path != whole && got.Dict != "" {
		t.Errorf("%s: dict %q and key %q", got.Path, got.Dict, got.Key)
	}
	if layout, ok := strings.CutPrefix(want.Kind, "sparse:torch."); ok {
		if got.Layout != layout {
			t.Errorf("%s: layout %s, want %s", path, got.Layout, layout)
		}
		return
	}
	if got.DType != want.DType && format != "safetensors" || !slices.Equal(got.Shape, want.Shape) {
		t.Errorf("%s: %s %v, want %s %v", path, got.DType, got.Shape, want.DType, want.Shape)
	}
	if want.Stride != nil && !slices.Equal(got.Stride, want.Stride) || want.Storage != nil && got.StorageOffset != want.Offset {
		t.Errorf("%s: stride %v offset %d, want %v and %d", path, got.Stride, got.StorageOffset, want.Stride, want.Offset)
	}
	if want.Storage != nil && !strings.HasPrefix(*want.Storage, "inline") && (got.Storage == nil || *got.Storage != *want.Storage) {
		t.Errorf("%s: storage %v, want %s", path, str(got.Storage), *want.Storage)
	}
	if want.Location != nil && *want.Location != got.Device {
		t.Errorf("%s: device %q, want %q", path, got.Device, *want.Location)
	}
	if got.RequiresGrad != want.RequiresGrad || got.Parameter != want.Parameter {
		t.Errorf("%s: requires_grad %v parameter %v, want %v and %v", path, got.RequiresGrad, got.Parameter, want.RequiresGrad, want.Parameter)
	}
}

// spell writes an oracle's path as interface.md does; ok is false for keys that are neither strings nor plain numbers.
func spell(steps [][2]any) (path string, ok bool) {
	for i, step := range steps {
		switch step[0] {
		case "index", "arg":
			path += fmt.Sprintf("[%v]", step[1])
			continue
		case "state":
			continue
		}
		if i > 0 {
			path += "."
		}
		switch v := step[1].(type) {
		case string:
			path += v
		case float64:
			path += fmt.Sprint(int64(v))
		default:
			return "", false
		}
	}
	return path, true
}

func str(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}
