package statedict_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/weightroom/weightroom/internal/hostiletest"
	"github.com/weightroom/weightroom/statedict"
)

// use opens data as a page does, and looks at everything that it shows: entries, objects, the beginning of every tensor, the scan.
func use(data []byte, lazy bool) (*hostiletest.Outcome, *statedict.ScanReport) {
	src := statedict.Source{Name: "hostile", R: bytes.NewReader(data), Size: int64(len(data))}
	o := &hostiletest.Outcome{}
	cp, err := (&statedict.Options{LazyHeaders: lazy}).Open(context.Background(), src)
	if err != nil {
		o.Failed, o.Codes = true, []string{statedict.Code(err)}
	} else {
		o.Tensors = len(cp.Entries)
		for _, f := range cp.Findings {
			o.Codes = append(o.Codes, f.Code)
		}
		for _, g := range cp.Globals {
			o.Globals = append(o.Globals, g.String())
		}
		cp.StateDicts()
		for range cp.Objects() {
		}
		head := make([]byte, 4096)
		for i := range cp.Entries[:min(len(cp.Entries), 100)] {
			io.ReadFull(cp.Reader(cp.Entries[i].View), head)
		}
	}
	scan, _ := statedict.Scan(context.Background(), src)
	return o, scan
}

// Every hostile file in this process, which is WebAssembly under GOOS=js: verdicts, codes and globals of the manifest, bounded
// time and memory, and after each a clean file opens as if nothing had been.
func TestHostile(t *testing.T) {
	control, err := os.ReadFile("../testdata/state_dict.pth")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := hostiletest.All("../testdata")
	if err != nil {
		t.Fatal(err)
	}
	limit := 2 * time.Second
	if runtime.GOOS == "js" {
		limit = 5 * time.Second
	}
	// What other tests took of the system before is not these files' doing; a WebAssembly instance never gives it back.
	var before, m runtime.MemStats
	runtime.ReadMemStats(&before)
	var slow time.Duration
	var slowest string
	for _, row := range rows {
		data, err := os.ReadFile(row.Path())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		o, scan := use(data, runtime.GOOS == "js")
		if d := time.Since(start); d > slow {
			slow, slowest = d, row.File
		}
		if d := time.Since(start); d > 2*limit { // a busy machine gets twice the time; the command's test is strict
			t.Errorf("%s: %v", row.File, d)
		}
		for _, wrong := range row.Check(o) {
			t.Errorf("%s: %s", row.File, wrong)
		}
		var globals []string
		if scan != nil {
			for i := range scan.Globals {
				globals = append(globals, scan.Globals[i].String())
			}
		}
		for _, wrong := range row.CheckScan(globals, o.Failed) {
			t.Errorf("%s: scan: %s", row.File, wrong)
		}
		if clean, _ := use(control, true); clean.Verdict() != "open" || clean.Tensors == 0 {
			t.Fatalf("after %s the clean file is %s with %v", row.File, clean.Verdict(), clean.Codes)
		}
	}
	runtime.ReadMemStats(&m)
	took := (m.Sys - before.Sys) >> 20
	t.Logf("%d files, slowest %v (%s), %d MiB more from the system", len(rows), slow.Round(time.Millisecond), slowest, took)
	if took > 512 {
		t.Errorf("%d MiB more from the system", took)
	}
}
