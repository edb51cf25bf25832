package statedict

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"math/bits"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A family is the modules whose paths differ in numbers only: encoder.layer.0.attn.q, encoder.layer.1.attn.q and so on. What
// single keys cannot tell (every layer has a [768] bias), families can: they have the same modules at the same distances in
// both files. A family is taken for another only where it is the one that it can be.

type familyModule struct {
	path    string
	numbers []int  // in the path, the first maxNumbers of them
	kind    uint64 // hash of its own keys' last parts and shapes
	keys    []int32
	gone    bool // has found its family
}

type family struct {
	template string // the path with a wildcard for the numbers that vary
	wild     int    // mask of numbers
	members  []*familyModule
}

const (
	maxNumbers = 4
	// maxModules bounds the modules that families are looked for among.
	maxModules = 20_000
	// maxAlike is how many families with one signature are still told apart.
	maxAlike = 12
	wildcard = "\x00"
)

var digits = regexp.MustCompile(`\d+`)

// families pairs families that nothing else explains; it answers whether it did.
func (m *keyMatcher) families() bool {
	if m.want.Partial || !m.shapesKnown() {
		return false
	}
	got := modulesOf(len(m.names), func(i int32) (string, *KeyInfo, bool) { return m.names[i], &m.got.Keys[i], m.used[i] })
	want := modulesOf(len(m.want.Keys), func(i int32) (string, *KeyInfo, bool) { return m.want.Keys[i].Key, &m.want.Keys[i], m.matched[i] })
	if len(got) == 0 || len(want) == 0 || len(got)+len(want) > maxModules {
		return false
	}
	found := len(m.ops)
	for wilds := maxNumbers; wilds >= 0; wilds-- {
		ours, theirs := familiesBySignature(got, wilds), familiesBySignature(want, wilds)
		for _, sig := range inTemplateOrder(ours) {
			m.pairFamilies(ours[sig], theirs[sig], got)
		}
	}
	if len(m.ops) == found {
		return false
	}
	m.recount()
	return true
}

func inTemplateOrder(by map[uint64][]*family) []uint64 {
	keys := make([]uint64, 0, len(by))
	for k := range by {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b uint64) int { return strings.Compare(by[a][0].template, by[b][0].template) })
	return keys
}

// modulesOf are the modules none of whose own keys is explained.
func modulesOf(n int, key func(int32) (name string, k *KeyInfo, explained bool)) []*familyModule {
	byPath := map[string]*familyModule{}
	var list []*familyModule
	for i := range int32(n) {
		name, k, explained := key(i)
		path := parentPath(name)
		mod := byPath[path]
		if mod == nil {
			mod = &familyModule{path: path}
			byPath[path] = mod
			list = append(list, mod)
		}
		mod.keys = append(mod.keys, i)
		mod.gone = mod.gone || explained
		if lastPart(name) != tracked { // older files lack it
			mod.kind += maphash.String(suffixSeed, lastPart(name)) ^ shapeHash(k, true)
		}
	}
	list = slices.DeleteFunc(list, func(mod *familyModule) bool { return mod.gone || mod.path == "" })
	for _, mod := range list {
		for _, text := range digits.FindAllString(mod.path, maxNumbers) {
			n, err := strconv.Atoi(text)
			if err != nil {
				mod.gone = true
			}
			mod.numbers = append(mod.numbers, n)
		}
	}
	return slices.DeleteFunc(list, func(mod *familyModule) bool { return mod.gone })
}

// familiesBySignature groups the modules that are left by templates with so many wildcards, and those by what is in them.
func familiesBySignature(modules []*familyModule, wilds int) map[uint64][]*family {
	byTemplate := map[string]*family{}
	var order []*family
	for _, mod := range modules {
		for wild := range 1 << len(mod.numbers) {
			if mod.gone || bits.OnesCount(uint(wild)) != wilds {
				continue
			}
			t := pathTemplate(mod.path, wild)
			f := byTemplate[t]
			if f == nil {
				f = &family{template: t, wild: wild}
				byTemplate[t] = f
				order = append(order, f)
			}
			f.members = append(f.members, mod)
		}
	}
	by := map[uint64][]*family{}
	for _, f := range order {
		if len(f.members) > 1 || wilds == 0 {
			by[f.signature()] = append(by[f.signature()], f)
		}
	}
	return by
}

// pathTemplate is a path with its wild numbers replaced.
func pathTemplate(path string, wild int) string {
	at := -1
	return digits.ReplaceAllStringFunc(path, func(n string) string {
		if at++; at < maxNumbers && wild&(1<<at) != 0 {
			return wildcard
		}
		return n
	})
}

// varying are the numbers of a member that its family leaves open.
func (f *family) varying(mod *familyModule) []int {
	var list []int
	for i, n := range mod.numbers {
		if f.wild&(1<<i) != 0 {
			list = append(list, n)
		}
	}
	return list
}

// signature is equal for families that have the same modules at the same distances. It sorts the members by their numbers.
func (f *family) signature() uint64 {
	slices.SortFunc(f.members, func(a, b *familyModule) int { return slices.Compare(f.varying(a), f.varying(b)) })
	least := slices.Clone(f.varying(f.members[0]))
	for _, mod := range f.members {
		for i, n := range f.varying(mod) {
			least[i] = min(least[i], n)
		}
	}
	h := uint64(len(f.members))
	for _, mod := range f.members {
		for i, n := range f.varying(mod) {
			h = h*0x9E3779B97F4A7C15 + uint64(n-least[i])
		}
		h = (h ^ mod.kind) * 0x9E3779B97F4A7C15
		h ^= h >> 29
	}
	return h
}

// pairFamilies accepts the pairs that are the only ones possible, or that an abbreviation tells apart, and notes the others.
func (m *keyMatcher) pairFamilies(ours, theirs []*family, got []*familyModule) {
	free := func(f *family) bool {
		return !slices.ContainsFunc(f.members, func(mod *familyModule) bool { return mod.gone })
	}
	ours = slices.DeleteFunc(ours, func(f *family) bool { return !free(f) })
	theirs = slices.DeleteFunc(slices.Clone(theirs), func(f *family) bool { return !free(f) })
	if len(ours) == 0 || len(theirs) == 0 {
		return
	}
	if len(ours) == 1 && len(theirs) == 1 {
		if !sameFamily(ours[0].members[0].path, theirs[0].members[0].path) {
			m.acceptFamily(ours[0], theirs[0], got, sureShape)
		}
		return
	}
	if len(ours) > maxAlike || len(theirs) > maxAlike {
		return
	}
	// near are the families of the model that a family of the file abbreviates, wanted counts the reverse.
	near, wanted := make([][]*family, len(ours)), map[*family]int{}
	for i, f := range ours {
		for _, w := range theirs {
			if abbreviates(f.template, w.template) {
				near[i] = append(near[i], w)
				wanted[w]++
			}
		}
	}
	for i, f := range ours {
		if len(near[i]) == 1 && wanted[near[i][0]] == 1 {
			m.acceptFamily(f, near[i][0], got, sureGuess)
			continue
		}
		open := AmbiguousKey{Key: readable(f.template), Kind: AmbiguousOpen}
		for _, w := range theirs {
			if free(w) {
				open.Candidates = append(open.Candidates, readable(w.template))
			}
		}
		if len(open.Candidates) > 0 && len(m.ambiguous) < maxSuffixKeys && !slices.ContainsFunc(m.ambiguous, func(a AmbiguousKey) bool { return a.Key == open.Key }) {
			m.ambiguous = append(m.ambiguous, open)
		}
	}
}

func readable(template string) string { return strings.ReplaceAll(template, wildcard, "*") }

// abbreviates tells paths that differ in one part, which one of them shortens (attention.q, attention.query) or lacks
// (lora_A, lora_A.default).
func abbreviates(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	if len(as) > len(bs) {
		as, bs = bs, as
	}
	first := 0
	for first < len(as) && as[first] == bs[first] {
		first++
	}
	switch len(bs) - len(as) {
	case 0:
		return first < len(as) && slices.Equal(as[first+1:], bs[first+1:]) &&
			(strings.HasPrefix(as[first], bs[first]) || strings.HasPrefix(bs[first], as[first]))
	case 1:
		return slices.Equal(as[first:], bs[first+1:])
	}
	return false
}

// acceptFamily plans the renames of a family. Numbers that stay the same become groups of one expression; for those that
// are counted from elsewhere there is a rename for each value.
func (m *keyMatcher) acceptFamily(f, w *family, got []*familyModule, sure float64) {
	shifted := 0
	for i, n := range f.varying(f.members[0]) {
		if w.varying(w.members[0])[i] != n {
			shifted |= 1 << i
		}
	}
	type rename struct{ from, to string }
	var renames []rename
	for i, mod := range f.members {
		from := namesOfNumbers(f.template, f.varying(mod), shifted, `(\d+)`, regexp.QuoteMeta)
		group := 0
		to := namesOfNumbers(w.template, w.varying(w.members[i]), shifted, "", func(s string) string { return strings.ReplaceAll(s, "$", "$$") })
		for strings.Contains(to, wildcard) {
			group++
			to = strings.Replace(to, wildcard, fmt.Sprintf("${%d}", group), 1)
		}
		r := rename{fmt.Sprintf(`re:^%s\.([^.]+)$`, from), fmt.Sprintf("%s.${%d}", to, group+1)}
		if !slices.Contains(renames, r) {
			renames = append(renames, r)
		}
		for _, g := range mod.keys {
			m.names[g] = w.members[i].path + "." + lastPart(m.names[g])
			m.weak[g] = sure
		}
		mod.gone, w.members[i].gone = true, true
	}
	if only := f.members[0]; len(f.members) == 1 && !slices.ContainsFunc(got, func(o *familyModule) bool { return strings.HasPrefix(o.path, only.path+".") }) {
		m.ops = append(m.ops, plannedStep{&Rename{From: quotePrefix(only.path), To: strings.ReplaceAll(w.members[0].path, "$", "$$") + "."}, sure})
		return
	}
	slices.SortFunc(renames, func(a, b rename) int { return cmp.Compare(a.from, b.from) })
	for _, r := range renames {
		m.ops = append(m.ops, plannedStep{&Rename{From: r.from, To: r.to}, sure})
	}
}

// namesOfNumbers writes a template out: the shifted numbers as they are, the others as open (a wildcard where open is "").
func namesOfNumbers(template string, numbers []int, shifted int, open string, quote func(string) string) string {
	var b strings.Builder
	for i, text := range strings.Split(template, wildcard) {
		switch {
		case i == 0:
		case shifted&(1<<(i-1)) != 0:
			b.WriteString(strconv.Itoa(numbers[i-1]))
		case open == "":
			b.WriteString(wildcard)
		default:
			b.WriteString(open)
		}
		b.WriteString(quote(text))
	}
	return b.String()
}
