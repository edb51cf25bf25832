package listing

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/statedict"
)

// Listing is a checkpoint's entries as they are to be shown: all of them, or those that were asked for.
type Listing struct {
	cp      *statedict.Checkpoint
	entries []int // indexes into cp.Entries, in the order to show
	at      string
	// narrowed tells that at was asked for.
	narrowed bool
}

// New lists every entry of cp in file order.
func New(cp *statedict.Checkpoint) *Listing {
	l := &Listing{cp: cp, entries: make([]int, len(cp.Entries))}
	for i := range l.entries {
		l.entries[i] = i
	}
	return l
}

func (l *Listing) filter(keep func(*statedict.Entry) bool) {
	kept := l.entries[:0]
	for _, i := range l.entries {
		if keep(&l.cp.Entries[i]) {
			kept = append(kept, i)
		}
	}
	l.entries = kept
}

// At narrows the listing to what is at or below path: tensors, objects, module versions. It is an error when nothing is.
func (l *Listing) At(path string) error {
	l.filter(func(e *statedict.Entry) bool { return within(e.Dict, path) })
	l.at, l.narrowed = path, true
	if len(l.entries) > 0 {
		return nil
	}
	var known []string
	for _, d := range l.cp.StateDicts() {
		if within(d.Path, path) {
			return nil
		}
		known = append(known, d.Path)
	}
	return &statedict.KeyError{Op: "at", Keys: []string{path}, Msg: "no mapping of tensors is there:", Hint: mappings(path, known)}
}

// mappings says where there are mappings: the one that path most likely means, or the first few.
func mappings(path string, known []string) string {
	if near := statedict.Nearest(path, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 1 && known[0] == "" {
		return "the file has one mapping, its root: leave at out"
	}
	more := ""
	if len(known) > 5 {
		known, more = known[:5], ", …"
	}
	for i, p := range known {
		known[i] = strconv.Quote(p)
	}
	return "there are " + strings.Join(known, ", ") + more
}

// within tells whether path is equal to root or below it. A path continues with a dot or a bracket.
func within(path, root string) bool {
	if root == "" || path == root {
		return true
	}
	return strings.HasPrefix(path, root) && (path[len(root)] == '.' || path[len(root)] == '[')
}

// Match keeps the entries whose key, or whole path, matches the pattern.
func (l *Listing) Match(pattern string) error {
	match, err := statedict.Patterns{pattern}.Matcher()
	if err != nil {
		return err
	}
	l.filter(func(e *statedict.Entry) bool { return match(e.Key) || e.Dict != "" && match(e.Path()) })
	return nil
}

// Sort orders the entries: "file" as the file has them, "key" by path, "size" by bytes, the largest first.
func (l *Listing) Sort(by string) error {
	e := l.cp.Entries
	switch by {
	case "file", "":
		slices.Sort(l.entries)
	case "key":
		slices.SortStableFunc(l.entries, func(a, b int) int { return strings.Compare(e[a].Path(), e[b].Path()) })
	case "size":
		slices.SortStableFunc(l.entries, func(a, b int) int {
			x, y := NBytes(&e[a]), NBytes(&e[b])
			switch {
			case x > y:
				return -1
			case x < y:
				return 1
			}
			return 0
		})
	default:
		return fmt.Errorf("%q is no order: file, key or size", by)
	}
	return nil
}
