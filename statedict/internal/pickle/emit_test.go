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

// otherWriter says why a pickle need not come out the same, "" where it must.
func otherWriter(s sample) string {
	has := func(text string) bool { return bytes.Contains(s.data, []byte(text)) }
	switch {
	case !bytes.HasPrefix(s.data, []byte("\x80\x02")):
		return "another protocol"
	case has("c__torch__") || has("QK\x00(K"):
		return "written by TorchScript's C++"
	case has("c__torch__.") || strings.HasSuffix(s.name, "constants.pkl"):
		return "written by TorchScript's C++"
	case has("_rebuild_tensor\n"):
		return "_rebuild_tensor of torch 0.3, written as v2"
	case has("\x89Nt"):
		return "hooks None of torch 0.3, written as an empty OrderedDict"
	case has("OrderedDict\nq\x01]q\x02"):
		return "written by Python 2"
	case strings.HasPrefix(s.name, "synthetic/newer_") || strings.HasPrefix(s.name, "synthetic/dcp/"):
		return "made by hand: counts of one byte in two, shared sizes"
	}
	return ""
}

// What CPython and torch wrote at protocol 2 comes out again byte for byte.
func TestEmitRepeatsTorch(t *testing.T) {
	same, other := 0, map[string]int{}
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
		if why := otherWriter(s); why != "" {
			other[why]++
			continue
		}
		at := 0
		for at < len(in) && at < len(out) && in[at] == out[at] {
			at++
		}
		t.Errorf("differs: %s at %d of %d/%d: %q / %q", s.name, at, len(in), len(out), in[max(0, at-20):min(at+30, len(in))], out[max(0, at-20):min(at+30, len(out))])
	}
	t.Logf("%d the same; not: %v", same, other)
	if same < 190 {
		t.Errorf("only %d pickles come out the same", same)
	}
}
