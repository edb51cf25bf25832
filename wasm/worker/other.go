package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
)

// maxKeyList bounds a list of keys that is no checkpoint, in bytes.
const maxKeyList = 64 << 20

// other is a file beside the open one: a checkpoint, a list of keys, or an error that load_state_dict raised.
type other struct {
	cp     *statedict.Checkpoint
	keys   *statedict.KeyList
	pasted *statedict.PastedError
}

// Attach opens what recipes and comparisons refer to by name.
func (s *Session) Attach(ctx context.Context, req *message.AttachRequest, srcs []statedict.Source) (*message.Attached, error) {
	o, err := s.attach(ctx, req, srcs)
	if err != nil {
		return nil, err
	}
	s.others[req.Name] = o
	for _, op := range s.open { // a recipe that names it gives something else now
		op.edited = nil
	}
	out := &message.Attached{Name: req.Name}
	switch {
	case o.cp != nil:
		out.Keys, out.Tensors = len(o.cp.Entries), true
	case o.keys != nil:
		out.Keys = len(o.keys.Keys)
	default:
		out.Keys, out.Pasted, out.Model = len(o.pasted.Missing)+len(o.pasted.Unexpected)+len(o.pasted.Mismatched), true, o.pasted.Model
	}
	return out, nil
}

// Detach lets it go.
func (s *Session) Detach(name string) { delete(s.others, name) }

func (s *Session) attach(ctx context.Context, req *message.AttachRequest, srcs []statedict.Source) (*other, error) {
	if req.Handle > 0 {
		o, err := s.handle(req.Handle)
		if err != nil {
			return nil, err
		}
		return &other{cp: o.base}, nil
	}
	return attach(ctx, req.Text, srcs)
}

func attach(ctx context.Context, text string, srcs []statedict.Source) (*other, error) {
	if len(srcs) == 0 {
		p, err := statedict.ParseLoadError(text)
		if err != nil {
			if keys, keyErr := statedict.ParseKeyList([]byte(text)); keyErr == nil {
				return &other{keys: keys}, nil
			}
			return nil, err
		}
		return &other{pasted: p}, nil
	}
	if src := srcs[0]; len(srcs) == 1 && src.Size <= maxKeyList && strings.HasSuffix(strings.ToLower(src.Name), ".json") {
		doc, err := io.ReadAll(io.NewSectionReader(src.R, 0, src.Size))
		if err != nil {
			return nil, err
		}
		keys, err := statedict.ParseKeyList(doc)
		if err != nil {
			return nil, err
		}
		return &other{keys: keys}, nil
	}
	opts := statedict.Options{LazyHeaders: true}
	cp, err := opts.Open(ctx, srcs...)
	if err != nil && len(srcs) == 1 {
		if keys, ok, keyErr := statedict.ReadKeyList(srcs[0]); ok && keyErr == nil {
			return &other{keys: keys}, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return &other{cp: cp}, nil
}

// files are the checkpoints that a recipe names.
func (s *Session) files(r *statedict.Recipe) map[string]*statedict.Checkpoint {
	out := map[string]*statedict.Checkpoint{}
	for _, name := range r.Files() {
		if o := s.others[name]; o != nil && o.cp != nil {
			out[name] = o.cp
		}
	}
	return out
}

func (s *Session) other(name string) (*other, error) {
	if o := s.others[name]; o != nil {
		return o, nil
	}
	return nil, &message.Error{Code: message.Internal, Message: "nothing is attached as " + name}
}

// Check says what load_state_dict would say of the checkpoint after a recipe, and looks for a recipe that helps.
func (s *Session) Check(req *message.CheckRequest) (*message.Checked, error) {
	o, err := s.handle(req.Handle)
	if err != nil {
		return nil, err
	}
	ref, err := s.other(req.Against)
	if err != nil {
		return nil, err
	}
	cp, report, err := s.after(o, req.Recipe)
	if err != nil {
		return nil, err
	}
	at := report.At
	if ref.pasted != nil {
		if at = ref.pasted.Loaded(o.base); report.At != o.at {
			at = report.At // the recipe chose another mapping
		}
	}
	got, err := cp.KeyList(at, true)
	if err != nil {
		return nil, err
	}
	want, err := ref.keyList(o.base)
	if err != nil {
		return nil, err
	}
	inc := statedict.CompareKeys(want, got)
	out := &message.Checked{At: at, Fit: fit(got, inc)}
	if inc.Compatible() {
		return out, nil
	}
	if out.Suggestion, err = ref.suggest(want, cp); out.Suggestion != nil {
		out.Suggestion.Before = out.Fit.OK
	}
	return out, err
}

// fit is a comparison as the page shows it.
func fit(got *statedict.KeyList, inc *statedict.Incompatible) message.Fit {
	f := message.Fit{Missing: inc.MissingKeys, Unexpected: inc.UnexpectedKeys}
	for _, m := range inc.Mismatched {
		f.Mismatched = append(f.Mismatched, message.Mismatch{Key: m.Key, Want: shape(m.WantShape), Got: shape(m.GotShape)})
	}
	f.OK = len(got.Keys) - len(inc.UnexpectedKeys) - len(inc.Mismatched)
	return f
}

// maxPairs and maxAmbiguous are how much of a suggestion's grounds is told.
const (
	maxPairs     = 500
	maxAmbiguous = 50
)

// suggest looks for a recipe that helps and tries what load_state_dict would say after it; nil where there is none.
func (o *other) suggest(want *statedict.KeyList, cp *statedict.Checkpoint) (*message.Suggestion, error) {
	var found *statedict.Suggestion
	var err error
	if o.pasted != nil {
		found, err = statedict.SuggestForError(o.pasted, cp)
	} else {
		found, err = statedict.Suggest(want, cp)
	}
	if err != nil || found == nil || found.Matched <= found.Before || len(found.Recipe.Steps) == 0 && !found.Recipe.HasAt {
		return nil, err
	}
	doc, err := json.Marshal(found.Recipe)
	if err != nil {
		return nil, err
	}
	pairs := slices.Clone(found.Pairs)
	slices.SortStableFunc(pairs, func(a, b statedict.SuggestedPair) int { return cmp.Compare(a.Sure, b.Sure) })
	out := &message.Suggestion{Recipe: doc, Before: found.Before, Matched: found.Matched, Wanted: found.Wanted, Compatible: found.Compatible,
		Steps: found.Steps, Ambiguous: found.Ambiguous[:min(len(found.Ambiguous), maxAmbiguous)], Pairs: pairs[:min(len(pairs), maxPairs)], AllPairs: len(pairs)}
	after, report, err := found.Recipe.Apply(cp, nil)
	if err != nil {
		return out, nil
	}
	list, err := after.KeyList(report.At, true)
	if err != nil {
		return nil, err
	}
	then := fit(list, statedict.CompareKeys(want, list))
	out.After = &then
	return out, nil
}

// keyList is the reference's side. An error speaks of the file as it was loaded: without the recipe.
func (o *other) keyList(base *statedict.Checkpoint) (*statedict.KeyList, error) {
	switch {
	case o.cp != nil:
		return o.cp.KeyList("", false)
	case o.keys != nil:
		return o.keys, nil
	}
	got, err := base.KeyList(o.pasted.Loaded(base), true)
	if err != nil {
		return nil, err
	}
	return o.pasted.Reference(got), nil
}

func shape(dims []int64) string {
	var b strings.Builder
	for i, d := range dims {
		if i > 0 {
			b.WriteString(" × ")
		}
		b.WriteString(strconv.FormatInt(d, 10))
	}
	return "(" + b.String() + ")"
}

// Loss reads what the casts of a step would read and counts what they could not keep.
func (s *Session) Loss(ctx context.Context, req *message.PreviewRequest, progress func(message.Progress) error) (*message.Lost, error) {
	o, err := s.handle(req.Handle)
	if err != nil {
		return nil, err
	}
	cp, _, err := s.after(o, req.Recipe)
	if err != nil {
		return nil, err
	}
	one, err := statedict.ParseRecipe(req.Step)
	if err != nil {
		return nil, err
	}
	after, _, err := one.Apply(cp, s.files(one))
	if err != nil {
		return nil, err
	}
	plan, err := statedict.NewPlan(after, statedict.TorchZip, &statedict.PlanOptions{Name: "out.pth", AllowUnsafe: true})
	if err != nil {
		return nil, err
	}
	var casts []statedict.Convert
	total, done := int64(0), int64(0)
	for i := range plan.Files {
		for _, seg := range plan.Files[i].Segments {
			if c, ok := seg.(statedict.Convert); ok && c.To != c.View.DType {
				casts = append(casts, c)
				total += c.Len()
			}
		}
	}
	out, lost := &message.Lost{}, statedict.CastReport{}
	for _, c := range casts {
		f := statedict.File{Name: fmt.Sprintf("cast to %s", c.To), Size: c.Len(), Segments: []statedict.Segment{c}}
		before := done
		err := f.Write(ctx, io.Discard, func(n int64) {
			done = before + n
			progress(message.Progress{Phase: "convert", Done: done, Total: total})
		})
		if err != nil {
			return nil, err
		}
		lost.Add(f.Cast)
		out.Elements += c.View.Numel()
	}
	out.Overflowed, out.Flushed, out.NaNs = lost.Overflowed, lost.Flushed, lost.NaNs
	return out, nil
}
