package worker

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
)

// What the top level calls the state of an optimizer and its company, and averaged copies of the weights.
var (
	optimizerName = regexp.MustCompile(`(?i)(optim|scheduler|scaler|momentum|adam)`)
	emaName       = regexp.MustCompile(`(?i)(^|_)(ema|shadow|swa|averaged?)($|_)`)
)

// Shrink tries each step that may make an export smaller, and plans the export with it: the bytes are those that the
// export would have.
func (s *Session) Shrink(req *message.ShrinkRequest) (*message.Shrunk, error) {
	o, err := s.handle(req.Handle)
	if err != nil {
		return nil, err
	}
	cp, report, err := s.after(o, req.Recipe)
	if err != nil {
		return nil, err
	}
	out := &message.Shrunk{Format: string(statedict.TorchZip)}
	if cp.Format == statedict.Safetensors {
		out.Format = string(cp.Format)
	}
	if out.Size, err = exportSize(cp, out.Format); err != nil {
		return nil, err
	}
	unreached, err := s.unreached(o, cp)
	if err != nil {
		return nil, err
	}
	lines := candidates(cp, report.At)
	if unreached {
		lines = append(lines, message.Saving{Kind: "unreached", Step: json.RawMessage(`{"keep":"**"}`)})
	}
	for _, l := range lines {
		one, err := statedict.ParseRecipe(document(report.At, l.Step))
		if err != nil {
			return nil, err
		}
		after, done, err := one.Apply(cp, nil)
		if err != nil || len(done.Ops) == 0 {
			continue // it touches nothing
		}
		size, err := exportSize(after, out.Format)
		if err != nil || size >= out.Size {
			continue
		}
		if l.Bytes = out.Size - size; l.Keys == 0 {
			l.Keys = len(done.Ops[0].Touched)
		}
		if l.Kind == "same" && l.Bytes < out.Size/worthwhile {
			continue
		}
		out.Lines = append(out.Lines, l)
	}
	return out, nil
}

const (
	manyTwins  = 8    // groups of equal tensors that are tried, those with the most bytes
	worthwhile = 1000 // a group of equal tensors is listed if it is more than such a part of the file
)

// unreached tells whether the file holds bytes that an export which copies it would keep, and any other leave out.
func (s *Session) unreached(o *opened, cp *statedict.Checkpoint) (bool, error) {
	layout, err := o.base.Layout(cp)
	if err != nil {
		return false, err
	}
	for _, r := range layout.Regions {
		if r.Use == statedict.UseUnowned || r.Use == statedict.UseUnreached {
			return true, nil
		}
	}
	return false, nil
}

func document(at string, step json.RawMessage) []byte {
	path, _ := json.Marshal(at)
	return []byte(`{"recipe":1,"at":` + string(path) + `,"steps":[` + string(step) + `]}`)
}

// candidates are the steps worth trying. Parts of the top level that hold the mapping that is worked on are not.
func candidates(cp *statedict.Checkpoint, at string) (out []message.Saving) {
	keys, order := map[string]int{}, []string{}
	seen := func(path string) string {
		top := path
		if i := strings.IndexAny(path, ".["); i >= 0 {
			top = path[:i]
		}
		if _, ok := keys[top]; !ok {
			keys[top] = 0
			order = append(order, top)
		}
		return top
	}
	for i := range cp.Entries {
		if e := &cp.Entries[i]; e.Dict != "" && e.Dict != at {
			keys[seen(e.Dict)]++
		}
	}
	for o := range cp.Objects() {
		if strings.ContainsAny(o.Path, ".[") {
			seen(o.Path)
		}
	}
	for _, top := range order {
		if top == "" || at == "" || at == top || strings.HasPrefix(at, top+".") || strings.HasPrefix(at, top+"[") {
			continue
		}
		kind := ""
		switch {
		case emaName.MatchString(top):
			kind = "ema"
		case optimizerName.MatchString(top):
			kind = "optimizer"
		default:
			continue
		}
		step, _ := json.Marshal(map[string]any{"drop_objects": []string{top}})
		out = append(out, message.Saving{Kind: kind, What: top, Keys: keys[top], Step: step})
	}
	out = append(out, averaged(cp, at)...)
	out = append(out, twins(cp, at)...)
	return append(out, message.Saving{Kind: "views", Step: json.RawMessage(`{"compact":true}`)},
		message.Saving{Kind: "half", Step: json.RawMessage(`{"cast":{"to":"float16","match":"**"}}`)})
}

// averaged are the leading parts of keys that name an averaged copy of the weights beside them.
func averaged(cp *statedict.Checkpoint, at string) (out []message.Saving) {
	keys, order, others := map[string]int{}, []string{}, 0
	for i := range cp.Entries {
		e := &cp.Entries[i]
		if e.Dict != at {
			continue
		}
		top, _, dotted := strings.Cut(e.Key, ".")
		if !dotted || !emaName.MatchString(top) || strings.ContainsAny(top, `*?[]{}\`) || strings.HasPrefix(top, "re:") {
			others++
			continue
		}
		if keys[top] == 0 {
			order = append(order, top)
		}
		keys[top]++
	}
	if others == 0 {
		return nil // it is all that there is
	}
	for _, top := range order {
		step, _ := json.Marshal(map[string]any{"drop": top + ".**"})
		out = append(out, message.Saving{Kind: "ema", What: top, Keys: keys[top], Step: step})
	}
	return out
}

// twins are the tensors that were saved several times, in storages of their own; those with the most bytes.
func twins(cp *statedict.Checkpoint, at string) (out []message.Saving) {
	groups := slices.DeleteFunc(cp.Twins(), func(g []int) bool { return cp.Entries[g[0]].Dict != at })
	bytes := func(g []int) int64 { return int64(len(g)-1) * cp.Storages[cp.Entries[g[0]].Storage].NBytes }
	slices.SortStableFunc(groups, func(a, b []int) int { return cmp.Compare(bytes(b), bytes(a)) })
	for _, g := range groups[:min(manyTwins, len(groups))] {
		var keys []string
		for _, i := range g[1:] {
			keys = append(keys, cp.Entries[i].Key)
		}
		step, _ := json.Marshal(map[string]any{"tie": map[string]any{"to": cp.Entries[g[0]].Key, "keys": keys}})
		out = append(out, message.Saving{Kind: "same", What: cp.Entries[g[0]].Key, Keys: len(keys), Step: step})
	}
	return out
}

func exportSize(cp *statedict.Checkpoint, f string) (n int64, err error) {
	plan, err := statedict.NewPlan(cp, statedict.Format(f), &statedict.PlanOptions{Name: "export", AllowUnsafe: true})
	if err != nil {
		return 0, err
	}
	for i := range plan.Files {
		n += plan.Files[i].Size
	}
	return n, nil
}
