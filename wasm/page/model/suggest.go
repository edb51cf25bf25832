package model

import (
	"strings"

	"github.com/weightroom/weightroom/wasm/message"
)

// Suggestion is a value for a field, with how many keys it concerns.
type Suggestion struct {
	Value string
	Keys  int
}

// Prefixes are the leading parts that at least two keys of the mapping at share, the most frequent first, ties in file
// order: at most max.
func Prefixes(rows []message.Row, at string, max int) []Suggestion {
	counts := map[string]int{}
	var order []string
	for i := range rows {
		key, ok := keyIn(&rows[i], at)
		if !ok {
			continue
		}
		if dot := strings.IndexByte(key, '.'); dot >= 0 {
			p := key[:dot+1]
			if counts[p] == 0 {
				order = append(order, p)
			}
			counts[p]++
		}
	}
	var out []Suggestion
	for range min(max, len(order)) {
		best := -1
		for i, p := range order {
			if counts[p] > 1 && (best < 0 || counts[p] > counts[order[best]]) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		out = append(out, Suggestion{order[best], counts[order[best]]})
		counts[order[best]] = 0
	}
	return out
}

// keyIn is the key of a tensor of the mapping at.
func keyIn(r *message.Row, at string) (string, bool) {
	if r.Kind != message.Tensor || strings.TrimSuffix(r.Path[:r.KeyAt], ".") != at {
		return "", false
	}
	return r.Path[r.KeyAt:], true
}
