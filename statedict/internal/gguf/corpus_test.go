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

// TestCorpus compares with the oracle and writes the front again: the same bytes.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("WEIGHTROOM_CORPUS")
	if dir == "" {
		t.Skip("WEIGHTROOM_CORPUS is not set")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "synthetic", "*.gguf"))
	more, _ := filepath.Glob(filepath.Join(dir, "*.gguf"))
	for _, path := range append(files, more...) {
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
			DataStart int64 `json:"data_start"`
			KV        [][3]any
			Tensors   []struct {
				Path   [][2]any
				DType  string
				NE     []int64
				Offset int64
				NBytes int64
				SHA256 string
			}
		}
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		h, err := parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if h.Alignment != want.Alignment || h.DataOff != want.DataStart || len(h.KV) != len(want.KV) || len(h.Tensors) != len(want.Tensors) {
			t.Fatalf("%s: %+v", path, h)
		}
		for i, pair := range h.KV {
			if pair.Key != want.KV[i][0] || float64(pair.Value.Type) != want.KV[i][1] {
				t.Errorf("%s: pair %+v, want %v", path, pair, want.KV[i])
			}
			if s, ok := want.KV[i][2].(string); ok && pair.Value.Text() != s {
				t.Errorf("%s: %s is %q, want %q", path, pair.Key, pair.Value.Text(), s)
			}
		}
		for i, x := range h.Tensors {
			w := want.Tensors[i]
			slices.Reverse(w.NE)
			sum := sha256.Sum256(b[h.DataOff+x.Begin:][:x.Size])
			if x.Name != w.Path[0][1] || x.Type.String() != w.DType || !slices.Equal(x.Shape, w.NE) || x.Begin != w.Offset || x.Size != w.NBytes || hex.EncodeToString(sum[:]) != w.SHA256 {
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
	b, err := os.ReadFile(filepath.Join(dir, "broken", "gguf_truncated.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	var e *Error
	if _, err = parse(b); !errors.As(err, &e) || e.Code != CodeTruncated {
		t.Errorf("gguf_truncated: %v", err)
	}
	t.Log(err)
}
