package model

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/weightroom/weightroom/statedict"
)

// linkKey is what stands in front of a recipe in the part of an address that browsers keep to themselves.
const linkKey = "recipe="

// maxLink bounds a recipe in an address, in bytes of the address.
const maxLink = 256 << 10

// FromDocument reads a recipe document, YAML or JSON, with all of its steps to be done. Its operations may be others than
// the page has forms for.
func FromDocument(doc []byte) (Recipe, error) {
	parsed, err := statedict.ParseRecipe(doc)
	if err != nil {
		return Recipe{}, err
	}
	out := Recipe{At: parsed.At, HasAt: parsed.HasAt}
	for _, op := range parsed.Steps {
		doc, err := json.Marshal(&statedict.Recipe{Steps: []statedict.Op{op}})
		if err != nil {
			return Recipe{}, err
		}
		var one struct{ Steps []json.RawMessage }
		if err := json.Unmarshal(doc, &one); err != nil || len(one.Steps) != 1 {
			return Recipe{}, err
		}
		out.Steps = append(out.Steps, fromStep(op.Name(), one.Steps[0]))
	}
	out.Done = len(out.Steps)
	return out, nil
}

// fromStep is a step of a document: with the values of its form, where the form can say all of it.
func fromStep(name string, step json.RawMessage) Op {
	action := strings.ReplaceAll(name, "_", "-")
	spec := SpecOf(action)
	if spec == nil {
		return Op{Spec: &Spec{Action: action, Name: name}, Raw: step}
	}
	o := Op{Spec: spec, Raw: step}
	var body map[string]json.RawMessage
	if json.Unmarshal(step, &body) != nil {
		return o
	}
	fields := map[string]json.RawMessage{}
	switch v := body[name]; {
	case len(v) > 0 && v[0] != '{':
		if string(v) != "true" || len(spec.Fields) == 0 || spec.Name == "set_requires_grad" {
			fields[spec.Fields[0].Name] = v
		}
	case spec.Name == "set_metadata":
		var all map[string]json.RawMessage
		if json.Unmarshal(v, &all) != nil || len(all) != 1 {
			return o
		}
		for k, text := range all {
			fields["key"], fields["text"] = json.RawMessage(quote(k)), text
		}
	default:
		if json.Unmarshal(v, &fields) != nil {
			return o
		}
	}
	if string(fields["optional"]) == "true" && spec.Name != "set_metadata" {
		o.Optional = true
		delete(fields, "optional")
	}
	values := map[string]string{}
	for _, f := range spec.Fields {
		raw, ok := fields[f.Name]
		delete(fields, f.Name)
		if !ok {
			continue
		}
		var one string
		var many []string
		var flag bool
		switch {
		case json.Unmarshal(raw, &one) == nil:
			text, exact := one, true
			if f.List {
				text, exact = listText([]string{one})
			}
			if values[f.Name] = text; !exact {
				o.Lists = map[string][]string{f.Name: {one}}
			}
		case f.List && json.Unmarshal(raw, &many) == nil:
			text, exact := listText(many)
			if values[f.Name] = text; !exact {
				o.Lists = map[string][]string{f.Name: many}
			}
		case json.Unmarshal(raw, &flag) == nil:
			if values[f.Name] = ""; flag || !f.Flag {
				values[f.Name] = strings.TrimSpace(string(raw))
			}
		default:
			return o
		}
	}
	if len(fields) > 0 {
		return o // the form has no field for the rest
	}
	o.Values = values
	return o
}

// YAML is the recipe of the steps done as a document to keep.
func (r *Recipe) YAML() ([]byte, error) {
	parsed, err := statedict.ParseRecipe(r.Document())
	if err != nil {
		return nil, err
	}
	return parsed.YAML(), nil
}

// Command does the same in a shell.
func (r *Recipe) Command(file, out string) (string, error) {
	doc, err := r.YAML()
	if err != nil {
		return "", err
	}
	end := "END"
	for strings.Contains(string(doc), end) {
		end += "_"
	}
	return "cat > recipe.yaml <<'" + end + "'\n" + strings.TrimRight(string(doc), "\n") + "\n" + end +
		"\nweightroom edit " + shellQuote(file) + " -o " + shellQuote(out) + " --recipe recipe.yaml\n", nil
}

func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/") == "" {
		return s
	}
	if strings.HasPrefix(s, "-") {
		s = "./" + s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// FromFragment reads the recipe of a link, "#recipe=" and the document as base64url. ok is false where there is none.
func FromFragment(fragment string) (r Recipe, ok bool, err error) {
	text, ok := strings.CutPrefix(strings.TrimPrefix(fragment, "#"), linkKey)
	if !ok {
		return Recipe{}, false, nil
	}
	if len(text) > maxLink {
		return Recipe{}, true, &statedict.LimitError{Limit: "recipe link bytes", Got: int64(len(text)), Max: maxLink, Offset: -1}
	}
	doc, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return Recipe{}, true, &statedict.FormatError{Code: "E_RECIPE", Format: "recipe link", Offset: -1, Msg: "is cut off or damaged"}
	}
	r, err = FromDocument(doc)
	return r, true, err
}

// Fragment is the recipe of the steps done as the end of a link. It holds what the steps say and nothing of any file.
func (r *Recipe) Fragment() string {
	return "#" + linkKey + base64.RawURLEncoding.EncodeToString(r.Document())
}

// rawArgs is what stands beside the name of a step.
func rawArgs(step json.RawMessage) string {
	var one map[string]json.RawMessage
	if json.Unmarshal(step, &one) != nil {
		return string(step)
	}
	for _, v := range one {
		var s string
		if json.Unmarshal(v, &s) == nil {
			return s
		}
		var many []string
		if json.Unmarshal(v, &many) == nil {
			return strings.Join(many, ", ")
		}
		var b bytes.Buffer
		if json.Compact(&b, v) == nil {
			return b.String()
		}
	}
	return ""
}
