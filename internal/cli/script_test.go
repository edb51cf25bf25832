package cli

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"weightroom": func() {
			code := Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
			tellPeak()
			os.Exit(code)
		},
	})
}

// peakFile names the variable of a file into which the command writes its own peak of resident memory, in KiB: what the parent is
// told counts its own pages as well, where it was the larger one.
const peakFile = "WEIGHTROOM_PEAK_FILE"

func tellPeak() {
	name := os.Getenv(peakFile)
	status, err := os.ReadFile("/proc/self/status")
	if name == "" || err != nil {
		return
	}
	if _, after, ok := strings.Cut(string(status), "VmHWM:"); ok {
		os.WriteFile(name, []byte(strings.Fields(after)[0]), 0o666)
	}
}

// TestScript runs the command's stories. A story finds the fixtures of testdata/ under $FIXTURES.
func TestScript(t *testing.T) {
	testscript.Run(t, params("testdata/script"))
}

func params(dir string) testscript.Params {
	fixtures, err := filepath.Abs("../../testdata")
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("FIXTURES", fixtures)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("ESC", "no\x1b[2Jsuch\u202efile")
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exitcode":    exitCode,
			"safetensors": makeSafetensors,
			"jsonfield":   jsonField,
			"printable":   printable,
			"samekeys":    sameKeys,
			"waitfor":     waitFor,
			"truncate":    truncate,
			"xz": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("\xfd7zXZ\x00\x00\x00"), 0o666))
			},
			"holds": holds,
		},
	}
}

// exitCode CODE ARG...: runs weightroom and wants this very exit code.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode CODE ARG...")
	}
	err := ts.Exec("weightroom", args[1:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, %s wanted", got, args[0])
	}
}

// makeSafetensors FILE KEY=SHAPE...: writes float32 tensors counting 0, 1, 2, …; a key is a Go string without its quotes, a
// shape 2x3, and SHAPE@BYTES leaves a hole of zeros so that a large file costs nothing.
func makeSafetensors(ts *testscript.TestScript, neg bool, args []string) {
	var header strings.Builder
	var data []byte
	hole := int64(0)
	header.WriteByte('{')
	for i, arg := range args[1:] {
		at := strings.LastIndexByte(arg, '=')
		key, err := strconv.Unquote(`"` + arg[:at] + `"`)
		ts.Check(err)
		n := int64(1)
		var shape []string
		for _, d := range strings.Split(arg[at+1:], "x") {
			if d == "" {
				continue
			}
			k, err := strconv.ParseInt(d, 10, 64)
			ts.Check(err)
			n *= k
			shape = append(shape, d)
		}
		start := int64(len(data)) + hole
		if n > 1<<20 {
			hole += 4 * n
		} else {
			for j := range n {
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(j)))
			}
		}
		if i > 0 {
			header.WriteByte(',')
		}
		k, _ := json.Marshal(key)
		fmt.Fprintf(&header, `%s:{"dtype":"F32","shape":[%s],"data_offsets":[%d,%d]}`, k, strings.Join(shape, ","), start, int64(len(data))+hole)
	}
	for header.WriteByte('}'); header.Len()%8 != 0; {
		header.WriteByte(' ')
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(header.Len()))
	b = append(append(b, header.String()...), data...)
	path := ts.MkAbs(args[0])
	ts.Check(os.WriteFile(path, b, 0o666))
	if hole > 0 {
		ts.Check(os.Truncate(path, int64(len(b))+hole))
	}
}

// jsonField FILE PATH VALUE: FILE is one JSON document, and what PATH (a.0.b) names is VALUE, as JSON. ! wants it to be absent.
func jsonField(ts *testscript.TestScript, neg bool, args []string) {
	var doc any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &doc); err != nil {
		ts.Fatalf("%s is not one JSON document: %v", args[0], err)
	}
	for _, step := range strings.Split(args[1], "/") {
		switch d := doc.(type) {
		case map[string]any:
			v, ok := d[step]
			if !ok {
				if neg {
					return
				}
				ts.Fatalf("no %q in %v", step, d)
			}
			doc = v
		case []any:
			i, err := strconv.Atoi(step)
			if neg && err == nil && i >= len(d) {
				return
			}
			if err != nil || i >= len(d) {
				ts.Fatalf("no %q in a list of %d", step, len(d))
			}
			doc = d[i]
		default:
			ts.Fatalf("no %q in %v", step, d)
		}
	}
	got, err := json.Marshal(doc)
	ts.Check(err)
	if neg || string(got) != args[2] {
		ts.Fatalf("%s is %s, %s wanted", args[1], got, args[2])
	}
}

// sameKeys FILE FILE: two `ls --json` documents list the same keys in the same order.
func sameKeys(ts *testscript.TestScript, neg bool, args []string) {
	var keys [2][]string
	for i := range keys {
		var doc struct{ Tensors []struct{ Path string } }
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[i])), &doc))
		for _, t := range doc.Tensors {
			keys[i] = append(keys[i], t.Path)
		}
	}
	if fmt.Sprintf("%q", keys[0]) != fmt.Sprintf("%q", keys[1]) {
		ts.Fatalf("%q are not %q", keys[0], keys[1])
	}
}

// printable FILE...: every byte is printable ASCII, part of a printable rune, or a newline.
func printable(ts *testscript.TestScript, neg bool, args []string) {
	bad := regexp.MustCompile(`[^\n[:print:]\x{a1}-\x{200a}\x{2010}-\x{2027}\x{2030}-\x{205f}\x{2070}-\x{d7ff}]`)
	for _, name := range args {
		if found := bad.FindString(ts.ReadFile(name)); found != "" {
			ts.Fatalf("%s has %+q in it", name, found)
		}
	}
}

// waitFor GLOB: waits until a file of that name is there and has bytes.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	for range 3000 {
		found, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		for _, name := range found {
			if info, err := os.Stat(name); err == nil && info.Size() > 0 {
				return
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	ts.Fatalf("no %s within 15 seconds", args[0])
}

// truncate FILE BYTES: cuts BYTES off the end.
func truncate(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), info.Size()-n))
}

// holds DIR NAME...: the folder holds just these files.
func holds(ts *testscript.TestScript, neg bool, args []string) {
	list, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	var got []string
	for _, e := range list {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(args[1:]) {
		ts.Fatalf("%s holds %q, %q wanted", args[0], got, args[1:])
	}
}
