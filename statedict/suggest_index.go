package statedict

import (
	"hash/maphash"
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
