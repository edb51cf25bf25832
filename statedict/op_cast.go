package statedict

import (
	"fmt"
	"slices"
	"strings"

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

// dtypeAliases are what else people call dtypes.
var dtypeAliases = map[string]string{
	"half": "float16", "fp16": "float16", "f16": "float16", "float": "float32", "single": "float32", "fp32": "float32", "f32": "float32",
	"double": "float64", "fp64": "float64", "f64": "float64", "bf16": "bfloat16",
	"fp8": "float8_e4m3fn", "f8": "float8_e4m3fn", "float8": "float8_e4m3fn", "f8_e4m3": "float8_e4m3fn", "fp8_e4m3": "float8_e4m3fn",
	"f8_e5m2": "float8_e5m2", "fp8_e5m2": "float8_e5m2", "int": "int32", "long": "int64", "short": "int16", "char": "int8", "byte": "uint8",
}

func (o *Cast) check() error {
	d, ok := ParseDType(o.To)
	if !ok || !castTarget(d) {
		var known []string
		for _, d := range castTargets() {
			known = append(known, d.String())
		}
		name := strings.ToLower(strings.TrimPrefix(o.To, "torch."))
		near := dtypeAliases[name]
		if near == "" && slices.Contains(known, name) {
			near = name
		}
		if near != "" {
			return &KeyError{Op: "cast", Msg: fmt.Sprintf("unknown dtype %q, did you mean %q?", o.To, near)}
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
	views := e.dtypesOfStorages()
	casting := map[StorageID]string{} // to the key that asked first
	asked := make([]bool, len(e.rows))
	var alone, mixed []string
	touched := 0
	for _, i := range rows {
		name, t := e.rows[i].name, tensorOf(e.rows[i].value)
		if values := sparseValues(t); values != nil {
			t = values
		} else if !plain(t) {
			alone = append(alone, name)
			continue
		}
		switch d := e.dtypeNow(t); {
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
		if e.dtypeNow(t) == to {
			continue
		}
		id := e.storage(t)
		if views[id] == dtype.Invalid {
			mixed = append(mixed, name)
		}
		if e.shared(id) {
			if _, ok := casting[id]; !ok {
				casting[id] = name
			}
		}
		asked[i] = true
		if r.Touched == nil {
			r.Touched = make([]string, 0, len(rows))
		}
		r.Touched = append(r.Touched, name)
	}
	if mixed != nil {
		return 0, e.fail("the storage of these is seen under two dtypes, or by a quantised or composite tensor, so it cannot be cast as a whole:", "unshare them first", mixed...)
	}
	if alone != nil {
		e.warn("cast: left alone, because they are quantised, complex, packed or composite:%s", quotedList(alone))
	}
	if len(casting) > 0 {
		e.reportFollowers(casting, asked)
	}
	for i, yes := range asked {
		if !yes {
			continue
		}
		t := tensorOf(e.rows[i].value)
		if values := sparseValues(t); values != nil {
			t = values
		}
		if e.dtypeNow(t) != to { // an alias may have done it
			e.castStorage(t, to)
		}
	}
	return touched, nil
}

// dtypesOfStorages is the dtype that all tensors on a storage have, Invalid where they differ or one is no plain view.
func (e *edit) dtypesOfStorages() []DType {
	views, seen := make([]DType, len(e.storages)), make([]bool, len(e.storages))
	note := func(t *pickle.Tensor) {
		id, d := e.storage(t), e.dtypeNow(t)
		if !plain(t) || seen[id] && views[id] != d {
			d = dtype.Invalid
		}
		views[id], seen[id] = d, true
	}
	e.eachInRows(func(t *pickle.Tensor, _ int) { note(t) })
	e.eachOutside(note)
	return views
}

// reportFollowers names the tensors that are cast because they share a storage. casting has the shared storages only.
func (e *edit) reportFollowers(casting map[StorageID]string, asked []bool) {
	e.eachInRows(func(t *pickle.Tensor, i int) {
		if first, ok := casting[e.storage(t)]; ok && !asked[i] {
			e.warn("cast: %q shares the storage of %q and is cast with it", e.rows[i].name, first)
		}
	})
	outside := 0
	e.eachOutside(func(t *pickle.Tensor) {
		if _, ok := casting[e.storage(t)]; ok {
			outside++
		}
	})
	if outside > 0 {
		e.warn("cast: %d tensors outside the mapping share these storages and are cast with them", outside)
	}
}

// castStorage casts the storage of t, and with it every tensor on it.
func (e *edit) castStorage(t *pickle.Tensor, to DType) {
	id, from := e.storage(t), e.dtypeNow(t)
	e.ownStorages()
	s := &e.storages[id]
	if s.Cast != 0 && !widens(s.DType, s.Cast) {
		// The first cast may have lost something, so the second reads its result.
		made := e.addStorage(Storage{Key: s.Key, Location: s.Location, DType: s.Cast, NBytes: s.byteLen(), Cast: to, Missing: s.Missing, Used: s.Used,
			Of: &View{Storage: id, DType: s.Cast, Shape: []int64{s.byteLen() / s.Cast.Size()}, Stride: []int64{1}}})
		e.retype(id, func(r *retype) { r.to = made + 1 })
		e.retype(made, func(r *retype) { r.dtype = to })
		return
	}
	if s.Cast == 0 {
		s.DType = from // an untyped storage takes the dtype that its views agree on
	}
	if s.Cast = to; to == s.DType {
		s.Cast = 0
	}
	e.retype(id, func(r *retype) { r.dtype = to })
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
