package file

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/weightroom/weightroom/statedict"
)

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func names(s *Set) string {
	var n []string
	for _, src := range s.Sources {
		n = append(n, src.Name)
	}
	return strings.Join(n, " ")
}

func TestOpenShards(t *testing.T) {
	dir := t.TempDir()
	index := write(t, filepath.Join(dir, "model.safetensors.index.json"),
		`{"metadata": {"total_size": 8}, "weight_map": {"b": "m-2.safetensors", "a": "m-1.safetensors", "c": "m-1.safetensors"}}`)
	one := write(t, filepath.Join(dir, "m-1.safetensors"), "one")
	write(t, filepath.Join(dir, "m-2.safetensors"), "two")
	for _, paths := range [][]string{{index}, {dir}, {index, one}} {
		s, err := Open(paths, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := names(s); got != "model.safetensors.index.json m-1.safetensors m-2.safetensors" {
			t.Errorf("%q opened %s", paths, got)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenShardsConfined(t *testing.T) {
	top := t.TempDir()
	secret := write(t, filepath.Join(top, "secret"), "secret")
	for _, name := range []string{"../secret", "..", ".", "", secret, "sub/x", `sub\x`, "link", "missing", "a\x00b", "folder"} {
		dir := t.TempDir()
		if err := os.Symlink(secret, filepath.Join(dir, "link")); err != nil {
			t.Skip(err)
		}
		os.Mkdir(filepath.Join(dir, "folder"), 0o777)
		quoted := `"` + strings.NewReplacer(`\`, `\\`, "\x00", `\u0000`).Replace(name) + `"`
		index := write(t, filepath.Join(dir, "i.json"), `{"weight_map": {"k": `+quoted+`}}`)
		s, err := Open([]string{index}, Options{})
		var fe *statedict.FormatError
		if !errors.As(err, &fe) {
			t.Errorf("shard %q: %v, want a FormatError", name, err)
		}
		if err == nil {
			s.Close()
		}
	}
}

// The cache of huggingface_hub: snapshots/REV/NAME are links to blobs/HASH.
func TestOpenHubCache(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "blobs", "aaa"), `{"weight_map": {"k": "m.safetensors"}}`)
	write(t, filepath.Join(dir, "blobs", "bbb"), "weights")
	snapshot := filepath.Join(dir, "snapshots", "rev")
	os.MkdirAll(snapshot, 0o777)
	for name, blob := range map[string]string{"m.safetensors.index.json": "aaa", "m.safetensors": "bbb"} {
		if err := os.Symlink("../../blobs/"+blob, filepath.Join(snapshot, name)); err != nil {
			t.Skip(err)
		}
	}
	s, err := Open([]string{snapshot}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := names(s); got != "m.safetensors.index.json m.safetensors" {
		t.Error(got)
	}
}

func TestOpenFolder(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open([]string{dir}, Options{}); !errors.Is(err, statedict.ErrNotCheckpoint) {
		t.Errorf("an empty folder: %v", err)
	}
	write(t, filepath.Join(dir, "a.pth"), "a")
	write(t, filepath.Join(dir, "config.json"), "{}")
	s, err := Open([]string{dir}, Options{})
	if err != nil || names(s) != "a.pth" {
		t.Fatal(err)
	}
	s.Close()
	write(t, filepath.Join(dir, "b.pth"), "b")
	var ue *UsageError
	if _, err := Open([]string{dir}, Options{}); !errors.As(err, &ue) || !strings.Contains(err.Error(), `"a.pth", "b.pth"`) {
		t.Errorf("two checkpoints: %v", err)
	}
}

func pack(t *testing.T, kind, content string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if kind == "zstd" {
		w, _ = zstd.NewWriter(&b)
	}
	io.WriteString(w, content)
	w.Close()
	return b.String()
}

func TestUnwrap(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	content := strings.Repeat("weights ", 1000)
	for _, kind := range []string{"gzip", "zstd"} {
		packed := pack(t, kind, content)
		path := write(t, filepath.Join(t.TempDir(), "w.pth"), packed)
		for _, from := range []string{path, "-"} {
			s, err := Open([]string{from}, Options{Stdin: strings.NewReader(packed)})
			if err != nil {
				t.Fatal(kind, err)
			}
			got := make([]byte, len(content))
			if n, err := s.Sources[0].R.ReadAt(got, 0); s.Sources[0].Size != int64(len(content)) || err != nil || string(got) != content {
				t.Errorf("%s: %d bytes, %v", kind, n, err)
			}
			if err := s.Check(); err != nil {
				t.Error(err)
			}
			if from == path {
				write(t, path, packed+"more")
				if err := s.Check(); !errors.Is(err, statedict.ErrSourceChanged) {
					t.Errorf("%s file that grew: %v", kind, err)
				}
				write(t, path, packed)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		var le *statedict.LimitError
		if _, err := Open([]string{path}, Options{MaxUnpacked: int64(len(content)) - 1}); !errors.As(err, &le) {
			t.Errorf("%s over the limit: %v", kind, err)
		}
		if s, err := Open([]string{path}, Options{MaxUnpacked: int64(len(content))}); err != nil {
			t.Errorf("%s at the limit: %v", kind, err)
		} else {
			s.Close()
		}
		write(t, path, packed[:len(packed)-6])
		if _, err := Open([]string{path}, Options{}); statedict.Code(err) != "E_TRUNCATED" {
			t.Errorf("%s cut short: %v", kind, err)
		}
	}
	for kind, magic := range map[string]string{"xz": "\xfd7zXZ\x00\x00", "bzip2": "BZh91AY"} {
		s, err := Open([]string{write(t, filepath.Join(t.TempDir(), "w"), magic)}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := statedict.Open(context.Background(), s.Sources...); !errors.Is(err, statedict.ErrNotCheckpoint) || !strings.Contains(err.Error(), kind) {
			t.Errorf("%s: %v", kind, err)
		}
		s.Close()
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("%d temporary files are left", len(left))
	}
}

func TestCheck(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "a.pth"), "content")
	open := func() *Set {
		s, err := Open([]string{path}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for what, change := range map[string]func(){
		"grown":    func() { write(t, path, "content and more") },
		"touched":  func() { os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)) },
		"removed":  func() { os.Remove(path) },
		"replaced": func() { write(t, path+".new", "content"); os.Rename(path+".new", path) },
	} {
		write(t, path, "content")
		s := open()
		change()
		if err := s.Check(); !errors.Is(err, statedict.ErrSourceChanged) || statedict.Code(err) != "E_CHANGED" {
			t.Errorf("%s: %v", what, err)
		}
		s.Close()
	}
}

func TestOpenIn(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "out"), "outside")
	write(t, filepath.Join(dir, "root", "sub", "a.pth"), "a")
	write(t, filepath.Join(dir, "root", "sub", "i.json"), `{"weight_map": {"k": "a.pth"}}`)
	write(t, filepath.Join(dir, "root", "sub", "evil.json"), `{"weight_map": {"k": "../../out"}}`)
	os.Symlink("../out", filepath.Join(dir, "root", "link"))
	root, err := os.OpenRoot(filepath.Join(dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	s, err := OpenIn(root, "sub/i.json")
	if err != nil || names(s) != "i.json a.pth" {
		t.Fatal(err)
	}
	s.Close()
	for _, name := range []string{"../out", "link", "sub", "sub/evil.json", "/etc/hostname", "nothing"} {
		if s, err := OpenIn(root, name); err == nil {
			s.Close()
			t.Errorf("%q was opened", name)
		}
	}
}

// TestOpenFolderOfShards: shards without their index are one checkpoint when all are there; an index of a variant counts.
func TestOpenFolderOfShards(t *testing.T) {
	dir := t.TempDir()
	const one, two = "m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors"
	write(t, filepath.Join(dir, one), "one")
	write(t, filepath.Join(dir, two), "two")
	s, err := Open([]string{dir}, Options{})
	if err != nil || names(s) != one+" "+two {
		t.Fatal(err)
	}
	s.Close()
	write(t, filepath.Join(dir, "m.safetensors.index.fp16.json"), `{"weight_map": {"a": "`+two+`"}}`)
	s, err = Open([]string{dir}, Options{})
	if err != nil || names(s) != "m.safetensors.index.fp16.json "+two {
		t.Fatal(err)
	}
	s.Close()
	for _, set := range [][]string{{one}, {one, one}, {one, "n-00002-of-00002.safetensors"}, {one, "m-00002-of-00002.bin"}, {one, "m-00002-of-00003.safetensors"},
		{one, two, "a.safetensors"}, {"m-00000-of-00002.safetensors", two}, {"m-00002-of-00003.safetensors", "m-00003-of-00003.safetensors"}} {
		if wholeSet(set) {
			t.Errorf("%q is no set", set)
		}
	}
}
