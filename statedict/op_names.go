package statedict

import (
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// Keep drops every key that does not match. With Optional, a keep that matches nothing keeps everything.
type Keep struct {
	Match    Patterns `recipe:"match,required,bare"`
	Except   Patterns `recipe:"except"`
	Optional bool     `recipe:"optional"`
}

// Drop drops every key that matches.
type Drop struct {
	Match    Patterns `recipe:"match,required,bare"`
	Except   Patterns `recipe:"except"`
	Optional bool     `recipe:"optional"`
}

// Rename gives keys that match From the name To. A regular expression replaces every match in the key and leaves the rest
// of it; a glob has to match the whole key; a From that ends in a dot (`layers.`) renames the group below it. To may use
// $1, ${1} or ${name} for what a group of the expression, or a wildcard of the glob, matched; $$ is a dollar.
type Rename struct {
	From     string `recipe:"from,required"`
	To       string `recipe:"to,required,empty"`
	Optional bool   `recipe:"optional"`
}

// StripPrefix takes Prefix off the keys that start with it, at a dot, and leaves the others alone. A single prefix is taken
// off once; with Repeat (a list in the document) any of the prefixes is taken off until none applies.
type StripPrefix struct {
	Prefix   []string `recipe:"prefix,required,bare"`
	Repeat   bool     `recipe:"-"`
	Optional bool     `recipe:"optional"`
}

// AddPrefix puts Prefix, with a dot, in front of the keys that match; of all keys when Match is empty.
type AddPrefix struct {
	Prefix   string   `recipe:"prefix,required,bare"`
	Match    Patterns `recipe:"match"`
	Except   Patterns `recipe:"except"`
	Optional bool     `recipe:"optional"`
}

// Extract keeps only the keys below Prefix and takes it off them. Where Prefix is a key that holds a mapping, it is that
// mapping that is extracted.
type Extract struct {
	Prefix   string `recipe:"prefix,required,bare"`
	Optional bool   `recipe:"optional"`
}

func (*Keep) Name() string        { return "keep" }
func (*Drop) Name() string        { return "drop" }
func (*Rename) Name() string      { return "rename" }
func (*StripPrefix) Name() string { return "strip_prefix" }
func (*AddPrefix) Name() string   { return "add_prefix" }
func (*Extract) Name() string     { return "extract" }

func (o *Keep) optional() bool        { return o.Optional }
func (o *Drop) optional() bool        { return o.Optional }
func (o *Rename) optional() bool      { return o.Optional }
func (o *StripPrefix) optional() bool { return o.Optional }
func (o *AddPrefix) optional() bool   { return o.Optional }
func (o *Extract) optional() bool     { return o.Optional }

func (o *Keep) apply(e *edit, r *OpReport) (int, error) {
	sel, err := compileSelection(o.Match, o.Except)
	if err != nil {
		return 0, e.fail(err.Error(), "")
	}
	hit := make([]bool, len(e.rows))
	touched := 0
	for i := range e.rows {
		if e.rows[i].kind != versions && sel.has(e.rows[i].name) {
			hit[i] = true
			touched++
		}
	}
	if touched == 0 {
		return 0, nil
	}
	e.dirty = true // the output holds what is kept and nothing else, not even bytes that belong to no tensor
	i := -1
	r.Touched = e.keep(func(row *row) bool { i++; return hit[i] || row.kind == versions })
	return touched, nil
}

func (o *Drop) apply(e *edit, r *OpReport) (int, error) {
	sel, err := compileSelection(o.Match, o.Except)
	if err != nil {
		return 0, e.fail(err.Error(), "")
	}
	r.Touched = e.keep(func(row *row) bool { return !sel.has(row.name) })
	return len(r.Touched), nil
}

func (o *Rename) check() error {
	if _, err := compileRename(o.From, o.To); err != nil {
		return &KeyError{Op: "rename", Msg: err.Error()}
	}
	return nil
}

func (o *Rename) apply(e *edit, r *OpReport) (int, error) {
	re, err := compileRename(o.From, o.To)
	if err != nil {
		return 0, e.fail(err.Error(), "")
	}
	return e.rename(r, re.prefix != "", re.rename)
}

func (o *StripPrefix) apply(e *edit, r *OpReport) (int, error) {
	prefixes := make([]string, len(o.Prefix))
	for i, p := range o.Prefix {
		prefixes[i] = dotted(p)
	}
	return e.rename(r, len(prefixes) == 1 && !o.Repeat, func(name string) (string, bool) {
		short := stripPrefixes(name, prefixes, o.Repeat)
		return short, len(short) != len(name)
	})
}

// stripPrefixes never strips a key to nothing.
func stripPrefixes(name string, prefixes []string, repeat bool) string {
	for again := true; again; again = again && repeat {
		again = false
		for _, p := range prefixes {
			if len(name) > len(p) && p != "" && strings.HasPrefix(name, p) {
				name, again = name[len(p):], true
				break
			}
		}
	}
	return name
}

func (o *AddPrefix) apply(e *edit, r *OpReport) (int, error) {
	sel, err := compileSelection(o.Match, o.Except)
	if err != nil {
		return 0, e.fail(err.Error(), "")
	}
	prefix, names := dotted(o.Prefix), pickle.Texts{}
	return e.rename(r, true, func(name string) (string, bool) {
		if !sel.has(name) {
			return name, false
		}
		return names.Join(prefix, name), true
	})
}

func (o *Extract) apply(e *edit, r *OpReport) (int, error) {
	prefix := dotted(o.Prefix)
	below := func(row *row) bool {
		return row.kind == named && len(row.name) > len(prefix) && strings.HasPrefix(row.name, prefix)
	}
	found := false
	for i := range e.rows {
		found = found || below(&e.rows[i])
	}
	if !found {
		return e.extractMapping(prefix[:len(prefix)-1], r)
	}
	r.Touched = e.keep(func(row *row) bool { return below(row) || row.kind == versions })
	return e.rename(r, true, func(name string) (string, bool) { return name[len(prefix):], true })
}
