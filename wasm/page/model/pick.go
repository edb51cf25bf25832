package model

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/weightroom/weightroom/statedict"
)

// Picked is the selection as the operations see it.
type Picked struct {
	Rows     int   // selected
	Hidden   int   // of these, by a filter
	Tensors  int   // of these
	NBytes   int64 // of the tensors
	Numel    int64 // elements of the tensors
	Keys     int   // tensors in the mapping under edit
	Whole    bool  // these are all keys of the mapping
	IsKey    bool  // the selection is the key Name alone
	IsGroup  bool  // or the group Name, which is the start of its keys without the last dot
	Name     string
	Patterns []string // match these keys and no other of the mapping; nil where a key is no text
	List     []string // these keys one by one, in the order on show; nil where they are many or no text
	Objects  []string // paths of what else is selected, for DropObjects
}

// manyKeys are too many to name one by one.
const manyKeys = 200

// picker reads a selection. Its counts stand by node, of what is in front of it.
type picker struct {
	v            *View
	breathe      Breathe
	at, prefix   string
	leaves, on   []int32
	keys, onKeys []int32
	last         string // part of all selected keys, if they share it
	alike        bool
	spare        map[int32]map[string]bool // by group: the keys right in it that are not selected
}

// Picked is what is selected, for operations on the mapping at.
func (v *View) Picked(at string) Picked { return v.pick(at, nil) }

// PickedAtLeisure is Picked with breathing; false when the view has changed meanwhile.
func (v *View) PickedAtLeisure(at string, breathe Breathe) (Picked, bool) {
	before, now := v.moment(), *v
	p := now.pick(at, breathe)
	return p, v.moment() == before
}

func (v *View) pick(at string, breathe Breathe) Picked {
	if !v.picked {
		return Picked{}
	}
	n := len(v.Tree.Nodes) + 1
	k := picker{v: v, breathe: breathe, at: at, leaves: make([]int32, n), on: make([]int32, n), keys: make([]int32, n), onKeys: make([]int32, n), alike: true, spare: map[int32]map[string]bool{}}
	if at != "" {
		k.prefix = at + "."
	}
	p := k.count()
	if p.Rows == 0 {
		return p
	}
	if g := k.group(p.Rows); g != nil && p.Keys > 0 && strings.HasPrefix(g.Path, k.prefix) && len(g.Path) > len(k.prefix) {
		p.IsGroup, p.IsKey, p.Name = true, false, g.Path[len(k.prefix):]
	}
	if !p.IsGroup && !p.IsKey {
		p.Name = ""
	}
	p.Patterns = k.patterns(&p)
	p.Objects = k.objects()
	return p
}

func (k *picker) count() (p Picked) {
	all := int32(0)
	for i := range k.v.Tree.Nodes {
		k.breathe.at(i)
		n := &k.v.Tree.Nodes[i]
		k.leaves[i+1], k.on[i+1], k.keys[i+1], k.onKeys[i+1] = k.leaves[i], k.on[i], k.keys[i], k.onKeys[i]
		if n.Kind == Group {
			continue
		}
		key, ok := keyIn(n.Row, k.at)
		k.leaves[i+1]++
		if ok {
			k.keys[i+1]++
			all++
		}
		if !k.v.on[n.Index] {
			continue
		}
		k.on[i+1]++
		p.Rows++
		if k.v.shown != nil && !k.v.shown[i] {
			p.Hidden++
		}
		if n.Kind == Tensor {
			p.Tensors++
			p.NBytes += n.NBytes
			p.Numel += n.Numel
		}
		if ok {
			k.onKeys[i+1]++
			p.Keys++
			p.Name = key
			if p.List = append(p.List, key); len(p.List) > manyKeys {
				p.List = p.List[:manyKeys]
			}
			last := key[strings.LastIndexByte(key, '.')+1:]
			k.alike = k.alike && (p.Keys == 1 || last == k.last)
			k.last = last
		}
	}
	p.IsKey = p.Rows == 1 && p.Keys == 1
	p.Whole = p.Keys == int(all)
	if p.Keys > manyKeys || !utf8.ValidString(strings.Join(p.List, "")) {
		p.List = nil
	}
	return p
}

// below is how many of a count lie below node i.
func (k *picker) below(count []int32, i int32) int32 { return count[k.v.Tree.Nodes[i].End] - count[i] }

// group is the group whose leaves are the selection, the one under the cursor first; nil for none.
func (k *picker) group(selected int) *Node {
	whole := func(i int32) bool {
		n := &k.v.Tree.Nodes[i]
		return n.Kind == Group && n.Blocks == 0 && k.v.marked[i] && int(k.below(k.on, i)) == selected && k.below(k.leaves, i) == k.below(k.on, i)
	}
	if k.v.Current() != nil && whole(k.v.Rows[k.v.Cursor]) {
		return k.v.Current()
	}
	for i := range k.v.Tree.Nodes {
		k.breathe.at(i)
		if whole(int32(i)) {
			return &k.v.Tree.Nodes[i]
		}
	}
	return nil
}

// takesGroup tells that all of group i is selected, keys among it, and that it is worth a pattern: it was selected as a group
// or has several children.
func (k *picker) takesGroup(i int32) bool {
	n := &k.v.Tree.Nodes[i]
	return n.Blocks == 0 && k.below(k.leaves, i) == k.below(k.on, i) && (k.v.marked[i] || k.v.Tree.Nodes[i+1].End < n.End || k.v.Tree.Nodes[i+1].Blocks > 0)
}

// patterns finds few patterns for the selected keys: all, the last part that they alone share, whole groups, single keys.
func (k *picker) patterns(p *Picked) (out []string) {
	switch {
	case p.Keys == 0:
		return nil
	case p.Whole && !p.IsGroup && !p.IsKey:
		return []string{"**"}
	case k.alike && p.Keys > 2 && !p.IsGroup && k.last != "" && utf8.ValidString(k.last) && k.others(k.last) == 0:
		return []string{"**." + statedict.QuotePattern(k.last)}
	}
	nodes := k.v.Tree.Nodes
	for i := int32(0); i < int32(len(nodes)); {
		k.breathe.at(int(i))
		n := &nodes[i]
		name, next := "", i+1
		switch {
		case n.Kind == Group && k.below(k.onKeys, i) == 0:
			i = n.End
			continue
		case n.Kind == Group:
			if !k.takesGroup(i) || len(n.Path) <= len(k.prefix) || !strings.HasPrefix(n.Path, k.prefix) {
				i++
				continue
			}
			name, next = n.Path[len(k.prefix):], n.End
			out = append(out, k.belowGroup(i, name))
		default:
			key, ok := keyIn(n.Row, k.at)
			if i = next; !ok || !k.v.on[n.Index] {
				continue
			}
			name = key
			out = append(out, literal(key))
		}
		if !utf8.ValidString(name) {
			return nil
		}
		i = next
	}
	return joinNumbers(out)
}

// others counts the keys that end in a part without being selected.
func (k *picker) others(last string) (n int) {
	for i := range k.v.Tree.Nodes {
		k.breathe.at(i)
		d := &k.v.Tree.Nodes[i]
		if d.Kind == Group || k.v.on[d.Index] {
			continue
		}
		if key, ok := keyIn(d.Row, k.at); ok && key[strings.LastIndexByte(key, '.')+1:] == last {
			n++
		}
	}
	return n
}

// belowGroup matches the keys below a group. name.** matches name as well: where that is a key and not selected, only a
// regular expression leaves it alone.
func (k *picker) belowGroup(i int32, name string) string {
	if k.sparesOf(k.v.Tree.Nodes[i].Parent)[name] {
		return "re:^" + regexp.QuoteMeta(name) + `\.`
	}
	return statedict.QuotePattern(name) + ".**"
}

func (k *picker) sparesOf(group int32) map[string]bool {
	spare, ok := k.spare[group]
	if ok {
		return spare
	}
	start, end := int32(0), int32(len(k.v.Tree.Nodes))
	if group >= 0 {
		start, end = group+1, k.v.Tree.Nodes[group].End
	}
	spare = map[string]bool{}
	for j := start; j < end; j = k.v.Tree.Nodes[j].End {
		if n := &k.v.Tree.Nodes[j]; n.Kind != Group && !k.v.on[n.Index] {
			if key, ok := keyIn(n.Row, k.at); ok {
				spare[key] = true
			}
		}
	}
	k.spare[group] = spare
	return spare
}

// objects lists what of the selection is no key of the mapping, as paths from the top: whole groups where nothing else is in
// them, single rows else.
func (k *picker) objects() (out []string) {
	nodes := k.v.Tree.Nodes
	for i := int32(0); i < int32(len(nodes)); {
		k.breathe.at(int(i))
		n := &nodes[i]
		switch {
		case n.Kind != Group:
			if _, ok := keyIn(n.Row, k.at); !ok && k.v.on[n.Index] {
				out = append(out, n.Path)
			}
			i++
		case k.below(k.on, i) == k.below(k.onKeys, i):
			i = n.End
		case k.takesGroup(i) && k.below(k.keys, i) == 0:
			out = append(out, n.Path)
			i = n.End
		default:
			i++
		}
	}
	return out
}

// literal matches one key.
func literal(key string) string {
	if key == "" {
		return "re:^$" // an empty pattern is none
	}
	return statedict.QuotePattern(key)
}

// joinNumbers makes one pattern of those that follow each other and differ in one number only: layers.{0,1,2}.** for three
// blocks.
func joinNumbers(patterns []string) (out []string) {
	const most = 500 // alternatives of a pattern
	for i := 0; i < len(patterns); {
		head, number, tail := lastNumber(patterns[i])
		alike := []string{number}
		for i++; number != "" && i < len(patterns) && len(alike) < most; i++ {
			h, n, t := lastNumber(patterns[i])
			if n == "" || h != head || t != tail {
				break
			}
			alike = append(alike, n)
		}
		if len(alike) == 1 {
			out = append(out, head+number+tail)
		} else {
			out = append(out, head+"{"+strings.Join(alike, ",")+"}"+tail)
		}
	}
	return out
}

// lastNumber is a pattern with its last literal part set apart, if that is a number.
func lastNumber(p string) (head, number, tail string) {
	head = p
	if rest, ok := strings.CutSuffix(p, ".**"); ok {
		head, tail = rest, ".**"
	}
	dot := strings.LastIndexByte(head, '.') + 1
	if number = head[dot:]; number == "" || digits(number) < len(number) || strings.HasPrefix(p, "re:") {
		return p, "", ""
	}
	return head[:dot], number, tail
}
