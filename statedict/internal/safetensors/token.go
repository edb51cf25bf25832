package safetensors

import (
	"math"
	"unicode/utf16"
	"unicode/utf8"
)

// skip steps over one value that starts at nesting depth, checking what it steps over.
func (p *parser) skip(depth int) error {
	type open struct {
		closing byte
		first   bool
		keys    map[string]struct{}
	}
	var stack []open // at most lim.Depth
	for {
		switch c := p.peek(); {
		case c == '{' || c == '[':
			if depth+len(stack) >= p.lim.Depth {
				return p.fault("nested more than %d deep", p.lim.Depth)
			}
			p.at++
			stack = append(stack, open{closing: c + 2, first: true}) // '{'+2 is '}', '['+2 is ']'
		case c == '"':
			if _, err := p.str(); err != nil {
				return err
			}
		case p.literal("true") || p.literal("false") || p.literal("null"):
		default:
			if err := p.number(); err != nil {
				return err
			}
		}
		for {
			if len(stack) == 0 {
				return nil
			}
			top := &stack[len(stack)-1]
			more, err := p.more(top.first, top.closing)
			if err != nil {
				return err
			}
			if more {
				top.first = false
				if top.closing == ']' {
					break
				}
				at := p.at
				raw, err := p.key()
				if err != nil {
					return err
				}
				key := string(raw)
				if _, twice := top.keys[key]; twice {
					return fault(CodeHeader, lengthBytes+int64(at), "key %s appears twice", quote(key))
				}
				if top.keys == nil {
					top.keys = make(map[string]struct{})
				}
				top.keys[key] = struct{}{}
				break
			}
			stack = stack[:len(stack)-1]
		}
	}
}

func (p *parser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// peek is the next byte behind white space, 0 at the end. No JSON token starts with 0.
func (p *parser) peek() byte {
	p.space()
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) expect(c byte) error {
	if got := p.peek(); got != c {
		return p.unexpected("'" + string(rune(c)) + "'")
	}
	p.at++
	return nil
}

func (p *parser) unexpected(wanted string) error {
	if p.at >= len(p.text) {
		return p.fault("the JSON ends early, expected %s", wanted)
	}
	return p.fault("found 0x%02x, expected %s", p.text[p.at], wanted)
}

// more steps to the next member of an object or array: past the comma, unless first, or past closing (more is false).
func (p *parser) more(first bool, closing byte) (bool, error) {
	c := p.peek()
	if c == closing {
		p.at++
		return false, nil
	}
	if !first {
		if c != ',' {
			return false, p.unexpected("',' or '" + string(rune(closing)) + "'")
		}
		p.at++
		p.space()
	}
	return true, nil
}

// key reads a member's name and its colon. The result is valid until the next string with escapes is read.
func (p *parser) key() ([]byte, error) {
	if p.peek() != '"' {
		return nil, p.unexpected("a key")
	}
	key, err := p.str()
	if err != nil {
		return nil, err
	}
	return key, p.expect(':')
}

func (p *parser) literal(word string) bool {
	p.space()
	if len(p.text)-p.at < len(word) || string(p.text[p.at:p.at+len(word)]) != word {
		return false
	}
	p.at += len(word)
	return true
}

// integer reads digits, at most 2^64-1: no sign, no fraction, no exponent, no leading zero.
func (p *parser) integer() (uint64, error) {
	p.space()
	start := p.at
	n := uint64(0)
	for p.at < len(p.text) && p.text[p.at]-'0' <= 9 {
		digit := uint64(p.text[p.at] - '0')
		if n > (math.MaxUint64-digit)/10 {
			return 0, p.fault("an integer above 2^64-1")
		}
		n = n*10 + digit
		p.at++
	}
	if p.at == start {
		return 0, p.unexpected("digits")
	}
	if p.at-start > 1 && p.text[start] == '0' {
		return 0, fault(CodeHeader, lengthBytes+int64(start), "an integer with a leading zero")
	}
	if p.at < len(p.text) {
		switch p.text[p.at] {
		case '.', 'e', 'E':
			return 0, p.fault("an integer is digits only")
		}
	}
	return n, nil
}

// number steps over a JSON number of any form.
func (p *parser) number() error {
	start := p.at
	if p.at < len(p.text) && p.text[p.at] == '-' {
		p.at++
	}
	lead := p.at
	if p.digits() == 0 || p.text[lead] == '0' && p.at-lead > 1 {
		p.at = start
		return p.unexpected("a value")
	}
	if p.at < len(p.text) && p.text[p.at] == '.' {
		p.at++
		if p.digits() == 0 {
			return p.unexpected("digits")
		}
	}
	if p.at < len(p.text) && (p.text[p.at] == 'e' || p.text[p.at] == 'E') {
		p.at++
		if p.at < len(p.text) && (p.text[p.at] == '+' || p.text[p.at] == '-') {
			p.at++
		}
		if p.digits() == 0 {
			return p.unexpected("digits")
		}
	}
	return nil
}

func (p *parser) digits() int {
	start := p.at
	for p.at < len(p.text) && p.text[p.at]-'0' <= 9 {
		p.at++
	}
	return p.at - start
}

// str reads a string; p.at is at its opening quote. The result is valid until the next string with escapes is read.
func (p *parser) str() ([]byte, error) {
	p.at++
	start := p.at
	for p.at < len(p.text) && p.at-start <= p.lim.Text {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return p.text[start : p.at-1], nil
		case c == '\\':
			return p.escaped(start)
		case c < 0x20:
			return nil, p.fault("control character 0x%02x inside a string", c)
		}
		p.at++
	}
	return nil, p.endless(start)
}

// endless is the error of a string that starts at start and goes on past the text's end or the limit.
func (p *parser) endless(start int) *Error {
	if p.at < len(p.text) {
		return fault(CodeLimit, lengthBytes+int64(start), "a string of more than %d bytes", p.lim.Text)
	}
	return p.fault("a string without end")
}

// escaped goes on with a string from its first backslash.
func (p *parser) escaped(start int) ([]byte, error) {
	p.scratch = append(p.scratch[:0], p.text[start:p.at]...)
	for p.at < len(p.text) && p.at-start <= p.lim.Text {
		c := p.text[p.at]
		switch {
		case c == '"':
			p.at++
			return p.scratch, nil
		case c < 0x20:
			return nil, p.fault("control character 0x%02x inside a string", c)
		case c != '\\':
			p.scratch = append(p.scratch, c)
			p.at++
		default:
			if err := p.escape(); err != nil {
				return nil, err
			}
		}
	}
	return nil, p.endless(start)
}

// escape decodes one backslash sequence into scratch.
func (p *parser) escape() error {
	if p.at+1 >= len(p.text) {
		return p.fault("a string without end")
	}
	plain := byte(0)
	switch c := p.text[p.at+1]; c {
	case '"', '\\', '/':
		plain = c
	case 'b':
		plain = '\b'
	case 'f':
		plain = '\f'
	case 'n':
		plain = '\n'
	case 'r':
		plain = '\r'
	case 't':
		plain = '\t'
	case 'u':
		r, ok := p.hex(p.at + 2)
		if !ok {
			return p.fault("\\u without four hex digits")
		}
		width := 6
		if utf16.IsSurrogate(r) {
			low, ok := rune(0), false
			if p.at+7 < len(p.text) && p.text[p.at+6] == '\\' && p.text[p.at+7] == 'u' {
				low, ok = p.hex(p.at + 8)
			}
			if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
				return p.fault("half a surrogate pair")
			}
			width = 12
		}
		p.scratch = utf8.AppendRune(p.scratch, r)
		p.at += width
		return nil
	default:
		return p.fault("unknown escape 0x%02x", c)
	}
	p.scratch = append(p.scratch, plain)
	p.at += 2
	return nil
}

// hex reads four hex digits at offset at.
func (p *parser) hex(at int) (rune, bool) {
	if at+4 > len(p.text) {
		return 0, false
	}
	r := rune(0)
	for _, c := range p.text[at : at+4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case (c|0x20)-'a' <= 5:
			c = (c | 0x20) - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
