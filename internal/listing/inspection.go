package listing

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/statedict"
)

// Find is the entry whose whole path is name, or the only one whose key in its mapping is. A part of a composite tensor is
// found under the tensor's path and its own name: "weight.indices".
func Find(cp *statedict.Checkpoint, name string) (*statedict.Entry, error) {
	var found *statedict.Entry
	var also []string
	for i := range cp.Entries {
		e := &cp.Entries[i]
		if e.Path() == name {
			return e, nil
		}
		if e.Key == name {
			found = e
			also = append(also, e.Path())
		}
		if e.Info == nil {
			continue
		}
		for k := range e.Info.Parts {
			if part := partOf(e, k); part.Path() == name {
				return part, nil
			}
		}
	}
	switch len(also) {
	case 0:
		for o := range cp.Objects() {
			if o.Path == name {
				return nil, &statedict.KeyError{Op: "show", Keys: []string{name}, Msg: fmt.Sprintf("this is no tensor but of type %s:", o.Type), Hint: "weightroom ls --objects shows its value"}
			}
		}
		return nil, &statedict.KeyError{Op: "show", Keys: []string{name}, Msg: "no such key:", Hint: nearKey(cp, name)}
	case 1:
		return found, nil
	}
	return nil, &statedict.KeyError{Op: "show", Keys: also, Msg: "several keys are called that:", Hint: "give the whole path"}
}

// nearKey says which tensor name may mean: the nearest, or one that it is the end of.
func nearKey(cp *statedict.Checkpoint, name string) string {
	paths := make([]string, len(cp.Entries))
	for i := range cp.Entries {
		paths[i] = cp.Entries[i].Path()
	}
	near := statedict.Nearest(name, paths)
	if i := slices.IndexFunc(paths, func(p string) bool { return strings.HasSuffix(p, "."+name) }); near == "" && i >= 0 {
		near = paths[i]
	}
	if near == "" {
		return "weightroom ls lists the keys"
	}
	return fmt.Sprintf("did you mean %q?", near)
}

// partOf is part k of a composite tensor as an entry of its own.
func partOf(e *statedict.Entry, k int) *statedict.Entry {
	p := e.Info.Parts[k]
	return &statedict.Entry{Dict: e.Path(), Key: p.Name, View: p.View}
}

// WriteInspectionJSON writes the document of `show --json`. A tensor without bytes of its own has no hash; the paths of its
// parts are listed.
func WriteInspectionJSON(w io.Writer, e *statedict.Entry, in *statedict.Inspection) error {
	b := append([]byte(nil), `{"key": `...)
	b = AppendString(b, e.Path())
	b = append(b, `, "dtype": `...)
	b = AppendString(b, DType(e))
	b = append(b, `, "shape": `...)
	b = appendInts(b, e.Shape)
	b = append(b, `, "nbytes": `...)
	b = strconv.AppendInt(b, NBytes(e), 10)
	if e.Info != nil && len(e.Info.Parts) > 0 {
		b = append(b, `, "parts": [`...)
		for k := range e.Info.Parts {
			b = AppendString(comma(b, k, ""), partOf(e, k).Path())
		}
		b = append(b, ']')
	}
	b = append(b, `, "sha256": `...)
	if in.SHA256 == "" {
		b = append(b, "null"...)
	} else {
		b = AppendString(b, in.SHA256)
	}
	b = append(b, `, "stats": `...)
	if s := in.Stats; s == nil {
		b = append(b, "null"...)
	} else {
		b = append(b, '{')
		for _, f := range []struct {
			name  string
			value float64
		}{{"min", s.Min}, {"max", s.Max}, {"mean", s.Mean}, {"std", s.Std}} {
			b = AppendString(b, f.name)
			b = append(b, ": "...)
			if s.Finite == 0 || s.Finite == 1 && f.name == "std" { // there is none; NaN in torch
				b = append(b, "null"...)
			} else {
				b = appendFloat(b, f.value)
			}
			b = append(b, ", "...)
		}
		b = append(b, `"nan": `...)
		b = strconv.AppendInt(b, s.NaN, 10)
		b = append(b, `, "inf": `...)
		b = strconv.AppendInt(b, s.Inf, 10)
		b = append(b, `, "zeros": `...)
		b = strconv.AppendInt(b, s.Zeros, 10)
		b = append(b, '}')
	}
	b = append(b, `, "histogram": `...)
	if in.Counts == nil {
		b = append(b, "null"...)
	} else {
		b = append(b, `{"edges": [`...)
		for i, x := range in.Edges {
			b = appendFloat(comma(b, i, ""), x)
		}
		b = append(b, `], "counts": `...)
		b = append(appendInts(b, in.Counts), '}')
	}
	b = append(b, `, "values": [`...)
	for i, v := range in.Values {
		b = comma(b, i, "")
		switch v := v.(type) {
		case complex128:
			b = append(appendFloat(append(b, '['), real(v)), ',')
			b = append(appendFloat(b, imag(v)), ']')
		case uint64:
			b = strconv.AppendUint(b, v, 10)
		default:
			b = appendValue(b, v)
		}
	}
	_, err := w.Write(append(b, "]}\n"...))
	return err
}
