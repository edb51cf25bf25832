package statedict

import (
	"fmt"

	"github.com/weightroom/weightroom/statedict/internal/gguf"
)

// planGGUF lays cp out as GGUF version 3: the pairs of a GGUF source, else general.architecture alone, which readers ask
// for. Quantised blocks of a GGUF source are copied as they are.
func planGGUF(cp *Checkpoint, o *PlanOptions) (*Plan, error) {
	if o.MaxShardSize > 0 {
		return nil, &UnsupportedError{What: "gguf shards are not written here", Hint: "write one file; llama-gguf-split divides it"}
	}
	ts, err := cp.flatten(GGUF)
	if err != nil {
		return nil, err
	}
	if len(ts) == 0 {
		return nil, &UnsupportedError{What: "a gguf file without tensors"}
	}
	kv := cp.ggufKV
	p := &Plan{}
	p.Report.Warnings = cp.grown(ts)
	if kv == nil {
		kv = []gguf.KV{{Key: "general.architecture", Value: gguf.NewString("unknown")}}
		p.Report.Warnings = append(p.Report.Warnings, `general.architecture is "unknown": a program that runs the model needs the real one`)
	}
	tensors := make([]gguf.Tensor, len(ts))
	for i, t := range ts {
		tensors[i] = *ggufTensor(t.name, t.entry)
	}
	l, err := gguf.Emit(kv, tensors)
	if err != nil {
		return nil, &UnsupportedError{What: err.Error()} // everything that can be said of a tensor was said by flatten
	}
	f := File{Name: o.Name, Segments: []Segment{Literal(l.Header)}, Size: int64(len(l.Header)) + l.Data}
	done := int64(0)
	for i, t := range ts {
		f.add(Literal(make([]byte, l.Begins[i]-done)))
		s, err := cp.tensorSegment(t.entry)
		if err != nil {
			return nil, err
		}
		f.add(s)
		done = l.Begins[i] + s.Len()
	}
	f.add(Literal(make([]byte, l.Data-done)))
	p.Files = []File{f}
	p.promiseFlat(ts)
	for i := range p.want {
		if len(p.want[i].shape) == 0 {
			p.want[i].shape = []int64{1}
			p.Report.Warnings = append(p.Report.Warnings, fmt.Sprintf("%q: gguf has no scalars; it becomes a tensor of one element", p.want[i].path))
		}
	}
	p.finish()
	return p, nil
}

// ggufTensor is e as GGUF describes it.
func ggufTensor(name string, e *Entry) *gguf.Tensor {
	code, _ := gguf.TypeOf(e.DType)
	if e.Info != nil && e.Info.Code != "" {
		code, _ = gguf.ParseType(e.Info.Code)
	}
	return &gguf.Tensor{Name: name, Type: code, Shape: e.Shape}
}
