package torchfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// zipDirectories lists archives as Python's zipfile sees them, and tells whether torch's own reader opens them.
const zipDirectories = `
import json, os, sys, zipfile
try:
    import torch
except ImportError:
    torch = None
out = {}
for name in sorted(os.listdir(sys.argv[1])):
    path, row = os.path.join(sys.argv[1], name), {}
    try:
        with zipfile.ZipFile(path) as z:
            row["records"] = [[i.orig_filename, i.file_size, i.CRC] for i in z.infolist()]
    except Exception as e:
        row["error"] = type(e).__name__
    if torch:
        try:
            row["torch"] = len(torch._C.PyTorchFileReader(path).get_all_records())
        except Exception as e:
            row["torch_error"] = str(e).split("\n")[0][:100]
    out[name] = row
json.dump({"torch": torch is not None, "files": out}, sys.stdout)
`

// mutate damages an archive where readers look: end record, directory, local headers; now and then anywhere.
func mutate(r *rand.Rand, data []byte) ([]byte, string) {
	b := bytes.Clone(data)
	end := bytes.LastIndex(b, []byte(sigEnd))
	dir := int(le.Uint32(b[end+16:]))
	at := 0
	switch r.IntN(8) {
	case 0, 1:
		at = end + r.IntN(len(b)-end)
	case 2, 3, 4:
		at = dir + r.IntN(end-dir)
	case 5:
		at = r.IntN(46)
	case 6:
		at = r.IntN(len(b))
	default:
		switch n := 1 + r.IntN(40); r.IntN(3) {
		case 0:
			return b[:len(b)-n], fmt.Sprintf("cut by %d", n)
		case 1:
			return append(b, make([]byte, n)...), fmt.Sprintf("%d bytes behind", n)
		default:
			return append(make([]byte, n), b...), fmt.Sprintf("%d bytes in front", n)
		}
	}
	was := b[at]
	b[at] = []byte{was ^ 1<<r.IntN(8), 0, 0xff, was + 1}[r.IntN(4)]
	return b, fmt.Sprintf("byte %d of %d (directory at %d): %02x to %02x", at, len(b), dir, was, b[at])
}

// What is accepted here has the records, sizes and checksums that Python's zipfile lists. Where torch's reader and this one do not
// agree on opening, the log says which and why.
func TestAgreesWithPython(t *testing.T) {
	if runtime.GOOS == "js" {
		t.Skip("no processes here")
	}
	python := os.Getenv("WEIGHTROOM_PYTHON")
	if python == "" {
		python = "/usr/bin/python3"
	}
	if _, err := os.Stat(python); err != nil {
		t.Skip("no Python")
	}
	if testing.Short() {
		t.Skip("starts Python")
	}
	var bases [][]byte
	for _, name := range []string{"state_dict.pth", "tied_strided_views.pth", "profile_2.7.pth", "rezipped_deflated.pth", "module.pth"} {
		data, err := os.ReadFile("../../../testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		bases = append(bases, data)
	}
	dir, r := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	how := map[string]string{}
	for i := range 300 {
		b, what := mutate(r, bases[i%len(bases)])
		name := fmt.Sprintf("%03d.pth", i)
		how[name] = what
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var stderr bytes.Buffer
	cmd := exec.Command(python, "-c", zipDirectories, dir)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var doc struct {
		Torch bool
		Files map[string]struct {
			Error      string
			Records    [][3]any
			Torch      int
			TorchError string `json:"torch_error"`
		}
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		t.Fatal(err)
	}
	var accepted, refused, onlyTorch, onlyHere int
	why := map[string]int{}
	for i := range 300 {
		name := fmt.Sprintf("%03d.pth", i)
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		theirs := doc.Files[name]
		a, err := ReadDirectory(bytes.NewReader(data), int64(len(data)), Options{})
		if err != nil {
			refused++
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("%s, %s: %v", name, how[name], err)
				continue
			}
			if doc.Torch && theirs.TorchError == "" {
				onlyTorch++
				why[e.Code]++
				t.Logf("torch alone opens %s, %s: %v", name, how[name], err)
			}
			continue
		}
		accepted++
		var ours, python []string
		for k := range a.Records {
			ours = append(ours, fmt.Sprintf("%s %d %d", a.FullName(k), a.Records[k].Size, a.Records[k].CRC))
		}
		for _, rec := range theirs.Records {
			python = append(python, fmt.Sprintf("%v %d %d", rec[0], int64(rec[1].(float64)), uint32(rec[2].(float64))))
		}
		slices.Sort(ours)
		slices.Sort(python)
		if theirs.Error == "NotImplementedError" { // a version of the format that this Python refuses, whatever is in it
			t.Logf("Python does not read %s, %s", name, how[name])
		} else if theirs.Error != "" {
			t.Errorf("%s, %s: accepted here, Python says %s", name, how[name], theirs.Error)
		} else if !slices.Equal(ours, python) {
			t.Errorf("%s, %s:\n%q\n%q", name, how[name], ours, python)
		}
		if doc.Torch && theirs.TorchError != "" {
			onlyHere++
			t.Logf("torch does not open %s, %s: %s; findings here %v", name, how[name], theirs.TorchError, a.Findings)
		}
	}
	t.Logf("%d accepted, %d refused; torch alone opens %d (%v), torch does not open %d of those accepted", accepted, refused, onlyTorch, why, onlyHere)
}
