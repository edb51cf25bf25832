package npy

import (
	"math"
	"slices"
)

// parser takes apart the dict literal of a header: three keys, each once, in any order.
type parser struct {
	text []byte
	at   int
	base int64 // file offset of text[0]
}

func (p *parser) fault(format string, args ...any) *Error {
	return fault(CodeHeader, p.base+int64(p.at), format, args...)
}

func (p *parser) header(h *Header) error {
	if err := p.expect('{'); err != nil {
		return err
	}
	var seen []string
	for p.peek() != '}' {
		at := p.at
		key, err := p.str()
		if err != nil {
			return err
		}
		if slices.Contains(seen, key) {
			return fault(CodeHeader, p.base+int64(at), "key %s appears twice", quote(key))
		}
		seen = append(seen, key)
		if err := p.expect(':'); err != nil {
			return err
		}
		switch key {
		case "descr":
			err = p.descr(h)
		case "fortran_order":
			h.Fortran, err = p.boolean()
		case "shape":
			h.Shape, err = p.shape()
		default:
			return fault(CodeHeader, p.base+int64(at), "key %s, expected descr, fortran_order or shape", quote(key))
		}
		if err != nil {
			return err
		}
		if p.peek() == '}' {
			break
		}
		if err := p.expect(','); err != nil {
			return err
		}
	}
	p.at++
	if len(seen) != 3 {
		return p.fault("descr, fortran_order and shape are needed, found %d of them", len(seen))
	}
	if p.peek() != 0 || p.at < len(p.text) {
		return p.fault("text behind the closing brace")
	}
	return nil
}

// descr reads the type. Anything but a string is a record type, whose fields no tensor can hold.
func (p *parser) descr(h *Header) error {
	if c := p.peek(); c == '[' || c == '(' {
		return fault(CodeUnsupported, p.base+int64(p.at), "a structured dtype, a tensor has one type")
	}
	at := p.base + int64(p.at)
	var err error
	if h.Descr, err = p.str(); err != nil {
		return err
	}
	return h.setType(at)
}

func (p *parser) boolean() (bool, error) {
	p.peek()
	rest := p.text[p.at:]
	switch {
	case len(rest) >= 4 && string(rest[:4]) == "True":
		p.at += 4
		return true, nil
	case len(rest) >= 5 && string(rest[:5]) == "False":
		p.at += 5
		return false, nil
	}
	return false, p.fault("expected True or False")
}

// shape reads a tuple of integers. Python 2 wrote some with an L behind, which numpy drops too.
func (p *parser) shape() ([]int64, error) {
	if err := p.expect('('); err != nil {
		return nil, err
	}
	shape := []int64{}
	comma := false
	for p.peek() != ')' {
		if len(shape) >= maxRank {
			return nil, fault(CodeLimit, p.base+int64(p.at), "more than %d dimensions", maxRank)
		}
		dim, err := p.integer()
		if err != nil {
			return nil, err
		}
		shape = append(shape, dim)
		if comma = p.peek() == ','; !comma {
			break
		}
		p.at++
	}
	if err := p.expect(')'); err != nil {
		return nil, err
	}
	if len(shape) == 1 && !comma {
		return nil, p.fault("(n) is no tuple, expected (n,)")
	}
	return shape, nil
}

func (p *parser) integer() (int64, error) {
	start := p.at
	n := int64(0)
	for p.at < len(p.text) && p.text[p.at]-'0' <= 9 {
		digit := int64(p.text[p.at] - '0')
		if n > (math.MaxInt64-digit)/10 {
			return 0, p.fault("a dimension above 2^63-1")
		}
		n = n*10 + digit
		p.at++
	}
	if p.at == start {
		return 0, p.fault("expected digits")
	}
	if p.at-start > 1 && p.text[start] == '0' && n != 0 {
		return 0, p.fault("an integer with a leading zero")
	}
	if p.at < len(p.text) && p.text[p.at] == 'L' {
		p.at++
	}
	return n, nil
}

// str reads a quoted string without escapes; numpy's names and types have none.
func (p *parser) str() (string, error) {
	end := p.peek()
	if end != '\'' && end != '"' {
		return "", p.fault("expected a string")
	}
	p.at++
	start := p.at
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == end:
			p.at++
			return string(p.text[start : p.at-1]), nil
		case c == '\\' || c < 0x20:
			return "", p.fault("0x%02x inside a string", c)
		}
		p.at++
	}
	return "", p.fault("a string without end")
}

// peek is the next byte behind white space, 0 at the end.
func (p *parser) peek() byte {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r', '\f':
			p.at++
		default:
			return p.text[p.at]
		}
	}
	return 0
}

func (p *parser) expect(c byte) error {
	if p.peek() != c || p.at >= len(p.text) {
		return p.fault("expected '%c'", c)
	}
	p.at++
	return nil
}
