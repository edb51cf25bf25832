// Package message is the contract between the page and its worker.
//
// A request is a method name with a small struct, sent as JSON; files travel beside it as File handles, so no bytes move.
// Rows, of which there may be hundreds of thousands, have a flat binary form of their own (Rows, DecodeRows).
package message

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"github.com/weightroom/weightroom/statedict"
)

// Methods. Each is a whole job.
const (
	Open    = "open"     // OpenRequest and File handles -> Opened and rows
	OpenURL = "open-url" // OpenURLRequest -> Opened and rows
	Apply   = "apply"    // ApplyRequest -> State and rows
	Preview = "preview"  // PreviewRequest -> Previewed
	Plan    = "plan"     // PlanRequest -> Planned
	Export  = "export"   // PlanRequest -> Exported and one Blob a file, with Progress on the way
	Attach  = "attach"   // AttachRequest and File handles -> Attached
	Detach  = "detach"   // AttachRequest, of which the Name counts -> nothing
	Check   = "check"    // CheckRequest -> Checked
	Diff    = "diff"     // DiffRequest -> Diffed, with Progress on the way
	Loss    = "loss"     // PreviewRequest -> Lost, with Progress on the way
	Verify  = "verify"   // VerifyRequest and File handles of what was saved -> nothing
	Close   = "close"    // CloseRequest -> nothing
	Cancel  = "cancel"   // CancelRequest; has no reply of its own, the cancelled request answers
)

// OpenRequest goes with the File handles of one checkpoint, in the order of Names.
type OpenRequest struct{ Names []string }

// OpenURLRequest opens a file of a server, or the shards of an index there.
type OpenURLRequest struct{ URL string }

// CloseRequest lets a checkpoint go.
type CloseRequest struct{ Handle int }

// CancelRequest names the request to stop.
type CancelRequest struct{ ID int }

// Opened describes a checkpoint. Handle names it in later requests, until Close.
type Opened struct {
	Handle int
	Name   string // of the first file
	Format string
	Size   int64 // bytes of all files
	Scan   *Scanned
	State
}

// State is a checkpoint after a recipe.
type State struct {
	At        string // the mapping that the operations work on
	Keys      int    // tensors in all mappings
	NBytes    int64
	Dicts     []statedict.StateDict
	Steps     []Step
	Warnings  []string
	BytesRead int64 // of the checkpoint's files, since they were opened
}

// Step is what one operation of the recipe did, with a sample of the keys concerned.
type Step struct {
	Op            string
	Before, After int // keys
	Renamed       int
	Touched       int
	Changes       []Change
}

// Change is one key before and after; To is empty where the key went away, From where it is new.
type Change struct{ From, To string }

// ApplyRequest asks for the checkpoint after a recipe (a JSON document).
type ApplyRequest struct {
	Handle int
	Recipe json.RawMessage
}

// PreviewRequest asks what Step, a recipe document of one step, would do after Recipe.
type PreviewRequest struct {
	Handle int
	Recipe json.RawMessage
	Step   json.RawMessage
	Limit  int // of the sample
}

// Previewed is the answer: the step, or what is wrong with it.
type Previewed struct {
	Step     Step
	Warnings []string
	Error    *Error
}

// PlanRequest asks how an export would be laid out.
type PlanRequest struct {
	Handle      int
	Recipe      json.RawMessage
	Format      string
	Name        string
	AllowUnsafe bool
	Road        string // of casts: "auto", "gpu" or "processor"; "" is auto
}

// Planned says which files an export writes, and how.
type Planned struct {
	Files     []statedict.FileReport
	Copied    int64 // bytes taken from the sources as they are
	Converted int64 // bytes that are read, changed and written
	Dropped   []string
	Warnings  []string
}

// Exported goes with one Blob for each file. The worker has opened and compared them before it answers.
type Exported struct {
	Files     []statedict.FileReport
	Cast      statedict.CastReport // of what the processor did
	Road      Road
	BytesRead int64
}

// Road is how an export's casts were done.
type Road struct {
	Asked       string // "gpu", "processor" or "" where there were no casts
	Why         string // in words
	OnDevice    int64  // bytes written by a device
	OnProcessor int64
	Rate        float64 // bytes a second
	Failure     string  // why the device was left; "" for none
}

// VerifyRequest compares saved files, which go with it, with the last export of that handle.
type VerifyRequest struct {
	Handle int
	Names  []string
}

// Progress of a job, in bytes. Total 0: not known.
type Progress struct {
	Phase       string // "read", "convert", "check"
	Done, Total int64
}

// Internal is the code of errors that are faults of this program.
const Internal = "E_INTERNAL"

// Cancelled is the code of a job that was stopped on demand.
const Cancelled = "E_CANCELLED"

// Error is an error that crossed from the worker; Code and Hint are statedict's.
type Error struct {
	Code    string
	Message string
	Hint    string   `json:",omitempty"`
	Keys    []string `json:",omitempty"` // the first keys concerned
	More    int      `json:",omitempty"` // how many keys follow those
	Step    int      `json:",omitempty"` // 1-based step of the recipe
	Nothing bool     `json:",omitempty"` // the step would touch nothing
	Roots   []string `json:",omitempty"` // the parts of the object tree that hold what a format cannot hold
	Seen    *Scanned `json:",omitempty"` // of a file that does not open: what its pickles name in front of the fault
}

func (e *Error) Error() string { return e.Message }

// maxKeys is how many keys of an error are listed one by one.
const maxKeys = 50

// FromError is err as it crosses; nil for nil.
func FromError(err error) *Error {
	if err == nil {
		return nil
	}
	var m *Error
	if errors.As(err, &m) {
		return m
	}
	e := &Error{Code: statedict.Code(err), Message: err.Error(), Hint: statedict.Hint(err)}
	var ke *statedict.KeyError
	var ue *statedict.UnsupportedError
	var xe *statedict.UnsafeError
	switch {
	case errors.As(err, &ke):
		e.setKeys(ke.Keys)
		e.Step = ke.Step
		e.Message, e.Nothing = strings.CutPrefix(ke.Msg, "touches nothing: ")
		e.Hint = flagHint.ReplaceAllString(e.Hint, "")
		if strings.Contains(e.Hint, "optional: true") {
			e.Hint = "" // the page has no such switch
		}
	case errors.As(err, &ue):
		e.setKeys(ue.Keys)
		e.Message = ue.What
		e.Roots = roots(ue.Keys)
	case errors.As(err, &xe):
		e.setKeys(xe.Globals)
	}
	return e
}

// flagHint is what a hint says for the command line.
var flagHint = regexp.MustCompile(` \(--[^()]*\)`)

// roots is the first part of each path, once.
func roots(paths []string) (out []string) {
	seen := map[string]bool{}
	for _, p := range paths {
		if i := strings.IndexAny(p, ".["); i > 0 {
			p = p[:i]
		}
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	return out
}

func (e *Error) setKeys(keys []string) {
	e.Keys = keys
	if len(keys) > maxKeys {
		e.Keys, e.More = keys[:maxKeys], len(keys)-maxKeys
	}
}
