package pickle

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxRepr bounds what PyStr and PyRepr write, in bytes; what is cut ends in "…". Shared tuples could be exponential.
const maxRepr = 64 << 10

// PyStr is Python's str of a value, the text that stands for a key that is no string. Objects of foreign classes are shown by
// their class in angle brackets.
func PyStr(v Value) string {
	if s, ok := v.(string); ok {
		return s
	}
	if t, ok := special(v, false); ok {
		return t
	}
	return PyRepr(v)
}

// PyRepr is Python's repr of a value, with the same exception.
func PyRepr(v Value) string {
	var b strings.Builder
	type part struct {
		text string
		v    Value
		is   bool // v counts
	}
	stack := []part{{v: v, is: true}}
	push := func(opening, closing string, n int, at func(int) []part) {
		stack = append(stack, part{text: closing})
		for i := n - 1; i >= 0; i-- {
			parts := at(i)
			for j := len(parts) - 1; j >= 0; j-- {
				stack = append(stack, parts[j])
			}
			if i > 0 {
				stack = append(stack, part{text: ", "})
			}
		}
		stack = append(stack, part{text: opening})
	}
	one := func(items []Value) func(int) []part {
		return func(i int) []part { return []part{{v: items[i], is: true}} }
	}
	for len(stack) > 0 {
		p := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if b.Len() > maxRepr || len(stack) > maxRepr {
			return b.String() + "…"
		}
		if !p.is {
			b.WriteString(p.text)
			continue
		}
		switch v := p.v.(type) {
		case *Tuple:
			switch {
			case v.Size:
				push("torch.Size([", "])", len(v.Items), one(v.Items))
			case len(v.Items) == 1:
				push("(", ",)", 1, one(v.Items))
			default:
				push("(", ")", len(v.Items), one(v.Items))
			}
		case *List:
			push("[", "]", min(len(v.Items), maxRepr), one(v.Items))
		case *Set:
			opening, closing := "{", "}"
			if v.Frozen || len(v.Items) == 0 {
				opening, closing = TypeName(v)+"({", "})"
			}
			push(opening, closing, min(len(v.Items), maxRepr), one(v.Items))
		case *Dict:
			opening, closing := "{", "}"
			if v.Class != nil {
				opening, closing = v.Class.Name+"({", "})"
			}
			push(opening, closing, min(len(v.Items), maxRepr), func(i int) []part {
				return []part{{v: v.Items[i].Key, is: true}, {text: ": "}, {v: v.Items[i].Value, is: true}}
			})
		default:
			b.WriteString(reprLeaf(v))
		}
	}
	return b.String()
}

func reprLeaf(v Value) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(v, 10)
	case *big.Int:
		return v.String()
	case float64:
		return reprFloat(v)
	case complex128:
		return reprComplex(v)
	case string:
		return reprText(v)
	case *Bytes:
		if v.Mutable {
			return "bytearray(" + reprBytes(v.B) + ")"
		}
		return reprBytes(v.B)
	}
	if t, ok := special(v, true); ok {
		return t
	}
	switch v := v.(type) {
	case *Global:
		return "<class '" + reprName(v) + "'>"
	case *Object:
		if cls, member, ok := attribute(v); ok {
			return cls.Name + "." + member
		}
		if cls, ok := v.Class.(*Global); ok {
			return "<" + reprName(cls) + ">"
		}
	}
	return "<" + TypeName(v) + ">"
}

// reprName is the name of a class as Python 3 prints it, whichever Python's module names the pickle uses.
func reprName(g *Global) string {
	s := canonicalSymbol(g.Module, g.Name)
	if s.module == "builtins" {
		return s.name
	}
	return g.String()
}

// attribute tells a value that was pickled as getattr(class, member), as CPython 3.11 does with the members of an enum.
func attribute(o *Object) (cls *Global, member string, ok bool) {
	f, _ := o.Class.(*Global)
	if f == nil || canonicalSymbol(f.Module, f.Name) != (symbol{"builtins", "getattr"}) || o.Args == nil || len(o.Args.Items) != 2 {
		return nil, "", false
	}
	cls, isClass := o.Args.Items[0].(*Global)
	member, isText := o.Args.Items[1].(string)
	return cls, member, isClass && isText
}

// special shows the values of torch and numpy that print as more than their class.
func special(v Value, repr bool) (string, bool) {
	switch name := TypeName(v); name {
	case "torch.dtype", "torch.qscheme":
		return "torch." + v.(*Global).Name, true
	case "torch.layout":
		s, ok := Scalar(v)
		return fmt.Sprint(s), ok
	case "torch.device":
		s, _ := Scalar(v)
		kind, index, found := strings.Cut(fmt.Sprint(s), ":")
		switch {
		case !repr:
			return fmt.Sprint(s), true
		case found:
			return "device(type='" + kind + "', index=" + index + ")", true
		}
		return "device(type='" + kind + "')", true
	}
	if n, ok := NumpyScalar(v); ok {
		return PyRepr(n.Value), true
	}
	return "", false
}

// reprFloat is the shortest text that gives the same number, as Python writes it.
func reprFloat(f float64) string {
	s := reprDigits(f)
	if !strings.ContainsAny(s, ".einf") {
		s += ".0"
	}
	return s
}

func reprDigits(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	exp, _ := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	if exp >= -4 && exp < 16 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return s
}

func reprComplex(c complex128) string {
	re, im := real(c), imag(c)
	if re == 0 && !math.Signbit(re) {
		return reprDigits(im) + "j"
	}
	imag := reprDigits(im)
	if imag[0] != '-' {
		imag = "+" + imag
	}
	return "(" + reprDigits(re) + imag + "j)"
}

func quoteFor(hasSingle, hasDouble bool) byte {
	if hasSingle && !hasDouble {
		return '"'
	}
	return '\''
}

func reprText(s string) string {
	quote := quoteFor(strings.Contains(s, "'"), strings.Contains(s, `"`))
	b := append(make([]byte, 0, len(s)+2), quote)
	for i := 0; i < len(s) && len(b) <= maxRepr; {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n <= 1 {
			n = 1
			if len(s)-i >= 3 && validText([]byte(s[i:i+3])) {
				b = fmt.Appendf(b, `\u%04x`, rune(s[i]&0xf)<<12|rune(s[i+1]&0x3f)<<6|rune(s[i+2]&0x3f))
				n = 3
			} else {
				b = fmt.Appendf(b, `\x%02x`, s[i])
			}
			i += n
			continue
		}
		i += n
		switch {
		case r == rune(quote) || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case unicode.IsPrint(r):
			b = utf8.AppendRune(b, r)
		case r < 0x100:
			b = fmt.Appendf(b, `\x%02x`, r)
		case r < 0x10000:
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = fmt.Appendf(b, `\U%08x`, r)
		}
	}
	return string(append(b, quote))
}

func reprBytes(p []byte) string {
	s := string(p[:min(len(p), maxRepr)])
	quote := quoteFor(strings.Contains(s, "'"), strings.Contains(s, `"`))
	b := append(make([]byte, 0, len(s)+3), 'b', quote)
	for _, c := range []byte(s) {
		switch {
		case c == quote || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < 0x20 || c > 0x7e:
			b = fmt.Appendf(b, `\x%02x`, c)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, quote))
}
