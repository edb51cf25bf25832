package message

import (
	"encoding/json"

	"github.com/weightroom/weightroom/statedict"
)

// AttachRequest opens another file beside the checkpoints, under the name that recipes give it, takes one that is open
// already, or takes the text of an error of load_state_dict or of a key list. A name that was there before is replaced.
type AttachRequest struct {
	Name   string
	Names  []string // of the files that go with it
	Text   string
	Handle int // of the open checkpoint, as it is in its file; 0 for none
}

// Attached says what it is. Tensors is false for a list of keys, which only serves to compare.
type Attached struct {
	Name    string
	Keys    int
	Tensors bool
	Pasted  bool
	Model   string // class name, from an error
}

// CheckRequest compares the checkpoint after a recipe with what is attached under a name.
type CheckRequest struct {
	Handle  int
	Recipe  json.RawMessage
	Against string
}

// Checked is what load_state_dict would say of the mapping At, and the recipe that would help.
type Checked struct {
	At string
	Fit
	Suggestion *Suggestion
}

// Fit is how keys fit a reference.
type Fit struct {
	OK         int // keys
	Missing    []string
	Unexpected []string
	Mismatched []Mismatch
}

// Mismatch is a key with two shapes, as torch writes them.
type Mismatch struct{ Key, Want, Got string }

// Suggestion is a recipe document that brings Matched of Wanted keys into place, with what each step gains, what would be
// said after it, and the grounds for it: the pairs least sure first, at most maxPairs of AllPairs.
type Suggestion struct {
	Recipe                  json.RawMessage
	Before, Matched, Wanted int
	Compatible              bool
	Steps                   []statedict.StepGain
	Ambiguous               []statedict.AmbiguousKey
	Pairs                   []statedict.SuggestedPair
	AllPairs                int
	After                   *Fit
}

// Lost is what the casts of a step lose.
type Lost struct {
	statedict.CastReport
	Elements int64
}
