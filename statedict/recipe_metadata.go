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
//   - The root entry always stays. A new parent around a moved module gets {'version': 1}, which is what torch's wrapper would
//     have. No other path is invented.
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
	out := &metaResult{}
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
	paths   pathTable
	entries []metaEntry
	index   []int32 // by path id: position in entries plus one
	invent  []int32 // ids of parents that moved modules need
}

type metaEntry struct {
	item  pickle.Item
	to    int32 // path id
	moved bool
	from  int32
	own   bool // the module has keys of that source
}

func (m *metaResult) has(id int32) bool { return int(id) < len(m.index) && m.index[id] > 0 }

func (m *metaResult) put(en metaEntry) {
	if n := len(m.paths.texts); n > len(m.index) {
		m.index = append(m.index, make([]int32, n-len(m.index))...)
	}
	if i := m.index[en.to]; i > 0 {
		old := &m.entries[i-1]
		if en.from == old.from && en.moved && !old.moved || en.from != old.from && en.own && !old.own {
			*old = en
		}
		return
	}
	m.entries = append(m.entries, en)
	m.index[en.to] = int32(len(m.entries))
}

// dict is the result in the shape of the old `_metadata`: parents in front of what is below them, the root first.
func (m *metaResult) dict(like *pickle.Dict) *pickle.Dict {
	d := *like
	d.Items = make([]pickle.Item, 0, len(m.entries)+len(m.invent))
	missing := map[int32]bool{}
	for _, id := range m.invent {
		if !m.has(id) {
			missing[id] = true
		}
	}
	if m.has(rootPath) {
		d.Items = append(d.Items, m.entries[m.index[rootPath]-1].item)
	}
	for _, en := range m.entries {
		if en.to == rootPath {
			continue
		}
		at := len(d.Items)
		for id := m.paths.parent[en.to]; id != rootPath && len(missing) > 0; id = m.paths.parent[id] {
			if missing[id] {
				delete(missing, id)
				entry := &pickle.Dict{Items: []pickle.Item{{Key: "version", Value: int64(1)}}}
				d.Items = slices.Insert(d.Items, at, pickle.Item{Key: strings.Clone(m.paths.texts[id]), Value: entry})
			}
		}
		d.Items = append(d.Items, en.item)
	}
	return &d
}

// module is what follow knows of a path, as an old one (had, alive, targets) and as a new one (below, own).
type module struct {
	had, alive, below, own bool
	reached                bool  // some old module's place
	target                 int32 // first new place plus one, 0 for none
}

// follower moves the entries of one source to where its rows went.
type follower struct {
	*metaResult
	modules []module          // by path id
	more    map[int32][]int32 // the second and further places of old modules
	places  []int32           // scratch of targets
}

func (f *follower) module(id int32) *module {
	if n := len(f.paths.texts); n > len(f.modules) {
		f.modules = append(f.modules, make([]module, n-len(f.modules))...)
	}
	return &f.modules[id]
}

// addTarget answers false when the pair was there, so that its parents are known as well.
func (f *follower) addTarget(was, now int32) bool {
	f.module(now).reached = true
	m := f.module(was)
	if m.target == 0 {
		m.target = now + 1
		return true
	}
	if m.target == now+1 || slices.Contains(f.more[was], now) {
		return false
	}
	f.more[was] = append(f.more[was], now)
	return true
}

// targets are the new places of an old module, until the next call.
func (f *follower) targets(id int32) []int32 {
	if f.module(id).target == 0 {
		return nil
	}
	f.places = append(append(f.places[:0], f.module(id).target-1), f.more[id]...)
	return f.places
}

func (e *edit) follow(s int32, out *metaResult) {
	f := &follower{metaResult: out, more: map[int32][]int32{}}
	f.paths.grow(2 * len(e.sources[s].meta.Items))
	f.modules = make([]module, 0, cap(f.paths.texts))
	out.entries = slices.Grow(out.entries, len(e.sources[s].meta.Items))
	// The modules of the keys as they were, in order: rows and _metadata mostly come in the same order, so that a glance at
	// the next one spares a search.
	order := f.modulesOf(e.sources[s].before)
	if !f.rows(e.rows, s, order) && len(e.rows) > 0 && s > 0 {
		return
	}
	if !f.rootTaken() {
		f.addTarget(rootPath, rootPath)
	}
	var root pickle.Item
	rootThere := out.has(rootPath)
	next := cursor{&f.paths, order, 0}
	for _, it := range e.sources[s].meta.Items {
		path, ok := it.Key.(string)
		if !ok {
			continue
		}
		id := next.id(path)
		if id == rootPath {
			root = it
		}
		if !f.vanished(id) {
			f.place(id, it, s)
		}
	}
	if root.Value != nil && !out.has(rootPath) && !rootThere && s == 0 {
		out.put(metaEntry{item: root, from: s, to: rootPath})
	}
}

// modulesOf marks the modules that had keys, and their parents, and lists them in order.
func (f *follower) modulesOf(before []pickle.Item) (order []int32) {
	last := "\x00"
	for _, it := range before {
		k, ok := it.Key.(string)
		if !ok {
			continue
		}
		if m := parentPath(k); m != last {
			last = m
			at := f.paths.id(m)
			order = append(order, at)
			for id := at; !f.module(id).had; id = f.paths.parent[id] {
				f.module(id).had = true
			}
		}
	}
	return order
}

// cursor finds ids of paths that mostly come in a known order.
type cursor struct {
	paths *pathTable
	order []int32
	at    int
}

func (c *cursor) id(path string) int32 {
	for ahead := c.at; ahead < len(c.order) && ahead < c.at+2; ahead++ {
		if c.paths.texts[c.order[ahead]] == path {
			c.at = ahead + 1
			return c.order[ahead]
		}
	}
	return c.paths.id(path)
}

// rows notes where the modules of the rows of source s went; it answers whether there are any.
func (f *follower) rows(rows []row, s int32, order []int32) (any bool) {
	next := cursor{&f.paths, order, 0}
	lastWas, lastNow := "\x00", ""
	for i := range rows {
		r := &rows[i]
		if r.from != s || r.kind != named {
			continue
		}
		any = true
		was, now := parentPath(r.was), parentPath(r.name)
		if was == lastWas && now == lastNow {
			continue
		}
		lastWas, lastNow = was, now
		a := next.id(was)
		b := a
		if now != was {
			b = f.paths.id(now)
		}
		f.module(b).own = true
		for id := a; !f.module(id).alive; id = f.paths.parent[id] {
			f.module(id).alive = true
		}
		for id := b; !f.module(id).below; id = f.paths.parent[id] {
			f.module(id).below = true
		}
		for f.addTarget(a, b) && a != rootPath && b != rootPath && lastPart(f.paths.texts[a]) == lastPart(f.paths.texts[b]) {
			a, b = f.paths.parent[a], f.paths.parent[b]
		}
	}
	return any
}

// rootTaken tells whether the old root went elsewhere or another module became the root.
func (f *follower) rootTaken() bool {
	if f.module(rootPath).target != 0 {
		return true
	}
	for i := range f.modules {
		if f.modules[i].target == rootPath+1 {
			return true
		}
	}
	for _, more := range f.more {
		if slices.Contains(more, rootPath) {
			return true
		}
	}
	return false
}

func (f *follower) vanished(id int32) bool {
	for ; id != rootPath; id = f.paths.parent[id] {
		if m := f.module(id); m.had && !m.alive {
			return true
		}
	}
	return false
}

// place puts the entry of an old module where it belongs.
func (f *follower) place(id int32, it pickle.Item, s int32) {
	places := f.targets(id)
	if places == nil {
		to, ok := f.withParent(id)
		if !ok {
			return
		}
		f.places = append(f.places[:0], to)
		places = f.places
	}
	for _, to := range places {
		if f.module(id).had && !f.module(to).below && to != rootPath {
			continue
		}
		en := metaEntry{item: it, from: s, to: to, own: f.module(to).own, moved: to != id}
		if en.moved {
			if !en.own && slices.Contains(places, id) {
				f.invent = append(f.invent, to) // the module stays; this is a new parent for some of it
				continue
			}
			en.item.Key = f.paths.texts[to]
			for up := f.paths.parent[to]; up != rootPath && !f.module(up).reached; up = f.paths.parent[up] {
				if n := len(f.invent); n > 0 && f.invent[n-1] == up {
					break
				}
				f.invent = append(f.invent, up)
			}
		}
		f.put(en)
	}
}

// withParent is the new place of a module without keys: below the place of the nearest parent that has one, its own if that
// is among several.
func (f *follower) withParent(id int32) (to int32, ok bool) {
	for up := id; up != rootPath; {
		up = f.paths.parent[up]
		places := f.targets(up)
		if places == nil {
			continue
		}
		if slices.Contains(places, up) {
			return id, true
		}
		rest := f.paths.texts[id]
		if up != rootPath {
			rest = rest[len(f.paths.texts[up])+1:]
		}
		return f.paths.id(joinPath(f.paths.texts[places[0]], rest)), true
	}
	return 0, false
}

// pathTable numbers module paths; the root is 0. Every path has its parents in the table.
type pathTable struct {
	slots  []int32 // path id plus one, open addressing
	texts  []string
	parent []int32 // the root is its own
	last   int32   // the path asked for last: files go through modules in order, so its parents are the next one's, too
}

const rootPath int32 = 0

// maxParts is the depth of modules that is followed; a key with more parts stands below the root.
const maxParts = 200

// grow makes room for n more paths.
func (t *pathTable) grow(n int) {
	t.texts, t.parent = slices.Grow(t.texts, n+1), slices.Grow(t.parent, n+1)
	size := max(16, len(t.slots))
	for size < 2*(len(t.texts)+n+1) {
		size *= 2
	}
	if size == len(t.slots) {
		return
	}
	t.slots = make([]int32, size)
	for i, text := range t.texts {
		*t.slot(text) = int32(i + 1)
	}
	if len(t.texts) == 0 {
		t.texts, t.parent = append(t.texts, ""), append(t.parent, rootPath)
		*t.slot("") = rootPath + 1
	}
}

// slot is where a path is, or would go.
func (t *pathTable) slot(text string) *int32 {
	mask := uint64(len(t.slots) - 1)
	for h := hashString(text) & mask; ; h = (h + 1) & mask {
		if s := &t.slots[h]; *s == 0 || t.texts[*s-1] == text {
			return s
		}
	}
}

// near is the last path or one right above it, if that is text; -1 otherwise.
func (t *pathTable) near(text string) int32 {
	at := t.last
	for range 4 {
		if t.texts[at] == text {
			return at
		}
		at = t.parent[at]
	}
	return -1
}

func (t *pathTable) id(text string) int32 {
	s := t.slot(text)
	if *s != 0 {
		return *s - 1
	}
	if 2*len(t.texts) >= len(t.slots) {
		t.grow(len(t.texts))
		s = t.slot(text)
	}
	id := int32(len(t.texts))
	*s = id + 1
	t.texts, t.parent = append(t.texts, text), append(t.parent, rootPath)
	if strings.Count(text, ".") > maxParts {
		return id
	}
	// Parents get their numbers one after the other, not by recursion.
	for child := id; text != ""; child = int32(len(t.texts) - 1) {
		text = parentPath(text)
		if up := t.near(text); up >= 0 {
			t.parent[child] = up
			break
		}
		s := t.slot(text)
		if *s != 0 {
			t.parent[child] = *s - 1
			break
		}
		if 2*len(t.texts) >= len(t.slots) {
			t.grow(len(t.texts))
			s = t.slot(text)
		}
		*s = int32(len(t.texts) + 1)
		t.parent[child] = int32(len(t.texts))
		t.texts, t.parent = append(t.texts, text), append(t.parent, rootPath)
	}
	t.last = id
	return id
}

// parentPath is path without its last part, "" at the top.
func parentPath(path string) string {
	return path[:max(0, strings.LastIndexByte(path, '.'))]
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
