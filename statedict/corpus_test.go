package statedict_test

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// oracle is what real PyTorch says of a checkpoint; see testdata/README.md.
type oracle struct {
	Format  string         `json:"format"`
	Oracle  string         `json:"oracle"`
	Tensors []oracleTensor `json:"tensors"`
}

type oracleTensor struct {
	Path         [][2]any `json:"path"`
	Kind         string   `json:"kind"`
	DType        string   `json:"dtype"`
	NpyDType     string   `json:"npy_dtype"`
	Shape        []int64  `json:"shape"`
	NE           []int64  `json:"ne"`
	Stride       []int64  `json:"stride"`
	Offset       int64    `json:"offset"`
	Storage      *string  `json:"storage"`
	Location     *string  `json:"location"`
	RequiresGrad bool     `json:"requires_grad"`
	Parameter    bool     `json:"parameter"`
	SHA256       string   `json:"sha256"`
	ViewOffset   *int64   `json:"storage_view_offset"`
}

// path spells an oracle path as this package does: positions in brackets, all else joined by dots.
func (o *oracleTensor) path() (path string, part bool) {
	first := true
	for _, step := range o.Path {
		kind, v := step[0].(string), step[1]
		switch kind {
		case "index", "arg":
			path += fmt.Sprintf("[%v]", v)
		case "state":
			continue
		default:
			part = part || kind == "part"
			if !first {
				path += "."
			}
			path += pyStr(v)
		}
		first = false
	}
	return path, part
}

func pyStr(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case float64:
		return fmt.Sprint(int64(v))
	case map[string]any:
		switch v["t"] {
		case "float":
			s := fmt.Sprint(v["v"])
			if !strings.ContainsAny(s, ".en") {
				s += ".0"
			}
			return s
		case "str":
			return "'" + fmt.Sprint(v["v"]) + "'"
		case "tuple":
			var parts []string
			for _, it := range v["items"].([]any) {
				parts = append(parts, pyStr(it))
			}
			if len(parts) == 1 {
				return "(" + parts[0] + ",)"
			}
			return "(" + strings.Join(parts, ", ") + ")"
		case "bytes":
			return fmt.Sprintf("bytes:%v", v["hex"])
		case "torch.dtype":
			return fmt.Sprintf("torch.%v", v["v"])
		}
		if v["t"] == "ref" {
			return "bytes: not spelled out" // a tuple that was a key before
		}
		return fmt.Sprint(v["v"])
	}
	return fmt.Sprint(v)
}

func readOracle(t testing.TB, file string) (*oracle, bool) {
	var r io.Reader
	f, err := os.Open(file + ".oracle.json")
	if err != nil {
		if f, err = os.Open(file + ".oracle.json.gz"); err != nil {
			return nil, false
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		r = z
	} else {
		r = f
	}
	defer f.Close()
	var o oracle
	if err := json.NewDecoder(r).Decode(&o); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return &o, true
}

// corpusFiles lists the files that have an oracle: the project's own fixtures, and the corpus where there is one.
func corpusFiles(t testing.TB) (files []string) {
	for _, dir := range []string{filepath.Join("..", "testdata"), os.Getenv("WEIGHTROOM_CORPUS")} {
		if dir == "" {
			continue
		}
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			for _, ending := range []string{".oracle.json", ".oracle.json.gz"} {
				if base, ok := strings.CutSuffix(path, ending); ok {
					files = append(files, base)
				}
			}
			return nil
		})
		if err != nil && dir != filepath.Join("..", "testdata") {
			t.Fatal(err)
		}
	}
	return files
}

func openFile(t testing.TB, file string) (*statedict.Checkpoint, error) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return statedict.Open(context.Background(), statedict.Source{Name: filepath.Base(file), R: f, Size: st.Size()})
}

// TestOracle opens every file that real PyTorch has described and compares each tensor: path, dtype, shape, stride,
// offset, storage, device, flags and the hash of its elements.
func TestOracle(t *testing.T) {
	counts := map[statedict.Format]int{}
	tensors := 0
	for _, file := range corpusFiles(t) {
		t.Run(filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), func(t *testing.T) {
			o, _ := readOracle(t, file)
			cp, err := openFile(t, file)
			if err != nil {
				if o.Oracle == "none" || len(o.Tensors) == 0 {
					t.Skipf("no tensors promised: %v", err)
				}
				t.Fatal(err)
			}
			counts[cp.Format]++
			tensors += len(cp.Entries)
			checkOracle(t, cp, o)
		})
	}
	t.Logf("files by format: %v, %d tensors", counts, tensors)
}

func checkOracle(t *testing.T, cp *statedict.Checkpoint, o *oracle) {
	var want []*oracleTensor
	for i := range o.Tensors {
		if _, part := o.Tensors[i].path(); !part {
			want = append(want, &o.Tensors[i])
		}
	}
	if len(want) != len(cp.Entries) {
		var got []string
		for i := range cp.Entries {
			got = append(got, cp.Entries[i].Path())
		}
		if len(got) > 20 {
			got = got[:20]
		}
		t.Fatalf("%d tensors, want %d; have %q", len(cp.Entries), len(want), got)
	}
	storage := map[string]statedict.StorageID{}
	for i, w := range want {
		e := &cp.Entries[i]
		path, _ := w.path()
		if e.Path() != path && !strings.Contains(path, "bytes:") {
			t.Errorf("tensor %d: path %q, want %q", i, e.Path(), path)
		}
		if strings.HasPrefix(w.Kind, "sparse:") {
			if e.Info == nil || "torch."+e.Info.Layout != strings.TrimPrefix(w.Kind, "sparse:") {
				t.Errorf("%s: %+v, want %s", path, e.Info, w.Kind)
			}
			continue
		}
		dt := e.DType.String()
		if e.Info != nil && e.Info.Code != "" {
			dt = e.Info.Code
		}
		if f := o.Format; f == "gguf" || f == "safetensors" {
			if !sameCode(w.DType, dt) {
				t.Errorf("%s: dtype %s, want %s", path, dt, w.DType)
			}
		} else if dt != w.DType {
			t.Errorf("%s: dtype %s, want %s", path, dt, w.DType)
		}
		shape := w.Shape
		if w.NE != nil {
			shape = slices.Clone(w.NE)
			slices.Reverse(shape)
		}
		if !slices.Equal(e.Shape, shape) {
			t.Errorf("%s: shape %v, want %v", path, e.Shape, shape)
		}
		if w.Stride != nil && !slices.Equal(e.Stride, w.Stride) || w.Storage != nil && e.Offset != w.Offset {
			t.Errorf("%s: stride %v offset %d, want %v and %d", path, e.Stride, e.Offset, w.Stride, w.Offset)
		}
		if e.RequiresGrad != w.RequiresGrad || e.Parameter != w.Parameter {
			t.Errorf("%s: requires_grad %v parameter %v, want %v and %v", path, e.RequiresGrad, e.Parameter, w.RequiresGrad, w.Parameter)
		}
		if w.Storage != nil && e.Storage != statedict.NoStorage {
			st := cp.Storages[e.Storage]
			if !strings.HasPrefix(*w.Storage, "inline") && st.Key != *w.Storage {
				t.Errorf("%s: storage %q, want %q", path, st.Key, *w.Storage)
			}
			if w.Location != nil && st.Location != *w.Location {
				t.Errorf("%s: location %q, want %q", path, st.Location, *w.Location)
			}
			if id, ok := storage[*w.Storage]; ok && id != e.Storage && w.ViewOffset == nil {
				t.Errorf("%s: does not share storage %q", path, *w.Storage)
			}
			storage[*w.Storage] = e.Storage
		}
		if w.SHA256 != "" {
			h := sha256.New()
			if _, err := io.Copy(h, cp.Reader(e.View)); err != nil {
				t.Errorf("%s: %v", path, err)
			} else if got := hex.EncodeToString(h.Sum(nil)); got != w.SHA256 {
				t.Errorf("%s: sha256 %s, want %s", path, got, w.SHA256)
			}
		}
	}
}

// sameCode tells that a format's own dtype code means a torch dtype.
func sameCode(code, dt string) bool {
	names := map[string]string{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
		"I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
		"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "C64": "complex64"}
	return code == dt || names[code] == dt
}
