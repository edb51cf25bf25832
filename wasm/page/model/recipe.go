package model

import (
	"encoding/json"
	"strings"
)

// Op is a step of the recipe: an operation and what its form held.
type Op struct {
	Spec   *Spec
	Values map[string]string // by field name
	// Lists hold the values of the fields that no text can say, such as patterns of names that begin in a blank.
	Lists map[string][]string
	Raw   json.RawMessage // the step itself, where it came with a document

	Optional bool // it may touch nothing
}

// Spec is an operation of the page: its button, and the fields of its form.
type Spec struct {
	Action string // data-action, and the stem of its texts
	Name   string // in a recipe
	Fields []Field
}

// Field is a field of a form: text, or one of Choices, or the name of another open file. A List takes several values with
// commas between.
type Field struct {
	Name     string // data-field, and the field in a recipe
	List     bool
	Optional bool
	Choices  []string
	File     bool
	Flag     bool // true or left out
	Blank    bool // nothing is a value as well
}

// Specs are the operations, in the order of their buttons.
var Specs = []*Spec{
	{Action: "keep", Name: "keep", Fields: []Field{{Name: "match", List: true}}},
	{Action: "drop", Name: "drop", Fields: []Field{{Name: "match", List: true}}},
	{Action: "rename", Name: "rename", Fields: []Field{{Name: "from"}, {Name: "to", Blank: true}}},
	{Action: "strip-prefix", Name: "strip_prefix", Fields: []Field{{Name: "prefix", List: true}}},
	{Action: "add-prefix", Name: "add_prefix", Fields: []Field{{Name: "prefix"}, {Name: "match", List: true, Optional: true}}},
	{Action: "extract", Name: "extract", Fields: []Field{{Name: "prefix"}}},
	{Action: "cast", Name: "cast", Fields: []Field{{Name: "to", Choices: DTypes}, match, except}},
	{Action: "keep-known", Name: "keep_known", Fields: []Field{{Name: "in", File: true}, {Name: "shapes", Flag: true}}},
	{Action: "merge", Name: "merge", Fields: []Field{{Name: "from", File: true}, {Name: "policy", Choices: []string{"error", "keep", "replace"}}, {Name: "prefix", Optional: true}}},
	{Action: "set-device", Name: "set_device", Fields: []Field{{Name: "device"}, match}},
	{Action: "set-requires-grad", Name: "set_requires_grad", Fields: []Field{{Name: "value", Choices: []string{"false", "true"}}, match}},
	{Action: "unshare", Name: "unshare", Fields: []Field{{Name: "match", List: true}}},
	{Action: "tie", Name: "tie", Fields: []Field{{Name: "to"}, {Name: "keys", List: true}}},
	{Action: "compact", Name: "compact", Fields: []Field{match}},
	DropObjects,
	{Action: "set-metadata", Name: "set_metadata", Fields: []Field{{Name: "key"}, {Name: "text", Optional: true}}},
}

var (
	match  = Field{Name: "match", List: true, Optional: true}
	except = Field{Name: "except", List: true, Optional: true}
)

// DTypes are what a cast offers, the usual ones first.
var DTypes = []string{"float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"}

// DropObjects is what an export offers where a format holds tensors only.
var DropObjects = &Spec{Action: "drop-objects", Name: "drop_objects", Fields: []Field{{Name: "paths", List: true}}}

// sensitive are the usual names of norms and embeddings, which lose the most in half precision.
const sensitive = "**.*norm*.**, **.ln_*.**, **.bn*.**, **.*embed*.**, **.wte.**, **.wpe.**"

// Ready is a ready-made way to fill a form, with the end of its text.
type Ready struct {
	Text   string
	Values map[string]string
}

// Casts are the usual casts.
var Casts = []Ready{
	{"half", map[string]string{"to": "float16", "match": "", "except": sensitive}},
	{"bfloat16", map[string]string{"to": "bfloat16", "match": "", "except": ""}},
	{"fp8", map[string]string{"to": "float8_e4m3fn", "match": "**.weight", "except": sensitive}},
}

// SpecOf is the operation with that data-action, nil for none.
func SpecOf(action string) *Spec {
	for _, s := range Specs {
		if s.Action == action {
			return s
		}
	}
	return nil
}

// Empty is the first field that must be filled and isn't; "" when the form is complete.
func (o Op) Empty() string {
	for _, f := range o.Spec.Fields {
		if !f.Optional && !f.Flag && !f.Blank && o.Values[f.Name] == "" {
			return f.Name
		}
	}
	return ""
}

// Step is the operation as it stands in a recipe: {"drop": {"match": "**.num_batches_tracked"}}.
func (o Op) Step() json.RawMessage {
	if o.Raw != nil {
		return o.Raw
	}
	var b strings.Builder
	b.WriteString(`{` + quote(o.Spec.Name) + `:`)
	if o.Spec.Name == "set_metadata" {
		b.WriteString(`{` + quote(o.Values["key"]) + `:` + quote(o.Values["text"]) + `}}`)
		return json.RawMessage(b.String())
	}
	if o.Spec.Name == "compact" && o.Values["match"] == "" && !o.Optional {
		b.WriteString(`true}`)
		return json.RawMessage(b.String())
	}
	b.WriteString(`{`)
	sep := ""
	for _, f := range o.Spec.Fields {
		s := o.Values[f.Name]
		if s == "" && (f.Optional || f.Flag) {
			continue
		}
		b.WriteString(sep + quote(f.Name) + `:`)
		sep = ","
		if f.Flag || o.Spec.Name == "set_requires_grad" && f.Name == "value" {
			b.WriteString(s)
			continue
		}
		list, exact := o.Lists[f.Name]
		if !exact {
			list = Split(s)
		}
		if f.List && len(list) > 1 {
			b.WriteString(`[`)
			for i, item := range list {
				if i > 0 {
					b.WriteString(`,`)
				}
				b.WriteString(quote(item))
			}
			b.WriteString(`]`)
		} else if f.List && len(list) == 1 {
			b.WriteString(quote(list[0]))
		} else {
			b.WriteString(quote(s))
		}
	}
	if o.Optional {
		b.WriteString(sep + `"optional":true`)
	}
	b.WriteString(`}}`)
	return json.RawMessage(b.String())
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // a string always marshals
	}
	return string(b)
}

// Args is what the step list shows behind the name: the values, in the order of the form.
func (o Op) Args() string {
	if o.Raw != nil && o.Values == nil {
		return rawArgs(o.Raw)
	}
	var args []string
	for _, f := range o.Spec.Fields {
		if s := o.Values[f.Name]; s != "" {
			args = append(args, s)
		}
	}
	return strings.Join(args, " → ")
}

// Split takes a field with several values apart at its commas, except within {…} and […] and behind a backslash. A regular
// expression is always one value.
func Split(s string) []string {
	if strings.HasPrefix(strings.TrimSpace(s), "re:") {
		return []string{strings.TrimSpace(s)}
	}
	var out []string
	depth, start := 0, 0
	for i := 0; start <= len(s); i++ {
		i = min(i, len(s))
		if i < len(s) {
			switch s[i] {
			case '\\':
				i++
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			if s[i] != ',' || depth > 0 {
				continue
			}
		}
		if item := strings.TrimSpace(s[start:i]); item != "" {
			if !strings.ContainsAny(item, "{[") {
				item = strings.ReplaceAll(item, `\,`, ",")
			}
			out = append(out, item)
		}
		start = i + 1
	}
	return out
}

// Find is the position of a step that does the same among those done, -1 for none.
func (r *Recipe) Find(o Op) int {
	for i, s := range r.Steps[:r.Done] {
		if string(s.Step()) == string(o.Step()) {
			return i
		}
	}
	return -1
}

// Document is the recipe of the steps done, as JSON.
func (r *Recipe) Document() json.RawMessage { return r.document(r.Steps[:r.Done]) }

// With is the recipe of the steps done and one more.
func (r *Recipe) With(o Op) json.RawMessage { return r.document(append(r.Steps[:r.Done:r.Done], o)) }

// Only is a recipe of one step on the mapping at.
func Only(at string, o Op) json.RawMessage {
	return (&Recipe{At: at, HasAt: true}).document([]Op{o})
}

func (r *Recipe) document(steps []Op) json.RawMessage {
	var b strings.Builder
	b.WriteString(`{"recipe":1,`)
	if r.HasAt {
		b.WriteString(`"at":` + quote(r.At) + `,`)
	}
	b.WriteString(`"steps":[`)
	for i, s := range steps {
		if i > 0 {
			b.WriteString(`,`)
		}
		b.Write(s.Step())
	}
	b.WriteString(`]}`)
	return json.RawMessage(b.String())
}
