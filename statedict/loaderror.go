package statedict

import (
	"regexp"
	"strconv"
	"strings"
)

// PastedError is the text of a RuntimeError that load_state_dict raised, taken apart. Lists may be cut off.
type PastedError struct {
	Model      string // class name of the model
	Missing    []string
	Unexpected []string
	Mismatched []Mismatch // WantShape is the model's
	// MissingCut and UnexpectedCut tell that a list ends in "…" or in the middle: there are more keys than it has.
	MissingCut, UnexpectedCut bool
}

var (
	errModel      = regexp.MustCompile(`Error\(s\) in loading state_dict for ([\w.]+)`)
	errMissing    = regexp.MustCompile(`(?s)Missing key\(s\) in state_dict:(.*?)(?:Unexpected key\(s\)|size mismatch for|$)`)
	errUnexpected = regexp.MustCompile(`(?s)Unexpected key\(s\) in state_dict:(.*?)(?:Missing key\(s\)|size mismatch for|$)`)
	errMismatch   = regexp.MustCompile(`size mismatch for (\S+): copying a param(?:eter)? (?:with shape|of) torch\.Size\(\[([\d, ]*)\]\) from checkpoint,\s+(?:the shape|where the shape is)[^(]*torch\.Size\(\[([\d, ]*)\]\)`)
	errKey        = regexp.MustCompile(`["']([^"'\n]+)["']`)
)

// ParseLoadError takes the text of PyTorch's "Error(s) in loading state_dict for …" apart. A text without any of its lists
// is a *FormatError. Memory is that of the text.
//
// Source: torch/nn/modules/module.py, load_state_dict.
func ParseLoadError(text string) (*PastedError, error) {
	e := &PastedError{}
	if m := errModel.FindStringSubmatch(text); m != nil {
		e.Model = strings.TrimSuffix(m[1], ".")
	}
	list := func(re *regexp.Regexp) (keys []string, cut bool) {
		m := re.FindStringSubmatch(text)
		if m == nil {
			return nil, false
		}
		for _, k := range errKey.FindAllStringSubmatch(m[1], -1) {
			keys = append(keys, k[1])
		}
		tail := strings.TrimSpace(m[1])
		cut = strings.Contains(tail, "...") || strings.Contains(tail, "…") || strings.Count(tail, `"`)%2 == 1 || strings.HasSuffix(tail, ",")
		return keys, cut
	}
	e.Missing, e.MissingCut = list(errMissing)
	e.Unexpected, e.UnexpectedCut = list(errUnexpected)
	for _, m := range errMismatch.FindAllStringSubmatch(text, -1) {
		e.Mismatched = append(e.Mismatched, Mismatch{Key: m[1], GotShape: sizes(m[2]), WantShape: sizes(m[3])})
	}
	if len(e.Missing) == 0 && len(e.Unexpected) == 0 && len(e.Mismatched) == 0 {
		return nil, &FormatError{Code: "E_FORMAT", Format: "load_state_dict error", Offset: -1, Msg: "names no missing, unexpected or mismatched keys",
			Hint: "paste the whole text from `Error(s) in loading state_dict for …` on"}
	}
	return e, nil
}

func sizes(list string) []int64 {
	out := []int64{}
	for _, part := range strings.Split(list, ",") {
		if n, err := strconv.ParseInt(strings.TrimSpace(part), 10, 64); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// Reference is what the error says of the model, given the checkpoint that was being loaded: its keys that the error does
// not call unexpected, with the shapes they have there, the mismatched ones with the model's, and the missing ones, whose
// shapes it does not tell. Where a list is cut off, it is taken to go on as it began: the change of prefix that leads from
// the checkpoint to most of the missing keys is assumed for every key that it fits.
func (e *PastedError) Reference(got *KeyList) *KeyList {
	missing, unexpected := setOf(e.Missing), setOf(e.Unexpected)
	shapes := make(map[string][]int64, len(e.Mismatched))
	for _, m := range e.Mismatched {
		shapes[m.Key] = m.WantShape
	}
	ref := &KeyList{Model: e.Model, Partial: e.MissingCut || e.UnexpectedCut}
	assume := func(string) (string, bool) { return "", false }
	if ref.Partial {
		assume = continuation(e.Missing, got)
	}
	in := map[string]bool{}
	add := func(k KeyInfo) {
		if !in[k.Key] {
			in[k.Key] = true
			ref.Keys = append(ref.Keys, k)
		}
	}
	for _, k := range got.Keys {
		if name, ok := assume(k.Key); ok {
			k.Key = name
			add(k)
			continue
		}
		if unexpected[k.Key] || missing[k.Key] {
			continue
		}
		if s, ok := shapes[k.Key]; ok {
			k.Shape, k.DType, k.Type = s, 0, ""
		}
		add(k)
	}
	for _, k := range e.Missing {
		add(KeyInfo{Key: k})
		// A batch norm whose counter torch filled in has one all the same, and the error does not say so.
		if module := parentPath(k); lastPart(k) == "running_var" && !missing[module+"."+tracked] && got.fillsIn(module+"."+tracked) {
			add(KeyInfo{Key: module + "." + tracked})
		}
	}
	return ref
}

func setOf(keys []string) map[string]bool {
	set := make(map[string]bool, len(keys))
	for _, k := range keys {
		set[k] = true
	}
	return set
}

// continuation is the change of prefix that leads from keys of the checkpoint to most of the missing ones.
func continuation(missing []string, got *KeyList) func(string) (string, bool) {
	want := setOf(missing)
	have := make(map[string]bool, len(got.Keys))
	strip, add := map[string]int{}, map[string]int{}
	for i := range got.Keys {
		k := got.Keys[i].Key
		have[k] = true
		for at := range dots(k) {
			if want[k[at:]] {
				strip[k[:at]]++
			}
		}
	}
	for _, k := range missing {
		for at := range dots(k) {
			if have[k[at:]] {
				add[k[:at]]++
			}
		}
	}
	p, n := most(strip)
	q, m := most(add)
	return func(key string) (string, bool) {
		switch {
		case n > 0 && n >= m:
			return strings.CutPrefix(key, p)
		case m > 0:
			return q + key, true
		}
		return "", false
	}
}
