package statedict

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
)

// prefixRule is a hypothesis: keys below from stand below to in the model. Either may be "".
type prefixRule struct {
	from, to string
	votes    int
	weak     bool  // no vote had two common parts
	first    int32 // the first key of got that votes for it
	match    Patterns
	alone    bool // nothing outside from agrees, so that extracting it loses nothing

	sameNumbers bool // from and to have the same numbers in them, as layers have that only were renamed
}

type prefixPair struct{ from, to string }

// votes lets every key of got that agrees with nothing vote for the rules that would give it a partner: those of the longest
// common ending.
func (m *keyMatcher) votes() []*prefixRule {
	shapes := m.shapesKnown()
	x := m.indexUnmatched(shapes)
	rules := map[prefixPair]*prefixRule{}
	for i := range m.names {
		if m.used[i] {
			continue
		}
		g := int32(i)
		shape := shapeHash(&m.got.Keys[i], shapes)
		name := m.names[i]
		eachSuffix(name, func(s string, parts int) bool {
			e, ok := x.heads[maphash.String(suffixSeed, s)^shape]
			if !ok || e.n > maxSuffixKeys {
				return ok
			}
			hit := false
			for at := e.head; at >= 0; at = x.nodes[at].next {
				w := x.nodes[at].key
				key := m.want.Keys[w].Key
				if !strings.HasSuffix(key, s) || !m.agree(w, g) {
					continue
				}
				from, to := strings.TrimSuffix(name[:len(name)-len(s)], "."), strings.TrimSuffix(key[:len(key)-len(s)], ".")
				whole := from == "" || to == ""
				hit = true
				r := rules[prefixPair{from, to}]
				if r == nil {
					r = &prefixRule{from: from, to: to, weak: true, first: g, sameNumbers: sameNumbers(from, to)}
					rules[prefixPair{from, to}] = r
				}
				r.votes++
				r.weak = r.weak && parts < 2 && !whole
			}
			return hit
		})
	}
	list := make([]*prefixRule, 0, len(rules))
	for _, r := range rules {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *prefixRule) int {
		return cmp.Or(cmp.Compare(b.votes, a.votes), preferTrue(a.sameNumbers, b.sameNumbers), cmp.Compare(len(a.from)+len(a.to), len(b.from)+len(b.to)),
			cmp.Compare(a.first, b.first), strings.Compare(a.to, b.to))
	})
	return list
}

// trial is what a rule would do.
type trial struct {
	gained, clashed, lost int
	keys                  []int32 // of got, that agree by it
}

// try tells what rule r would do to the keys below its prefix that agree with nothing yet.
func (m *keyMatcher) try(r *prefixRule, below []int32, moved []bool) trial {
	var t trial
	from, to := dotted(r.from), dotted(r.to)
	for _, g := range below {
		if moved[g] {
			continue
		}
		w, ok := m.byName[to+m.names[g][len(from):]]
		switch {
		case m.used[g]:
			t.lost++
		case !ok:
		case m.matched[w]:
			t.clashed++
		case m.agree(w, g):
			t.gained++
			t.keys = append(t.keys, g)
		default:
			t.clashed++
		}
	}
	return t
}

// round accepts the rules that gain keys and spoil none, most votes first; false when there is none. Without weak, those that
// only last parts speak for wait.
func (m *keyMatcher) round(weak bool) bool {
	rules := m.votes()
	if len(rules) == 0 {
		return false
	}
	below := m.keysBelow(rules)
	moved := make([]bool, len(m.names))
	var accepted []*prefixRule
	taken := map[string]*prefixRule{}
	nameOnly := m.nameOnly(rules, below)
	believed := nameOnly
	if believed == nil {
		believed = onlyOnes(rules)
	}
	counted := sync.OnceValue(m.countedGroups)
	source := map[string]*prefixRule{} // of accepted rules, by what they lead to
	for _, r := range rules {
		if taken[r.from] != nil {
			m.noteTie(taken[r.from], r)
			continue
		}
		if r.weak && !(weak && believed[r]) || sameFamily(r.from, r.to) && (r.weak || m.want.Partial || counted().has(r.from)) {
			continue
		}
		t := m.try(r, below[r.from], moved)
		if first := source[r.to]; first != nil && t.gained == 0 {
			m.noteTwin(first, r)
		}
		if t.gained == 0 || t.clashed > 0 && t.clashed >= t.gained || t.lost > 0 && r.from != "" && t.lost >= t.gained {
			continue
		}
		if r.from == "" && !m.restrict(r, &t) {
			continue
		}
		r.alone = r.to == "" && m.want.Partial && m.aloneAsFarAsTold(r, &t)
		taken[r.from] = r
		if source[r.to] == nil {
			source[r.to] = r
		}
		accepted = append(accepted, r)
		to := dotted(r.to)
		for _, g := range t.keys {
			name := to + m.names[g][len(dotted(r.from)):]
			moved[g], m.used[g] = true, true
			m.matched[m.byName[name]] = true
			if r.weak {
				m.weak[g] = r.sure(nameOnly == nil)
			}
		}
	}
	if len(accepted) == 0 {
		return false
	}
	m.rename(accepted)
	for _, r := range accepted {
		m.ops = append(m.ops, plannedStep{r.op(), r.sure(nameOnly == nil)})
	}
	return true
}

func (r *prefixRule) sure(shapes bool) float64 {
	switch {
	case !r.weak:
		return sureName
	case shapes:
		return sureShape
	}
	return sureGuess
}

// oldEndings were called otherwise in older or other code.
var oldEndings = [][2]string{{"gamma", "weight"}, {"beta", "bias"}, {"moving_mean", "running_mean"}, {"moving_variance", "running_var"}}

// oldNames renames old endings where that brings keys into place; it answers whether it did.
func (m *keyMatcher) oldNames() (any bool) {
	for _, end := range oldEndings {
		op := &Rename{From: `re:\.` + end[0] + `$`, To: "." + end[1]}
		gained := 0
		for i, name := range m.names {
			base, ok := strings.CutSuffix(name, "."+end[0])
			if !ok {
				continue
			}
			if w, ok := m.byName[base+"."+end[1]]; ok && !m.matched[w] && m.agree(w, int32(i)) {
				gained++
			}
		}
		if gained == 0 {
			continue
		}
		for i, name := range m.names {
			if base, ok := strings.CutSuffix(name, "."+end[0]); ok {
				m.names[i] = base + "." + end[1]
			}
		}
		any = true
		m.ops = append(m.ops, plannedStep{op, sureName})
	}
	if any {
		m.recount()
	}
	return any
}

// keysBelow lists, for the prefixes of the rules, the keys of got below them.
func (m *keyMatcher) keysBelow(rules []*prefixRule) map[string][]int32 {
	below := map[string][]int32{}
	for _, r := range rules {
		below[r.from] = nil
	}
	for i, name := range m.names {
		for p := name; p != ""; {
			p = parentPath(p)
			if list, ok := below[p]; ok {
				below[p] = append(list, int32(i))
			}
		}
	}
	return below
}

// rename applies the accepted rules to the names, each key once, and puts the rules into an order in which steps, one after
// the other, do the same: longer prefixes first, and a rule before those whose keys would come below its prefix.
func (m *keyMatcher) rename(rules []*prefixRule) {
	slices.SortStableFunc(rules, func(a, b *prefixRule) int { return cmp.Compare(len(b.from), len(a.from)) })
	byFrom := map[string]*prefixRule{}
	for _, r := range rules {
		byFrom[r.from] = r
	}
	before := map[*prefixRule]map[*prefixRule]bool{} // what has to run before a rule
	for i, name := range m.names {
		for p := name; p != ""; {
			p = parentPath(p)
			r := byFrom[p]
			if r == nil {
				continue
			}
			if sel, err := compileSelection(r.match, nil); err == nil && sel.has(name) {
				m.names[i] = dotted(r.to) + name[len(dotted(p)):]
				for q := parentPath(m.names[i]); q != ""; q = parentPath(q) {
					if other := byFrom[q]; other != nil && other != r {
						if before[r] == nil {
							before[r] = map[*prefixRule]bool{}
						}
						before[r][other] = true
					}
				}
			}
			break
		}
	}
	if len(before) > 0 {
		for _, r := range rules {
			for p := parentPath(r.from); p != ""; p = parentPath(p) {
				if around := byFrom[p]; around != nil {
					if before[around] == nil {
						before[around] = map[*prefixRule]bool{}
					}
					before[around][r] = true
				}
			}
		}
		copy(rules, rulesInOrder(rules, before))
	}
	m.recount()
}

// rulesInOrder puts rules behind those that have to run before them. Where they turn in a circle the first goes first; measure
// then leaves out what does harm.
func rulesInOrder(rules []*prefixRule, before map[*prefixRule]map[*prefixRule]bool) []*prefixRule {
	ordered := make([]*prefixRule, 0, len(rules))
	done := map[*prefixRule]bool{}
	take := func(r *prefixRule) {
		ordered, done[r] = append(ordered, r), true
	}
	for len(ordered) < len(rules) {
		n := len(ordered)
		for _, r := range rules {
			ready := !done[r]
			for o := range before[r] {
				ready = ready && done[o]
			}
			if ready {
				take(r)
			}
		}
		if len(ordered) == n {
			take(rules[slices.IndexFunc(rules, func(r *prefixRule) bool { return !done[r] })])
		}
	}
	return ordered
}

// restrict gives a rule that adds a prefix the groups that it is for, where adding it to everything would move keys that
// agree already. It answers false where no such groups can be told.
func (m *keyMatcher) restrict(r *prefixRule, t *trial) bool {
	if m.want.Partial {
		// The error names the first keys of the model. Where these are the first of the file, all of it is meant.
		if len(t.keys) > 0 && t.keys[0] == 0 {
			return true
		}
	} else if t.lost == 0 {
		return true
	}
	gains := map[string]bool{}
	var order []string
	for _, g := range t.keys {
		group := firstPart(m.names[g])
		if !gains[group] {
			gains[group] = true
			order = append(order, group)
		}
	}
	for i, name := range m.names {
		if m.used[i] && gains[firstPart(name)] {
			return false
		}
	}
	for _, group := range order {
		r.match = append(r.match, QuotePattern(group)+".**")
	}
	return true
}
