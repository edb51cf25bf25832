package statedict

import (
	"regexp"
	"strconv"
	"strings"
)

// PastedError is what the text of a RuntimeError from load_state_dict says: the lists, and whether they are whole.
type PastedError struct {
	Model      string   // class of the model
	Missing    []string // keys that the model has and the checkpoint has not, in torch's order
	Unexpected []string
	Mismatched []Mismatch
	// MissingCut and UnexpectedCut tell that a list ends in "…" or in the middle: there are more keys than it has.
	MissingCut, UnexpectedCut bool
}

var (
	errorHead     = regexp.MustCompile(`Error\(s\) in loading state_dict for ([^\s:]+):`)
	errorMissing  = regexp.MustCompile(`Missing key\(s\) in state_dict:`)
	errorStrange  = regexp.MustCompile(`Unexpected key\(s\) in state_dict:`)
	errorMismatch = regexp.MustCompile(`size mismatch for ([^\n]+?): copying a param with shape (?:torch\.Size\()?[\[(]([\d,\s]*)[\])]\)? from checkpoint,\s+the shape in current model is (?:torch\.Size\()?[\[(]([\d,\s]*)[\])]`)
)

// ParseLoadError reads the text of `RuntimeError: Error(s) in loading state_dict for Net: …` out of whatever surrounds it: a
// traceback, a log's line prefixes do no harm as long as the keys stay in their quotes. Old spellings ("missing keys in
// state_dict", lists of Python strings) are read as well. A text that says nothing of the kind is a *FormatError.
func ParseLoadError(text string) (*PastedError, error) {
	e := &PastedError{}
	if m := errorHead.FindStringSubmatch(text); m != nil {
		e.Model = m[1]
	}
	miss, strange, mismatch := errorMissing.FindStringIndex(text), errorStrange.FindStringIndex(text), errorMismatch.FindAllStringSubmatchIndex(text, -1)
	first := len(text)
	if mismatch != nil {
		first = mismatch[0][0]
	}
	if miss != nil {
		to := first
		if strange != nil && strange[0] > miss[0] {
			to = strange[0]
		}
		e.Missing, e.MissingCut = quotedKeys(text[miss[1]:max(to, miss[1])])
	}
	if strange != nil {
		to := first
		if miss != nil && miss[0] > strange[0] {
			to = miss[0]
		}
		e.Unexpected, e.UnexpectedCut = quotedKeys(text[strange[1]:max(to, strange[1])])
	}
	for _, m := range mismatch {
		e.Mismatched = append(e.Mismatched, Mismatch{Key: text[m[2]:m[3]], GotShape: dims(text[m[4]:m[5]]), WantShape: dims(text[m[6]:m[7]])})
	}
	if e.Missing == nil && e.Unexpected == nil && e.Mismatched == nil {
		e.oldSpelling(text)
	}
	if e.Missing == nil && e.Unexpected == nil && e.Mismatched == nil {
		return nil, &FormatError{Code: "E_FORMAT", Format: "load_state_dict error", Offset: -1, Msg: "names no missing, unexpected or mismatched keys",
			Hint: "paste the whole text from `Error(s) in loading state_dict for …` on"}
	}
	if end := strings.TrimSpace(text); !e.MissingCut && (strings.HasSuffix(end, "…") || strings.HasSuffix(end, "...")) {
		e.UnexpectedCut = true // maybe in its very heading
	}
	return e, nil
}

// quotedKeys reads "a", "b" and so on; a key without its closing quote is where the text was cut, and is left out.
func quotedKeys(text string) (keys []string, cut bool) {
	for {
		i := strings.IndexAny(text, `"'“”`)
		if i < 0 {
			break
		}
		quote, size := text[i:i+1], 1
		closing := quote
		if text[i] >= 0x80 {
			size, closing = len("“"), "”"
		}
		text = text[i+size:]
		j := strings.Index(text, closing)
		key := text
		if j >= 0 {
			key = text[:j]
		}
		if j < 0 || strings.ContainsAny(key, "\n") && !strings.Contains(key, ".") {
			cut = true
			break
		}
		text = text[j+len(closing):]
		// A terminal may have broken the line inside a key.
		key = strings.Join(strings.FieldsFunc(key, func(r rune) bool { return r == '\n' || r == '\r' }), "")
		if strings.HasSuffix(key, "…") || strings.HasSuffix(key, "...") {
			cut = true
		} else {
			keys = append(keys, key)
		}
		next := strings.TrimSpace(text)
		if !strings.HasPrefix(next, ",") {
			break // the list ends; what follows is another sentence
		}
		if next == "," || strings.HasPrefix(next, ", ...") || strings.HasPrefix(next, ", …") {
			cut = true
			break
		}
	}
	return keys, cut
}

var (
	oldUnexpected = regexp.MustCompile(`(?i)unexpected (?:key|keys in state_dict):?\s*["\[{]`)
	oldMissing    = regexp.MustCompile(`(?i)missing keys? in state_dict:?\s*["\[{]`)
)

// oldSpelling reads torch 0.3 and older (KeyError: 'unexpected key "a" in state_dict', 'missing keys in state_dict: {…}') and
// the _IncompatibleKeys(missing_keys=[…], unexpected_keys=[…]) that strict=False returns.
func (e *PastedError) oldSpelling(text string) {
	if i := strings.Index(text, "missing_keys=["); i >= 0 {
		rest := text[i+len("missing_keys=["):]
		here, rest, closed := strings.Cut(rest, "]")
		e.Missing, e.MissingCut = quotedKeys(here)
		e.MissingCut = e.MissingCut || !closed
		if _, after, ok := strings.Cut(rest, "unexpected_keys=["); ok {
			here, _, closed := strings.Cut(after, "]")
			e.Unexpected, e.UnexpectedCut = quotedKeys(here)
			e.UnexpectedCut = e.UnexpectedCut || !closed
		}
		return
	}
	if m := oldUnexpected.FindStringIndex(text); m != nil {
		e.Unexpected, e.UnexpectedCut = quotedKeys(strings.SplitN(text[m[1]-1:], " in state_dict", 2)[0])
	}
	if m := oldMissing.FindStringIndex(text); m != nil {
		e.Missing, e.MissingCut = quotedKeys(strings.SplitN(text[m[1]-1:], "}", 2)[0])
	}
}

func dims(text string) []int64 {
	shape := []int64{}
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return r < '0' || r > '9' }) {
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			n = -1
		}
		shape = append(shape, n)
	}
	return shape
}

// Reference is the model that the error speaks of, as far as can be known beside the keys got that did not load: the
// missing keys, whose shapes it does not tell, the mismatched ones with the model's shape, and the keys of got that were not
// unexpected. Where a list is cut off, keys that the error does not name are left out, and the list is Partial.
func (e *PastedError) Reference(got *KeyList) *KeyList {
	ref := &KeyList{Model: e.Model, Partial: e.MissingCut || e.UnexpectedCut, strange: setOf(e.Unexpected)}
	missing := setOf(e.Missing)
	shapes := make(map[string][]int64, len(e.Mismatched))
	for _, m := range e.Mismatched {
		shapes[m.Key] = m.WantShape
	}
	for _, k := range got.Keys {
		shape, mismatched := shapes[k.Key]
		if ref.strange[k.Key] || missing[k.Key] || ref.Partial && !mismatched {
			continue
		}
		if mismatched {
			k.Shape, k.DType, k.Type = shape, 0, ""
		}
		ref.Keys = append(ref.Keys, k)
	}
	for _, k := range e.Missing {
		ref.Keys = append(ref.Keys, KeyInfo{Key: k})
		// A batch norm whose counter torch filled in has one all the same, and the error does not say so.
		if counter := parentPath(k) + "." + tracked; lastPart(k) == "running_var" && !missing[counter] && got.fillsIn(counter) {
			ref.Keys = append(ref.Keys, KeyInfo{Key: counter})
		}
	}
	return ref
}

// Loaded is the path of the mapping that load_state_dict was given: the one that recipes would work on, or the root around it
// when the error names the root's keys.
func (e *PastedError) Loaded(cp *Checkpoint) string {
	first, _, _, err := findDict(cp, "", false)
	if err != nil || first == "" {
		return ""
	}
	list, err := cp.KeyList(first, true)
	if err != nil {
		return first
	}
	if root, err := cp.KeyList("", true); err == nil && e.names(root) > e.names(list) {
		return ""
	}
	return first
}

// names counts the keys of the list that the error names as the checkpoint's.
func (e *PastedError) names(list *KeyList) (n int) {
	have := make(map[string]bool, len(list.Keys))
	for i := range list.Keys {
		have[list.Keys[i].Key] = true
	}
	for _, k := range e.Unexpected {
		if have[k] {
			n++
		}
	}
	for _, m := range e.Mismatched {
		if have[m.Key] {
			n++
		}
	}
	return n
}

func setOf(keys []string) map[string]bool {
	set := make(map[string]bool, len(keys))
	for _, k := range keys {
		set[k] = true
	}
	return set
}
