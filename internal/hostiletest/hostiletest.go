// Package hostiletest reads the manifests of hostile files and says what an outcome lacks. Tests of the codec and of the
// command share it.
package hostiletest

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Row is one hostile file and what must come of it.
type Row struct {
	Dir, File, Class string
	Expect           []string // verdicts allowed: open, report, reject
	Codes            []string // one must be given unless the verdict is open; empty asks for none
	Tensors          int      // -1 for any
	Globals          []string // escaped, as Escape does
	Scan             []string // globals that scan must list besides
	MaxMiB           int64
	MaxTime          time.Duration
}

// Path is where the file lies.
func (r *Row) Path() string { return filepath.Join(r.Dir, r.File) }

// All reads the project's own manifest, in testdata/hostile, and that of the corpus where WEIGHTROOM_CORPUS names one.
func All(testdata string) ([]Row, error) {
	rows, err := Read(filepath.Join(testdata, "hostile"))
	if err != nil {
		return nil, err
	}
	if dir := os.Getenv("WEIGHTROOM_CORPUS"); dir != "" {
		more, err := Read(filepath.Join(dir, "hostile"))
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// Read reads DIR/MANIFEST.tsv, whose first line names the columns. Without limits in it, those of threats.md hold.
func Read(dir string) ([]Row, error) {
	f, err := os.Open(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	sc.Scan()
	columns := strings.Split(sc.Text(), "\t")
	var rows []Row
	for sc.Scan() {
		if strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		cells := strings.Split(sc.Text(), "\t")
		get := func(name string) string {
			if i := slices.Index(columns, name); i >= 0 && i < len(cells) && cells[i] != "-" {
				return cells[i]
			}
			return ""
		}
		list := func(name, sep string) []string {
			if s := get(name); s != "" {
				return strings.Split(s, sep)
			}
			return nil
		}
		number := func(name string, absent int) int {
			if n, err := strconv.Atoi(get(name)); err == nil {
				return n
			}
			return absent
		}
		rows = append(rows, Row{
			Dir: dir, File: get("file"), Class: get("class"), Expect: list("expect", "|"), Codes: list("codes", ","),
			Tensors: number("tensors", -1), Globals: list("globals", ";"), Scan: list("scan", ";"),
			MaxMiB: int64(number("max_rss_mb", 256)), MaxTime: time.Duration(number("max_ms", 2000)) * time.Millisecond,
		})
	}
	return rows, sc.Err()
}

// Outcome is what came of opening a file.
type Outcome struct {
	Codes   []string // of the error, or of the findings
	Failed  bool     // the file did not open
	Tensors int
	Globals []string
}

// Verdict is open, report or reject.
func (o *Outcome) Verdict() string {
	switch {
	case o.Failed:
		return "reject"
	case len(o.Codes) > 0:
		return "report"
	}
	return "open"
}

// Check lists what is wrong with an outcome.
func (r *Row) Check(o *Outcome) (wrong []string) {
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	v := o.Verdict()
	if !slices.Contains(r.Expect, v) {
		add("verdict %s, want %v", v, r.Expect)
	}
	if v != "open" && len(r.Codes) > 0 && !slices.ContainsFunc(o.Codes, func(c string) bool { return slices.Contains(r.Codes, c) }) {
		add("codes %v, want one of %v", o.Codes, r.Codes)
	}
	if v == "reject" {
		return wrong
	}
	if r.Tensors >= 0 && o.Tensors != r.Tensors {
		add("%d tensors, want %d", o.Tensors, r.Tensors)
	}
	return append(wrong, missing(r.Globals, o.Globals)...)
}

// CheckScan lists the globals that a scan should have found.
func (r *Row) CheckScan(globals []string, rejected bool) []string {
	if rejected { // what an archive that reads in two ways holds need not be known
		return missing(r.Scan, globals)
	}
	return missing(append(slices.Clone(r.Globals), r.Scan...), globals)
}

func missing(want, have []string) (wrong []string) {
	escaped := make([]string, len(have))
	for i, g := range have {
		escaped[i] = Escape(g)
	}
	for _, g := range want {
		if !slices.Contains(escaped, g) {
			wrong = append(wrong, fmt.Sprintf("global %s is missing from %v", g, escaped))
		}
	}
	return wrong
}

// Escape spells a name as the manifests do.
func Escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < 0x7f && unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
