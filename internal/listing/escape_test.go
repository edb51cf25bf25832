package listing

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

func TestEscape(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"layer.0.weight", "layer.0.weight"},
		{"größe/層", "größe/層"},
		{"\x1b[2J", `\u001b[2J`},
		{"a\nb\tc\r\x00\x7f", `a\u000ab\u0009c\u000d\u0000\u007f`},
		{"\u0085\u009b31m", `\u0085\u009b31m`},
		{"\u202egpj.exe", `\u202egpj.exe`},
		{"a\u2028b\u2029c", `a\u2028b\u2029c`},
		{"a\u200bb\ufeffc\u00ad", `a\u200bb\ufeffc\u00ad`},
		{"\xff\xfe", `\xff\xfe`},
		{"\U000e0041", `\udb40\udc41`},
	} {
		if got := Escape(c.in); got != c.want {
			t.Errorf("Escape(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	for r := range unicode.MaxRune {
		for _, g := range Escape(string(r)) {
			if g != ' ' && !unicode.IsPrint(g) || unicode.Is(unicode.Bidi_Control, g) {
				t.Fatalf("Escape(%U) lets %U through", r, g)
			}
		}
	}
}

func TestAppendString(t *testing.T) {
	for _, s := range []string{"", "plain", `quote " and \ backslash`, "\x00\x1b\n\t\r\x7f\u0085", "\u202e\u2028", "日本語 🎉", "<script>&"} {
		var back string
		j := string(AppendString(nil, s))
		if err := json.Unmarshal([]byte(j), &back); err != nil || back != s {
			t.Errorf("%q came back as %q from %s (%v)", s, back, j, err)
		}
		if strings.ContainsFunc(j, unicode.IsControl) {
			t.Errorf("%q has a raw control character", j)
		}
	}
	if got := string(AppendString(nil, "a\xed\xa0\x80b")); got != `"a\ud800b"` {
		t.Errorf("a lone surrogate is written as %s", got)
	}
	if got := string(AppendString(nil, "a\xffb\xed")); got != `"a\ufffdb\ufffd"` && got != "\"a\ufffdb\ufffd\"" {
		t.Errorf("broken UTF-8 is written as %s", got)
	}
}

func TestSize(t *testing.T) {
	for _, c := range []struct {
		n    int64
		want string
	}{{0, "0 B"}, {999, "999 B"}, {1000, "1.0 kB"}, {37632, "37.6 kB"}, {999_949, "999.9 kB"}, {999_950, "1.0 MB"}, {12_000_000_000, "12.0 GB"}, {1<<63 - 1, "9.2 EB"}, {-1, "?"}} {
		if got := Size(c.n); got != c.want {
			t.Errorf("Size(%d) = %q, want %q", c.n, got, c.want)
		}
	}
}
