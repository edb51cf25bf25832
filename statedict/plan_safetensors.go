package statedict

import (
	"fmt"
	"slices"

	"github.com/weightroom/weightroom/statedict/internal/safetensors"
)

// planSafetensors lays cp out as one safetensors file for each shard. Of tied tensors the first by name is written and
// the others are named in __metadata__, as safetensors.torch.save_model does.
//
// Source: safetensors/torch.py, save_model and _remove_duplicate_names.
func planSafetensors(cp *Checkpoint, opts *PlanOptions) (*Plan, error) {
	all, err := cp.flatten(Safetensors)
	if err != nil {
		return nil, err
	}
	kept, dropped, warnings := cp.untied(all)
	meta := cp.safetensorsMetadata(dropped)
	p := &Plan{}
	p.Report.Warnings = append(cp.grown(kept), warnings...)
	parts := cp.split(kept, opts)
	for _, part := range parts {
		f, err := cp.safetensorsFile(part, meta)
		if err != nil {
			return nil, err
		}
		p.Files = append(p.Files, *f)
	}
	p.promiseFlat(kept)
	return p, p.name(parts, opts)
}

// safetensorsMetadata is the source's own map and what ties were cut. What comes from another format says {"format": "pt"},
// because loaders ask for it.
func (cp *Checkpoint) safetensorsMetadata(dropped map[string]string) []safetensors.Pair {
	meta := []safetensors.Pair{}
	for _, k := range cp.MetadataKeys {
		meta = append(meta, safetensors.Pair{Key: k, Value: cp.Metadata[k]})
	}
	if _, given := cp.Metadata["format"]; !given && (cp.Metadata == nil || cp.Format != Safetensors) {
		meta = append(meta, safetensors.Pair{Key: "format", Value: "pt"})
	}
	for _, name := range sortedKeys(dropped) {
		meta = slices.DeleteFunc(meta, func(p safetensors.Pair) bool { return p.Key == name })
		meta = append(meta, safetensors.Pair{Key: name, Value: dropped[name]})
	}
	return meta
}

// lostMetadata warns of the entries of the string map that a file in format f does not get: only safetensors have such a map,
// and a GGUF file keeps the pairs of its source as they are.
func (cp *Checkpoint) lostMetadata(f Format) []string {
	if f == Safetensors {
		return nil
	}
	kept := map[string]string{"format": cp.Metadata["format"]} // says nothing but where the tensors come from
	if f == GGUF {
		for _, kv := range cp.ggufKV {
			kept[kv.Key] = ggufText(kv.Value)
		}
	}
	keys := map[string]bool{}
	for i := range cp.Entries {
		keys[cp.Entries[i].Key] = true
	}
	var lost, warnings []string
	for _, k := range cp.MetadataKeys {
		if to := cp.Metadata[k]; f != GGUF && keys[to] && !keys[k] { // as safetensors.torch.save_model names what it has left out
			warnings = append(warnings, fmt.Sprintf("%q was tied to %q and only the metadata names it: the output does not have it", k, to))
			continue
		}
		if text, ok := kept[k]; !ok || text != cp.Metadata[k] {
			lost = append(lost, k)
		}
	}
	if lost == nil {
		return warnings
	}
	more := ""
	if n := len(lost) - 8; n > 0 {
		lost, more = lost[:8], fmt.Sprintf(" and %d more", n)
	}
	return append(warnings, fmt.Sprintf("metadata that %s has no place for is left out:%s%s", f, quotedList(lost), more))
}

func (cp *Checkpoint) safetensorsFile(ts []flatTensor, meta []safetensors.Pair) (*File, error) {
	entries := make([]safetensors.Entry, len(ts))
	for i, t := range ts {
		entries[i] = safetensors.Entry{Name: t.name, DType: t.entry.DType, Shape: t.entry.Shape}
		if info := t.entry.Info; info != nil && info.Code != "" {
			entries[i].Code = info.Code
		}
	}
	l, err := safetensors.Emit(entries, meta)
	if err != nil {
		return nil, headerError(&Source{Name: "the output"}, "", err)
	}
	f := &File{Segments: []Segment{Literal(l.Header)}, Size: int64(len(l.Header)) + l.Data}
	for _, i := range l.Order {
		s, err := cp.flatSegment(ts[i].entry)
		if err != nil {
			return nil, err
		}
		if s.Len() != l.Sizes[i] {
			return nil, fmt.Errorf("tensor %q: %d bytes planned, %d laid out", ts[i].name, s.Len(), l.Sizes[i])
		}
		f.add(s)
	}
	return f, nil
}

// add appends a segment; an extent that goes on where the last one ends joins it, because every part of an output costs
// a browser a fraction of a millisecond.
func (f *File) add(s Segment) {
	if s.Len() == 0 {
		return
	}
	if n := len(f.Segments); n > 0 {
		last, ok := f.Segments[n-1].(Copy)
		next, ok2 := s.(Copy)
		if ok && ok2 && last.Extent.Source == next.Extent.Source && last.Extent.Off+last.Extent.Len == next.Extent.Off {
			last.Extent.Len += next.Extent.Len
			last.Extent.HasCRC = false
			f.Segments[n-1] = last
			return
		}
	}
	f.Segments = append(f.Segments, s)
}
