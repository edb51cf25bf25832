package statedict_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// The files rows_*_test.go have a test for every row of the table of cases in the description of the formats, each named after
// its row. Their files are fixtures of testdata, or made by testdata/rows.py when the tests run, with real PyTorch, or by hand
// here. A comment says so where a row needs a newer torch than the fixtures' 1.13.

var rowDir string // once rowFiles has made it

var rowFiles = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rows")
	if err != nil {
		return "", err
	}
	rowDir = dir
	out, err := exec.Command("/usr/bin/python3", "../testdata/rows.py", dir, "../testdata").CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

var havePyTorch = sync.OnceValue(func() bool {
	return exec.Command("/usr/bin/python3", "-c", "import torch").Run() == nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if rowDir != "" {
		os.RemoveAll(rowDir)
	}
	os.Exit(code)
}

// torchRow opens a file that rows.py makes and compares it with its oracle where it has one.
func torchRow(t *testing.T, name string) (*statedict.Checkpoint, []byte) {
	t.Helper()
	return openRow(t, torchFile(t, name))
}

// torchFile is the path of a file that rows.py makes.
func torchFile(t *testing.T, name string) string {
	t.Helper()
	if !havePyTorch() {
		t.Skip("no PyTorch")
	}
	dir, err := rowFiles()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// fixtureRow opens a file of testdata and compares it with its oracle.
func fixtureRow(t *testing.T, name string) (*statedict.Checkpoint, []byte) {
	t.Helper()
	return openRow(t, filepath.Join("..", "testdata", name))
}

func openRow(t *testing.T, file string) (*statedict.Checkpoint, []byte) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cp := mustOpen(t, data)
	if o, ok := readOracle(t, file); ok {
		checkOracle(t, cp, o)
	}
	return cp, data
}

func mustOpen(t *testing.T, data []byte) *statedict.Checkpoint {
	t.Helper()
	cp, err := openBytes("file", data)
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

// rewrites checks that the file comes out of its parsed tree with the same bytes.
func rewrites(t *testing.T, cp *statedict.Checkpoint, data []byte) {
	t.Helper()
	out, _ := exports(t, edited(t, cp), cp.Format)
	if !bytes.Equal(out, data) {
		t.Errorf("%d bytes written, not the %d that were read", len(out), len(data))
	}
}

// exports writes one file in format f, whatever it names, and opens it again.
func exports(t *testing.T, cp *statedict.Checkpoint, f statedict.Format) ([]byte, *statedict.Checkpoint) {
	t.Helper()
	out, back, err := export(t, cp, f, &statedict.PlanOptions{AllowUnsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	return out[0], back
}

// apply runs a recipe.
func apply(t *testing.T, cp *statedict.Checkpoint, steps string) *statedict.Checkpoint {
	t.Helper()
	r, err := statedict.ParseRecipe([]byte("{recipe: 1, steps: [" + steps + "]}"))
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := r.Apply(cp, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func entry(t *testing.T, cp *statedict.Checkpoint, path string) *statedict.Entry {
	t.Helper()
	for i := range cp.Entries {
		if cp.Entries[i].Path() == path {
			return &cp.Entries[i]
		}
	}
	t.Fatalf("no tensor %q", path)
	return nil
}

// paths are the paths of all tensors, in order.
func paths(cp *statedict.Checkpoint) (out []string) {
	for i := range cp.Entries {
		out = append(out, cp.Entries[i].Path())
	}
	return out
}

// values are the first elements of a tensor.
func values(t *testing.T, cp *statedict.Checkpoint, path string) string {
	t.Helper()
	in, err := cp.Inspect(context.Background(), entry(t, cp, path).View, statedict.InspectOptions{Values: 24, NoHash: true, NoStats: true})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(in.Values)
}

// rowObject is the object at path.
func rowObject(t *testing.T, cp *statedict.Checkpoint, path string) statedict.Object {
	t.Helper()
	for o := range cp.Objects() {
		if o.Path == path {
			return o
		}
	}
	t.Fatalf("no object %q", path)
	return statedict.Object{}
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// found checks that cp has a finding with this code and this in its message or path.
func found(t *testing.T, what string, cp *statedict.Checkpoint, code, text string) {
	t.Helper()
	if !slices.ContainsFunc(cp.Findings, func(f statedict.Finding) bool {
		return f.Code == code && strings.Contains(f.Path+": "+f.Message, text)
	}) {
		t.Errorf("%s: no finding %s with %q in %v", what, code, text, cp.Findings)
	}
}

// fails checks that data does not open, and that the error has the code and the texts.
func fails(t *testing.T, what string, data []byte, code string, texts ...string) {
	t.Helper()
	cp, err := openBytes("file", data)
	if err == nil {
		t.Errorf("%s: opens with %v", what, cp.Findings)
		return
	}
	if got := statedict.Code(err); got != code {
		t.Errorf("%s: %s, want %s: %v", what, got, code, err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %q is not in: %v", what, text, err)
		}
	}
}

// refused checks that cp cannot be written in format f, by one error that lists exactly these keys.
func refused(t *testing.T, cp *statedict.Checkpoint, f statedict.Format, keys ...string) {
	t.Helper()
	p, err := statedict.NewPlan(cp, f, nil)
	var ue *statedict.UnsupportedError
	if p != nil || !errors.As(err, &ue) {
		t.Errorf("%s: %v, want an error that lists %q", f, err, keys)
		return
	}
	var got []string
	for _, k := range ue.Keys {
		name, _, _ := strings.Cut(k, " (")
		got = append(got, name)
	}
	want(t, "keys that "+string(f)+" cannot hold", fmt.Sprintf("%q", got), fmt.Sprintf("%q", keys))
}

func sameTensors(t *testing.T, a, b *statedict.Checkpoint) {
	t.Helper()
	if len(a.Entries) != len(b.Entries) {
		t.Fatalf("%d tensors, want %d", len(b.Entries), len(a.Entries))
	}
	compareTensors(t, statedict.TorchZip, a, b, true)
}

// zipRecord is one record of an archive that a test makes.
type zipRecord struct {
	name   string
	body   []byte
	method uint16
	flags  uint16
	crc    uint32 // 0: that of body
}

// unzip lists the records of an archive.
func unzip(t *testing.T, data []byte) (records []zipRecord) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, zipRecord{name: f.Name, body: body})
	}
	return records
}

// makeZip writes records as they are, with sizes in the local headers.
func makeZip(t *testing.T, records ...zipRecord) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, r := range records {
		h := &zip.FileHeader{Name: r.name, Method: r.method, Flags: r.flags, CRC32: r.crc, CompressedSize64: uint64(len(r.body)), UncompressedSize64: uint64(len(r.body))}
		if r.crc == 0 {
			h.CRC32 = crc32.ChecksumIEEE(r.body)
		}
		out, err := w.CreateRaw(h)
		if err == nil {
			_, err = out.Write(r.body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rezip writes the records of an archive again as change leaves them; one that loses its name is left out.
func rezip(t *testing.T, data []byte, change func(r *zipRecord)) []byte {
	t.Helper()
	var out []zipRecord
	for _, r := range unzip(t, data) {
		if change(&r); r.name != "" {
			out = append(out, r)
		}
	}
	return makeZip(t, out...)
}

// pickled is a torch.save archive with this data.pkl and one storage of eight bytes.
func pickled(t *testing.T, pickle string) []byte {
	t.Helper()
	return makeZip(t, zipRecord{name: "m/data.pkl", body: []byte(pickle)}, zipRecord{name: "m/data/0", body: make([]byte, 8)}, zipRecord{name: "m/version", body: []byte("3\n")})
}
