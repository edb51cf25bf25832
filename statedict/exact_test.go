package statedict_test

import (
	"bytes"
	"context"
	"errors"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// TestEmptyRecipe exports every torch zip, legacy and safetensors file in its own format without an edit: the same bytes come
// out, records that nobody knows, their order, alignment and comments included.
func TestEmptyRecipe(t *testing.T) {
	count := map[statedict.Format]int{}
	for _, file := range corpusFiles(t) {
		cp, err := openFile(t, file)
		if err != nil {
			continue
		}
		switch cp.Format {
		case statedict.TorchZip, statedict.TorchLegacy, statedict.Safetensors:
		default:
			continue
		}
		p, err := statedict.NewPlan(cp, cp.Format, &statedict.PlanOptions{AllowUnsafe: true})
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := p.Files[0].Write(context.Background(), &out, nil); err != nil {
			t.Fatal(err)
		}
		if len(p.Files) != 1 || !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s: an export without an edit differs", file)
		}
		if err := statedict.Verify(context.Background(), p, statedict.Source{Name: p.Files[0].Name, R: bytes.NewReader(want), Size: int64(len(want))}); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		count[cp.Format]++
	}
	t.Logf("byte-identical: %v", count)
}

// TestCannotHold asks for formats that lack something: one error lists every key, and nothing has been laid out.
func TestCannotHold(t *testing.T) {
	for _, test := range []struct {
		file   string
		format statedict.Format
		keys   []string
	}{
		{"sparse_quantized.pth", statedict.Safetensors, []string{"coo", "csr", "per_tensor", "per_channel"}},
		{"keys_not_strings.pth", statedict.Safetensors, nil},
		{"keys_not_strings.pth", statedict.NPZ, nil},
		{"numpy_namespace.pth", statedict.NPZ, nil},
		{"lightning_like.ckpt", statedict.Safetensors, nil},
		{"dtypes.pth", statedict.GGUF, nil},
		{"dtypes.pth", statedict.Safetensors, []string{"complex128"}},
		{"unordered_unaligned.safetensors", statedict.TorchZip, []string{"fp6"}},
		{"unordered_unaligned.safetensors", statedict.NPZ, []string{"fp6"}},
		{"toy.gguf", statedict.Safetensors, nil},
	} {
		cp, err := openFile(t, filepath.Join("..", "testdata", test.file))
		if err != nil {
			t.Fatal(err)
		}
		p, err := statedict.NewPlan(cp, test.format, &statedict.PlanOptions{AllowUnsafe: true})
		var ue *statedict.UnsupportedError
		if p != nil || !errors.As(err, &ue) || len(ue.Keys) == 0 || ue.Hint == "" {
			t.Errorf("%s to %s: %v, want one error with keys and a hint", test.file, test.format, err)
			continue
		}
		t.Logf("%s to %s: %v", test.file, test.format, err)
		for _, key := range test.keys {
			if !strings.Contains(strings.Join(ue.Keys, "\n"), key) {
				t.Errorf("%s to %s: %q is not listed in %q", test.file, test.format, key, ue.Keys)
			}
		}
	}
}

// TestImports keeps the codec free of files, networks, browsers and clocks.
func TestImports(t *testing.T) {
	banned := map[string]bool{"os": true, "os/exec": true, "net": true, "net/http": true, "syscall": true, "syscall/js": true, "time": true, "plugin": true,
		"io/ioutil": true, "path/filepath": true, "math/rand": true, "math/rand/v2": true}
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		files++
		for _, spec := range f.Imports {
			if name, _ := strconv.Unquote(spec.Path.Value); banned[name] {
				t.Errorf("%s imports %s", path, name)
			}
		}
		return nil
	})
	if err != nil || files < 50 {
		t.Fatalf("%d files: %v", files, err)
	}
}
