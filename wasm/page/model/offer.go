package model

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// Offer is an operation that fits a selection, and how many rows it is about.
type Offer struct {
	Op Op
	N  int
}

// Offers are the operations that fit the selection, in the order of the bar. A rename and a cast wait for more to be
// filled in.
func (p *Picked) Offers() (out []Offer) {
	add := func(o Op, n int) { out = append(out, Offer{o, n}) }
	if p.Patterns != nil {
		add(withList("drop", "match", p.Patterns), p.Keys)
		if !p.Whole {
			add(withList("keep", "match", p.Patterns), p.Keys)
		}
	}
	if p.IsGroup && p.Patterns != nil {
		add(Op{Spec: SpecOf("extract"), Values: map[string]string{"prefix": p.Name + "."}}, p.Keys)
		add(withList("strip-prefix", "prefix", []string{p.Name + "."}), p.Keys)
	}
	if from, to, ok := p.rename(); ok {
		add(Op{Spec: SpecOf("rename"), Values: map[string]string{"from": from, "to": to}}, p.Keys)
	}
	if p.Patterns != nil {
		add(withList("cast", "match", p.Patterns), p.Keys)
	}
	if len(p.Objects) > 0 && p.Keys == 0 && utf8.ValidString(strings.Join(p.Objects, "")) {
		add(withList("drop-objects", "paths", p.Objects), p.Rows)
	}
	return out
}

// rename is what a rename of the selected key or group starts with.
func (p *Picked) rename() (from, to string, ok bool) {
	if p.Patterns == nil || !p.IsKey && !p.IsGroup {
		return "", "", false
	}
	to = strings.ReplaceAll(p.Name, "$", "$$")
	if strings.ContainsAny(p.Name, "\n\r") { // a field has one line
		from, end := regexp.QuoteMeta(p.Name), "$"
		if p.IsGroup {
			to, end = to+".", `\.`
		}
		return "re:^" + strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(from) + end, to, true
	}
	if from = literal(p.Name); p.IsGroup {
		from, to = from+".", to+"."
	}
	return from, to, true
}

// Fit is the operation that a form starts with for the selection; nil where the selection has no say.
func (p *Picked) Fit(s *Spec) *Op {
	if s.Action == "add-prefix" && p.Patterns != nil {
		o := withList(s.Action, "match", p.Patterns)
		return &o
	}
	if s.Action == "tie" && len(p.List) > 1 {
		o := withList(s.Action, "keys", p.List[1:])
		o.Values["to"] = p.List[0]
		return &o
	}
	if s.Action == "cast" {
		return nil // by its own button it is meant for all keys
	}
	for _, o := range p.Offers() {
		if o.Op.Spec == s {
			return &o.Op
		}
	}
	return nil
}

// typed is how long the text of a field may be.
const typed = 4096

// withList is an operation on a list of values.
func withList(action, field string, list []string) Op {
	text, exact := listText(list)
	o := Op{Spec: SpecOf(action), Values: map[string]string{field: text}}
	if !exact || len(text) > typed {
		o.Lists = map[string][]string{field: list}
	}
	return o
}

// listText is a list as the text of a field; exact tells that the field means the same.
func listText(list []string) (text string, exact bool) {
	parts := make([]string, len(list))
	exact = true
	for i, s := range list {
		if said := Split(s); len(said) == 1 && said[0] == s {
			parts[i] = s
			continue
		}
		// To a glob a comma behind a backslash is a comma, except among alternatives.
		parts[i] = strings.ReplaceAll(s, ",", `\,`)
		said := Split(parts[i])
		exact = exact && len(said) == 1 && (said[0] == s || said[0] == parts[i] && !alternates(s))
	}
	text = strings.Join(parts, ", ")
	return text, exact && len(Split(text)) == len(list) && !strings.ContainsAny(text, "\n\r") // a field has one line
}

// alternates tells whether a pattern has alternatives or classes.
func alternates(s string) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '{', '[':
			return true
		}
	}
	return false
}
