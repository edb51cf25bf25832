package statedict_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// deflated is an archive whose records are deflated.
func deflated(t *testing.T, records ...zipRecord) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, r := range records {
		f, err := w.Create(r.name)
		if err == nil {
			_, err = f.Write(r.body)
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

// Scanning reads every pickle of an archive, but not for ever: pickles that are long alone are too long together, and the report
// says so.
func TestScanManyPickles(t *testing.T) {
	long := []byte("\x80\x02N" + strings.Repeat("20", 12_000_000) + ".")
	records := []zipRecord{{name: "m/data.pkl", body: []byte("\x80\x02}.")}, {name: "m/version", body: []byte("3\n")}}
	for i := range 6 {
		records = append(records, zipRecord{name: fmt.Sprintf("m/%d.pkl", i), body: long})
	}
	records = append(records, zipRecord{name: "m/z.pkl", body: []byte("\x80\x02cos\nsystem\n.")})
	scan := func(records ...zipRecord) *statedict.ScanReport {
		data := deflated(t, records...)
		r, err := statedict.Scan(context.Background(), statedict.Source{Name: "many", R: bytes.NewReader(data), Size: int64(len(data))})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := scan(records...); r.Safe() || len(r.Findings) != 1 || r.Findings[0].Code != "E_LIMIT" {
		t.Errorf("six pickles of 24 M opcodes: %v", r.Findings)
	}
	if r := scan(append(records[:4:4], records[len(records)-1])...); len(r.Globals) != 1 {
		t.Errorf("two of them: %v, want os.system behind them found", r.Findings)
	}
}

// What a record says before its deflate stream breaks is reported.
func TestScanBeforeADamage(t *testing.T) {
	noise := make([]byte, 300_000) // does not deflate to nothing
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	body := "\x80\x02cos\nsystem\n0B" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(noise)))) + string(noise) + "."
	data := deflated(t, zipRecord{name: "m/data.pkl", body: []byte("\x80\x02}.")}, zipRecord{name: "m/version", body: []byte("3\n")},
		zipRecord{name: "m/x.pkl", body: []byte(body)})
	at := bytes.Index(data, []byte("m/x.pkl")) + 200_000
	copy(data[at:], bytes.Repeat([]byte{0xFF}, 80_000)) // codes that are none, wherever a block begins
	r, err := statedict.Scan(context.Background(), statedict.Source{Name: "damaged", R: bytes.NewReader(data), Size: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Globals) != 1 || r.Globals[0].String() != "os.system" {
		t.Errorf("globals %v, findings %v", r.Globals, r.Findings)
	}
}

// expandedFile is a tensor of n elements that are all one, of this value.
func expandedFile(t *testing.T, n uint64, value float32) []byte {
	t.Helper()
	p := "\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQK\x00" +
		"\x8a\x08" + u64(n) + "\x85K\x00\x85\x89ccollections\nOrderedDict\n)RtRs."
	body := binary.LittleEndian.AppendUint32(nil, math.Float32bits(value))
	return makeZip(t, zipRecord{name: "m/data.pkl", body: []byte(p)}, zipRecord{name: "m/data/0", body: append(body, 0, 0, 0, 0)}, zipRecord{name: "m/version", body: []byte("3\n")})
}

// The values of two tensors of terabytes that kilobytes spell are compared at once.
func TestDiffExpanded(t *testing.T) {
	const n = 1 << 40
	a, b := mustOpen(t, expandedFile(t, n, 1)), mustOpen(t, expandedFile(t, n, 3))
	again := mustOpen(t, expandedFile(t, n, 1))
	opt := statedict.DiffOptions{Values: true}
	d, err := statedict.DiffCheckpoints(context.Background(), a, again, opt)
	if err != nil || !d.Equal {
		t.Errorf("the same: %+v, %v", d, err)
	}
	if d, err = statedict.DiffCheckpoints(context.Background(), a, b, opt); err != nil || len(d.Changed) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	c := d.Changed[0]
	want(t, "elements that differ", c.Differ, int64(n))
	want(t, "elements", c.Numel, int64(n))
	want(t, "largest difference", *c.MaxAbsDiff, 2.0)
	want(t, "cosine", *c.Cosine, 1.0)
	// Seen through another stride, the same bytes are other values.
	small := mustOpen(t, expandedFile(t, 2, 1))
	dense := mustOpen(t, bytes.Replace(expandedFile(t, 2, 1), []byte("\x85K\x00\x85\x89"), []byte("\x85K\x01\x85\x89"), 1))
	if d, err = statedict.DiffCheckpoints(context.Background(), small, dense, opt); err != nil || len(d.Changed) != 1 || d.Changed[0].Differ != 1 {
		t.Errorf("another stride: %+v, %v", d, err)
	}
}

// A deflated record is read again from its start after somebody has come to its end.
func TestDeflatedTwice(t *testing.T) {
	cp := mustOpen(t, deflated(t, unzip(t, expandedFile(t, 2, 1))...))
	for range 3 {
		b, err := io.ReadAll(cp.Reader(cp.Entries[0].View))
		if err != nil || len(b) != 8 || math.Float32frombits(binary.LittleEndian.Uint32(b)) != 1 {
			t.Errorf("%v, %v", b, err)
		}
	}
}
