package pickle

import (
	"encoding/binary"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// checkNumber tells what is wrong with the argument of a number's opcode, "" for nothing.
func checkNumber(op byte, arg []byte) string {
	switch op {
	case opInt, opLong, opFloat:
		if len(arg) > 2500 {
			return "a number of more than 2,500 digits" // about 1 KiB as an integer
		}
		if _, ok := parseNumber(op, arg); !ok {
			return "text that is no number"
		}
	}
	return ""
}

// parseNumber decodes a number's argument to bool, int64, *big.Int or float64.
func parseNumber(op byte, arg []byte) (Value, bool) {
	switch op {
	case opBinInt:
		return int64(int32(binary.LittleEndian.Uint32(arg))), true
	case opBinInt1:
		return int64(arg[0]), true
	case opBinInt2:
		return int64(binary.LittleEndian.Uint16(arg)), true
	case opBinFloat:
		return math.Float64frombits(binary.BigEndian.Uint64(arg)), true
	case opLong1, opLong4:
		return decodeLong(arg), true
	case opFloat:
		f, err := strconv.ParseFloat(strings.TrimSpace(string(arg)), 64)
		if err != nil && !math.IsInf(f, 0) { // 1e999 is inf in Python as well
			return nil, false
		}
		if f != f {
			f = math.Float64frombits(0x7ff8 << 48) // Python's; Go has another
		}
		return f, true
	case opInt:
		switch string(arg) {
		case "00":
			return false, true
		case "01":
			return true, true
		}
		return parseInteger(string(arg))
	case opLong:
		return parseInteger(strings.TrimSuffix(string(arg), "L"))
	}
	return nil, false
}

func parseInteger(text string) (Value, bool) {
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	n, ok := new(big.Int).SetString(text, 0)
	if !ok {
		return nil, false
	}
	return normalInt(n), true
}

// normalInt is the integer as the tree holds it: int64 where it fits.
func normalInt(n *big.Int) Value {
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

// decodeLong reads two's complement, little-endian, in linear time. No bytes are 0.
func decodeLong(b []byte) Value {
	if len(b) <= 8 {
		if len(b) == 0 {
			return int64(0)
		}
		var u uint64
		for i := len(b) - 1; i >= 0; i-- {
			u = u<<8 | uint64(b[i])
		}
		shift := 64 - 8*uint(len(b))
		return int64(u<<shift) >> shift
	}
	big2 := make([]byte, len(b))
	negative := b[len(b)-1]&0x80 != 0
	for i, c := range b {
		if negative {
			c = ^c
		}
		big2[len(b)-1-i] = c
	}
	n := new(big.Int).SetBytes(big2)
	if negative {
		n.Not(n)
	}
	return normalInt(n)
}

// encodeLong is the shortest two's complement of n, little-endian; 0 is no bytes.
func encodeLong(n *big.Int) []byte {
	if n.Sign() == 0 {
		return nil
	}
	m := n
	if n.Sign() < 0 {
		m = new(big.Int).Not(n)
	}
	b := m.Bytes()
	if len(b) == 0 || b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	if n.Sign() < 0 {
		for i := range b {
			b[i] = ^b[i]
		}
	}
	return b
}

// decodeString turns the argument of a string opcode into UTF-8, where lone surrogates stay as three bytes.
// A Python 2 str that is no UTF-8 is taken as latin-1, which keeps every byte.
func decodeString(op byte, arg []byte) string {
	switch op {
	case opString:
		arg = unescape(arg[1 : len(arg)-1])
	case opUnicode:
		return rawUnicode(arg)
	case opBinString, opShortBinString:
	default:
		return string(arg)
	}
	if validText(arg) {
		return string(arg)
	}
	return latin1(arg)
}

func quoted(arg []byte) bool {
	n := len(arg)
	return n >= 2 && arg[0] == arg[n-1] && (arg[0] == '\'' || arg[0] == '"')
}

// validText tells UTF-8 that may hold surrogates (ED A0..BF xx), as Python's surrogatepass writes them.
func validText(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n <= 1 {
			if len(b) < 3 || b[0] != 0xed || b[1]&0xe0 != 0xa0 || b[2]&0xc0 != 0x80 {
				return false
			}
			n = 3
		}
		b = b[n:]
	}
	return true
}

func latin1(b []byte) string {
	var sb strings.Builder
	sb.Grow(len(b) + len(b)/4)
	for _, c := range b {
		sb.WriteRune(rune(c))
	}
	return sb.String()
}

// unescape undoes the escapes of a Python 2 string literal. Unknown ones stay as they are.
func unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+1 == len(b) {
			out = append(out, b[i])
			continue
		}
		i++
		switch c := b[i]; c {
		case '\n':
		case '\\', '\'', '"':
			out = append(out, c)
		case 'a':
			out = append(out, 7)
		case 'b':
			out = append(out, 8)
		case 't':
			out = append(out, 9)
		case 'n':
			out = append(out, 10)
		case 'v':
			out = append(out, 11)
		case 'f':
			out = append(out, 12)
		case 'r':
			out = append(out, 13)
		case '0', '1', '2', '3', '4', '5', '6', '7':
			v, j := 0, i
			for ; j < len(b) && j < i+3 && b[j] >= '0' && b[j] <= '7'; j++ {
				v = v<<3 | int(b[j]-'0')
			}
			out, i = append(out, byte(v)), j-1
		case 'x':
			if v, ok := hexValue(b, i+1, 2); ok {
				out, i = append(out, byte(v)), i+2
				continue
			}
			fallthrough
		default:
			out = append(out, '\\', c)
		}
	}
	return out
}

// rawUnicode undoes raw-unicode-escape: \uXXXX and \UXXXXXXXX after an odd number of backslashes, all else is latin-1.
func rawUnicode(b []byte) string {
	out := make([]byte, 0, len(b))
	slashes := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c != '\\' {
			slashes = 0
			out = appendRune(out, rune(c))
			continue
		}
		slashes++
		n := 0
		if slashes%2 == 1 && i+1 < len(b) {
			switch b[i+1] {
			case 'u':
				n = 4
			case 'U':
				n = 8
			}
		}
		if v, ok := hexValue(b, i+2, n); ok && v <= utf8.MaxRune {
			out, i, slashes = appendRune(out, rune(v)), i+1+n, 0
			continue
		}
		out = append(out, c)
	}
	return string(out)
}

// appendRune is utf8.AppendRune that keeps surrogates.
func appendRune(b []byte, r rune) []byte {
	if r >= 0xd800 && r <= 0xdfff {
		return append(b, 0xed, 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
	}
	return utf8.AppendRune(b, r)
}

// hexValue reads n hexadecimal digits at b[from:]; false for none or where they are not there.
func hexValue(b []byte, from, n int) (uint32, bool) {
	if n == 0 || from+n > len(b) {
		return 0, false
	}
	v, err := strconv.ParseUint(string(b[from:from+n]), 16, 32)
	return uint32(v), err == nil
}

// oneChar tells a text of one character up to U+00FF.
func oneChar(b []byte) (c byte, ok bool) {
	switch {
	case len(b) == 1:
		return b[0], b[0] < utf8.RuneSelf
	case len(b) == 2 && (b[0] == 0xc2 || b[0] == 0xc3) && b[1]&0xc0 == 0x80:
		return b[0]<<6 | b[1]&0x3f, true
	}
	return 0, false
}

var latin1Chars = func() (t [256]string) {
	for c := range t {
		t[c] = string(rune(c))
	}
	return t
}()

// Interned returns s as the one string that it is in CPython, where all strings of one character up to U+00FF are the same
// object. Texts that an edit makes go through it, so that the pickle refers to one of them where Python's would.
func Interned(s string) string {
	if len(s) <= 2 {
		if c, ok := oneChar([]byte(s)); ok {
			return latin1Chars[c]
		}
	}
	return s
}
