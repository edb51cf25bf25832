package worker

import (
	"encoding/json"
	"regexp"
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
	for i := range o.base.Storages {
		if st := &o.base.Storages[i]; st.Used == 0 && st.Of == nil && st.Missing == "" {
			out.Unused += st.NBytes
		}
	}
	for _, l := range candidates(cp, report.At) {
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
		out.Lines = append(out.Lines, l)
	}
	return out, nil
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
	return append(out, message.Saving{Kind: "views", Step: json.RawMessage(`{"compact":true}`)},
		message.Saving{Kind: "half", Step: json.RawMessage(`{"cast":{"to":"float16","match":"**"}}`)})
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
