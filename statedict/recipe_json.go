package statedict

import (
	"bytes"
	"encoding/json"
	"strings"

	"go.yaml.in/yaml/v3"
)

// jsonNode reads a valid JSON document into the nodes that the YAML reader would make, positions included.
func jsonNode(doc []byte) (*yaml.Node, error) {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	line, lineStart, at := 1, 0, 0
	place := func(n *yaml.Node) *yaml.Node {
		for at < len(doc) && strings.IndexByte(" \t\r\n,:", doc[at]) >= 0 {
			if doc[at] == '\n' {
				line, lineStart = line+1, at+1
			}
			at++
		}
		n.Line, n.Column = line, at-lineStart+1
		return n
	}
	root := &yaml.Node{}
	open := []*yaml.Node{root}
	for {
		n := place(&yaml.Node{Kind: yaml.ScalarNode})
		tok, err := dec.Token()
		if err != nil {
			break // the end: the document is known to be valid
		}
		at = int(dec.InputOffset())
		switch tok := tok.(type) {
		case json.Delim:
			if tok == '}' || tok == ']' {
				open = open[:len(open)-1]
				continue
			}
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
			if tok == '[' {
				n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
			}
			top := open[len(open)-1]
			top.Content = append(top.Content, n)
			open = append(open, n)
			continue
		case string:
			n.Value, n.Tag = tok, "!!str"
		case json.Number:
			n.Value, n.Tag = tok.String(), "!!int"
			if strings.ContainsAny(n.Value, ".eE") {
				n.Tag = "!!float"
			}
		case bool:
			n.Value, n.Tag = "false", "!!bool"
			if tok {
				n.Value = "true"
			}
		case nil:
			n.Value, n.Tag = "null", "!!null"
		}
		top := open[len(open)-1]
		top.Content = append(top.Content, n)
	}
	return root.Content[0], nil
}
