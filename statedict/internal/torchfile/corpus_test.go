package torchfile

import (
	stdzip "archive/zip"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	klauspost "github.com/klauspost/compress/zip"
)

// corpus returns the folder of real and made files, which is not part of the repository.
func corpus(t testing.TB) string {
	dir := os.Getenv("WEIGHTROOM_CORPUS")
	if dir == "" {
		t.Skip("WEIGHTROOM_CORPUS is not set")
	}
	return dir
}

// corpusFiles calls visit with every file of the corpus that keep accepts.
func corpusFiles(t testing.TB, dir string, visit func(name string, data []byte)) {
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, ".oracle.json") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		visit(name, data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// damaged tells the files that are there to be refused.
func damaged(name string) bool {
	return strings.HasPrefix(name, "broken") || strings.HasPrefix(name, "hostile")
}

func isZip(data []byte) bool { return bytes.HasPrefix(data, []byte(sigLocal)) }

// Every zip of the corpus opens, but for the broken and hostile ones, and two libraries see the same records.
func TestCorpusDirectory(t *testing.T) {
	dir, count := corpus(t), 0
	kinds := map[ArchiveKind]int{}
	corpusFiles(t, dir, func(name string, data []byte) {
		if !isZip(data) || strings.HasSuffix(name, ".distcp") { // .distcp: several archives one after the other
			return
		}
		a, err := ReadDirectory(bytes.NewReader(data), int64(len(data)), Options{})
		if err != nil {
			if !damaged(name) {
				t.Errorf("%s: %v", name, err)
			}
			return
		}
		count++
		kinds[a.Kind]++
		checkAgainstLibraries(t, name, a, data)
		if testing.Verbose() && len(a.Findings) > 0 {
			t.Logf("%s: %v %q %s: %q", name, a.Kind, a.Prefix, a.Profile, a.Findings)
		}
	})
	t.Logf("%d archives opened: %v", count, kinds)
}

func checkAgainstLibraries(t *testing.T, name string, a *Archive, data []byte) {
	t.Helper()
	std, err := stdzip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Errorf("%s: archive/zip: %v", name, err)
		return
	}
	other, err := klauspost.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil || len(std.File) != a.Len() || len(other.File) != a.Len() {
		t.Errorf("%s: %d records, archive/zip has %d, klauspost %d (%v)", name, a.Len(), len(std.File), len(other.File), err)
		return
	}
	for i, f := range std.File {
		rec := a.Records[i]
		off, err := a.DataOff(i)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want, _ := f.DataOffset()
		also, _ := other.File[i].DataOffset()
		if a.FullName(i) != f.Name || off != want || off != also || rec.CRC != f.CRC32 || rec.Method != f.Method ||
			uint64(rec.Size) != f.UncompressedSize64 || uint64(rec.CompressedSize) != other.File[i].CompressedSize64 {
			t.Errorf("%s: record %d is %+v, archive/zip says %+v at %d", name, i, rec, f.FileHeader, want)
		}
		if k, ok := a.Lookup(rec.Name); !rec.Foreign && (!ok || k != i) {
			t.Errorf("%s: Lookup(%q) = %d, %v", name, rec.Name, k, ok)
		}
		if _, err := a.ReadSmall(i, 64<<20); err != nil {
			var e *Error
			if !damaged(name) || !errors.As(err, &e) {
				t.Errorf("%s: ReadSmall: %v", name, err)
			}
			continue
		}
		mine, err := a.Open(i)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		x, err := io.ReadAll(mine)
		y, _ := io.ReadAll(theirs)
		if err != nil || !bytes.Equal(x, y) {
			t.Errorf("%s: record %d: %d bytes, archive/zip reads %d (%v)", name, i, len(x), len(y), err)
		}
	}
}
