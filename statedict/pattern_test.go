package statedict

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern    string
		yes, no    []string
		wantsError string
	}{
		{pattern: "**", yes: []string{"a", "a.b.c", ""}},
		{pattern: "*", yes: []string{"a", "a/b"}, no: []string{"a.b"}},
		{pattern: "a.**", yes: []string{"a", "a.b", "a.b.c"}, no: []string{"ab", "b.a"}},
		{pattern: "**.a", yes: []string{"a", "b.a", "c.b.a"}, no: []string{"ba", "a.b"}},
		{pattern: "**.norm*.*", yes: []string{"norm.w", "a.norm1.w", "norm_2.b"}, no: []string{"norm", "a.xnorm.w", "a.norm.b.c"}},
		{pattern: "a**b", yes: []string{"ab", "axb"}, no: []string{"a.b"}},
		{pattern: "{a,b.c}.*", yes: []string{"a.x", "b.c.x"}, no: []string{"b.x"}},
		{pattern: "{a,{b,c}d}", yes: []string{"a", "bd", "cd"}, no: []string{"b", "d"}},
		{pattern: `\*`, yes: []string{"*"}, no: []string{"a"}},
		{pattern: `\re:a`, yes: []string{"re:a"}, no: []string{"a"}},
		{pattern: "[!a]b", yes: []string{"cb"}, no: []string{"ab", ".b"}},
		{pattern: "[a-c]?", yes: []string{"bx"}, no: []string{"dx", "b"}},
		{pattern: "ü?", yes: []string{"üx", "üü"}, no: []string{"x"}},
		{pattern: "re:b.d", yes: []string{"abcd.e"}, no: []string{"abd"}},
		{pattern: `re:^a\.`, yes: []string{"a.b"}, no: []string{"b.a.c", "ab"}},
		{pattern: `re:(?i)^A`, yes: []string{"a", "A"}, no: []string{"b"}},
		{pattern: "", wantsError: "empty"},
		{pattern: "[a", wantsError: "bracket"},
		{pattern: "[]", wantsError: "bracket"},
		{pattern: "[a.b]", wantsError: "dot"},
		{pattern: "{a", wantsError: "brace"},
		{pattern: "a}", wantsError: "brace"},
		{pattern: `a\`, wantsError: "backslash"},
		{pattern: "re:(", wantsError: "missing closing )"},
		{pattern: strings.Repeat("{a,b}", 40), wantsError: "more than"},
	} {
		m, err := Patterns{c.pattern}.compile()
		if c.wantsError != "" {
			if err == nil || !strings.Contains(err.Error(), c.wantsError) {
				t.Errorf("%q: error %v, want %q", c.pattern, err, c.wantsError)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.pattern, err)
			continue
		}
		for _, k := range c.yes {
			if !m.match(k) {
				t.Errorf("%q does not match %q", c.pattern, k)
			}
		}
		for _, k := range c.no {
			if m.match(k) {
				t.Errorf("%q matches %q", c.pattern, k)
			}
		}
	}
}

// Three ways to decide a glob agree: the fast tests, doublestar, and the regular expression that renames use.
func TestPatternsAgainstDoublestar(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	for range 50_000 {
		var pattern, key []string
		for range 1 + rng.IntN(4) {
			pattern = append(pattern, pick("**", "*", "a", "b", "a*", "*b", "?", "[ab]", "a**", "ab"))
		}
		for range 1 + rng.IntN(4) {
			key = append(key, pick("a", "b", "ab", "ba", "c", "abb"))
		}
		p, k := strings.Join(pattern, "."), strings.Join(key, ".")
		m, err := Patterns{p}.compile()
		if err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		want := false
		for g, more := plainGlob(p), true; more; g, more = strings.CutSuffix(g, ".**") {
			want = want || doublestar.MatchUnvalidated(exchange(g), exchange(k))
		}
		if got := m.match(k); got != want {
			t.Fatalf("match(%q, %q) is %v, doublestar says %v", p, k, got, want)
		}
		text, _ := globExpr(plainGlob(p))
		re, err := compileExpr(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got := re.matchString(k); got != want {
			t.Fatalf("%q as expression %q on %q is %v, doublestar says %v", p, text, k, got, want)
		}
	}
}

func TestQuotePattern(t *testing.T) {
	for _, key := range []string{"a.b", "a[0]", "re:x", "re:[x", `a\b`, "{x}", "*", "re", "?.**"} {
		m, err := Patterns{QuotePattern(key)}.compile()
		if err != nil || !m.match(key) || m.match(key+"x") || m.match("x"+key) {
			t.Errorf("QuotePattern(%q) is %q: %v", key, QuotePattern(key), err)
		}
	}
}
