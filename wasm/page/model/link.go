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
		out.Steps = append(out.Steps, Op{Spec: &Spec{Action: strings.ReplaceAll(op.Name(), "_", "-"), Name: op.Name()}, Raw: one.Steps[0]})
	}
	out.Done = len(out.Steps)
	return out, nil
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
