package message

import (
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// A hint names the flags of the command line as well, which the page does not have.
func TestHintsWithoutFlags(t *testing.T) {
	for hint, want := range map[string]string{
		"policy: keep keeps ours (--merge a.pth,keep), policy: replace takes theirs (--merge a.pth,replace)": "policy: keep keeps ours, policy: replace takes theirs",
		`optional: true lets a step touch nothing (--step '{"drop":"x"}')`:                                   "",
		`did you mean "fc.weight"?`: `did you mean "fc.weight"?`,
	} {
		if got := FromError(&statedict.KeyError{Op: "x", Msg: "y", Hint: hint}).Hint; got != want {
			t.Errorf("%q became %q, want %q", hint, got, want)
		}
	}
}
