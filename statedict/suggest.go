package statedict

import (
	"cmp"
	"slices"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// Suggestion is a recipe that makes a checkpoint fit a model better, and the grounds for it. It is never applied by itself.
type Suggestion struct {
	Recipe *Recipe
	// Gained has, for each step, how many more keys agree after it.
	Gained []int
	// Before and After count the keys that agree, in name and as far as known in shape; Wanted is the model's count.
	Before, After, Wanted int
	// Compatible: strict loading succeeds after the recipe, as far as the reference tells.
	Compatible bool
	Pairs      []SuggestedPair
	Ambiguous  []Ambiguity
}

// SuggestedPair is a key of the checkpoint and the model's key that it becomes.
type SuggestedPair struct {
	Got, Want string
	Sure      Certainty
}

// Certainty says why two keys are taken for the same weights.
type Certainty string

const (
	SureSame   Certainty = "same"   // the names are equal already
	SureName   Certainty = "name"   // the names end alike, in two parts or more, or one is a whole group's prefix more
	LikelyOnly Certainty = "likely" // only the last part agrees; the shape decides
)

// Ambiguity is a group that could as well have become something else.
type Ambiguity struct {
	Got   string   // group in the checkpoint, "" for all keys
	Wants []string // groups in the model; the first was taken
}

const (
	// maxMappings bounds how many mappings of a file are tried, largest first.
	maxMappings = 16
	// maxRounds bounds how often rules are looked for in what earlier rules left over.
	maxRounds = 4
)

// Suggest looks for the recipe that makes got load into the model that want describes: the mapping in the file, prefixes on
// either side, sub-modules, groups with other names. It answers nil when it finds nothing that makes at least half of the keys of
// the smaller side agree. Keys that the model does not want are dropped when that makes the rest load strictly.
//
// Of two keys with the same last parts and the same shape it takes them to be the same weights when that is unique, as
// detectron2's matcher does. Time is that of a few passes over the keys of both sides.
func Suggest(want *KeyList, got *Checkpoint) *Suggestion {
	first, _, _, err := findDict(got, "", false)
	if err != nil {
		return nil
	}
	return suggest(want, got, first, first)
}

// SuggestForError is Suggest for the model that a pasted error speaks of, as far as the error tells: see
// PastedError.Reference.
func SuggestForError(e *PastedError, got *Checkpoint) *Suggestion {
	first, _, _, err := findDict(got, "", false)
	if err != nil {
		return nil
	}
	want, loaded := e.reference(got, first)
	return suggest(want, got, first, loaded)
}

// suggest tries the mappings of got, first before the others; loaded is the one that needs no step to be loaded.
func suggest(want *KeyList, got *Checkpoint, first, loaded string) (best *Suggestion) {
	for _, path := range mappingsToTry(got, first) {
		list, err := got.KeyList(path, true)
		if err != nil {
			continue
		}
		s := suggestFor(want, list, path, path == loaded)
		if s != nil && (best == nil || s.better(best)) {
			best = s
		}
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
	return s.After > than.After
}

// suggestFor looks for the recipe on one mapping.
func suggestFor(want, got *KeyList, path string, found bool) *Suggestion {
	m := newKeyMatcher(want, got)
	before := m.agreed
	for range maxRounds {
		if !m.round() {
			break
		}
	}
	steps := m.steps()
	if !found {
		steps = append([]Op{&Extract{Prefix: path}}, steps...)
	}
	s := &Suggestion{Recipe: &Recipe{Steps: steps}, Wanted: len(want.Keys), Ambiguous: m.ambiguous}
	if !found {
		s.Recipe.HasAt = true
		before = 0
	}
	s.Before = before
	m.measure(s, found)
	if !m.convincing(s) {
		return nil
	}
	return s
}

// measure runs the steps on the keys, counts what each gains, and drops what is left over where that makes the rest fit.
func (m *keyMatcher) measure(s *Suggestion, found bool) {
	e := &edit{report: &Report{}}
	for i := range m.got.Keys {
		k := m.got.Keys[i].Key
		e.rows = append(e.rows, row{name: k, was: k, key: pickle.Value(k), from: int32(i)})
	}
	agree := s.Before
	run := func(op Op) bool {
		if _, isExtract := op.(*Extract); !(isExtract && !found && len(s.Gained) == 0) {
			if n, err := op.apply(e, &OpReport{}); err != nil || n == 0 {
				return false
			}
		}
		n := m.count(e.rows)
		s.Gained = append(s.Gained, n-agree)
		agree = n
		return true
	}
	kept := s.Recipe.Steps[:0:0]
	for _, op := range s.Recipe.Steps {
		rows := slices.Clone(e.rows)
		was := agree
		if !run(op) {
			e.rows = rows
			continue
		}
		if agree < was {
			e.rows, agree, s.Gained = rows, was, s.Gained[:len(s.Gained)-1]
			continue
		}
		kept = append(kept, op)
	}
	s.Recipe.Steps = kept
	left := &KeyList{Versions: map[string]int64{}}
	for i := range e.rows {
		if v, ok := m.got.Versions[parentPath(e.rows[i].was)]; ok {
			left.Versions[parentPath(e.rows[i].name)] = v
		}
		k := m.got.Keys[e.rows[i].from]
		k.Key = e.rows[i].name
		left.Keys = append(left.Keys, k)
	}
	inc := CompareKeys(m.want, left)
	if n := len(inc.UnexpectedKeys); n > 0 && !m.want.Partial && len(inc.MissingKeys) == 0 && len(inc.Mismatched) == 0 {
		if drop := m.dropStep(e.rows, inc.UnexpectedKeys); run(drop) {
			s.Recipe.Steps = append(s.Recipe.Steps, drop)
			inc.UnexpectedKeys = nil
		}
	}
	s.After, s.Compatible = agree, inc.Compatible()
	m.pairs(s, e.rows)
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
		p := SuggestedPair{Got: r.was, Want: r.name, Sure: SureName}
		switch {
		case r.was == r.name:
			p.Sure = SureSame
		case m.weak[r.from]:
			p.Sure = LikelyOnly
		}
		s.Pairs = append(s.Pairs, p)
	}
}

// convincing tells a suggestion from a coincidence.
func (m *keyMatcher) convincing(s *Suggestion) bool {
	wanted := len(m.want.Keys)
	if m.want.Partial {
		wanted = min(wanted, len(m.got.Keys))
	}
	less := min(wanted, len(m.got.Keys))
	if len(s.Recipe.Steps) == 0 || less == 0 || s.After < s.Before || s.After == s.Before && !s.Compatible || 2*s.After < less {
		return false
	}
	likely := 0
	for _, p := range s.Pairs {
		if p.Sure == LikelyOnly {
			likely++
		}
	}
	// Pairs that only a shape speaks for are believed when nearly everything falls into place.
	return 2*likely <= s.After || 10*s.After >= 9*wanted
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

// steps writes the accepted rules as operations: longer prefixes first, so that a rule for a part of a group comes before the
// rule for the group; what adds a prefix to everything comes last.
func (m *keyMatcher) steps() []Op {
	var steps []Op
	for _, round := range m.accepted {
		slices.SortStableFunc(round, func(a, b *prefixRule) int { return cmp.Compare(len(b.from), len(a.from)) })
		for _, r := range round {
			steps = append(steps, r.op())
		}
	}
	return steps
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
