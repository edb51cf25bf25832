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
	Cut        bool // the text ends inside a list, or says "…" or "..."
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
		e.Missing = e.list(text[miss[1]:max(to, miss[1])])
	}
	if strange != nil {
		to := first
		if miss != nil && miss[0] > strange[0] {
			to = miss[0]
		}
		e.Unexpected = e.list(text[strange[1]:max(to, strange[1])])
	}
	for _, m := range mismatch {
		e.Mismatched = append(e.Mismatched, Mismatch{Key: text[m[2]:m[3]], GotShape: dims(text[m[4]:m[5]]), WantShape: dims(text[m[6]:m[7]])})
	}
	if e.Missing == nil && e.Unexpected == nil && e.Mismatched == nil {
		e.oldSpelling(text)
	}
	if e.Missing == nil && e.Unexpected == nil && e.Mismatched == nil {
		return nil, &FormatError{Code: "E_FORMAT", Format: "pasted error", Offset: -1, Msg: "no lists of missing or unexpected keys and no size mismatch in this text",
			Hint: `paste from "Error(s) in loading state_dict for" on`}
	}
	rest := text
	if n := len(mismatch); n > 0 {
		rest = text[mismatch[n-1][1]:]
		e.Cut = e.Cut || strings.Contains(rest, "size mismatch for")
	}
	e.Cut = e.Cut || strings.Contains(text, "…") || cutDots.MatchString(text)
	return e, nil
}

// cutDots are three dots that stand where a key or the end of a list would.
var cutDots = regexp.MustCompile(`(^|[\s,"'\[])\.\.\.`)

// list reads "a", "b" and so on; a key without its closing quote is where the text was cut, and is left out.
func (e *PastedError) list(text string) []string {
	var keys []string
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
			e.Cut = true
			break
		}
		text = text[j+len(closing):]
		// A terminal may have broken the line inside a key.
		key = strings.Join(strings.FieldsFunc(key, func(r rune) bool { return r == '\n' || r == '\r' }), "")
		if strings.HasSuffix(key, "…") || strings.HasSuffix(key, "...") {
			e.Cut = true
		} else {
			keys = append(keys, key)
		}
		next := strings.TrimSpace(text)
		if !strings.HasPrefix(next, ",") {
			break // the list ends; what follows is another sentence
		}
		e.Cut = e.Cut || next == ","
	}
	return keys
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
		e.Missing, e.Cut = e.list(here), e.Cut || !closed
		if _, after, ok := strings.Cut(rest, "unexpected_keys=["); ok {
			here, _, closed := strings.Cut(after, "]")
			e.Unexpected, e.Cut = e.list(here), e.Cut || !closed
		}
		return
	}
	if m := oldUnexpected.FindStringIndex(text); m != nil {
		e.Unexpected = e.list(strings.SplitN(text[m[1]-1:], " in state_dict", 2)[0])
	}
	if m := oldMissing.FindStringIndex(text); m != nil {
		e.Missing = e.list(strings.SplitN(text[m[1]-1:], "}", 2)[0])
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

// Reference is the model that the error speaks of, as far as can be known beside the checkpoint that did not load: the
// missing keys, the mismatched ones with the model's shape, and the keys of the checkpoint that were not unexpected. Shapes of
// missing keys are not known. Where the text is cut off, keys that it does not name are left out and the list is Partial.
func (e *PastedError) Reference(got *Checkpoint) *KeyList {
	first, _, _, err := findDict(got, "", false)
	if err != nil {
		first = ""
	}
	list, _ := e.reference(got, first)
	return list
}

// reference also answers which mapping had been loaded: the one at path first, or the root around it when the error speaks
// of the root's keys.
func (e *PastedError) reference(got *Checkpoint, first string) (list *KeyList, loaded string) {
	list = &KeyList{Model: e.Model, Partial: e.Cut}
	keys, err := got.KeyList(first, true)
	if err != nil {
		keys = &KeyList{}
	}
	loaded = first
	if root, err := got.KeyList("", true); err == nil && first != "" && e.names(root) > e.names(keys) {
		keys, loaded = root, ""
	}
	strange, missing, shapes := map[string]bool{}, map[string]bool{}, map[string][]int64{}
	for _, k := range e.Unexpected {
		strange[k] = true
	}
	for _, k := range e.Missing {
		missing[k] = true
	}
	for _, m := range e.Mismatched {
		shapes[m.Key] = m.WantShape
	}
	for _, k := range keys.Keys {
		shape, mismatched := shapes[k.Key]
		if strange[k.Key] || missing[k.Key] || e.Cut && !mismatched {
			continue
		}
		if mismatched {
			k.Shape, k.DType = shape, 0
		}
		list.Keys = append(list.Keys, k)
	}
	for _, k := range e.Missing {
		list.Keys = append(list.Keys, KeyInfo{Key: k})
	}
	return list, loaded
}

// names counts the keys of the list that the error names as the checkpoint's.
func (e *PastedError) names(list *KeyList) (n int) {
	have := make(map[string]bool, len(list.Keys))
	for _, k := range list.Keys {
		have[k.Key] = true
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
