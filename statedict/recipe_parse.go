package statedict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxRecipeBytes bounds a recipe document: a list of every key of a large checkpoint fits.
const maxRecipeBytes = 16 << 20

// ParseRecipe reads a recipe, a YAML or JSON document. It is strict: what it does not know, it refuses, with the line, the
// column and the nearest name it does know. All mistakes are reported together; each is a *FormatError with code E_RECIPE.
func ParseRecipe(doc []byte) (*Recipe, error) {
	if len(doc) > maxRecipeBytes {
		return nil, &LimitError{Limit: "recipe bytes", Got: int64(len(doc)), Max: maxRecipeBytes, Offset: -1}
	}
	root, err := documentNode(doc)
	if err != nil {
		return nil, err
	}
	p := &recipeParser{}
	r := p.recipe(root)
	if err := errors.Join(p.errs...); err != nil {
		return nil, err
	}
	return r, nil
}

func recipeError(line, column int, msg, hint string) error {
	return &FormatError{Code: "E_RECIPE", Format: "recipe", Offset: -1, Msg: fmt.Sprintf("line %d, column %d: %s", line, column, msg), Hint: hint}
}

// documentNode parses the text. JSON that YAML 1.1 readers stumble over (surrogate pairs, \/) goes through encoding/json.
func documentNode(doc []byte) (*yaml.Node, error) {
	if bytes.HasPrefix(bytes.TrimLeft(doc, " \t\r\n"), []byte("{")) && json.Valid(doc) {
		return jsonNode(doc)
	}
	dec := yaml.NewDecoder(bytes.NewReader(doc))
	var n, second yaml.Node
	if err := dec.Decode(&n); err != nil {
		if err == io.EOF {
			return nil, recipeError(1, 1, "the document is empty", `a recipe starts with "recipe: 1"`)
		}
		return nil, yamlError(doc, err)
	}
	if err := dec.Decode(&second); err == nil {
		return nil, recipeError(second.Line, max(1, second.Column), "a second document begins here; a recipe is one document", "")
	} else if err != io.EOF {
		return nil, yamlError(doc, err)
	}
	return n.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// yamlError puts a syntax error of the YAML reader, which knows the line, at the line's first character.
func yamlError(doc []byte, err error) error {
	line, column := 1, 1
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil && m[1] != "" {
		line, _ = strconv.Atoi(m[1])
	}
	if lines := bytes.SplitN(doc, []byte("\n"), line+1); line <= len(lines) {
		text := lines[line-1]
		column += len(text) - len(bytes.TrimLeft(text, " \t"))
	}
	return recipeError(line, column, yamlLine.ReplaceAllString(err.Error(), ""), "")
}

type recipeParser struct{ errs []error }

func (p *recipeParser) fail(n *yaml.Node, msg, hint string) {
	p.errs = append(p.errs, recipeError(n.Line, n.Column, msg, hint))
}

// pairs calls f for the keys and values of a mapping and refuses a key that is there twice.
func (p *recipeParser) pairs(n *yaml.Node, f func(key string, k, v *yaml.Node)) {
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], follow(n.Content[i+1])
		if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" {
			p.fail(k, "a key has to be a word here", "")
			continue
		}
		if seen[k.Value] {
			p.fail(k, fmt.Sprintf("%q is given twice", k.Value), "")
			continue
		}
		seen[k.Value] = true
		f(k.Value, k, v)
	}
}

// follow resolves a YAML alias.
func follow(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func unknown(what, name string, known []string) (msg, hint string) {
	msg = fmt.Sprintf("unknown %s %q", what, name)
	if near := Nearest(name, known); near != "" {
		return msg + fmt.Sprintf(", did you mean %q?", near), ""
	}
	return msg, "known: " + strings.Join(known, ", ")
}

var recipeFields = []string{"recipe", "at", "steps", "output"}

func (p *recipeParser) recipe(n *yaml.Node) *Recipe {
	r := &Recipe{}
	n = follow(n)
	if n.Kind != yaml.MappingNode {
		p.fail(n, "a recipe is a mapping with recipe, at, steps and output, found "+kindName(n), "")
		return r
	}
	p.pairs(n, func(key string, k, v *yaml.Node) {
		switch key {
		case "recipe":
			if v.Kind != yaml.ScalarNode || v.Tag != "!!int" || v.Value != "1" {
				p.fail(v, fmt.Sprintf("recipe version 1 is known here, found %s", kindName(v)), "")
			}
		case "at":
			r.At, r.HasAt = p.text(v, "at", true), true
		case "steps":
			if v.Kind != yaml.SequenceNode {
				p.fail(v, "steps is a list, found "+kindName(v), "")
				return
			}
			for _, s := range v.Content {
				if op := p.parseStep(follow(s)); op != nil {
					r.Steps = append(r.Steps, op)
				}
			}
		case "output":
			p.output(v, &r.Output)
		default:
			msg, hint := unknown("field", key, recipeFields)
			p.fail(k, msg, hint)
		}
	})
	return r
}

func (p *recipeParser) parseStep(n *yaml.Node) Op {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		p.fail(n, fmt.Sprintf("a step is a mapping with one key, the operation; found the word %q", n.Value), "")
		return nil
	}
	if n.Kind != yaml.MappingNode {
		p.fail(n, "a step is a mapping with one key, the operation, found "+kindName(n), "")
		return nil
	}
	if len(n.Content) != 2 {
		hint := ""
		for i := 2; i < len(n.Content); i += 2 {
			if name := n.Content[i].Value; name == "optional" {
				hint = "optional goes inside the operation: {strip_prefix: {prefix: module., optional: true}}"
			}
		}
		p.fail(n, fmt.Sprintf("a step is a mapping with one key, found %d", len(n.Content)/2), hint)
		return nil
	}
	k, v := n.Content[0], follow(n.Content[1])
	var names []string
	for _, make := range operations {
		op := make()
		if op.Name() == k.Value {
			before := len(p.errs)
			p.operation(op, k, v)
			if c, ok := op.(checker); ok && len(p.errs) == before {
				if err := c.check(); err != nil {
					p.fail(v, err.Error(), Hint(err))
				}
			}
			return op
		}
		names = append(names, op.Name())
	}
	msg, hint := unknown("operation", k.Value, names)
	p.fail(k, msg, hint)
	return nil
}

// operation fills the fields of op from the node beside its name.
func (p *recipeParser) operation(op Op, k, v *yaml.Node) {
	fields := opFields(op)
	if sm, ok := op.(*SetMetadata); ok {
		p.metadata(sm, v)
		return
	}
	value := reflect.ValueOf(op).Elem()
	if _, ok := op.(*Compact); ok && v.Kind == yaml.ScalarNode {
		if on, ok := p.flag(v, "compact"); ok && !on {
			p.fail(v, "compact is either true or not there", "")
		}
		return
	}
	if v.Kind != yaml.MappingNode {
		for _, f := range fields {
			if f.bare {
				p.field(op, value.Field(f.index), f, v)
				return
			}
		}
		p.fail(v, fmt.Sprintf("%s needs a mapping with %s, found %s", op.Name(), fieldNames(fields), kindName(v)), "")
		return
	}
	given := map[string]bool{}
	p.pairs(v, func(key string, kn, vn *yaml.Node) {
		for _, f := range fields {
			if f.name == key {
				given[key] = true
				p.field(op, value.Field(f.index), f, vn)
				return
			}
		}
		var names []string
		for _, f := range fields {
			names = append(names, f.name)
		}
		msg, hint := unknown("field", key, names)
		p.fail(kn, op.Name()+": "+msg, hint)
	})
	for _, f := range fields {
		if f.required && !given[f.name] {
			p.fail(k, fmt.Sprintf("%s needs %q", op.Name(), f.name), "")
		}
	}
}

func fieldNames(fields []opField) string {
	var names []string
	for _, f := range fields {
		if !f.optional {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, ", ")
}

func (p *recipeParser) field(op Op, to reflect.Value, f opField, n *yaml.Node) {
	what := op.Name() + ": " + f.name
	switch to.Interface().(type) {
	case bool:
		b, _ := p.flag(n, what)
		to.SetBool(b)
	case choice:
		s, words := p.text(n, what, false), to.Interface().(choice).choices()
		if s != "" && !slices.Contains(words, s) {
			msg, hint := unknown(f.name, s, words)
			p.fail(n, op.Name()+": "+msg, hint)
		}
		to.SetString(s)
	case string:
		to.SetString(p.text(n, what, f.empty))
	case []string, Patterns:
		var list []string
		if n.Kind == yaml.SequenceNode {
			for _, item := range n.Content {
				list = append(list, p.text(follow(item), what, false))
			}
			if list == nil && f.required {
				p.fail(n, what+" is an empty list", "")
			}
		} else {
			list = []string{p.text(n, what, false)}
		}
		to.Set(reflect.ValueOf(list).Convert(to.Type()))
		if patterns, ok := to.Interface().(Patterns); ok {
			p.patterns(patterns, n, what)
		}
		if sp, ok := op.(*StripPrefix); ok {
			sp.Repeat = n.Kind == yaml.SequenceNode
		}
	}
}

// patterns reports those that do not compile, each at its own place.
func (p *recipeParser) patterns(list Patterns, n *yaml.Node, what string) {
	for i, s := range list {
		if s == "" {
			continue // reported by text
		}
		if _, err := (Patterns{s}).compile(); err != nil {
			at := n
			if n.Kind == yaml.SequenceNode {
				at = n.Content[i]
			}
			p.fail(at, what+": "+err.Error(), "")
		}
	}
}

// text is a scalar as text. A number stands for its digits (`strip_prefix: 0.`); true, false and null have to be quoted.
func (p *recipeParser) text(n *yaml.Node, what string, empty bool) string {
	switch {
	case n.Kind != yaml.ScalarNode:
		p.fail(n, fmt.Sprintf("%s is a text, found %s", what, kindName(n)), "")
	case n.Tag == "!!bool" || n.Tag == "!!null":
		p.fail(n, fmt.Sprintf("%s is a text, found %s", what, kindName(n)), "put quotes around it")
	case n.Value == "" && !empty:
		p.fail(n, what+" is empty", "")
	}
	return n.Value
}

func (p *recipeParser) flag(n *yaml.Node, what string) (value, ok bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		p.fail(n, fmt.Sprintf("%s is true or false, found %s", what, kindName(n)), "")
		return false, false
	}
	return strings.EqualFold(n.Value, "true"), true
}

func (p *recipeParser) metadata(sm *SetMetadata, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		p.fail(n, "set_metadata needs a mapping of names to texts, found "+kindName(n), "")
		return
	}
	p.pairs(n, func(key string, k, v *yaml.Node) {
		if key == "optional" && v.Tag == "!!bool" {
			sm.Optional, _ = p.flag(v, "optional")
			return
		}
		sm.Values = append(sm.Values, [2]string{key, p.text(v, fmt.Sprintf("set_metadata: %q", key), true)})
	})
}

// outputFormats are the words that a recipe's output and `--format` take.
var outputFormats = []string{"torch", "torch-legacy", "safetensors", "npz", "gguf"}

func (p *recipeParser) output(n *yaml.Node, out *Output) {
	if n.Kind != yaml.MappingNode {
		p.fail(n, "output is a mapping with format and max_shard_size, found "+kindName(n), "")
		return
	}
	p.pairs(n, func(key string, k, v *yaml.Node) {
		switch key {
		case "format":
			out.Format = p.text(v, "output: format", false)
			if out.Format != "" && !slices.Contains(outputFormats, out.Format) {
				msg, hint := unknown("format", out.Format, outputFormats)
				p.fail(v, msg, hint)
			}
		case "max_shard_size":
			size, err := ParseSize(p.text(v, "output: max_shard_size", false))
			if err != nil {
				p.fail(v, "output: max_shard_size: "+err.Error(), "")
			}
			out.MaxShardSize = size
		default:
			msg, hint := unknown("field", key, []string{"format", "max_shard_size"})
			p.fail(k, "output: "+msg, hint)
		}
	})
}

var sizePattern = regexp.MustCompile(`^(\d+)(\.\d+)?\s*([kKmMgGtT]?)([iI]?)[bB]?$`)

// ParseSize reads a number of bytes: 5GB and 500MB count in thousands, as the Hub's tools do, 5GiB in 1024s, 5000000 as is.
func ParseSize(text string) (int64, error) {
	m := sizePattern.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return 0, fmt.Errorf("%q is no size; write 5GB, 500MB, 2GiB or a number of bytes", text)
	}
	base := 1000.0
	if m[4] != "" {
		base = 1024
	}
	n, err := strconv.ParseFloat(m[1]+m[2], 64)
	if m[3] != "" {
		n *= math.Pow(base, 1+float64(strings.Index("kmgt", strings.ToLower(m[3]))))
	} else if m[4] != "" {
		err = errors.New("no unit")
	}
	if err != nil || n < 1 || n > 1<<53 {
		return 0, fmt.Errorf("%q is no size between 1 byte and 2^53 bytes", text)
	}
	return int64(n), nil
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "nothing"
		}
		return fmt.Sprintf("%q", n.Value)
	}
	return "something else"
}
