package statedict

import (
	"slices"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// A state dict carries `_metadata`: an OrderedDict from module path ('' for the root, 'layer1.0') to {'version': n}. It is
// an attribute, or an ordinary key where somebody's code made it one, and loaders need it to agree with the keys. So it
// follows them, by these rules:
//
//   - The module of a key is the key without its last part. Where the keys of module m now stand in module n, m's entry
//     goes to n, and the parents of m go to the parents of n for as long as their last parts are equal: when
//     layers.0.w becomes blocks.0.w, layers.0 becomes blocks.0 and layers becomes blocks.
//   - A module without keys of its own (an activation) goes where its parent goes, and is dropped where that has no place.
//   - A module that had keys, at it or below, and has none any more is dropped with everything below it.
//   - Where two entries meet, one that moved wins over one that stayed, as in torch's
//     consume_prefix_in_state_dict_if_present; so 'module' replaces the root entry of the DataParallel around it.
//   - The root entry always stays. A parent that a moved module needs and that has no entry, as torch's wrapper would have
//     one, gets {'version': 1}, which is what nn.Module gives. No other path is invented.
//   - What a merge brings comes with its entries; one that is there already stays.

// metaSource is the `_metadata` of one origin of rows.
type metaSource struct {
	meta   *pickle.Dict  // nil for none
	before []pickle.Item // every key that the origin had
}

// metadataOf is the `_metadata` of a mapping: its attribute, or its key.
func metadataOf(d *pickle.Dict) *pickle.Dict {
	if attrs, ok := d.Attrs.(*pickle.Dict); ok {
		if m, ok := lookup(attrs, "_metadata").(*pickle.Dict); ok {
			return m
		}
	}
	if m, ok := lookup(d, "_metadata").(*pickle.Dict); ok && isVersions(m) {
		return m
	}
	return nil
}

// isVersions tells a mapping of module paths to mappings, which is what `_metadata` looks like.
func isVersions(v pickle.Value) bool {
	d, ok := v.(*pickle.Dict)
	if !ok {
		return false
	}
	for _, it := range d.Items {
		_, isPath := it.Key.(string)
		_, isEntry := it.Value.(*pickle.Dict)
		if !isPath || !isEntry {
			return false
		}
	}
	return true
}

// applyMetadata makes the `_metadata` of the edited mapping and puts it where the old one was.
func (e *edit) applyMetadata() {
	changed := len(e.sources) > 1 || e.dirty && len(e.rows) != len(e.sources[0].before)
	for i := range e.rows {
		if changed {
			break
		}
		changed = e.rows[i].name != e.rows[i].was
	}
	if !changed {
		return
	}
	out := &metaResult{index: map[string]int{}}
	for s := range e.sources {
		if e.sources[s].meta != nil {
			e.follow(int32(s), out)
		}
	}
	if out.entries == nil {
		return
	}
	for i := range e.rows {
		if e.rows[i].kind == versions {
			e.rows[i].value = out.dict(e.rows[i].value.(*pickle.Dict))
			e.dirty = true
			return
		}
	}
	attrs, _ := e.shell.Attrs.(*pickle.Dict)
	if attrs == nil || lookup(attrs, "_metadata") == nil {
		return
	}
	a := *attrs
	a.Items = append([]pickle.Item(nil), attrs.Items...)
	for i := range a.Items {
		if k, ok := a.Items[i].Key.(string); ok && k == "_metadata" {
			a.Items[i].Value = out.dict(a.Items[i].Value.(*pickle.Dict))
		}
	}
	e.shell.Attrs = &a
	e.dirty = true
}

// metaResult collects entries by their new path.
type metaResult struct {
	entries []metaEntry
	index   map[string]int
	invent  []string // parents that moved modules need
}

type metaEntry struct {
	item  pickle.Item
	moved bool
	from  int32
	own   bool // the module has keys of that source
}

func (m *metaResult) put(path string, en metaEntry) {
	i, ok := m.index[path]
	if !ok {
		m.index[path] = len(m.entries)
		m.entries = append(m.entries, en)
		return
	}
	old := &m.entries[i]
	if en.from == old.from && en.moved && !old.moved || en.from != old.from && en.own && !old.own {
		*old = en
	}
}

// dict is the result in the shape of the old `_metadata`: parents in front of what is below them, the root first.
func (m *metaResult) dict(like *pickle.Dict) *pickle.Dict {
	d := *like
	d.Items = make([]pickle.Item, 0, len(m.entries)+len(m.invent))
	missing := map[string]bool{}
	for _, p := range m.invent {
		if _, ok := m.index[p]; !ok {
			missing[p] = true
		}
	}
	if i, ok := m.index[""]; ok {
		d.Items = append(d.Items, m.entries[i].item)
	}
	for _, en := range m.entries {
		path := en.item.Key.(string)
		if path == "" {
			continue
		}
		for j := 0; len(missing) > 0 && j < len(path); j++ {
			if path[j] == '.' && missing[path[:j]] {
				delete(missing, path[:j])
				entry := &pickle.Dict{Items: []pickle.Item{{Key: "version", Value: int64(1)}}}
				d.Items = append(d.Items, pickle.Item{Key: strings.Clone(path[:j]), Value: entry})
			}
		}
		d.Items = append(d.Items, en.item)
	}
	return &d
}

// follow moves the entries of source s to where its rows went.
func (e *edit) follow(s int32, out *metaResult) {
	targets := map[string][]string{} // old module to new ones
	alive := map[string]bool{}       // old modules with rows left, and their parents
	below := map[string]bool{}       // new modules with rows, and their parents
	own := map[string]bool{}         // new modules with rows
	lastWas, lastNow := "\x00", ""
	any := false
	for i := range e.rows {
		r := &e.rows[i]
		if r.from != s || r.kind != named {
			continue
		}
		any = true
		was, now := parentPath(r.was), parentPath(r.name)
		if was == lastWas && now == lastNow {
			continue
		}
		lastWas, lastNow = was, now
		own[now] = true
		markUp(alive, was)
		markUp(below, now)
		for addTarget(targets, was, now) && was != "" && now != "" && lastPart(was) == lastPart(now) {
			was, now = parentPath(was), parentPath(now)
		}
	}
	if !any && len(e.rows) > 0 && s > 0 {
		return
	}
	if !rootTaken(targets) {
		addTarget(targets, "", "")
	}
	had := map[string]bool{}
	last := "\x00"
	for _, it := range e.sources[s].before {
		if k, ok := it.Key.(string); ok {
			if m := parentPath(k); m != last {
				markUp(had, m)
				last = m
			}
		}
	}
	root := pickle.Item{}
	_, before := out.index[""]
	for _, it := range e.sources[s].meta.Items {
		path, ok := it.Key.(string)
		if !ok || path != "" && vanished(path, had, alive) {
			continue
		}
		if path == "" {
			root = it
		}
		for _, to := range placesOf(path, targets) {
			if had[path] && !below[to] && to != "" {
				continue
			}
			en := metaEntry{item: it, from: s, own: own[to], moved: to != path}
			if en.moved {
				if !en.own && slices.Contains(targets[path], path) {
					out.invent = append(out.invent, to) // the module stays; this is a new parent for some of it
					continue
				}
				en.item.Key = to
				for j := range len(to) {
					if to[j] == '.' {
						out.invent = append(out.invent, to[:j])
					}
				}
			}
			out.put(to, en)
		}
	}
	if root.Value == nil {
		return
	}
	if _, ok := out.index[""]; !ok && !before && s == 0 {
		out.put("", metaEntry{item: root, from: s})
	}
}

// rootTaken tells whether the old root went elsewhere or another module became the root.
func rootTaken(targets map[string][]string) bool {
	if len(targets[""]) > 0 {
		return true
	}
	for _, to := range targets {
		if slices.Contains(to, "") {
			return true
		}
	}
	return false
}

// placesOf is where a module's entry goes; a place that it had already comes first.
func placesOf(path string, targets map[string][]string) []string {
	if t, ok := targets[path]; ok {
		return t
	}
	for parent := path; parent != ""; {
		parent = parentPath(parent)
		if t, ok := targets[parent]; ok {
			to := t[0]
			for _, x := range t {
				if x == parent {
					to = x
				}
			}
			rest := path
			if parent != "" {
				rest = path[len(parent)+1:]
			}
			if to == parent {
				return []string{path}
			}
			return []string{dotted(to) + rest}
		}
	}
	return nil
}

// addTarget answers false when the pair was there, so that its parents are known as well.
func addTarget(targets map[string][]string, was, now string) bool {
	for _, t := range targets[was] {
		if t == now {
			return false
		}
	}
	targets[was] = append(targets[was], now)
	return true
}

func vanished(path string, had, alive map[string]bool) bool {
	for p := path; p != ""; p = parentPath(p) {
		if had[p] && !alive[p] {
			return true
		}
	}
	return false
}

// markUp enters a path and its parents.
func markUp(set map[string]bool, path string) {
	for !set[path] {
		set[path] = true
		if path == "" {
			return
		}
		path = parentPath(path)
	}
}

// parentPath is path without its last part, "" at the top.
func parentPath(path string) string {
	return path[:max(0, strings.LastIndexByte(path, '.'))]
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
