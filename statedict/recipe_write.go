package statedict

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// YAML is the recipe as a document that ParseRecipe reads back to the same recipe: fields in the order of the interface,
// bare forms where they say everything.
func (r *Recipe) YAML() []byte {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(r.node()); err != nil {
		panic(err) // the nodes are made below, of mappings, lists and scalars only
	}
	return b.Bytes()
}

// MarshalJSON is the same document as JSON.
func (r *Recipe) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	writeJSON(&b, r.node())
	return b.Bytes(), nil
}

// UnmarshalJSON is ParseRecipe.
func (r *Recipe) UnmarshalJSON(doc []byte) error {
	parsed, err := ParseRecipe(doc)
	if err == nil {
		*r = *parsed
	}
	return err
}

func (r *Recipe) node() *yaml.Node {
	doc := mappingNode("recipe", intNode(1))
	if r.HasAt || r.At != "" {
		addPair(doc, "at", textNode(r.At))
	}
	steps := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, op := range r.Steps {
		steps.Content = append(steps.Content, mappingNode(op.Name(), opNode(op)))
	}
	if len(r.Steps) == 0 {
		steps.Style = yaml.FlowStyle
	}
	addPair(doc, "steps", steps)
	if r.Output != (Output{}) {
		out := mappingNode()
		out.Style = yaml.FlowStyle
		if r.Output.Format != "" {
			addPair(out, "format", textNode(r.Output.Format))
		}
		if r.Output.MaxShardSize > 0 {
			addPair(out, "max_shard_size", textNode(formatSize(r.Output.MaxShardSize)))
		}
		addPair(doc, "output", out)
	}
	return doc
}

// opNode is what stands beside an operation's name.
func opNode(op Op) *yaml.Node {
	m := mappingNode()
	m.Style = yaml.FlowStyle
	if sm, ok := op.(*SetMetadata); ok {
		for _, kv := range sm.Values {
			addPair(m, kv[0], textNode(kv[1]))
		}
		if sm.Optional {
			addPair(m, "optional", boolNode(true))
		}
		return m
	}
	value := reflect.ValueOf(op).Elem()
	var bare *yaml.Node
	for _, f := range opFields(op) {
		n := fieldNode(op, value.Field(f.index).Interface())
		if n == nil && !f.required {
			continue
		}
		if n == nil {
			n = boolNode(false)
		}
		if f.bare {
			bare = n
		}
		addPair(m, f.name, n)
	}
	if bare != nil && len(m.Content) == 2 {
		return bare
	}
	if _, ok := op.(*Compact); ok && len(m.Content) == 0 {
		return boolNode(true)
	}
	return m
}

// fieldNode is a field's value, nil where it is the zero value.
func fieldNode(op Op, v any) *yaml.Node {
	switch v := v.(type) {
	case bool:
		if v {
			return boolNode(true)
		}
	case string:
		if _, ok := op.(*Rename); ok || v != "" {
			return textNode(v)
		}
	case Policy:
		if v != "" {
			return textNode(string(v))
		}
	case Patterns:
		return listNode(v, false)
	case []string:
		sp, ok := op.(*StripPrefix)
		return listNode(v, ok && (sp.Repeat || len(v) != 1))
	}
	return nil
}

func listNode(items []string, always bool) *yaml.Node {
	if len(items) == 0 {
		return nil
	}
	if len(items) == 1 && !always {
		return textNode(items[0])
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	for _, s := range items {
		list.Content = append(list.Content, textNode(s))
	}
	return list
}

func mappingNode(pairs ...any) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i < len(pairs); i += 2 {
		addPair(m, pairs[i].(string), pairs[i+1].(*yaml.Node))
	}
	return m
}

func addPair(m *yaml.Node, key string, value *yaml.Node) {
	m.Content = append(m.Content, textNode(key), value)
}

// textNode is a text; the tag makes the encoder quote what would read as something else.
func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	if strings.ContainsAny(s, "\r\n\u0085\u2028\u2029") {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func boolNode(b bool) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(b)}
}

func intNode(i int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(i)}
}

// writeJSON writes the nodes that Recipe.node makes; they are a few levels deep.
func writeJSON(b *bytes.Buffer, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, n.Content[i])
			b.WriteByte(':')
			writeJSON(b, n.Content[i+1])
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, c := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, c)
		}
		b.WriteByte(']')
	default:
		if n.Tag == "!!bool" || n.Tag == "!!int" {
			b.WriteString(n.Value)
			return
		}
		enc := json.NewEncoder(b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(n.Value); err != nil {
			panic(err) // a string
		}
		b.Truncate(b.Len() - 1)
	}
}

// formatSize is a number of bytes as ParseSize reads it: 5GB where that is exact, else the number.
func formatSize(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
