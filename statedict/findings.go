package statedict

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxPerCode is how many findings of one code about the tree are listed; the rest is counted.
	maxPerCode = 1000
	// A view is worth a finding when it has both expandedTimes the bytes of its storage and expandedBytes.
	expandedTimes = 4
	expandedBytes = 1 << 20
	// Shared containers are worth one when, written out, they have both sharedTimes the values and sharedValues.
	sharedTimes  = 16
	sharedValues = 1 << 24
)

// findings collects what is odd about a tree and its tensors.
type findings struct {
	list  []Finding
	count map[string]int
}

func (f *findings) add(code string, at place, format string, args ...any) {
	if f.count == nil {
		f.list, f.count = slices.Clip(f.list), map[string]int{}
	}
	if f.count[code]++; f.count[code] <= maxPerCode {
		f.list = append(f.list, Finding{Code: code, Path: at.path(), Message: fmt.Sprintf(format, args...)})
	}
}

func (f *findings) all() []Finding {
	for _, code := range []string{"F_TENSOR_BAD", "F_EXPANDED", "F_NAME", "F_CYCLE"} {
		if more := f.count[code] - maxPerCode; more > 0 {
			f.list = append(f.list, Finding{Code: code, Message: fmt.Sprintf("and %d more of the same kind", more)})
		}
	}
	return f.list
}

func (f *findings) tensor(cp *Checkpoint, e *Entry) {
	at := place{e.Dict, e.Key}
	if e.Info != nil && e.Info.Bad != "" {
		f.add("F_TENSOR_BAD", at, "%s", e.Info.Bad)
		return
	}
	if e.Storage == NoStorage {
		return
	}
	has := cp.Storages[e.Storage].byteLen()
	if n := e.NBytes(); expanded(n, has) {
		f.add("F_EXPANDED", at, "shows %d bytes over a storage of %d; written out it has them all", n, has)
	}
}

func (f *findings) name(at place) {
	if why := unsafeKey(at.key); why != "" {
		f.add("F_NAME", at, "the name %s; it is shown escaped and kept as it is", why)
	}
}

func (f *findings) cycle(at place, first *met) {
	if first.open {
		f.add("F_CYCLE", at, "leads back to %q, in which it is", first.path)
	}
}

func (f *findings) shared(values, written int64) {
	if written >= sharedValues && written/sharedTimes > values {
		times := fmt.Sprint(written)
		if written == maxSize {
			times = "more than 2^61"
		}
		f.add("F_SHARED", place{}, "%d values, but %s with shared containers written out; each is walked and listed once", values, times)
	}
}

// unsafeKey says what makes a key unsafe to show or to take as a file name as it is; nothing for an ordinary one.
func unsafeKey(key string) string {
	plain := true
	for i := 0; i < len(key) && plain; i++ {
		plain = key[i] >= 0x20 && key[i] < 0x7f && key[i] != '/' && key[i] != '\\'
	}
	if plain {
		return ""
	}
	for i, r := range key {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(key[i:], "\ufffd"):
			return "is not valid Unicode"
		case unicode.IsControl(r):
			return "holds a control character"
		case unicode.Is(unicode.Bidi_Control, r):
			return "holds a character that turns the direction of text"
		case r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Cf, r):
			return "holds an invisible character"
		}
	}
	if key[0] == '/' || key[0] == '\\' {
		return "is an absolute path"
	}
	if slices.Contains(strings.FieldsFunc(key, func(r rune) bool { return r == '/' || r == '\\' }), "..") {
		return "leads out of its folder"
	}
	return ""
}
