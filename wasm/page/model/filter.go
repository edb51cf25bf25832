package model

import (
	"regexp"
	"strings"
)

// Filter narrows the tree to the leaves that match query: words that all occur in the path (ignoring ASCII case), globs
// over dotted parts where a word has * or ?, or one regular expression behind "re:". The error says what is wrong with a
// pattern; the tree then stays as it is.
func (v *View) Filter(query string) error {
	query = strings.TrimSpace(query)
	if query == v.query {
		return v.failure
	}
	v.query = query
	_, v.failure = matcher(query)
	if v.failure == nil {
		v.filter()
		v.relist()
	}
	return v.failure
}

// Query is the filter that is in force.
func (v *View) Query() string { return v.query }

// Again filters anew.
func (v *View) Again() {
	v.filter()
	v.relist()
}

func (v *View) filter() {
	v.Matches = 0
	match, err := matcher(v.query)
	if err != nil || match == nil && v.Only == nil {
		v.shown = nil
		for i := range v.Tree.Nodes {
			if v.Tree.Nodes[i].Kind != Group {
				v.Matches++
			}
		}
		return
	}
	v.shown = make([]bool, len(v.Tree.Nodes))
	for i := range v.Tree.Nodes {
		n := &v.Tree.Nodes[i]
		if n.Kind == Group || match != nil && !match(n.Path) || v.Only != nil && !v.Only(n) {
			continue
		}
		v.Matches++
		for j := int32(i); j >= 0 && !v.shown[j]; j = v.Tree.Nodes[j].Parent {
			v.shown[j] = true
		}
	}
}

// matcher is nil for an empty query.
func matcher(query string) (func(string) bool, error) {
	if query == "" {
		return nil, nil
	}
	if expr, ok := strings.CutPrefix(query, "re:"); ok {
		re, err := regexp.Compile(expr)
		if err != nil {
			return nil, err
		}
		return re.MatchString, nil
	}
	var tests []func(string) bool
	for _, word := range strings.Fields(query) {
		if strings.ContainsAny(word, "*?") {
			re, err := regexp.Compile(globExpr(word))
			if err != nil {
				return nil, err
			}
			tests = append(tests, re.MatchString)
			continue
		}
		tests = append(tests, func(s string) bool { return containsFold(s, word) })
	}
	return func(s string) bool {
		for _, t := range tests {
			if !t(s) {
				return false
			}
		}
		return true
	}, nil
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
