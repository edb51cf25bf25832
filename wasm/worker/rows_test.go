package worker

import (
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// A string is quoted; what describes an object of another class is no string.
func TestValue(t *testing.T) {
	for want, o := range map[string]statedict.Object{
		`"a\n"`: {Type: "str", Value: "a\n", HasValue: true}, "<f8 [2, 3]": {Type: "ndarray", Value: "<f8 [2, 3]", HasValue: true},
		"None": {Type: "NoneType", HasValue: true}, "": {Type: "acme.Net"}, "[1,2]": {Type: "list", Value: []any{int64(1), int64(2)}, HasValue: true},
	} {
		if got := value(o); got != want {
			t.Errorf("%+v is %q, want %q", o, got, want)
		}
	}
}
