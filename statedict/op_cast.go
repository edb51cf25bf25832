package statedict

import (
	"fmt"
	"slices"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// Cast converts floating point tensors that match to another dtype when they are read; with Integers, integer and bool
// tensors too. It acts on storages: a tensor that shares one follows, and the report says so. Quantised, complex and
// composite tensors are left alone and reported.
type Cast struct {
	To       string   `recipe:"to,required,bare"`
	Match    Patterns `recipe:"match"`
	Except   Patterns `recipe:"except"`
	Integers bool     `recipe:"integers"`
	Optional bool     `recipe:"optional"`
}

func (*Cast) Name() string     { return "cast" }
func (o *Cast) optional() bool { return o.Optional }

// castTarget tells what tensors can be cast to.
func castTarget(d DType) bool {
	return d.IsFloat() && d != dtype.Float4E2M1FNx2 || d.IsInteger() || d == dtype.Bool
}

func castTargets() []DType {
	return slices.DeleteFunc(dtype.All(), func(d DType) bool { return !castTarget(d) })
}

func (o *Cast) check() error {
	d, ok := ParseDType(o.To)
	if !ok || !castTarget(d) {
		var known []string
		for _, d := range castTargets() {
			known = append(known, d.String())
		}
		msg, hint := unknown("dtype", o.To, known)
		return &KeyError{Op: "cast", Msg: msg, Hint: hint}
	}
	return nil
}

func (o *Cast) apply(e *edit, r *OpReport) (int, error) {
	if err := o.check(); err != nil {
		return 0, e.fail(err.(*KeyError).Msg, Hint(err))
	}
	to, _ := ParseDType(o.To)
	rows, err := e.selected(o.Match, o.Except)
	if err != nil {
		return 0, err
	}
	users := e.users()
	casting := map[int]string{} // storage to the key that asked first
	var alone, mixed, twice []string
	touched := 0
	for _, i := range rows {
		name, t := e.rows[i].name, tensorOf(e.rows[i].value)
		if parts := sparseValues(t); parts != nil {
			t = parts
		} else if !plain(t) {
			alone = append(alone, name)
			continue
		}
		switch d := t.DType; {
		case d.IsFloat() && d != dtype.Float4E2M1FNx2:
		case d.IsInteger() || d == dtype.Bool:
			if !o.Integers {
				continue
			}
		default:
			alone = append(alone, name)
			continue
		}
		touched++
		if t.DType == to {
			continue
		}
		id := t.Storage.Index
		for _, u := range users[id] {
			if u.DType != t.DType || !plain(u) {
				mixed = append(mixed, name)
				break
			}
		}
		if s := &e.storages[id]; s.Cast != 0 && to != s.DType && !widens(s.DType, s.Cast) || s.Cast != 0 && to == s.DType {
			twice = append(twice, name)
		}
		if _, ok := casting[id]; !ok {
			casting[id] = name
		}
		r.Touched = append(r.Touched, name)
	}
	if mixed != nil {
		return 0, e.fail("the storage of these is seen under two dtypes, so it cannot be cast as a whole:", "unshare them first", mixed...)
	}
	if twice != nil {
		return 0, e.fail("an earlier step casts these already:", "one cast each: use match and except", twice...)
	}
	if alone != nil {
		e.warn("cast: left alone, because they are quantised, complex, packed or composite:%s", quotedList(alone))
	}
	if len(casting) > 0 {
		e.cast(to, casting, rows, users)
	}
	return touched, nil
}

// cast changes the storages, and every tensor of the tree that stands on one.
func (e *edit) cast(to DType, casting map[int]string, rows []int, users map[int][]*pickle.Tensor) {
	asked := make(map[string]bool, len(rows))
	for _, i := range rows {
		asked[e.rows[i].name] = true
	}
	inRows := 0
	for i := range e.rows {
		t := tensorOf(e.rows[i].value)
		if t == nil || t.Storage == nil {
			continue
		}
		first, ok := casting[t.Storage.Index]
		if !ok {
			continue
		}
		inRows++
		if !asked[e.rows[i].name] {
			e.warn("cast: %q shares the storage of %q and is cast with it", e.rows[i].name, first)
		}
	}
	e.ownStorages()
	swaps := map[pickle.Value]pickle.Value{}
	outside := 0
	for id := range casting {
		s := &e.storages[id]
		// An untyped storage takes the dtype that its views agree on.
		s.DType, s.Cast = storedDType(s, users[id][0].DType), to
		node := newStorageNode(s, StorageID(id), users[id][0].Storage.Location)
		for _, t := range users[id] {
			n := *t
			n.DType, n.Storage, n.Form = to, node, plainForm(t.Form)
			swaps[t] = &n
			swaps[t.Storage] = node
			outside++
		}
	}
	if outside -= inRows; outside > 0 {
		e.warn("cast: %d tensors outside the mapping share these storages and are cast with them", outside)
	}
	// A sparse tensor has the dtype of its values.
	eachNode(e.root, func(v pickle.Value) {
		if t, ok := v.(*pickle.Tensor); ok {
			if values := sparseValues(t); values != nil && swaps[values] != nil {
				n := *t
				extra := *t.Extra
				n.DType, n.Extra = to, &extra
				extra.Parts = append([]pickle.Part(nil), extra.Parts...)
				for i := range extra.Parts {
					if extra.Parts[i].Value == pickle.Value(values) {
						extra.Parts[i].Value = swaps[values]
					}
				}
				swaps[t] = &n
			}
		}
	})
	e.swapAll(swaps)
}

// storedDType is the dtype of the bytes, which a first cast takes from the view and a second must not.
func storedDType(s *Storage, view DType) DType {
	if s.Cast != 0 {
		return s.DType
	}
	return view
}

// widens tells whether every value of from is one of to, so that a cast through to loses nothing.
func widens(from, to DType) bool {
	switch to {
	case dtype.Float64:
		return from.IsFloat() && from != dtype.Float4E2M1FNx2
	case dtype.Float32:
		return from.IsFloat() && from != dtype.Float64 && from != dtype.Float4E2M1FNx2
	}
	return false
}

// sparseValues is the values part of a sparse tensor, nil for anything else.
func sparseValues(t *pickle.Tensor) *pickle.Tensor {
	if t.Extra == nil || t.Extra.Layout == "" {
		return nil
	}
	for _, p := range t.Extra.Parts {
		if v, ok := p.Value.(*pickle.Tensor); ok && p.Name == "values" && plain(v) {
			return v
		}
	}
	return nil
}

// nothingElse words the error of the steps that work on tensors and files.
func (e *edit) nothingElse(op Op) string {
	switch op := op.(type) {
	case *KeepKnown:
		if op.Shapes {
			return fmt.Sprintf("%q has no key of this file with the same shape", op.In)
		}
		return fmt.Sprintf("%q has no key of this file", op.In)
	case *Merge:
		return fmt.Sprintf("%q has no keys to merge", op.From)
	case *Cast:
		if op.Integers {
			return "no tensor that matches can be cast"
		}
		return "no tensor that matches is a floating point one (integers: true casts the others)"
	case *SetRequiresGrad:
		if op.Value {
			return "no tensor that matches can require a gradient"
		}
	case *DropObjects:
		return "the file has none of" + quotedList(op.Paths)
	case *SetMetadata:
		return "no entry is given"
	}
	return "no tensor matches"
}
