package statedict

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
)

// keyMatcher pairs the keys of a checkpoint with those of a model by rules "prefix from becomes prefix to".
type keyMatcher struct {
	want, got *KeyList
	byName    map[string]int32 // of want
	names     []string         // of got's keys, as the accepted rules leave them
	matched   []bool           // want's keys that a key of got agrees with
	used      []bool           // got's keys that agree
	agreed    int
	weak      map[int32]float64 // how sure the pairs are of got's keys that no more than a last part speaks for
	ops       []plannedStep
	ambiguous []AmbiguousKey
}

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

func newKeyMatcher(want, got *KeyList) *keyMatcher {
	m := &keyMatcher{want: want, got: got, byName: make(map[string]int32, len(want.Keys)), names: make([]string, len(got.Keys)),
		matched: make([]bool, len(want.Keys)), used: make([]bool, len(got.Keys)), weak: map[int32]float64{}}
	for i := range want.Keys {
		m.byName[want.Keys[i].Key] = int32(i)
	}
	for i := range got.Keys {
		m.names[i] = got.Keys[i].Key
	}
	m.recount()
	return m
}

// agree tells whether key g of got could be key w of want, by kind and shape.
func (m *keyMatcher) agree(w, g int32) bool {
	a, b := &m.want.Keys[w], &m.got.Keys[g]
	if (a.Type != "") != (b.Type != "") {
		return false
	}
	return a.Shape == nil || b.Shape == nil || fits(a.Shape, b.Shape)
}

func (m *keyMatcher) recount() {
	clear(m.matched)
	m.agreed = 0
	for i, name := range m.names {
		w, ok := m.byName[name]
		m.used[i] = ok && m.agree(w, int32(i))
		if m.used[i] {
			m.matched[w] = true
			m.agreed++
		}
	}
}

// suffixIndex finds the model's keys by their last parts and shape.
type suffixIndex struct {
	heads map[uint64]suffixEntry
	nodes []suffixNode
}

type suffixEntry struct{ head, n int32 }

type suffixNode struct{ key, next int32 }

// maxSuffixKeys is how many keys with one ending and shape are still told apart by votes.
const maxSuffixKeys = 32

var suffixSeed = maphash.MakeSeed()

// shapeHash is the same for [] and [1], which load into one another.
func shapeHash(k *KeyInfo, known bool) uint64 {
	if !known || len(k.Shape) == 0 || len(k.Shape) == 1 && k.Shape[0] == 1 {
		return 0
	}
	h := uint64(len(k.Shape))
	for _, d := range k.Shape {
		h = (h ^ uint64(d)) * 0x9E3779B97F4A7C15
		h ^= h >> 29
	}
	return h
}

// eachSuffix calls f with the runs of last parts, the whole key first, until f answers true. parts counts them.
func eachSuffix(key string, f func(suffix string, parts int) bool) {
	parts := 1 + strings.Count(key, ".")
	for from := 0; parts > 0; parts-- {
		if parts <= maxParts && f(key[from:], parts) {
			return
		}
		i := strings.IndexByte(key[from:], '.')
		if i < 0 {
			return
		}
		from += i + 1
	}
}

func (m *keyMatcher) indexUnmatched(shapes bool) *suffixIndex {
	x := &suffixIndex{heads: make(map[uint64]suffixEntry, 4*len(m.want.Keys))}
	for i := range m.want.Keys {
		if m.matched[i] {
			continue
		}
		k := &m.want.Keys[i]
		shape := shapeHash(k, shapes)
		eachSuffix(k.Key, func(s string, _ int) bool {
			h := maphash.String(suffixSeed, s) ^ shape
			e, ok := x.heads[h]
			if !ok {
				e.head = -1
			}
			if e.n++; e.n <= maxSuffixKeys {
				x.nodes = append(x.nodes, suffixNode{int32(i), e.head})
				e.head = int32(len(x.nodes) - 1)
			}
			x.heads[h] = e
			return false
		})
	}
	return x
}

// shapesKnown tells whether enough shapes are known on both sides to go by.
func (m *keyMatcher) shapesKnown() bool {
	for i := range m.want.Keys {
		if !m.matched[i] && m.want.Keys[i].Shape == nil && m.want.Keys[i].Type == "" {
			return false
		}
	}
	for i := range m.got.Keys {
		if m.got.Keys[i].Shape == nil && m.got.Keys[i].Type == "" {
			return false
		}
	}
	return true
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
	source := map[string]*prefixRule{} // of accepted rules, by what they lead to
	for _, r := range rules {
		if taken[r.from] != nil {
			m.noteTie(taken[r.from], r)
			continue
		}
		if r.weak && !(weak && believed[r]) || (r.weak || m.want.Partial) && sameFamily(r.from, r.to) {
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
		ordered := make([]*prefixRule, 0, len(rules))
		for len(ordered) < len(rules) {
			next := slices.IndexFunc(rules, func(r *prefixRule) bool {
				return !slices.Contains(ordered, r) && !slices.ContainsFunc(rules, func(o *prefixRule) bool { return before[r][o] && !slices.Contains(ordered, o) })
			})
			if next < 0 { // they turn in a circle, and measure leaves out what does harm
				next = slices.IndexFunc(rules, func(r *prefixRule) bool { return !slices.Contains(ordered, r) })
			}
			ordered = append(ordered, rules[next])
		}
		copy(rules, ordered)
	}
	m.recount()
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
