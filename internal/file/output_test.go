package file

import (
	"bytes"
	"context"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// TestCopyExtent copies ranges of a file with holes in it, in steps that start and end anywhere, behind bytes that were
// written in the ordinary way.
func TestCopyExtent(t *testing.T) {
	dir := t.TempDir()
	const page = 1 << 16
	content := make([]byte, 40*page)
	random := rand.New(rand.NewSource(1))
	f, err := os.Create(filepath.Join(dir, "source"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		if i%3 == 0 || i > 35 { // the rest, and the end, are holes
			continue
		}
		b := content[i*page : (i+1)*page]
		random.Read(b)
		f.WriteAt(b, int64(i*page))
	}
	f.Truncate(int64(len(content)))
	f.Close()
	set, err := Open([]string{filepath.Join(dir, "source")}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	p, err := newPart(filepath.Join(dir, "target"))
	if err != nil {
		t.Fatal(err)
	}
	want := []byte("head")
	p.WriteString("head")
	for range 60 {
		off := random.Int63n(int64(len(content)))
		n := random.Int63n(int64(len(content)) - off + 1)
		done, err := p.CopyExtent(context.Background(), statedict.Extent{Source: &set.Sources[0], Off: off, Len: n})
		if !done || err != nil {
			t.Fatalf("%d bytes at %d: %v %v", n, off, done, err)
		}
		want = append(want, content[off:off+n]...)
		if random.Intn(2) == 0 {
			p.WriteString("between")
			want = append(want, "between"...)
		}
	}
	if err := p.commit(false); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "target"))
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %d wanted, equal %v: %v", len(got), len(want), bytes.Equal(got, want), err)
	}
}

// TestPartOfLivingRun: a part is left alone while its writer lives, and cleared once it is gone.
func TestPartOfLivingRun(t *testing.T) {
	target := filepath.Join(t.TempDir(), "out")
	living, err := newPart(target)
	if err != nil {
		t.Fatal(err)
	}
	second, err := newPart(target)
	if err != nil {
		t.Fatal(err)
	}
	if !living.linked() {
		t.Error("the part of a living run was removed")
	}
	second.discard()
	living.Close() // as the system does when a process is killed
	third, err := newPart(target)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(living.Name()); !os.IsNotExist(err) {
		t.Errorf("the part of a dead run is still there: %v", err)
	}
	// A target that appears in the meantime is not replaced.
	write(t, target, "somebody else's")
	if err := third.commit(false); err == nil {
		t.Error("the target of somebody else was replaced")
	}
	third.discard()
	if list, _ := os.ReadDir(filepath.Dir(target)); len(list) != 1 {
		t.Errorf("%d files are left", len(list))
	}
}
