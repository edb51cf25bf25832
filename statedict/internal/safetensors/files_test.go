package safetensors

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func corpus(t *testing.T) string {
	dir := os.Getenv("WEIGHTROOM_CORPUS")
	if dir == "" {
		t.Skip("WEIGHTROOM_CORPUS is not set")
	}
	return dir
}

type oracle struct {
	Metadata map[string]string `json:"__metadata__"`
	Tensors  []struct {
		Path        [][2]any
		DType       string
		FileDType   string `json:"file_dtype"`
		Shape       []int64
		DataOffsets [2]int64 `json:"data_offsets"`
		SHA256      string
	}
}

// TestFiles compares every file of testdata and of the corpus with its oracle, and the header bytes with what we would write.
func TestFiles(t *testing.T) {
	files, _ := filepath.Glob("../../../testdata/*.safetensors")
	if len(files) < 5 {
		t.Errorf("%d files in testdata", len(files))
	}
	if dir := os.Getenv("WEIGHTROOM_CORPUS"); dir != "" {
		for _, pattern := range []string{"*.safetensors", "synthetic/*.safetensors"} {
			more, _ := filepath.Glob(filepath.Join(dir, pattern))
			files = append(files, more...)
		}
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			h, err := parse(b)
			if err != nil {
				t.Fatal(err)
			}
			checkOracle(t, path, b, h)
			checkEmitted(t, h, b)
			inOrder, err := emitInOrder(h.Entries, h.Metadata)
			if err != nil {
				t.Fatal(err)
			}
			padded := func(b []byte) []byte { return bytes.TrimRight(b[8:], " ") }
			if !bytes.Equal(padded(inOrder.Header), padded(b[:h.DataOff])) || h.DataOff%8 == 0 && !bytes.Equal(inOrder.Header, b[:h.DataOff]) {
				t.Errorf("in order: wrote %q, file has %q", inOrder.Header, b[:h.DataOff])
			}
			canonical, err := Emit(h.Entries, h.Metadata)
			if err != nil {
				t.Fatal(err)
			}
			same := bytes.Equal(canonical.Header, b[:h.DataOff])
			t.Logf("canonical bytes: %v", same)
			// By other hands: an early writer that sorted by name alone, one that keeps the model's order and the
			// corpus's own, which does not pad.
			foreign := strings.HasSuffix(path, "__overall.safetensors") || strings.Contains(path, "silero-vad__") || strings.Contains(path, "synthetic") || strings.Contains(path, "unordered") || h.DataOff%8 != 0
			if !same && !foreign {
				t.Errorf("canonical: wrote %q, file has %q", canonical.Header, b[:h.DataOff])
			}
		})
	}
}

func checkOracle(t *testing.T, path string, b []byte, h *Header) {
	t.Helper()
	text, err := os.ReadFile(path + ".oracle.json")
	if err != nil {
		t.Fatal(err)
	}
	var want oracle
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if len(h.Entries) != len(want.Tensors) || len(h.Metadata) != len(want.Metadata) {
		t.Fatalf("%d entries, %d metadata", len(h.Entries), len(h.Metadata))
	}
	for _, pair := range h.Metadata {
		if want.Metadata[pair.Key] != pair.Value {
			t.Errorf("metadata %q: %q", pair.Key, pair.Value)
		}
	}
	for i, e := range h.Entries {
		w := want.Tensors[i]
		sum := sha256.Sum256(b[h.DataOff+e.Begin : h.DataOff+e.End])
		if e.Name != w.Path[0][1] || e.DType.String() != w.DType || e.Code != w.FileDType || !slices.Equal(e.Shape, w.Shape) ||
			e.Begin != w.DataOffsets[0] || e.End != w.DataOffsets[1] || hex.EncodeToString(sum[:]) != w.SHA256 {
			t.Errorf("entry %d: got %+v, want %+v", i, e, w)
		}
	}
}

// TestHostile reads the verdicts from the corpus's own table.
func TestHostile(t *testing.T) {
	dir := filepath.Join(corpus(t), "hostile")
	table, err := os.ReadFile(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(table)) {
		col := strings.Split(line, "\t")
		if !strings.HasSuffix(col[0], ".safetensors") {
			continue
		}
		n++
		b, err := os.ReadFile(filepath.Join(dir, col[0]))
		if err != nil {
			t.Fatal(err)
		}
		h, err := parse(b)
		var e *Error
		if errors.As(err, &e) {
			if !slices.Contains(strings.Split(col[4], "|"), "reject") || !slices.Contains(strings.Split(col[5], ","), e.Code) {
				t.Errorf("%s: %v (%s), want %s %s", col[0], err, e.Code, col[4], col[5])
			}
			t.Logf("%s: %s %v", col[0], e.Code, err)
			continue
		}
		if err != nil || strings.HasPrefix(col[4], "reject") {
			t.Errorf("%s: error %v, want %s", col[0], err, col[4])
			continue
		}
		checkEmitted(t, h, b)
		t.Logf("%s: %d entries", col[0], len(h.Entries))
	}
	for _, name := range []string{"st_header_too_long.safetensors", "st_truncated.safetensors", "json_error.safetensors"} {
		b, err := os.ReadFile(filepath.Join(dir, "..", "broken", name))
		if err != nil {
			t.Fatal(err)
		}
		_, err = parse(b)
		if !errors.As(err, new(*Error)) {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %v", name, err)
		n++
	}
	if n < 15 {
		t.Errorf("%d files only", n)
	}
}
