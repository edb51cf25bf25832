package statedict_test

import (
	"compress/gzip"
	"context"
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
	Format   string            `json:"format"`
	Oracle   string            `json:"oracle"`
	Expect   string            `json:"expect"`
	Codes    []string          `json:"codes"`
	Error    string            `json:"error"`
	Tensors  []oracleTensor    `json:"tensors"`
	Tree     any               `json:"tree"`
	Globals  []string          `json:"globals"`
	Storages []oracleStorage   `json:"storages"`
	Strings  map[string]string `json:"__metadata__"`
	Versions []oracleVersions  `json:"_metadata"`
	KV       [][3]any          `json:"kv"`
	// A zip of torch files, and the data file of a distributed checkpoint.
	Members map[string]*oracle `json:"members"`
	Blobs   []*struct {
		oracle
		Offset, Length int64
	} `json:"blobs"`
}

type oracleVersions struct {
	Path  []any `json:"path"`
	N     *int  `json:"n"`
	Value any   `json:"value"`
}

type oracleStorage struct {
	Key, DType, Location string
	NBytes               int64
	SHA256               string
}

type oracleTensor struct {
	I            int      `json:"i"`
	Path         [][2]any `json:"path"`
	Kind         string   `json:"kind"`
	DType        string   `json:"dtype"`
	FileDType    string   `json:"file_dtype"`
	Offsets      []int64  `json:"data_offsets"`
	NE           []int64  `json:"ne"`
	Shape        []int64  `json:"shape"`
	Stride       []int64  `json:"stride"`
	Offset       int64    `json:"offset"`
	Storage      *string  `json:"storage"`
	Location     *string  `json:"location"`
	RequiresGrad bool     `json:"requires_grad"`
	Parameter    bool     `json:"parameter"`
	Conj, Neg    bool
	QScheme      string   `json:"qscheme"`
	QScale       *float64 `json:"q_scale"`
	QZeroPoint   *int64   `json:"q_zero_point"`
	QAxis        *int64   `json:"q_axis"`
	SameObjectAs *int     `json:"same_object_as"`
	ViewOffset   *int64   `json:"storage_view_offset"`
	SHA256       string   `json:"sha256"`
	Error        string   `json:"error"`
	Min          any      `json:"min"`
	Max          any      `json:"max"`
	Mean         any      `json:"mean"`
	NaN          *int64   `json:"nan"`
	Inf          *int64   `json:"inf"`
}

// path spells an oracle path as this package does: positions in brackets, all else joined by dots.
func (o *oracleTensor) path() string { return spell(o.Path) }

// parent is the tensor that o is a part of.
func (o *oracleTensor) parent() (path string, part bool) {
	i := slices.IndexFunc(o.Path, func(step [2]any) bool { return step[0] == "part" })
	if i < 0 {
		return "", false
	}
	return spell(o.Path[:i]), true
}

func spell(steps [][2]any) (path string) {
	first := true
	for _, step := range steps {
		kind, v := step[0].(string), step[1]
		switch kind {
		case "index", "arg":
			path += fmt.Sprintf("[%v]", v)
		case "state":
			continue
		default:
			if !first {
				path += "."
			}
			path += pyStr(v)
		}
		first = false
	}
	return path
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
				if s, ok := it.(string); ok {
					it = "'" + s + "'"
				}
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
