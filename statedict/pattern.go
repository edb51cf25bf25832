package statedict

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Patterns is one pattern or a list; a key matches a list when it matches one of it.
//
// A pattern is a glob over dotted parts: `*` stands within one part, `**` for any run of parts (none included), `?` for a
// character, `[abc]` and `[!abc]` for one of a class, `{a,b}` for alternatives; a backslash takes the meaning away. With
// `re:` in front it is an RE2 regular expression that has to match somewhere in the key.
type Patterns []string

// QuotePattern is the pattern that matches key and nothing else.
func QuotePattern(key string) string {
	if strings.HasPrefix(key, "re:") {
		key = `\` + key
		return `\re:` + quoteGlob.Replace(key[len(`\re:`):])
	}
	return quoteGlob.Replace(key)
}

var quoteGlob = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `{`, `\{`, `}`, `\}`)

// matcher is a list of patterns, compiled. The kinds that recipes are made of cost a comparison per key.
type matcher struct {
	all      bool
	literals map[string]struct{}
	prefixes []string // "backbone." for backbone.**, which matches backbone as well
	suffixes []string // ".weight" for **.weight, which matches weight as well
	globs    []glob
	regexps  []*expr
}

type glob struct {
	slashed string // the pattern with . and / exchanged, as doublestar wants it
	need    string // text that every match contains
}

// maxAlternatives bounds what the braces of one pattern may expand to.
const maxAlternatives = 1024

func (p Patterns) compile() (*matcher, error) {
	m := &matcher{}
	for _, s := range p {
		if text, ok := strings.CutPrefix(s, "re:"); ok {
			re, err := compileExpr(text)
			if err != nil {
				return nil, fmt.Errorf("pattern %q: %w", s, err)
			}
			m.regexps = append(m.regexps, re)
			continue
		}
		globs, err := expandGlob(s)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", s, err)
		}
		for _, g := range globs {
			m.addGlob(g)
		}
	}
	return m, nil
}

// addGlob files a glob without braces under the cheapest test that decides it.
func (m *matcher) addGlob(g string) {
	if lit, ok := literalGlob(g); ok {
		if m.literals == nil {
			m.literals = map[string]struct{}{}
		}
		m.literals[lit] = struct{}{}
		return
	}
	if g == "**" {
		m.all = true
		return
	}
	if head, ok := strings.CutSuffix(g, ".**"); ok {
		if lit, ok := literalGlob(head); ok {
			m.prefixes = append(m.prefixes, lit+".")
			return
		}
		m.addGlob(head) // doublestar takes a/** for a, but not a*/**
	}
	if tail, ok := strings.CutPrefix(g, "**."); ok {
		if lit, ok := literalGlob(tail); ok {
			m.suffixes = append(m.suffixes, "."+lit)
			return
		}
	}
	m.globs = append(m.globs, glob{slashed: negated.Replace(exchange(g)), need: neededText(g)})
}

// negated keeps a negated class within one part.
var negated = strings.NewReplacer(`\[`, `\[`, "[!", "[!/", "[^", "[!/")

// match tells whether key matches one of the patterns.
func (m *matcher) match(key string) bool {
	if m.all {
		return true
	}
	if m.literals != nil {
		if _, ok := m.literals[key]; ok {
			return true
		}
	}
	for _, p := range m.prefixes {
		if strings.HasPrefix(key, p) || len(key) == len(p)-1 && key == p[:len(p)-1] {
			return true
		}
	}
	for _, s := range m.suffixes {
		if strings.HasSuffix(key, s) || len(key) == len(s)-1 && key == s[1:] {
			return true
		}
	}
	slashed := ""
	for _, g := range m.globs {
		if !strings.Contains(key, g.need) {
			continue
		}
		if slashed == "" {
			slashed = exchange(key)
		}
		if doublestar.MatchUnvalidated(g.slashed, slashed) {
			return true
		}
	}
	for _, re := range m.regexps {
		if re.matchString(key) {
			return true
		}
	}
	return false
}

// selection is match without except.
type selection struct{ match, except *matcher }

func compileSelection(match, except Patterns) (*selection, error) {
	m, err := match.compile()
	if err != nil {
		return nil, err
	}
	if len(match) == 0 {
		m.all = true
	}
	x, err := except.compile()
	if err != nil {
		return nil, err
	}
	return &selection{m, x}, nil
}

func (s *selection) has(key string) bool { return s.match.match(key) && !s.except.match(key) }

// exchange swaps . and /, so that a matcher of file paths works on dotted keys.
func exchange(s string) string {
	if !strings.ContainsAny(s, "./") {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		switch c {
		case '.':
			b[i] = '/'
		case '/':
			b[i] = '.'
		}
	}
	return string(b)
}

// literalGlob returns the one text that a glob without wildcards matches.
func literalGlob(g string) (string, bool) {
	if !strings.ContainsAny(g, `*?[\`) {
		return g, true
	}
	b := make([]byte, 0, len(g))
	for i := 0; i < len(g); i++ {
		switch g[i] {
		case '*', '?', '[':
			return "", false
		case '\\':
			i++
		}
		b = append(b, g[i])
	}
	return string(b), true
}

// neededText is the longest run of plain characters in a glob without braces: a cheap test that most keys fail.
func neededText(g string) string {
	best, from := "", 0
	take := func(to int) {
		if run := g[from:to]; len(run) > len(best) {
			best = run
		}
	}
	for i := 0; i < len(g); i++ {
		switch g[i] {
		case '*':
			// A dot beside ** belongs to it: **.a matches a.
			end := i
			if strings.HasPrefix(g[i:], "**") && end > from && g[end-1] == '.' {
				end--
			}
			take(end)
			for i+1 < len(g) && g[i+1] == '*' {
				i++
			}
			if i+1 < len(g) && g[i+1] == '.' {
				i++
			}
			from = i + 1
		case '?':
			take(i)
			from = i + 1
		case '\\':
			take(i)
			i++
			from = i + 1
		case '[':
			take(i)
			for i++; i < len(g) && g[i] != ']'; i++ {
				if g[i] == '\\' {
					i++
				}
			}
			from = i + 1
		}
	}
	if from < len(g) {
		take(len(g))
	}
	return best
}

// expandGlob checks a glob and writes its braces out.
func expandGlob(g string) ([]string, error) {
	if g == "" {
		return nil, errors.New("is empty")
	}
	done, todo := []string{}, []string{g}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		open, parts, end, err := firstBrace(p)
		if err != nil {
			return nil, err
		}
		if open < 0 {
			done = append(done, plainGlob(p))
		}
		for i := len(parts) - 1; i >= 0; i-- {
			todo = append(todo, p[:open]+parts[i]+p[end:])
		}
		if len(done)+len(todo) > maxAlternatives {
			return nil, fmt.Errorf("its braces make more than %d patterns", maxAlternatives)
		}
	}
	return done, nil
}

// plainGlob writes stars that are not a part of their own as one, and a run of ** parts as one.
func plainGlob(g string) string {
	if !strings.Contains(g, "**") {
		return g
	}
	parts := strings.Split(g, ".")
	for i, part := range parts {
		for part != "**" && strings.Contains(part, "**") && !strings.Contains(part, `\`) {
			part = strings.ReplaceAll(part, "**", "*")
			parts[i] = part
		}
	}
	parts = slices.CompactFunc(parts, func(a, b string) bool { return a == "**" && b == "**" })
	return strings.Join(parts, ".")
}

// firstBrace finds the first {…} of g: where it opens, its alternatives, and the position behind it. open is -1 for none.
func firstBrace(g string) (open int, parts []string, end int, err error) {
	open = -1
	depth, from := 0, 0
	for i := 0; i < len(g); i++ {
		switch g[i] {
		case '\\':
			if i++; i == len(g) {
				return -1, nil, 0, errors.New("ends in a backslash")
			}
		case '[':
			start := i
			for i++; i < len(g) && g[i] != ']'; i++ {
				if g[i] == '.' {
					return -1, nil, 0, errors.New("a class in brackets stands for one character of one part and cannot hold a dot")
				}
				if g[i] == '\\' {
					i++
				}
			}
			if i >= len(g) || !doublestar.ValidatePattern(g[start:i+1]) {
				return -1, nil, 0, errors.New("a bracket is not closed or is empty")
			}
		case '{':
			if depth++; depth == 1 {
				open, from = i, i+1
			}
		case ',':
			if depth == 1 {
				parts, from = append(parts, g[from:i]), i+1
			}
		case '}':
			if depth--; depth < 0 {
				return -1, nil, 0, errors.New("a brace closes that was not opened")
			}
			if depth == 0 {
				return open, append(parts, g[from:i]), i + 1, nil
			}
		}
	}
	if depth > 0 {
		return -1, nil, 0, errors.New("a brace is not closed")
	}
	return -1, nil, 0, nil
}

// expr is a regular expression with the text that its matches start with, where ^ pins that to the start of the key.
type expr struct {
	*regexp.Regexp
	prefix string
}

func compileExpr(text string) (*expr, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		var se *syntax.Error
		if errors.As(err, &se) {
			return nil, fmt.Errorf("%s: `%s`", se.Code, se.Expr)
		}
		return nil, err
	}
	return &expr{re, anchoredPrefix(text)}, nil
}

func (e *expr) matchString(key string) bool {
	return strings.HasPrefix(key, e.prefix) && e.MatchString(key)
}

// anchoredPrefix is "layers." for ^layers\.(\d+), "" where the expression is not of that kind.
func anchoredPrefix(text string) string {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil || tree.Op != syntax.OpConcat || len(tree.Sub) < 2 || tree.Sub[0].Op != syntax.OpBeginText {
		return ""
	}
	lit := tree.Sub[1]
	if lit.Op != syntax.OpLiteral || lit.Flags&syntax.FoldCase != 0 {
		return ""
	}
	return string(lit.Rune)
}

// Matcher answers a function that tells whether a key matches one of the patterns.
func (p Patterns) Matcher() (func(key string) bool, error) {
	m, err := p.compile()
	if err != nil {
		return nil, err
	}
	return m.match, nil
}
