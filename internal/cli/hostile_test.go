//go:build unix

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weightroom/weightroom/internal/hostiletest"
)

// process is one run of the command.
type process struct {
	exit     int
	out, err []byte
	mib      int64         // peak of resident memory
	took     time.Duration // by the clock, or by the processors where that is less: other jobs make a machine slow, not a file
}

// runProcess runs the command in a process of its own: this test program, called weightroom.
func runProcess(t *testing.T, args ...string) process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	peak := filepath.Join(t.TempDir(), "peak")
	cmd := &exec.Cmd{Path: exe, Args: append([]string{"weightroom"}, args...), Env: append(os.Environ(), peakFile+"="+peak), Stdout: &out, Stderr: &errOut}
	start := time.Now()
	err = cmd.Run()
	p := process{exit: cmd.ProcessState.ExitCode(), out: out.Bytes(), err: errOut.Bytes(), took: time.Since(start)}
	if p.exit < 0 {
		t.Errorf("%q: %v", args, err)
	}
	p.took = min(p.took, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	p.mib = int64(usage.Maxrss) >> 10
	if runtime.GOOS == "darwin" {
		p.mib >>= 10
	}
	if told, err := os.ReadFile(peak); err == nil {
		if kib, err := strconv.ParseInt(string(told), 10, 64); err == nil {
			p.mib = kib >> 10
		}
	}
	if s := string(p.err); strings.Contains(s, "panic") || strings.Contains(s, "goroutine ") || strings.Contains(s, "fatal error") {
		t.Errorf("%q: a crash: %.500s", args, s)
	}
	return p
}

// document is what the --json of ls, scan and verify have in common.
type document struct {
	Error *struct{ Code, Message string }
	// Globals are strings in ls and objects in scan.
	Globals  []json.RawMessage
	Findings []struct{ Code string }
	Tensors  []json.RawMessage
	Safe     bool
	OK       bool
}

func (d *document) outcome(t *testing.T) *hostiletest.Outcome {
	o := &hostiletest.Outcome{Tensors: len(d.Tensors)}
	if d.Error != nil {
		o.Failed, o.Codes = true, []string{d.Error.Code}
	}
	for _, f := range d.Findings {
		o.Codes = append(o.Codes, f.Code)
	}
	for _, g := range d.Globals {
		var name string
		var full struct{ Name string }
		if json.Unmarshal(g, &name) != nil {
			if err := json.Unmarshal(g, &full); err != nil {
				t.Error(err)
			}
			name = full.Name
		}
		o.Globals = append(o.Globals, name)
	}
	return o
}

// Every hostile file, in a process of its own for ls, scan, verify and show: the verdict, codes, tensors and globals that its
// manifest asks for, within memory and time, without a crash.
func TestHostile(t *testing.T) {
	type worst struct {
		value int64
		what  string
	}
	var slow, fat worst
	classes := map[string]map[string]int{}
	rows, err := hostiletest.All("../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		for _, command := range []string{"ls", "scan", "verify"} {
			p := runProcess(t, command, "--json", row.Path())
			if p.took > row.MaxTime { // a busy machine gets one more try
				p = runProcess(t, command, "--json", row.Path())
			}
			fail := func(format string, args ...any) {
				t.Errorf("%s %s: %s", command, row.File, fmt.Sprintf(format, args...))
			}
			if p.took > row.MaxTime {
				fail("%v", p.took)
			}
			if p.mib > row.MaxMiB {
				fail("%d MiB", p.mib)
			}
			if int64(p.took) > slow.value {
				slow = worst{int64(p.took), command + " " + row.File}
			}
			if p.mib > fat.value {
				fat = worst{p.mib, command + " " + row.File}
			}
			var d document
			if err := json.Unmarshal(p.out, &d); err != nil {
				fail("exit %d, no JSON: %v\n%.300s", p.exit, err, p.out)
				continue
			}
			if (d.Error != nil) != (p.exit == exitFailed) && command != "verify" {
				fail("exit %d with error %v", p.exit, d.Error)
			}
			switch command {
			case "ls":
				o := d.outcome(t)
				for _, wrong := range row.Check(o) {
					fail("%s", wrong)
				}
				if classes[row.Class] == nil {
					classes[row.Class] = map[string]int{}
				}
				classes[row.Class][o.Verdict()]++
			case "scan":
				for _, wrong := range row.CheckScan(d.outcome(t).Globals, d.Error != nil) {
					fail("%s", wrong)
				}
				if d.Error == nil && d.Safe != (p.exit == exitDone) {
					fail("exit %d, safe %v", p.exit, d.Safe)
				}
				if d.Safe && (len(row.Scan) > 0 || slices.Contains(row.Codes, "F_GLOBAL") && len(row.Globals) > 0) {
					fail("called safe")
				}
			}
		}
	}
	for _, class := range slices.Sorted(maps.Keys(classes)) {
		t.Logf("%-12s %v", class, classes[class])
	}
	t.Logf("worst time %v (%s), worst memory %d MiB (%s)", time.Duration(slow.value).Round(time.Millisecond), slow.what, fat.value, fat.what)
}

// The broken files of the corpus: what the manifest calls an error is refused, or reported by ls or by verify.
func TestBrokenCorpus(t *testing.T) {
	dir := os.Getenv("WEIGHTROOM_CORPUS")
	if dir == "" {
		t.Skip("WEIGHTROOM_CORPUS is not set")
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, line := range strings.Split(string(manifest), "\n") {
		cells := strings.Split(line, "\t")
		name, ok := strings.CutPrefix(cells[0], "broken/")
		if !ok {
			continue
		}
		path, want := filepath.Join(dir, cells[0]), cells[len(cells)-1]
		ls := runProcess(t, "ls", "--json", path)
		verify := runProcess(t, "verify", "--json", path)
		var d document
		if err := json.Unmarshal(ls.out, &d); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		o := d.outcome(t)
		clean := o.Verdict() == "open" && verify.exit == exitDone
		wrapped := strings.Contains(want, "unwrap") // opens, or says what it is wrapped in
		if strings.HasPrefix(want, "error") && clean && !wrapped {
			t.Errorf("%s: a clean verdict, want %s", name, want)
		}
		if ls.mib > 256 || verify.mib > 256 || ls.took > 2*time.Second {
			t.Errorf("%s: %d MiB, %d MiB, %v", name, ls.mib, verify.mib, ls.took)
		}
		n[o.Verdict()]++
		message := ""
		if d.Error != nil {
			message = d.Error.Message
		}
		t.Logf("%-36s %-7s %v verify %d  %.90s", name, o.Verdict(), o.Codes, verify.exit, message)
	}
	t.Logf("verdicts: %v", n)
}
