package message

import "github.com/weightroom/weightroom/statedict"

// Scanned is what unpickling the files would import and call: statedict's scan, cut to what a person can look through.
type Scanned struct {
	Safe     bool
	Globals  []Global // in the order of the file; past the first maxGlobals, those outside the safe list only
	Total    int      // globals found
	Outside  int      // of them, how many are outside the safe list
	Findings []statedict.Finding
}

// Global is a name that a pickle of the file would import.
type Global struct {
	Name    string
	Source  string `json:",omitempty"` // name of the file, where there are several
	Record  string `json:",omitempty"`
	At      int64  // byte offset in that pickle
	Verdict string // "safe", "unsafe", or "unknown"
	Effect  string `json:",omitempty"` // what it can do, in words; "" for a safe one
	Depth   int    `json:",omitempty"` // 1 for a pickle in a string of a pickle, and so on
	Count   int    // how many opcodes resolve it
	Called  bool   // whether an opcode calls it
}

const (
	// maxGlobals is how many globals are listed in full, and how many of those outside the safe list behind them.
	maxGlobals = 500
	// maxFindings bounds the findings that are not about a global.
	maxFindings = 500
)

// FromScan is r as it crosses; nil for nil.
func FromScan(r *statedict.ScanReport) *Scanned {
	if r == nil {
		return nil
	}
	out := &Scanned{Safe: r.Safe(), Total: len(r.Globals)}
	for i := range r.Globals {
		g := &r.Globals[i]
		outside := g.Verdict() != "safe"
		if outside {
			out.Outside++
		}
		if i >= maxGlobals && !outside || len(out.Globals) == 2*maxGlobals {
			continue
		}
		source := ""
		if len(r.Sources) > 1 {
			source = g.Source
		}
		out.Globals = append(out.Globals, Global{Name: g.String(), Source: source, Record: g.Record, At: g.Position, Verdict: g.Verdict(),
			Effect: g.Effect, Depth: g.Depth, Count: g.Count, Called: g.Called})
	}
	for _, f := range r.Findings {
		if f.Code != "F_GLOBAL" && len(out.Findings) < maxFindings { // those are the globals
			out.Findings = append(out.Findings, f)
		}
	}
	return out
}
