package worker

import (
	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
)

// manyKeys is how many keys are too many to try every ready-made recipe on for a menu that somebody opens.
const manyKeys = 50_000

// Python is the recipe as a program. The checkpoint tells it where the state dict is.
func (s *Session) Python(req *message.PythonRequest) (*message.Snippet, error) {
	o, err := s.handle(req.Handle)
	if err != nil {
		return nil, err
	}
	r, err := statedict.ParseRecipe(req.Recipe)
	if err != nil {
		return nil, err
	}
	return &message.Snippet{Text: r.Python(o.base, req.In, req.Out)}, nil
}

// Presets tries the ready-made recipes on the checkpoint after a recipe.
func (s *Session) Presets(req *message.ApplyRequest) (*message.PresetEffects, error) {
	o, err := s.handle(req.Handle)
	if err != nil {
		return nil, err
	}
	cp, report, err := s.after(o, req.Recipe)
	if err != nil {
		return nil, err
	}
	out := &message.PresetEffects{}
	if len(cp.Entries) > manyKeys {
		return out, nil
	}
	for _, p := range statedict.Presets() {
		r := p.Recipe
		if !r.HasAt {
			r.At, r.HasAt = report.At, true
		}
		var e message.PresetEffect
		if _, did, err := r.Apply(cp, nil); err == nil && p.Ask == "" {
			e = presetEffect(did)
		}
		out.Effects = append(out.Effects, e)
	}
	return out, nil
}

// presetEffect counts each key once, however many of the steps concern it.
func presetEffect(r *statedict.Report) (e message.PresetEffect) {
	first := map[string]string{} // by the name of now: the name before the steps
	touched := map[string]bool{}
	was := func(key string) string {
		if f, ok := first[key]; ok {
			return f
		}
		return key
	}
	for i := range r.Ops {
		op := &r.Ops[i]
		if op.Op == "drop_objects" {
			e.Objects += len(op.Touched)
			continue
		}
		for _, k := range op.Touched {
			touched[was(k)] = true
		}
		names := make([]string, len(op.Renamed))
		for j, pair := range op.Renamed {
			names[j] = was(pair[0])
			touched[names[j]] = true
		}
		for j, pair := range op.Renamed {
			first[pair[1]] = names[j]
		}
	}
	e.Keys = len(touched)
	return e
}
