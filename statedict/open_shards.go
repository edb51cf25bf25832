package statedict

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
	"github.com/weightroom/weightroom/statedict/internal/shards"
)

// shards opens several files as one checkpoint: the union of their mappings, in the order of the files' names.
func (op *opener) shards(files []*Source) (*Checkpoint, error) {
	if i := slices.IndexFunc(files, func(f *Source) bool { return baseName(f.Name) == ".metadata" }); i >= 0 {
		return op.distributed(files, i)
	}
	index, rest, err := op.index(files)
	if err != nil {
		return nil, err
	}
	if index == nil {
		slices.SortStableFunc(rest, byName)
	} else if rest, err = inOrder(index, rest); err != nil {
		return nil, err
	}
	if len(rest) == 0 {
		msg := "names none of the files that were given with it"
		for _, f := range index.Findings {
			msg += "; " + f.Text
		}
		return nil, &FormatError{Code: "E_FORMAT", Format: "shard index", Offset: -1, Msg: msg, Hint: "open the index together with its shards", Err: ErrNotCheckpoint}
	}
	u := union{op: op, at: map[string]int{}}
	var contents []shards.Contents
	for _, src := range rest {
		keys, err := u.add(src)
		if err != nil {
			return nil, fmt.Errorf("shard %q: %w", src.Name, err)
		}
		contents = append(contents, shards.Contents{File: baseName(src.Name), Keys: keys})
	}
	if index != nil {
		for _, f := range append(index.Findings, index.Check(contents, u.nbytes, u.shown, u.distinct)...) {
			op.finding(f.Code, f.Key, "%s", f.Text)
		}
	}
	return u.cp, nil
}

// index takes the index JSON out of files; nil if there is none.
func (op *opener) index(files []*Source) (index *shards.Index, rest []*Source, err error) {
	for _, src := range files {
		if !shards.IsIndexName(baseName(src.Name)) {
			rest = append(rest, src)
			continue
		}
		if index != nil {
			return nil, nil, &FormatError{Code: "E_FORMAT", Part: src.Name, Offset: -1, Msg: "a second shard index", Hint: "open one index with its shards"}
		}
		if index, err = readIndex(src); err != nil {
			return nil, nil, err
		}
	}
	return index, rest, nil
}

func readIndex(src *Source) (*shards.Index, error) {
	if src.Size > shards.MaxIndex {
		return nil, &LimitError{Limit: "shard index bytes", Got: src.Size, Max: shards.MaxIndex, Offset: -1}
	}
	doc := make([]byte, src.Size)
	if _, err := readAt(src, doc, 0); err != nil {
		return nil, err
	}
	index, err := shards.ParseIndex(doc)
	if err != nil {
		return nil, headerError(src, src.Name, err)
	}
	return index, nil
}

// inOrder answers the files that the index names, in the order of their names: that of the shards, as transformers loads
// them too. The keys of an index are sorted, so its own order is not the one of the tensors. Missing files are one error.
func inOrder(index *shards.Index, files []*Source) ([]*Source, error) {
	var found []*Source
	var missing []string
	for _, name := range index.Files {
		i := slices.IndexFunc(files, func(f *Source) bool { return baseName(f.Name) == name })
		if i < 0 {
			missing = append(missing, name)
			continue
		}
		found = append(found, files[i])
	}
	if len(missing) > 0 {
		return nil, &FormatError{Code: "E_FORMAT", Format: "shard index", Offset: -1, Msg: "names files that are not here:" + quotedList(missing),
			Hint: "open the index together with all of its shards"}
	}
	slices.SortStableFunc(found, byName)
	return found, nil
}

func byName(a, b *Source) int { return strings.Compare(a.Name, b.Name) }

// baseName is the part of a name behind the last slash.
func baseName(name string) string { return name[strings.LastIndexAny(name, `/\`)+1:] }

// union puts the mappings of shards together.
type union struct {
	op     *opener
	cp     *Checkpoint
	root   *pickle.Dict
	at     map[string]int // position of a key in root
	nbytes int64          // of all storages
	// Bytes of the tensors themselves: of all of them, and with those of one storage counted once.
	shown, distinct int64
}

// add opens one shard, whose root has to be a mapping, and answers its keys. Storages are named after their file from
// here on, because every shard counts its own from 0.
func (u *union) add(src *Source) (keys []string, err error) {
	first := len(u.op.storages)
	part, err := u.op.file(src)
	if err != nil {
		return nil, err
	}
	d, ok := part.root.(*pickle.Dict)
	if !ok {
		return nil, &UnsupportedError{What: "its root is no mapping of tensors", Hint: "open it alone"}
	}
	for i := first; i < len(u.op.storages); i++ {
		u.op.storages[i].Key = baseName(src.Name) + ":" + u.op.storages[i].Key
		u.nbytes += u.op.storages[i].NBytes
	}
	if u.cp == nil {
		u.cp = part
		u.root = &pickle.Dict{Class: d.Class, Args: d.Args, Attrs: d.Attrs}
		u.cp.root = u.root
		if part.origin != nil {
			part.origin.source, part.origin.archive = nil, nil
		}
	} else if part.Format != u.cp.Format {
		u.op.finding("F_UNSUPPORTED", src.Name, "is a %s file, the first shard is %s", part.Format, u.cp.Format)
	}
	u.cp.lenient = u.cp.lenient || part.lenient
	seen := map[*pickle.Storage]bool{}
	for _, it := range d.Items {
		n, st := shownBytes(it.Value)
		u.shown += n
		if st == nil || !seen[st] {
			u.distinct += n
		}
		seen[st] = true
		key, isString := it.Key.(string)
		if !isString {
			u.root.Items = append(u.root.Items, it)
			continue
		}
		keys = append(keys, key)
		if i, twice := u.at[key]; twice {
			u.op.finding("F_DUPKEY", key, "stands in two shards; the one in %q is used", src.Name)
			u.root.Items[i].Value = it.Value
			continue
		}
		u.at[key] = len(u.root.Items)
		u.root.Items = append(u.root.Items, it)
	}
	return keys, nil
}

// shownBytes is how many bytes the elements of a tensor take, the parts of a composite, and its storage where it has one.
func shownBytes(node pickle.Value) (n int64, st *pickle.Storage) {
	t := tensorOf(node)
	if t == nil {
		return 0, nil
	}
	if t.Storage == nil && t.Extra != nil && len(t.Extra.Parts) > 0 {
		for _, p := range t.Extra.Parts {
			if part, ok := p.Value.(*pickle.Tensor); ok {
				n += max(0, (&View{DType: part.DType, Shape: part.Shape}).NBytes())
			}
		}
		return n, nil
	}
	return max(0, (&View{DType: t.DType, Shape: t.Shape}).NBytes()), t.Storage
}
