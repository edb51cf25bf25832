package model

import (
	"regexp"
	"strings"
)

// Filter narrows the tree to the leaves that match a query (see Query). The error says what is wrong with it; the tree then
// stays as it is.
func (v *View) Filter(query string, breathe Breathe) error {
	query = strings.TrimSpace(query)
	if query == v.query {
		return v.failure
	}
	v.query = query
	var q *Query
	if q, v.failure = ParseQuery(query, v.was); v.failure == nil {
		v.search = q
		if strings.Contains(query, "changed:") {
			v.indexBase(breathe)
		}
		v.Again(breathe)
	}
	return v.failure
}

// Query is the filter that is in force.
func (v *View) Query() string { return v.query }

// Again filters anew.
func (v *View) Again(breathe Breathe) {
	v.rework(breathe, func(next *View, breathe Breathe) {
		next.filter(breathe)
		next.relist(breathe)
	})
}

func (v *View) filter(breathe Breathe) {
	v.Matches = 0
	v.changed()
	nodes := v.Tree.Nodes
	v.shows = make([]int32, len(nodes)+1)
	all := v.search == nil && v.Only == nil
	if v.shown = nil; !all {
		v.shown = make([]bool, len(nodes))
	}
	for i := range nodes {
		breathe.at(i)
		v.shows[i+1] = v.shows[i]
		n := &nodes[i]
		leaf := n.Kind != Group
		if n.Self != nil {
			n = &Node{Entry: &Entry{Kind: Object, Path: n.Path, Name: n.Name, Row: n.Self, Type: n.Self.Type}}
		}
		if n.Kind == Group || !all && !v.lets(n) {
			continue
		}
		v.Matches++
		if leaf {
			v.shows[i+1]++
		}
		for j := int32(i); !all && j >= 0 && !v.shown[j]; j = nodes[j].Parent {
			v.shown[j] = true
		}
	}
}

// lets tells whether the search and Only let a leaf through.
func (v *View) lets(n *Node) bool {
	return (v.search == nil || v.search.Match(n)) && (v.Only == nil || v.Only(n))
}

// globExpr is a glob over dotted parts as a regular expression: * stays within a part, ** does not.
func globExpr(glob string) string {
	var b strings.Builder
	b.WriteString("(?is)^")
	for i := 0; i < len(glob); i++ {
		switch {
		case strings.HasPrefix(glob[i:], "**."):
			b.WriteString(`(.*\.)?`)
			i += 2
		case strings.HasPrefix(glob[i:], "**"):
			b.WriteString(".*")
			i++
		case glob[i] == '*':
			b.WriteString("[^.]*")
		case glob[i] == '?':
			b.WriteString("[^.]")
		default:
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		}
	}
	b.WriteString("$")
	return b.String()
}

func containsFold(s, word string) bool {
	for i := 0; i+len(word) <= len(s); i++ {
		if hasFoldPrefix(s[i:], word) {
			return true
		}
	}
	return false
}
