package torchfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The rows of the hostile manifest that a container alone decides get one of their verdicts and codes.
func TestHostileZips(t *testing.T) {
	dir := filepath.Join(corpus(t), "hostile")
	manifest, err := os.ReadFile(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	// Codes of findings that only a look into the pickle gives.
	later := []string{"F_GLOBAL", "E_PICKLE"}
	rows := 0
	for _, line := range strings.Split(strings.TrimSpace(string(manifest)), "\n")[1:] {
		col := strings.Split(line, "\t")
		if col[1] != "zip" {
			continue
		}
		rows++
		data, err := os.ReadFile(filepath.Join(dir, col[0]))
		if err != nil {
			t.Fatal(err)
		}
		verdict, codes, text := openAndRead(data)
		t.Logf("%-45s %-7s %v %s", col[0], verdict, codes, text)
		if !slices.Contains(strings.Split(col[4], "|"), verdict) {
			t.Errorf("%s: verdict %s, want %s: %s", col[0], verdict, col[4], text)
		}
		want := strings.Split(col[5], ",")
		known := slices.ContainsFunc(want, func(c string) bool { return slices.Contains(codes, c) })
		if verdict != "open" && col[5] != "-" && !known && !slices.ContainsFunc(want, func(c string) bool { return slices.Contains(later, c) }) {
			t.Errorf("%s: codes %v, want one of %s", col[0], codes, col[5])
		}
	}
	t.Logf("%d rows", rows)
}

// openAndRead opens the archive and reads data.pkl, the way a caller would, up to where the pickle would be looked at.
func openAndRead(data []byte) (verdict string, codes []string, text string) {
	a, err := ReadDirectory(bytes.NewReader(data), int64(len(data)), Options{})
	if err == nil && a.Pickle < 0 {
		if len(a.Findings) > 0 {
			codes = append(codes, a.Findings[0].Code)
		}
		return "reject", append(codes, CodeFormat), a.Kind.String()
	}
	if err == nil {
		_, err = a.ReadSmall(a.Pickle, 64<<20)
	}
	var e *Error
	if errors.As(err, &e) && e.Code != CodeChecksum {
		return "reject", []string{e.Code}, e.Error()
	}
	if err != nil {
		codes, text = append(codes, FoundChecksum), err.Error()
	}
	for _, f := range a.Findings {
		codes, text = append(codes, f.Code), text+" "+f.Msg
	}
	if len(codes) > 0 {
		return "report", codes, text
	}
	return "open", nil, ""
}

// The broken archives are refused for the right reason.
func TestBrokenContainers(t *testing.T) {
	dir := filepath.Join(corpus(t), "broken")
	read := func(name string) (*bytes.Reader, int64) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.NewReader(data), int64(len(data))
	}
	r, size := read("truncated.zip.pth")
	_, err := ReadDirectory(r, size, Options{})
	wantCode(t, err, CodeTruncated)
	t.Log(err)
	r, size = read("zip_without_data_pkl.pth")
	if a, err := ReadDirectory(r, size, Options{}); err != nil || a.Pickle >= 0 || a.Kind != ZipOther {
		t.Errorf("without data.pkl: %v", err)
	}
	r, size = read("burn_tar_float32.tar")
	if a, err := ReadTar(r, size, Limits{}); err != nil || a.Torch || len(a.Members) != 3 { // no torch wrote one without tensors
		t.Errorf("tar: %v", err)
	}
}
