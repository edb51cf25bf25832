package model

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// shownName is how many characters of a name are shown; the rest is in the row's data-path.
const shownName = 256

// Visible is a name that a stranger wrote, safe to look at: control, bidi, zero-width and line-separator characters and
// bytes that are no text become escapes, and long names are cut.
func Visible(s string) string { return visible(s, shownName) }

// VisibleAll is Visible without the cut, for sentences that quote names.
func VisibleAll(s string) string { return visible(s, len(s)) }

func visible(s string, limit int) string {
	if plain(s) && len(s) <= limit {
		return s
	}
	var b strings.Builder
	n := 0
	for i, r := range s {
		if n == limit {
			b.WriteRune('…')
			break
		}
		n++
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			b.WriteString(`\x` + hex(uint64(s[i]), 2))
		case r < 0x20 || r == 0x7f:
			b.WriteString(`\x` + hex(uint64(r), 2))
		case hidden(r) && r > 0xffff:
			b.WriteString(`\U` + hex(uint64(r), 8))
		case hidden(r):
			b.WriteString(`\u` + hex(uint64(r), 4))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// hidden tells characters that show as nothing or change how others show: controls, formats (bidi, zero-width, tags),
// line and paragraph separators, private use, and spaces other than the common one.
func hidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) || r != ' ' && unicode.Is(unicode.Zs, r) ||
		r == 0x115f || r == 0x1160 || r == 0x3164 || r == 0xffa0 || r >= 0xfe00 && r <= 0xfe0f || r == 0x2800
}

func hex(n uint64, width int) string {
	s := strconv.FormatUint(n, 16)
	return strings.Repeat("0", max(0, width-len(s))) + s
}

// Shape is a shape as torch prints it: "[64, 3, 7, 7]", and "[]" for a scalar. Ranks over 16 are cut.
func Shape(shape []int64) string {
	b := []byte{'['}
	for i, d := range shape {
		if i > 0 {
			b = append(b, ", "...)
		}
		if i == 16 {
			b = append(b, "…"...)
			break
		}
		b = strconv.AppendInt(b, d, 10)
	}
	return string(append(b, ']'))
}

// ShortType is a Python type as a column shows it: of a class within a package, of three parts or more, the last part.
func ShortType(s string) string {
	if strings.Count(s, ".") < 2 {
		return s
	}
	return s[strings.LastIndexByte(s, '.')+1:]
}
