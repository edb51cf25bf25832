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

// Bytes is a number of bytes in the largest decimal unit that leaves at least 1: "46.8 MB".
func Bytes(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, unit := float64(n), -1
	for f >= 999.5 && unit < 5 {
		f /= 1000
		unit++
	}
	digits := 1
	if f >= 99.95 {
		digits = 0
	}
	return strconv.FormatFloat(f, 'f', digits, 64) + " " + []string{"kB", "MB", "GB", "TB", "PB", "EB"}[unit]
}

// Number is n with commas between the thousands.
func Number(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Count is a number of parameters in short: "11.7 M".
func Count(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1e12, " T"}, {1e9, " B"}, {1e6, " M"}, {1e3, " k"}} {
		if n >= u.size {
			return strconv.FormatFloat(float64(n)/float64(u.size), 'f', 1, 64) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
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
