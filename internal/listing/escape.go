// Package listing writes checkpoints and reports as text for people and as JSON for programs. The command and the server
// share it, so that both say the same.
package listing

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape makes text from a file safe and unambiguous on a terminal: control characters of both sets, bidirectional and
// zero-width characters, line separators and bytes that are no UTF-8 become visible escapes. Printable text is unchanged.
func Escape(s string) string {
	clean := true
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x`)
			b.WriteByte(hex[s[i]>>4])
			b.WriteByte(hex[s[i]&15])
		case unicode.IsPrint(r):
			b.WriteString(s[i : i+n])
		default:
			b.Write(appendEscape(nil, r))
		}
		i += n
	}
	return b.String()
}

const hex = "0123456789abcdef"

// appendEscape appends the \uXXXX form of r, two of them beyond the basic plane.
func appendEscape(b []byte, r rune) []byte {
	if r > 0xffff {
		r -= 0x10000
		return appendEscape(appendEscape(b, 0xd800+r>>10), 0xdc00+r&0x3ff)
	}
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// plain are the bytes that a JSON string holds as they are.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// AppendString appends s as a JSON string. What a terminal could act on is escaped as well, although JSON would allow it;
// a lone surrogate that Python kept ("surrogatepass") comes out as its \uXXXX, other bytes that are no UTF-8 as U+FFFD.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		n := 1
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < 0x80:
			b = appendEscape(b, rune(c))
		case c == 0xed && i+2 < len(s) && s[i+1]&0xe0 == 0xa0 && s[i+2]&0xc0 == 0x80:
			b = appendEscape(b, 0xd000|rune(s[i+1]&0x3f)<<6|rune(s[i+2]&0x3f))
			n = 3
		default:
			var r rune
			r, n = utf8.DecodeRuneInString(s[i:])
			if unicode.IsPrint(r) && !(r == utf8.RuneError && n == 1) {
				b = utf8.AppendRune(b, r)
			} else {
				b = appendEscape(b, r)
			}
		}
		i += n
		start = i
	}
	return append(append(b, s[start:]...), '"')
}
