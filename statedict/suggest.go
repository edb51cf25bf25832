package statedict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Suggestion is a recipe that makes a checkpoint fit a model, or fit it better, and the grounds for it. It is never applied
// by itself.
type Suggestion struct {
	Recipe *Recipe `json:"recipe"`
	// Matched of Wanted keys of the reference are there, with their shape where it is known, after the recipe; Before counts
	// those without it.
	Before  int `json:"before"`
	Matched int `json:"matched"`
	Wanted  int `json:"wanted"`
	// Compatible tells that load_state_dict(strict=True) then succeeds, as far as the reference tells.
	Compatible bool            `json:"compatible"`
	Steps      []StepGain      `json:"steps"`
	Ambiguous  []AmbiguousKey  `json:"ambiguous,omitempty"`
	Pairs      []SuggestedPair `json:"pairs,omitempty"`
}

// StepGain is how many keys of the reference a step brings into place, and how sure it is: 1 where names prove it, less
// where shapes had to decide.
type StepGain struct {
	Op     string  `json:"op"`
	Gained int     `json:"gained"`
	Sure   float64 `json:"sure"`
}

// AmbiguousKey is a choice that the names and shapes did not force.
type AmbiguousKey struct {
	Key        string        `json:"key"` // a group of keys; "" is the root, "**" everything
	Candidates []string      `json:"candidates"`
	Kind       AmbiguousKind `json:"kind"`
}

// AmbiguousKind says what Key and Candidates are.
type AmbiguousKind string

const (
	// AmbiguousTo: Key of the checkpoint could as well have become another group of the model; the first was taken.
	AmbiguousTo AmbiguousKind = "to"
	// AmbiguousFrom: Key of the model could as well have come from another group, or mapping, of the checkpoint; the first was taken.
	AmbiguousFrom AmbiguousKind = "from"
	// AmbiguousOpen: Key of the checkpoint could become any of the groups of the model, and was left alone.
	AmbiguousOpen AmbiguousKind = "open"
	// AmbiguousUnsaid: the error is cut off before it says whether the model has Key, and the recipe drops it.
	AmbiguousUnsaid AmbiguousKind = "unsaid"
)

// SuggestedPair is a key of the checkpoint, the model's key that it becomes, and how sure that is.
type SuggestedPair struct {
	Got  string  `json:"got"`
	Want string  `json:"want"`
	Sure float64 `json:"sure"`
}

// How sure a pair is: the names agree in two parts or more, or in all but one side's prefix; only the last part and the shape
// agree; only the last part does.
const (
	sureName  = 1
	sureShape = 0.8
	sureGuess = 0.6
)

const (
	// maxMappings bounds how many mappings of a file are tried, largest first.
	maxMappings = 16
	// maxRounds bounds how often rules are looked for in what earlier rules left over.
	maxRounds = 8
)

// Suggest looks for a recipe after which got loads into the model that want describes: another mapping of the file,
// prefixes on one or both sides (DataParallel, torch.compile, Lightning, sub-modules, EMA copies), groups with other names, old
// names of batch norms, and drops of what the model does not have, where the rest then loads strictly. nil means that nothing
// was found that brings at least half of the smaller side's keys into place.
//
// Keys are paired by their last parts and their shape where that is unique, as detectron2's matcher does. Time is that of a
// few passes over the keys of both sides, times their parts.
//
// Source: detectron2/checkpoint/c2_model_loading.py, align_and_update_state_dicts.
func Suggest(want *KeyList, got *Checkpoint) (*Suggestion, error) {
	first, _, _, err := findDict(got, "", false)
	if err != nil {
		return nil, err
	}
	return suggest(want, got, first, first), nil
}

// SuggestForError is Suggest for the model that a pasted error speaks of. Where the error is about the file's root, because
// load_state_dict was given the whole file, the recipe takes the mapping out.
func SuggestForError(e *PastedError, got *Checkpoint) (*Suggestion, error) {
	first, _, _, err := findDict(got, "", false)
	if err != nil {
		return nil, err
	}
	loaded := e.Loaded(got)
	list, err := got.KeyList(loaded, true)
	if err != nil {
		return nil, err
	}
	return suggest(e.Reference(list), got, first, loaded), nil
}

// suggest tries the mappings of got, first before the others; loaded is the one that needs no step to be loaded.
func suggest(want *KeyList, got *Checkpoint, first, loaded string) (best *Suggestion) {
	now := 0 // keys that fit without any step
	if list, err := got.KeyList(loaded, true); err == nil {
		now = newKeyMatcher(want, list).agreed
	}
	var twins []string // mappings that do as well as the best
	for _, path := range mappingsToTry(got, first) {
		list, err := got.KeyList(path, true)
		if err != nil {
			continue
		}
		s := suggestFor(want, list, path, path == loaded)
		switch {
		case s == nil, s.Matched <= now && !s.Compatible: // no better than to do nothing
		case best == nil || s.better(best):
			best, twins = s, []string{path}
		case !best.better(s):
			twins = append(twins, path)
		}
	}
	if len(twins) > 1 {
		best.Ambiguous = append(best.Ambiguous, AmbiguousKey{Key: "**", Candidates: twins, Kind: AmbiguousFrom})
	}
	return best
}

func mappingsToTry(cp *Checkpoint, first string) []string {
	candidates := dictCandidates(cp)
	slices.SortStableFunc(candidates, func(a, b dictCandidate) int { return cmp.Compare(b.tensors, a.tensors) })
	paths := []string{first}
	for _, c := range candidates {
		if c.path != first && len(paths) < maxMappings {
			paths = append(paths, c.path)
		}
	}
	return paths
}

func (s *Suggestion) better(than *Suggestion) bool {
	if s.Compatible != than.Compatible {
		return s.Compatible
	}
	return s.Matched > than.Matched
}

// suggestFor looks for the recipe on one mapping; loaded says that it needs no step to be loaded.
func suggestFor(want, got *KeyList, path string, loaded bool) *Suggestion {
	m := newKeyMatcher(want, got)
	s := &Suggestion{Recipe: &Recipe{}, Wanted: len(want.Keys), Before: m.agreed}
	for range maxRounds {
		if m.agreed == len(got.Keys) || m.agreed == len(want.Keys) {
			break
		}
		again := m.round(false)
		if !m.oldNames() && !again && !m.families() && !m.round(true) {
			break
		}
	}
	m.extractInstead()
	steps := m.ops
	if !loaded {
		s.Recipe.HasAt, s.Before = true, 0
		steps = append([]plannedStep{{&Extract{Prefix: path}, sureName}}, steps...)
	}
	s.Ambiguous = m.ambiguous
	m.measure(s, steps, loaded)
	if !m.convincing(s) {
		return nil
	}
	return s
}

// measure runs the steps on the keys, counts what each gains, leaves out those that spoil something, and drops what is left
// over where that makes the rest fit.
func (m *keyMatcher) measure(s *Suggestion, steps []plannedStep, loaded bool) {
	e := &edit{report: &Report{}, rows: make([]row, len(m.got.Keys))}
	for i := range m.got.Keys {
		k := m.got.Keys[i].Key
		e.rows[i] = row{name: k, was: k, from: int32(i)}
	}
	agree := s.Before
	run := func(i int, st plannedStep) {
		before := slices.Clone(e.rows)
		if takesMapping := i == 0 && !loaded; !takesMapping {
			if n, err := st.op.apply(e, &OpReport{}); err != nil || n == 0 {
				e.rows = before
				return
			}
		}
		n := m.count(e.rows)
		if n < agree {
			e.rows = before
			return
		}
		s.Recipe.Steps = append(s.Recipe.Steps, st.op)
		s.Steps = append(s.Steps, StepGain{st.op.Name(), n - agree, st.sure})
		agree = n
	}
	for i, st := range steps {
		run(i, st)
	}
	inc := CompareKeys(m.want, m.left(e.rows))
	if n := len(inc.UnexpectedKeys); n > 0 && len(inc.MissingKeys) == 0 && len(inc.Mismatched) == 0 {
		run(-1, plannedStep{m.dropStep(e.rows, inc.UnexpectedKeys), sureName})
		inc = CompareKeys(m.want, m.left(e.rows))
	}
	s.Matched, s.Compatible = agree, inc.Compatible()
	m.pairs(s, e.rows)
}

// left is what the rows are as a list of keys.
func (m *keyMatcher) left(rows []row) *KeyList {
	list := &KeyList{Keys: make([]KeyInfo, len(rows)), versions: map[string]int64{}}
	for i := range rows {
		list.Keys[i] = m.got.Keys[rows[i].from]
		list.Keys[i].Key = rows[i].name
		if v, ok := m.got.versions[parentPath(rows[i].was)]; ok {
			list.versions[parentPath(rows[i].name)] = v
		}
	}
	return list
}

// count is how many rows agree with the model.
func (m *keyMatcher) count(rows []row) (n int) {
	for i := range rows {
		if w, ok := m.byName[rows[i].name]; ok && m.agree(w, rows[i].from) {
			n++
		}
	}
	return n
}

func (m *keyMatcher) pairs(s *Suggestion, rows []row) {
	for i := range rows {
		r := &rows[i]
		w, ok := m.byName[r.name]
		if !ok || !m.agree(w, r.from) {
			continue
		}
		p := SuggestedPair{Got: r.was, Want: r.name, Sure: sureName}
		if sure, ok := m.weak[r.from]; ok && r.was != r.name {
			p.Sure = sure
		}
		s.Pairs = append(s.Pairs, p)
	}
}

// convincing tells a suggestion from a coincidence.
func (m *keyMatcher) convincing(s *Suggestion) bool {
	wanted := s.Wanted - m.filledIn()
	less := min(wanted, len(m.got.Keys))
	if len(s.Recipe.Steps) == 0 || less == 0 || s.Matched < s.Before || s.Matched == s.Before && !s.Compatible || 2*s.Matched < less {
		return false
	}
	// A few keys of a large model say little, unless the recipe makes all of the file fit some of it.
	if !s.Compatible && 2*s.Matched < wanted && 2*s.Matched < 2*len(m.got.Keys)-len(m.got.Keys)/5 {
		return false
	}
	likely := 0
	for _, p := range s.Pairs {
		if p.Sure < sureName {
			likely++
		}
	}
	// Pairs that only a shape speaks for are believed when nearly everything falls into place.
	return 2*likely <= s.Matched || 10*s.Matched >= 9*wanted
}

// dropStep drops keys, whole groups where nothing in them is wanted.
func (m *keyMatcher) dropStep(rows []row, unexpected []string) *Drop {
	gone := make(map[string]bool, len(unexpected))
	for _, k := range unexpected {
		gone[k] = true
	}
	wanted := map[string]bool{} // groups with a key that stays, and the groups around them
	for i := range rows {
		if !gone[rows[i].name] {
			for p := rows[i].name; p != "" && !wanted[p]; p = parentPath(p) {
				wanted[p] = true
			}
		}
	}
	drop := &Drop{}
	done := map[string]bool{}
	for _, k := range unexpected {
		group := k
		for p := parentPath(k); p != "" && !wanted[p]; p = parentPath(p) {
			group = p
		}
		if done[group] {
			continue
		}
		done[group] = true
		pattern := QuotePattern(group)
		if group != k {
			pattern += ".**"
		}
		drop.Match = append(drop.Match, pattern)
	}
	return drop
}

// plannedStep is an operation with how sure it is.
type plannedStep struct {
	op   Op
	sure float64
}

func (r *prefixRule) op() Op {
	switch {
	case r.to == "" && r.alone:
		return &Extract{Prefix: r.from}
	case r.to == "":
		return &StripPrefix{Prefix: []string{r.from + "."}}
	case r.from == "":
		return &AddPrefix{Prefix: r.to + ".", Match: r.match}
	}
	return &Rename{From: quotePrefix(r.from), To: strings.ReplaceAll(r.to, "$", "$$") + "."}
}

// quotePrefix is a From that renames the group: its name with a final dot.
func quotePrefix(group string) string { return QuotePattern(group) + "." }

// String is one line: what the recipe gains.
func (s *Suggestion) String() string {
	return fmt.Sprintf("%d of %d keys in place, %d before", s.Matched, s.Wanted, s.Before)
}
