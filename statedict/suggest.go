package statedict

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// Suggestion is a recipe that makes a checkpoint fit a reference, or fit it better. It is never applied by itself.
type Suggestion struct {
	Recipe *Recipe `json:"recipe"`
	// Matched of Wanted keys of the reference are there, with their shape, after the recipe; Before counts those without it.
	Before  int `json:"before"`
	Matched int `json:"matched"`
	Wanted  int `json:"wanted"`
	// Compatible tells that load_state_dict(strict=True) then succeeds.
	Compatible bool           `json:"compatible"`
	Steps      []StepGain     `json:"steps"`
	Ambiguous  []AmbiguousKey `json:"ambiguous,omitempty"`
}

// StepGain is how many keys of the reference a step brings into place, and how sure it is: 1 where names prove it, less
// where shapes had to decide.
type StepGain struct {
	Op     string  `json:"op"`
	Gained int     `json:"gained"`
	Sure   float64 `json:"sure"`
}

// AmbiguousKey is a key of the reference that several keys of the checkpoint could become.
type AmbiguousKey struct {
	Key        string   `json:"key"`
	Candidates []string `json:"candidates"`
}

// Suggest looks for a recipe after which got fits want: another mapping of the file, prefixes on one or both sides
// (DataParallel, torch.compile, Lightning, sub-modules, EMA copies), renames by unique suffix and shape, and drops of what
// the model does not have. nil means that nothing was found which brings at least half of the wanted keys into place.
//
// Time is linear in the keys times their parts. Source of the suffix matching: detectron2/checkpoint/c2_model_loading.py,
// align_and_update_state_dicts.
func Suggest(want *KeyList, got *Checkpoint) (*Suggestion, error) {
	first, _, _, err := findDict(got, "", false)
	if err != nil {
		return nil, err
	}
	paths := []string{first}
	for _, p := range dictPaths(got) {
		if p != first && len(paths) < maxMappings {
			paths = append(paths, p)
		}
	}
	var best *Suggestion
	for _, p := range paths {
		list, err := got.KeyList(p, true)
		if err != nil || 2*len(list.Keys) < len(want.Keys) {
			continue
		}
		s := suggestKeys(want, list)
		if s == nil {
			continue
		}
		if p != first {
			s.Recipe.At, s.Recipe.HasAt = p, true
		}
		if best == nil || s.better(best) {
			best = s
		}
		if best.Compatible {
			break
		}
	}
	return best, nil
}

// maxMappings bounds how many mappings of a file are tried.
const maxMappings = 16

func (s *Suggestion) better(o *Suggestion) bool {
	if s.Compatible != o.Compatible {
		return s.Compatible
	}
	return s.Matched > o.Matched
}

// suggestKeys works on one mapping.
func suggestKeys(want, got *KeyList) *Suggestion {
	f := newFitter(want, got)
	s := &Suggestion{Recipe: &Recipe{}, Wanted: len(want.Keys), Before: f.matched()}
	filled := func() (n int) { // wanted keys that are not there and need not be
		have := make(map[string]bool, len(f.keys))
		for i := range f.keys {
			have[f.keys[i].Key] = true
		}
		for i := range want.Keys {
			if k := want.Keys[i].Key; !have[k] && got.fillsIn(k) {
				n++
			}
		}
		return n
	}
	add := func(op Op, sure float64) {
		before := f.matched()
		f.apply(op)
		s.Recipe.Steps = append(s.Recipe.Steps, op)
		s.Steps = append(s.Steps, StepGain{op.Name(), f.matched() - before, sure})
	}
	for range 4 {
		op := f.bestPrefix()
		if op == nil {
			break
		}
		add(op, 1)
	}
	for _, op := range f.renames(&s.Ambiguous) {
		add(op, 0.8)
	}
	s.Matched = f.matched()
	whole := s.Matched+filled() == len(want.Keys)
	if drops := f.drops(); len(drops) > 0 && whole {
		add(&Drop{Match: drops}, 1)
	}
	s.Compatible = whole && len(f.extra()) == 0
	if len(s.Recipe.Steps) == 0 && s.Matched <= s.Before || 2*s.Matched < len(want.Keys) || s.Matched == 0 {
		return nil
	}
	return s
}

// fitter holds the keys of a checkpoint as the steps so far have named them.
type fitter struct {
	want map[string]*KeyInfo
	list []KeyInfo // of the reference, in order
	keys []KeyInfo // of the checkpoint, renamed
	now  int       // keys in place, -1 when it must be counted
}

func newFitter(want, got *KeyList) *fitter {
	f := &fitter{want: make(map[string]*KeyInfo, len(want.Keys)), list: want.Keys, keys: slices.Clone(got.Keys), now: -1}
	for i := range want.Keys {
		f.want[want.Keys[i].Key] = &want.Keys[i]
	}
	return f
}

// places tells that k stands for the wanted key name.
func (f *fitter) places(name string, k *KeyInfo) bool {
	w := f.want[name]
	return w != nil && (w.Shape == nil || k.Shape == nil || fits(w.Shape, k.Shape)) && (k.Type == "") == (w.Type == "")
}

func (f *fitter) matched() int {
	if f.now < 0 {
		f.now = 0
		for i := range f.keys {
			if f.places(f.keys[i].Key, &f.keys[i]) {
				f.now++
			}
		}
	}
	return f.now
}

// extra are the keys of the checkpoint that the reference lacks.
func (f *fitter) extra() (out []string) {
	for i := range f.keys {
		if f.want[f.keys[i].Key] == nil {
			out = append(out, f.keys[i].Key)
		}
	}
	return out
}

// apply does to the list what the operation does to a mapping.
func (f *fitter) apply(op Op) {
	f.now = -1
	switch op := op.(type) {
	case *StripPrefix:
		for i := range f.keys {
			f.keys[i].Key = stripPrefixes(f.keys[i].Key, op.Prefix, op.Repeat)
		}
	case *Extract:
		f.keys = slices.DeleteFunc(f.keys, func(k KeyInfo) bool { return !strings.HasPrefix(k.Key, op.Prefix) || k.Key == op.Prefix })
		for i := range f.keys {
			f.keys[i].Key = f.keys[i].Key[len(op.Prefix):]
		}
	case *AddPrefix:
		for i := range f.keys {
			f.keys[i].Key = op.Prefix + f.keys[i].Key
		}
	case *Drop:
		if sel, err := compileSelection(op.Match, op.Except); err == nil {
			f.keys = slices.DeleteFunc(f.keys, func(k KeyInfo) bool { return sel.has(k.Key) })
		}
	case *Rename:
		if re, err := compileRename(op.From, op.To); err == nil {
			for i := range f.keys {
				f.keys[i].Key, _ = re.rename(f.keys[i].Key)
			}
		}
	}
}

// bestPrefix is the prefix change that brings most keys into place, nil when none brings more than there are. A prefix
// below which everything wanted lies, while keys beside it are not wanted, is extracted rather than stripped.
func (f *fitter) bestPrefix() Op {
	strip, add := map[string]int{}, map[string]int{}
	suffixes := map[string][]string{} // of the wanted keys not in place, by what follows a prefix
	have := make(map[string]bool, len(f.keys))
	for i := range f.keys {
		have[f.keys[i].Key] = true
	}
	for i := range f.keys {
		k := &f.keys[i]
		for at := range dots(k.Key) {
			if f.places(k.Key[at:], k) {
				strip[k.Key[:at]]++
			}
		}
	}
	for i := range f.list {
		w := f.list[i].Key
		if have[w] {
			continue
		}
		for at := range dots(w) {
			if have[w[at:]] {
				suffixes[w[at:]] = append(suffixes[w[at:]], w[:at])
			}
		}
	}
	for i := range f.keys {
		k := &f.keys[i]
		for _, p := range suffixes[k.Key] {
			if f.places(p+k.Key, k) {
				add[p]++
			}
		}
	}
	p, n := most(strip)
	q, m := most(add)
	now := f.matched()
	switch {
	case n > now && n >= m:
		if f.onlyBelow(p, n) {
			return &Extract{Prefix: p}
		}
		return &StripPrefix{Prefix: []string{p}}
	case m > now:
		return &AddPrefix{Prefix: q}
	}
	return nil
}

// onlyBelow tells that what stands beside prefix p is of no use: stripping p brings n keys into place, all below it, and
// none of the others is wanted.
func (f *fitter) onlyBelow(p string, n int) bool {
	beside := 0
	for i := range f.keys {
		if strings.HasPrefix(f.keys[i].Key, p) {
			continue
		}
		beside++
		if f.want[f.keys[i].Key] != nil {
			return false
		}
	}
	return beside > 0 && n > 0
}

// dots yields the positions behind each dot of a key.
func dots(key string) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := 0; i < len(key); i++ {
			if key[i] == '.' && i+1 < len(key) && !yield(i+1) {
				return
			}
		}
	}
}

// most is the prefix with the highest count, the shortest and first by name among equals.
func most(counts map[string]int) (best string, n int) {
	for p, c := range counts {
		if c > n || c == n && (len(p) < len(best) || len(p) == len(best) && p < best) {
			best, n = p, c
		}
	}
	return best, n
}

// oldNames are endings that were called otherwise in older or other code.
var oldNames = [][2]string{{`\.gamma$`, ".weight"}, {`\.beta$`, ".bias"}, {`\.moving_mean$`, ".running_mean"}, {`\.moving_variance$`, ".running_var"}}

// renames pairs what is left of both sides: first endings with well-known other names, then a replaced prefix on both
// sides, then the longest suffix that leads to one key of the right shape. Pairs that agree on what they replace become one
// rename.
func (f *fitter) renames(ambiguous *[]AmbiguousKey) (ops []Op) {
	work := &fitter{want: f.want, list: f.list, keys: slices.Clone(f.keys), now: -1}
	try := func(op *Rename) bool {
		before := work.matched()
		trial := &fitter{want: work.want, list: work.list, keys: slices.Clone(work.keys), now: -1}
		trial.apply(op)
		if trial.matched() <= before || trial.collides() {
			return false
		}
		*work = *trial
		ops = append(ops, op)
		return true
	}
	for _, o := range oldNames {
		try(&Rename{From: "re:" + o[0], To: o[1]})
	}
	for range 32 {
		pairs, unsure := work.pairs()
		op := headRename(pairs)
		if op == nil || !try(op) {
			*ambiguous = unsure
			// What no common prefix explains is renamed key by key.
			done := false
			for _, p := range pairs {
				if len(ops) < 64 {
					done = try(&Rename{From: escapeGlob(p[0]), To: strings.ReplaceAll(p[1], "$", "$$")}) || done
				}
			}
			return ops
		}
	}
	return ops
}

func (f *fitter) collides() bool {
	seen := make(map[string]bool, len(f.keys))
	for i := range f.keys {
		if seen[f.keys[i].Key] {
			return true
		}
		seen[f.keys[i].Key] = true
	}
	return false
}

// pairs matches unplaced keys of the checkpoint with unplaced wanted ones: by the longest common suffix, in parts, of equal
// shape, where that is unique on both sides.
func (f *fitter) pairs() (pairs [][2]string, ambiguous []AmbiguousKey) {
	placed := map[string]bool{}
	var free []*KeyInfo
	for i := range f.keys {
		if f.places(f.keys[i].Key, &f.keys[i]) {
			placed[f.keys[i].Key] = true
		} else if f.keys[i].Type == "" {
			free = append(free, &f.keys[i])
		}
	}
	bySuffix := map[string][]*KeyInfo{}
	for _, k := range free {
		bySuffix[k.Key] = append(bySuffix[k.Key], k)
		for at := range dots(k.Key) {
			bySuffix[k.Key[at:]] = append(bySuffix[k.Key[at:]], k)
		}
	}
	taken := map[string]int{}
	var found [][2]string
	for i := range f.list {
		w := &f.list[i]
		if placed[w.Key] || w.Type != "" {
			continue
		}
		starts := append([]int{0}, slices.Collect(dots(w.Key))...)
		for _, at := range starts {
			var fit []string
			for _, k := range bySuffix[w.Key[at:]] {
				if w.Shape == nil || k.Shape == nil || fits(w.Shape, k.Shape) {
					fit = append(fit, k.Key)
				}
			}
			if len(fit) == 1 {
				found = append(found, [2]string{fit[0], w.Key})
				taken[fit[0]]++
				break
			}
			if len(fit) > 1 {
				if len(fit) > 8 {
					fit = fit[:8]
				}
				ambiguous = append(ambiguous, AmbiguousKey{w.Key, fit})
				break
			}
		}
	}
	for _, p := range found {
		if taken[p[0]] == 1 {
			pairs = append(pairs, p)
		}
	}
	return pairs, ambiguous
}

// headRename is the rename of a leading run of parts that explains most pairs, at least two; nil if there is none.
func headRename(pairs [][2]string) *Rename {
	counts := map[[2]string]int{}
	for _, p := range pairs {
		from, to := differingHeads(p[0], p[1])
		if from != "" && to != "" {
			counts[[2]string{from, to}]++
		}
	}
	var best [2]string
	n := 1
	keys := make([][2]string, 0, len(counts))
	for h := range counts {
		keys = append(keys, h)
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i][0]+"\x00"+keys[i][1] < keys[j][0]+"\x00"+keys[j][1] })
	for _, h := range keys {
		if counts[h] > n {
			best, n = h, counts[h]
		}
	}
	if n < 2 {
		return nil
	}
	return &Rename{From: "re:^" + regexp.QuoteMeta(best[0]), To: strings.ReplaceAll(best[1], "$", "$$")}
}

// differingHeads takes the common ending, in whole parts, off both keys; what is left keeps its final dot.
func differingHeads(a, b string) (from, to string) {
	i, j := len(a), len(b)
	for {
		pa := strings.LastIndexByte(a[:i], '.')
		pb := strings.LastIndexByte(b[:j], '.')
		if pa < 0 || pb < 0 || a[pa:i] != b[pb:j] {
			break
		}
		i, j = pa, pb
	}
	if i == len(a) || j == len(b) {
		return "", "" // no common part at all
	}
	return a[:i+1], b[:j+1]
}

// drops are patterns for the keys that the reference lacks: a whole group where nothing below it is wanted, else the key.
func (f *fitter) drops() Patterns {
	extra := f.extra()
	if len(extra) == 0 {
		return nil
	}
	wanted := map[string]bool{} // every leading run of parts of a wanted key, with its dot
	for i := range f.list {
		for at := range dots(f.list[i].Key) {
			wanted[f.list[i].Key[:at]] = true
		}
	}
	var out Patterns
	seen := map[string]bool{}
	for _, k := range extra {
		p := escapeGlob(k)
		for at := range dots(k) {
			if !wanted[k[:at]] {
				if p = escapeGlob(k[:at]) + "**"; strings.HasPrefix(p, "re:") {
					p = "re:^" + regexp.QuoteMeta(k[:at])
				}
				break
			}
		}
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	return out
}

// escapeGlob makes a pattern that matches exactly this text.
func escapeGlob(key string) string {
	if strings.ContainsAny(key, `*?[]{}\,`) || strings.HasPrefix(key, "re:") {
		return "re:^" + regexp.QuoteMeta(key) + "$"
	}
	return key
}

// String is one line: what the recipe gains.
func (s *Suggestion) String() string {
	return fmt.Sprintf("%d of %d keys in place, %d before", s.Matched, s.Wanted, s.Before)
}
