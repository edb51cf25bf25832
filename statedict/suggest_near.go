package statedict

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Nearest is the candidate that a misspelt name most likely means, "" when none is close: something of the name has to stay.
func Nearest(name string, candidates []string) string {
	best, cost := "", min(max(2, len(name)/3)+1, len(name))
	for _, c := range candidates {
		if d := editDistance(name, c, cost); d < cost && d > 0 {
			best, cost = c, d
		}
	}
	return best
}

func nearestHint(name string, candidates []string) string {
	if c := Nearest(name, candidates); c != "" {
		return fmt.Sprintf("did you mean %q?", c)
	}
	return ""
}

// editDistance counts insertions, deletions and replacements of bytes; it answers limit when there are that many or more.
func editDistance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	line := make([]int, len(b)+1)
	for j := range line {
		line[j] = j
	}
	for i := range len(a) {
		diagonal := line[0]
		line[0] = i + 1
		low := line[0]
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = line[j+1]
			line[j+1] = min(cost, diagonal+1, line[j]+1)
			low = min(low, line[j+1])
		}
		if low >= limit {
			return limit
		}
	}
	return min(line[len(b)], limit)
}

// nothing is the error of a step that touched nothing, with the keys that it may have meant.
func (e *edit) nothing(op Op) error {
	var what, hint string
	prefix := func(p string) string {
		p = strings.TrimSuffix(p, ".")
		for i := range e.rows {
			for at := 0; ; {
				j := strings.Index(e.rows[i].name[at:], p+".")
				if j < 0 {
					break
				}
				if j += at; j > 0 && e.rows[i].name[j-1] == '.' {
					return fmt.Sprintf("%q stands deeper, in %q; a prefix is looked for at the start", p, e.rows[i].name)
				}
				at = j + 1
			}
		}
		return nearestHint(p, e.groups(strings.Count(p, ".")+1))
	}
	match := func(p Patterns) string {
		for _, s := range p {
			for i := range e.rows {
				if strings.HasPrefix(e.rows[i].name, s+".") {
					return fmt.Sprintf("%q is a group of keys; write %q for all below it", s, s+".**")
				}
			}
		}
		if len(p) > 0 {
			return nearestHint(p[0], e.names())
		}
		return ""
	}
	switch op := op.(type) {
	case *Keep:
		what, hint = "no key matches"+quotedList(op.Match), match(op.Match)
	case *Drop:
		what, hint = "no key matches"+quotedList(op.Match), match(op.Match)
	case *Rename:
		what, hint = "no key matches"+quotedList([]string{op.From}), nearestHint(op.From, e.names())
		for i := range e.rows {
			if strings.HasPrefix(e.rows[i].name, op.From+".") {
				hint = fmt.Sprintf("%q is a group of keys; write %q to rename the group", op.From, op.From+".")
				break
			}
		}
	case *StripPrefix:
		what = "no key starts with" + quotedList(op.Prefix)
		if len(op.Prefix) > 0 {
			hint = prefix(op.Prefix[0])
		}
	case *Extract:
		what, hint = "no key starts with"+quotedList([]string{dotted(op.Prefix)}), prefix(op.Prefix)
	case *AddPrefix:
		what, hint = "no key matches"+quotedList(op.Match), match(op.Match)
	default:
		what = e.nothingElse(op)
	}
	switch op.(type) {
	case *Rename, *StripPrefix, *AddPrefix:
		if i := slices.IndexFunc(e.rows, func(r row) bool { return r.kind == foreign }); i >= 0 {
			hint = fmt.Sprintf("keys that are no strings keep their names, like %s", e.rows[i].name)
		}
	}
	if own := e.ownMapping(op); own != "" {
		hint = own
	}
	if other := e.larger(); other != "" && needsDict(op) {
		hint = other
	}
	if hint == "" {
		hint = optionalHint(op)
	}
	return e.fail("touches nothing: "+what, hint)
}

// ownMapping is the hint that what a step looks for below a prefix is a mapping of the file itself; "" when none is.
func (e *edit) ownMapping(op Op) string {
	var prefixes []string
	switch op := op.(type) {
	case *Keep:
		for _, p := range op.Match {
			if head, ok := strings.CutSuffix(p, ".**"); ok {
				prefixes = append(prefixes, head)
			}
		}
	case *Extract:
		prefixes = []string{strings.TrimSuffix(op.Prefix, ".")}
	default:
		return ""
	}
	for _, c := range dictCandidates(e.base) {
		if c.path != "" && c.path != e.report.At && slices.Contains(prefixes, c.path) {
			return fmt.Sprintf("%[1]q is a mapping of the file beside the one that the steps work on: take it out with at: \"\" and extract: %[1]s (--at '' --extract %[2]s)", c.path, shellQuote(c.path))
		}
	}
	return ""
}

// optionalHint says how a step that touches nothing is let be, in a recipe and on the command line.
func optionalHint(op Op) string {
	const hint = "optional: true lets a step touch nothing"
	may := reflect.New(reflect.TypeOf(op).Elem())
	may.Elem().Set(reflect.ValueOf(op).Elem())
	may.Elem().FieldByName("Optional").SetBool(true)
	flag := strings.Join(wholeStep(may.Interface().(Op)), " ")
	if len(flag) > 200 {
		return hint
	}
	return hint + " (" + flag + ")"
}

// larger is the hint that another mapping of the file has more tensors than the one that was found; "" when none has.
func (e *edit) larger() string {
	if !e.found {
		return ""
	}
	here, most := 0, dictCandidate{}
	for _, c := range dictCandidates(e.base) {
		if c.path == e.report.At {
			here = c.tensors
		}
		if c.tensors > most.tensors {
			most = c
		}
	}
	if most.tensors <= here {
		return ""
	}
	place := "the root"
	if e.report.At != "" {
		place = strconv.Quote(e.report.At)
	}
	return fmt.Sprintf("the steps work on %s, which holds %d of the tensors; %q holds %d: name it with at", place, here, most.path, most.tensors)
}

// groups lists the leading runs of depth parts that keys have, once each.
func (e *edit) groups(depth int) []string {
	var groups []string
	seen := map[string]bool{}
	for i := range e.rows {
		name, end := e.rows[i].name, 0
		for range depth {
			j := strings.IndexByte(name[end:], '.')
			if j < 0 {
				end = -1
				break
			}
			end += j + 1
		}
		if end > 0 && !seen[name[:end-1]] {
			seen[name[:end-1]] = true
			groups = append(groups, name[:end-1])
		}
	}
	return groups
}
