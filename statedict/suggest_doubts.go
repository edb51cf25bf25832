package statedict

import (
	"slices"
	"strings"
)

func preferTrue(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// sameNumbers compares the numbers in two paths, from the last one back as far as both have some.
func sameNumbers(a, b string) bool {
	as, bs := digits.FindAllString(a, -1), digits.FindAllString(b, -1)
	for i, j := len(as)-1, len(bs)-1; i >= 0 && j >= 0; i, j = i-1, j-1 {
		if as[i] != bs[j] {
			return false
		}
	}
	return true
}

// onlyOnes are the weak rules that are the best of their groups on both sides, with no other as good.
func onlyOnes(rules []*prefixRule) map[*prefixRule]bool {
	type best struct {
		rule *prefixRule
		tied bool
	}
	from, to := map[string]*best{}, map[string]*best{}
	note := func(m map[string]*best, key string, r *prefixRule) {
		if b := m[key]; b == nil {
			m[key] = &best{rule: r}
		} else if b.rule.votes == r.votes && b.rule.sameNumbers == r.sameNumbers {
			b.tied = true
		}
	}
	for _, r := range rules { // the best come first
		note(from, r.from, r)
		note(to, r.to, r)
	}
	only := map[*prefixRule]bool{}
	for key, b := range from {
		if other := to[b.rule.to]; !b.tied && !other.tied && other.rule == b.rule && b.rule.from == key {
			only[b.rule] = true
		}
	}
	return only
}

// nameOnly is the weak rules to believe where shapes are not known, nil where they are: a group all of whose keys find a
// place, when no other group does there, and it nowhere else.
func (m *keyMatcher) nameOnly(rules []*prefixRule, below map[string][]int32) map[*prefixRule]bool {
	if m.shapesKnown() {
		return nil
	}
	from, to, wanted := map[string]int{}, map[string]int{}, map[string]int{}
	for i := range m.want.Keys {
		for p := m.want.Keys[i].Key; !m.matched[i] && p != ""; {
			p = parentPath(p)
			wanted[p]++
		}
	}
	var whole []*prefixRule
	for _, r := range rules {
		if r.weak && r.votes == len(below[r.from]) && r.votes == wanted[r.to] {
			whole = append(whole, r)
			from[r.from]++
			to[r.to]++
		}
	}
	sure := map[*prefixRule]bool{}
	for _, r := range whole {
		sure[r] = from[r.from] == 1 && to[r.to] == 1
	}
	return sure
}

// sameFamily tells names that differ in their numbers only: where an error is cut off, layer1 is not what became of layer2.
func sameFamily(a, b string) bool {
	isDigit := func(r rune) bool { return r >= '0' && r <= '9' }
	return a != "" && b != "" && slices.Equal(strings.FieldsFunc(a, isDigit), strings.FieldsFunc(b, isDigit))
}

// countedGroups are the groups that agree already, less the numbers in their names. Where block 1 is block 1, block 6 is not
// what became of block 0.
func (m *keyMatcher) countedGroups() groupSet {
	set := groupSet{}
	for i, name := range m.names {
		if !m.used[i] {
			continue
		}
		for p := parentPath(name); p != ""; p = parentPath(p) {
			letters := digits.ReplaceAllLiteralString(p, "#")
			if set[letters] {
				break // and so are those around it
			}
			set[letters] = true
		}
	}
	return set
}

type groupSet map[string]bool

func (s groupSet) has(group string) bool { return s[digits.ReplaceAllLiteralString(group, "#")] }

// extractInstead turns the first step into extract where it strips a prefix, everything that agrees stood below that, and
// something else did not.
func (m *keyMatcher) extractInstead() {
	if len(m.ops) == 0 || m.want.Partial {
		return
	}
	strip, ok := m.ops[0].op.(*StripPrefix)
	if !ok || len(strip.Prefix) != 1 || 10*m.agreed < 9*(len(m.want.Keys)-m.filledIn()) {
		return
	}
	outside := false
	for i := range m.got.Keys {
		if !strings.HasPrefix(m.got.Keys[i].Key, strip.Prefix[0]) {
			if m.used[i] {
				return
			}
			outside = true
		}
	}
	if outside {
		m.ops[0].op = &Extract{Prefix: strings.TrimSuffix(strip.Prefix[0], ".")}
	}
}

// filledIn is how many keys of the model agree with nothing and need not: the counters that load_state_dict makes up.
func (m *keyMatcher) filledIn() (n int) {
	for i := range m.want.Keys {
		if !m.matched[i] && lastPart(m.want.Keys[i].Key) == tracked {
			n++
		}
	}
	return n
}

// aloneAsFarAsTold tells whether a rule that strips a prefix may extract instead, of an error that is cut off: it explains all keys that the error names as missing, and nothing
// says that the model has what stands outside. What the error does not reach is noted as ambiguous.
func (m *keyMatcher) aloneAsFarAsTold(r *prefixRule, t *trial) bool {
	if 10*t.gained < 9*len(m.want.Keys) {
		return false
	}
	groups := map[string]bool{}
	for i := range m.want.Keys {
		groups[firstPart(m.want.Keys[i].Key)] = true
	}
	// Keys that lead nowhere from the model's root are listed in the order of the file.
	told := -1
	for i := range m.got.Keys {
		if m.want.strange[m.got.Keys[i].Key] {
			told = i
		}
	}
	prefix := dotted(r.from)
	var unsaid []string
	outside := false
	for i, name := range m.names {
		if strings.HasPrefix(name, prefix) {
			continue
		}
		outside = true
		group := firstPart(name)
		if strange := m.want.strange[m.got.Keys[i].Key]; groups[group] || i < told && !strange {
			return false
		} else if !strange && !slices.Contains(unsaid, group) && len(unsaid) < maxSuffixKeys {
			unsaid = append(unsaid, group)
		}
	}
	if outside {
		for _, group := range unsaid {
			m.ambiguous = append(m.ambiguous, AmbiguousKey{Key: group, Candidates: []string{group}, Kind: AmbiguousUnsaid})
		}
	}
	return outside
}

func firstPart(key string) string {
	first, _, _ := strings.Cut(key, ".")
	return first
}

// noteTie remembers a rule that had as many votes as the one that was taken.
func (m *keyMatcher) noteTie(taken, other *prefixRule) {
	if other.votes < taken.votes || taken.sameNumbers && !other.sameNumbers {
		return
	}
	group := taken.from
	if group == "" {
		group = "**"
	}
	for i := range m.ambiguous {
		if m.ambiguous[i].Key == group {
			m.ambiguous[i].Candidates = append(m.ambiguous[i].Candidates, other.to)
			return
		}
	}
	m.ambiguous = append(m.ambiguous, AmbiguousKey{Key: group, Candidates: []string{taken.to, other.to}, Kind: AmbiguousTo})
}

// noteTwin remembers a group that would have led to the same place as the one that was taken: a second encoder, an EMA copy.
func (m *keyMatcher) noteTwin(taken, other *prefixRule) {
	if other.weak || 10*other.votes < 9*taken.votes || taken.sameNumbers && !other.sameNumbers || strings.HasPrefix(dotted(other.from), dotted(taken.from)) {
		return
	}
	for i := range m.ambiguous {
		if a := &m.ambiguous[i]; a.Kind == AmbiguousFrom && a.Key == taken.to {
			a.Candidates = append(a.Candidates, other.from)
			return
		}
	}
	m.ambiguous = append(m.ambiguous, AmbiguousKey{Key: taken.to, Candidates: []string{taken.from, other.from}, Kind: AmbiguousFrom})
}
