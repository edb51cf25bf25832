package file

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// exportOf opens a copy of a fixture below dir and prepares an export of it, edited so that it is laid out anew.
func exportOf(t *testing.T, dir string) (x *Export, source string) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/state_dict.pth")
	if err != nil {
		t.Fatal(err)
	}
	source = write(t, filepath.Join(dir, "in.pth"), string(data))
	set, err := Open([]string{source}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	cp, err := statedict.Open(context.Background(), set.Sources...)
	if err != nil {
		t.Fatal(err)
	}
	r, err := statedict.ParseRecipe([]byte("steps: [{add_prefix: net.}]"))
	if err != nil {
		t.Fatal(err)
	}
	edited, _, err := r.Apply(cp, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := statedict.NewPlan(edited, statedict.TorchZip, &statedict.PlanOptions{Name: "out.pth"})
	if err != nil {
		t.Fatal(err)
	}
	return &Export{Plan: plan, Dir: dir, Inputs: []*Set{set}, Check: cp.CheckSources}, source
}

func sum(t *testing.T, path string) [32]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

// left are the names in dir.
func left(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// A source that changes between opening and the end of an export: E_CHANGED, no target and nothing temporary.
func TestSourceChanges(t *testing.T) {
	for what, change := range map[string]func(t *testing.T, path string){
		"truncated": func(t *testing.T, path string) {
			if err := os.Truncate(path, 1000); err != nil {
				t.Fatal(err)
			}
		},
		"emptied": func(t *testing.T, path string) {
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		},
		"grown": func(t *testing.T, path string) {
			if err := os.Truncate(path, 1<<20); err != nil {
				t.Fatal(err)
			}
		},
		"rewritten in place": func(t *testing.T, path string) {
			b, _ := os.ReadFile(path)
			b[len(b)-1]++
			write(t, path, string(b))
		},
		"rewritten under the old time": func(t *testing.T, path string) {
			info, _ := os.Stat(path)
			b, _ := os.ReadFile(path)
			b[100]++
			write(t, path, string(b))
			os.Chtimes(path, info.ModTime(), info.ModTime())
		},
		"replaced": func(t *testing.T, path string) {
			b, _ := os.ReadFile(path)
			write(t, path+".new", string(b))
			os.Rename(path+".new", path)
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			x, source := exportOf(t, dir)
			change(t, source)
			if err := x.Run(context.Background()); statedict.Code(err) != "E_CHANGED" {
				t.Errorf("%s: %v", statedict.Code(err), err)
			}
			if names := left(t, dir); len(names) != 1 || names[0] != "in.pth" {
				t.Errorf("left: %q", names)
			}
		})
	}
}

// The change comes while the export runs, after the first bytes were written.
func TestSourceChangesMeanwhile(t *testing.T) {
	dir := t.TempDir()
	x, source := exportOf(t, dir)
	done := false
	x.Progress = func(int64) {
		if !done {
			done = true
			os.Truncate(source, 1200)
		}
	}
	if err := x.Run(context.Background()); statedict.Code(err) != "E_CHANGED" {
		t.Errorf("%s: %v", statedict.Code(err), err)
	}
	if names := left(t, dir); len(names) != 1 {
		t.Errorf("left: %q", names)
	}
}

// A target that is the source, by whatever name, is refused, also with Force; the source keeps its bytes.
func TestTargetIsSource(t *testing.T) {
	for what, link := range map[string]func(source, target string) error{
		"hard link":     os.Link,
		"symbolic link": func(source, target string) error { return os.Symlink(filepath.Base(source), target) },
	} {
		dir := t.TempDir()
		x, source := exportOf(t, dir)
		before := sum(t, source)
		if err := link(source, filepath.Join(dir, "out.pth")); err != nil {
			t.Skip(err)
		}
		x.Force = true
		var te *TargetError
		if err := x.Run(context.Background()); !errors.As(err, &te) {
			t.Errorf("%s: %v", what, err)
		}
		if sum(t, source) != before || len(left(t, dir)) != 2 {
			t.Errorf("%s: something was written", what)
		}
	}
}

// A folder that nothing can be written to, and a target in a folder that is not there.
func TestFolderFails(t *testing.T) {
	dir := t.TempDir()
	x, source := exportOf(t, dir)
	before := sum(t, source)
	x.Dir = filepath.Join(dir, "missing")
	if err := x.Run(context.Background()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
	if os.Getuid() != 0 {
		x.Dir = filepath.Join(dir, "locked")
		if err := os.Mkdir(x.Dir, 0o555); err != nil {
			t.Fatal(err)
		}
		if err := x.Run(context.Background()); !errors.Is(err, os.ErrPermission) {
			t.Errorf("read-only folder: %v", err)
		}
	}
	if sum(t, source) != before {
		t.Error("the source has changed")
	}
}
