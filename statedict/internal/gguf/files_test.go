package gguf

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestFiles compares the files of testdata and of the corpus with their oracles and writes the front again: the same bytes.
func TestFiles(t *testing.T) {
	files, _ := filepath.Glob("../../../testdata/*.gguf")
	if len(files) < 1 {
		t.Error("no file in testdata")
	}
	broken := []string{"../../../testdata/broken/truncated.gguf"}
	if dir := os.Getenv("WEIGHTROOM_CORPUS"); dir != "" {
		for _, pattern := range []string{"*.gguf", "synthetic/*.gguf"} {
			more, _ := filepath.Glob(filepath.Join(dir, pattern))
			files = append(files, more...)
		}
		broken = append(broken, filepath.Join(dir, "broken", "gguf_truncated.gguf"))
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path + ".oracle.json")
		if err != nil {
			t.Fatal(err)
		}
		var want struct {
			Alignment int64
			KV        [][]any // the corpus gives values
			Keys      [][]any // testdata gives names and types
			Tensors   []struct {
				Path   [][2]any
				DType  string
				Code   string `json:"file_dtype"` // where dtype is torch's name
				NE     []int64
				Offset int64
				NBytes int64
				SHA256 string
			}
		}
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		want.KV = append(want.KV, want.Keys...)
		h, err := parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if h.Alignment != want.Alignment || len(h.KV) != len(want.KV) || len(h.Tensors) != len(want.Tensors) {
			t.Fatalf("%s: %+v", path, h)
		}
		for i, pair := range h.KV {
			if pair.Key != want.KV[i][0] || float64(pair.Value.Type) != want.KV[i][1] {
				t.Errorf("%s: pair %+v, want %v", path, pair, want.KV[i])
			}
			if len(want.KV[i]) < 3 {
				continue
			}
			if s, ok := want.KV[i][2].(string); ok && pair.Value.Text() != s {
				t.Errorf("%s: %s is %q, want %q", path, pair.Key, pair.Value.Text(), s)
			}
		}
		for i, x := range h.Tensors {
			w := want.Tensors[i]
			slices.Reverse(w.NE)
			if w.Code == "" {
				w.Code = w.DType
			}
			sum := sha256.Sum256(b[h.DataOff+x.Begin:][:x.Size])
			if x.Name != w.Path[0][1] || x.Type.String() != w.Code || !slices.Equal(x.Shape, w.NE) || x.Begin != w.Offset || x.Size != w.NBytes || hex.EncodeToString(sum[:]) != w.SHA256 {
				t.Errorf("%s: %+v, want %+v", path, x, w)
			}
		}
		l, err := Emit(h.KV, h.Tensors)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(l.Header, b[:h.DataOff]) {
			t.Errorf("%s: wrote %q", path, l.Header)
		}
	}
	for _, path := range broken {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var e *Error
		if _, err = parse(b); !errors.As(err, &e) || e.Code != CodeTruncated {
			t.Errorf("%s: %v", path, err)
		}
	}
}
