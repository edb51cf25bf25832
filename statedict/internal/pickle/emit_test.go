package pickle

import (
	"bytes"
	"strings"
	"testing"
)

// reEmit loads a pickle and writes it again, keeping the keys of its storages.
func reEmit(p []byte, legacy bool) (out []byte, first *Pickle, err error) {
	first, err = Load(p, nil)
	if err != nil {
		return nil, first, err
	}
	out, _, err = Emit(first.Root, &EmitOptions{Key: func(s *Storage) string { return s.Key }, Legacy: legacy, Modules: first.Modules})
	return out, first, err
}

// What CPython and torch wrote at protocol 2 comes out again byte for byte.
func TestEmitRepeatsTorch(t *testing.T) {
	same, other := 0, 0
	for _, s := range samples(t, corpus(t)) {
		if strings.HasPrefix(s.name, "hostile/") || strings.HasPrefix(s.name, "broken/") || strings.HasSuffix(s.name, ".safetensors") {
			continue
		}
		out, first, err := reEmit(s.data, s.legacy)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		in := s.data[:first.Len]
		if bytes.Equal(in, out) {
			same++
			continue
		}
		other++
		at := 0
		for at < len(in) && at < len(out) && in[at] == out[at] {
			at++
		}
		t.Logf("differs: %s at %d of %d/%d: %q / %q", s.name, at, len(in), len(out), in[max(0, at-20):min(at+30, len(in))], out[max(0, at-20):min(at+30, len(out))])
	}
	t.Logf("%d the same, %d not", same, other)
}
