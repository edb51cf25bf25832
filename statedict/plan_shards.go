package statedict

import (
	"fmt"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
	"github.com/weightroom/weightroom/statedict/internal/shards"
)

// split distributes tensors over files of at most o.MaxShardSize tensor bytes each; tensors of one storage stay together.
func (cp *Checkpoint) split(ts []flatTensor, o *PlanOptions) [][]flatTensor {
	if o.MaxShardSize == 0 {
		return [][]flatTensor{ts}
	}
	items := make([]shards.Item, len(ts))
	for i, t := range ts {
		items[i] = shards.Item{NBytes: t.entry.ByteLen(), Group: -1}
		if t.entry.Storage != NoStorage && cp.Storages[t.entry.Storage].Used > 1 {
			items[i].Group = int(t.entry.Storage)
		}
	}
	var parts [][]flatTensor
	for _, s := range shards.Split(items, o.MaxShardSize) {
		part := make([]flatTensor, len(s.Items))
		for j, i := range s.Items {
			part[j] = ts[i]
		}
		parts = append(parts, part)
	}
	if parts == nil {
		parts = [][]flatTensor{ts}
	}
	return parts
}

// name gives p's files their names, and adds the index where there are several. parts are the tensors of each file, also
// the names that dropped tied tensors are found under.
func (p *Plan) name(parts [][]flatTensor, o *PlanOptions) error {
	if len(p.Files) == 1 {
		p.Files[0].Name = o.Name
		p.finish()
		return nil
	}
	var names []string
	var entries []shards.Entry
	total := int64(0)
	for i := range p.Files {
		p.Files[i].Name = shards.ShardName(o.Name, i+1, len(p.Files))
		names = append(names, p.Files[i].Name)
		for _, t := range parts[i] {
			entries = append(entries, shards.Entry{Key: t.name, File: i})
			total += t.entry.ByteLen()
		}
	}
	doc, err := shards.EmitIndex(names, entries, total, nil)
	if err != nil {
		return &UnsupportedError{What: err.Error()}
	}
	p.Files = append(p.Files, File{Name: shards.IndexName(o.Name), Size: int64(len(doc)), Segments: []Segment{Literal(doc)}})
	p.finish()
	return nil
}

// shardedTorch stands for torch files in messages about a set of them.
const shardedTorch Format = "a sharded torch checkpoint"

// planShardedTorch writes the tensors of the one mapping that cp holds as several torch files and their index. What stands
// outside that mapping has no place in such a set and is refused, as in a format that holds tensors only. write lays out
// one file.
func planShardedTorch(cp *Checkpoint, o *PlanOptions, write func(root pickle.Value, o *PlanOptions) (*File, []string, error)) (*Plan, error) {
	ts, err := cp.flatten(shardedTorch)
	if err != nil {
		return nil, err
	}
	at := ""
	if len(ts) > 0 {
		at = ts[0].entry.Dict
	}
	like, _ := cp.find(at).(*pickle.Dict)
	p := &Plan{}
	parts := cp.split(ts, o)
	for _, part := range parts {
		root := &pickle.Dict{Items: make([]pickle.Item, len(part))}
		if like != nil {
			root.Class, root.Args, root.Attrs = like.Class, like.Args, like.Attrs
		}
		for i, t := range part {
			root.Items[i] = pickle.Item{Key: t.name, Value: t.entry.node}
		}
		f, warnings, err := write(root, o)
		if err != nil {
			return nil, err
		}
		p.Files = append(p.Files, *f)
		if len(p.Files) == 1 {
			p.Report.Warnings = warnings
		}
		p.promiseFlat(part)
	}
	if err := p.name(parts, o); err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	return p, nil
}
