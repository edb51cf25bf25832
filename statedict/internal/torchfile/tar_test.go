package torchfile

import (
	stdtar "archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What torch's sources say about the members, followed on the tar of the corpus: the storages are those of the oracle.
func TestCorpusTar(t *testing.T) {
	path := filepath.Join(corpus(t), "synthetic", "tar_torch01.pth")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ReadTar(bytes.NewReader(data), int64(len(data)), Limits{})
	if err != nil || !a.Torch || len(a.Members) != 4 {
		t.Fatalf("%v, %+v", err, a)
	}
	want := readOracle(t, path).Storages
	c, _ := a.Cursor("storages")
	pickle := func() []byte {
		p, err := c.Pickle(1<<20, pickleLength)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	pickle() // how many
	for i, elem := range []int64{4, 8} {
		pickle() // key, location, class
		n, err := c.Int64()
		if err != nil || n != want[i].Numel {
			t.Fatalf("%d elements, want %d (%v)", n, want[i].Numel, err)
		}
		e, err := c.Skip(n * elem)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(data[e.Off : e.Off+e.Len]); hex.EncodeToString(sum[:]) != want[i].SHA256 {
			t.Errorf("storage %d at %d differs", i, e.Off)
		}
	}
	if pickle(); c.Left() != 0 {
		t.Errorf("%d bytes left", c.Left())
	}
	c, _ = a.Cursor("tensors")
	pickle()
	for _, want := range []struct{ shape, stride []int64 }{{[]int64{2, 5}, []int64{5, 1}}, {[]int64{3}, []int64{1}}, {[]int64{2, 2}, []int64{2, 1}}} {
		pickle()
		h, err := c.TensorHeader(Limits{})
		if err != nil || len(h.Shape) != len(want.shape) || h.Shape[0] != want.shape[0] || h.Stride[0] != want.stride[0] {
			t.Errorf("%+v, %v; want %v", h, err, want)
		}
	}
	if c.Left() != 0 {
		t.Errorf("%d bytes left", c.Left())
	}
	for n := range data {
		var e *Error
		if _, err := ReadTar(bytes.NewReader(data[:n]), int64(n), Limits{}); err != nil && !errors.As(err, &e) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

func makeTar(t testing.TB, names ...string) []byte {
	var buf bytes.Buffer
	w := stdtar.NewWriter(&buf)
	for _, name := range names {
		if err := w.WriteHeader(&stdtar.Header{Name: name, Size: 3, Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "abc")
	}
	w.Close()
	return buf.Bytes()
}

func TestTar(t *testing.T) {
	long := strings.Repeat("long/", 30) + "model.ckpt"
	data := makeTar(t, "pickle", long, "storages", "../tensors", "tensors")
	a, err := ReadTar(bytes.NewReader(data), int64(len(data)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range a.Members {
		if string(data[m.Off:m.Off+m.Len]) != "abc" {
			t.Errorf("%s at %d", m.Name, m.Off)
		}
	}
	if !a.Torch || a.Members[1].Name != long || len(a.Findings) != 1 || a.Findings[0].Code != FoundName {
		t.Errorf("%+v", a)
	}
	for _, c := range []struct {
		data   []byte
		limits Limits
		code   string
	}{
		{makeTar(t, "pickle", "storages", "tensors", "pickle"), Limits{}, CodeAmbiguous},
		{data, Limits{Entries: 2}, CodeLimit},
		{data, Limits{EntryName: 10}, CodeLimit},
		{data[:514], Limits{}, CodeTruncated},
		{[]byte(strings.Repeat("x", 1024)), Limits{}, CodeFormat},
	} {
		_, err := ReadTar(bytes.NewReader(c.data), int64(len(c.data)), c.limits)
		wantCode(t, err, c.code)
	}
	broken := errors.New("cable out")
	var read *ReadError
	if _, err := ReadTar(failing{broken}, 4096, Limits{}); !errors.As(err, &read) || !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// failing is a source that cannot be read.
type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestReadError(t *testing.T) {
	broken := errors.New("cable out")
	var read *ReadError
	if _, err := ReadDirectory(failing{broken}, 4096, Options{}); !errors.As(err, &read) || !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestTensorHeader(t *testing.T) {
	number := func(n int64) string { return string(le.AppendUint64(nil, uint64(n))) }
	for _, c := range []struct{ data, code string }{
		{number(1) + number(5) + number(1) + number(3), ""},
		{number(0) + number(3), ""},
		{number(1) + number(5) + number(1), CodeTruncated},
		{number(65), CodeLimit},
		{"\xff\xff\xff\xff\x00\x00\x00\x00", CodeLimit},
		{"\x01\x00", CodeTruncated},
	} {
		h, err := NewCursor(strings.NewReader(c.data), 0, int64(len(c.data))).TensorHeader(Limits{})
		if c.code != "" {
			wantCode(t, err, c.code)
		} else if err != nil || h.Offset != 3 {
			t.Errorf("%q: %+v, %v", c.data, h, err)
		}
	}
}
