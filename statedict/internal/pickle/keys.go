package pickle

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"math/big"
	"unsafe"
)

// maxKeyParts bounds the items of a tuple key that are compared: nested tuples can share parts and be exponential.
const maxKeyParts = 10_000

// keyIndex finds equal keys as Python does: True, 1 and 1.0 are one key, tuples and bytes compare by content, objects by
// identity, and a NaN equals nothing.
type keyIndex struct {
	total int            // keys to come in all
	text  map[string]int // positions
	other map[string]int // positions by canonical form
}

// add returns the position of an equal key, or remembers key at position i and returns i.
func (c *converter) add(x *keyIndex, key Value, i int, depth int32) int {
	if s, ok := key.(string); ok {
		c.spend(len(s))
		if x.total == 1 {
			return i
		}
		if at, ok := x.text[s]; ok {
			return at
		}
		if x.text == nil {
			x.text = make(map[string]int, x.total)
		}
		x.text[s] = i
		return i
	}
	parts := 0
	c.key = c.key[:0]
	if !c.canonical(key, &parts, depth) {
		return i
	}
	if at, ok := x.other[string(c.key)]; ok {
		return at
	}
	if x.other == nil {
		x.other = make(map[string]int)
	}
	x.other[string(c.key)] = i
	return i
}

// canonical appends a text to c.key that is the same for equal keys; false for a key that equals nothing.
func (c *converter) canonical(key Value, parts *int, depth int32) bool {
	stack := []Value{key}
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if *parts++; *parts > maxKeyParts {
			return false
		}
		c.spend(64)
		switch v := c.convert(v, depth).(type) {
		case nil:
			c.key = append(c.key, 'n')
		case bool:
			c.integer(b2i(v))
		case int64:
			c.integer(v)
		case float64:
			if v != v {
				return false
			}
			c.float(complex(v, 0))
		case complex128:
			if v != v {
				return false
			}
			c.float(v)
		case *big.Int:
			if f, exact := new(big.Float).SetInt(v).Float64(); exact == big.Exact {
				c.float(complex(f, 0))
			} else {
				c.key = append(v.Append(append(c.key, 'i'), 16), ';')
			}
		case string:
			c.text('s', v)
		case *Bytes:
			if v.Mutable {
				panic(unhashable(v))
			}
			c.text('b', unsafe.String(unsafe.SliceData(v.B), len(v.B)))
		case *Tuple:
			c.key = binary.AppendUvarint(append(c.key, 't'), uint64(len(v.Items)))
			for i := len(v.Items) - 1; i >= 0; i-- {
				stack = append(stack, v.Items[i])
			}
			if len(stack) > maxKeyParts {
				return false
			}
		case *List, *Dict:
			panic(unhashable(v))
		case *Set:
			if !v.Frozen {
				panic(unhashable(v))
			}
			c.identity(unsafe.Pointer(v))
		case *Global:
			c.identity(unsafe.Pointer(v))
		case *Object:
			c.identity(unsafe.Pointer(v))
		case *Tensor:
			c.identity(unsafe.Pointer(v))
		case *Parameter:
			c.identity(unsafe.Pointer(v))
		case *Storage:
			c.identity(unsafe.Pointer(v))
		}
	}
	return true
}

// text appends a string: what is long by two hashes, so that many keys with one long text in them stay small.
func (c *converter) text(kind byte, s string) {
	c.spend(len(s))
	c.key = binary.AppendUvarint(append(c.key, kind), uint64(len(s)))
	if len(s) <= 64 {
		c.key = append(c.key, s...)
		return
	}
	for _, seed := range c.seeds {
		c.key = binary.LittleEndian.AppendUint64(c.key, maphash.String(seed, s))
	}
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (c *converter) identity(p unsafe.Pointer) {
	c.key = binary.AppendUvarint(append(c.key, 'o'), uint64(uintptr(p)))
}

func (c *converter) integer(n int64) {
	c.key = binary.AppendVarint(append(c.key, 'd'), n)
}

// float appends a number that may be a whole one; infinity and what is beyond 64 bits stay floats.
func (c *converter) float(v complex128) {
	re, im := real(v), imag(v)
	if im == 0 && re == math.Trunc(re) && re >= -1<<63 && re < 1<<63 {
		c.integer(int64(re))
		return
	}
	c.key = binary.LittleEndian.AppendUint64(append(c.key, 'f'), math.Float64bits(re+0))
	c.key = binary.LittleEndian.AppendUint64(c.key, math.Float64bits(im+0))
}

func unhashable(v Value) *Error { return malformed(-1, "a %s as a key or set member", TypeName(v)) }

// pairs builds the items of a mapping: the last value of equal keys wins and the first position stays.
func (c *converter) pairs(raw []any, owner Value, depth int32) []Item {
	items := make([]Item, 0, len(raw)/2)
	x := keyIndex{total: len(raw) / 2}
	for i := 0; i+1 < len(raw); i += 2 {
		key := c.convert(raw[i], depth)
		at := c.add(&x, key, len(items), depth)
		value := c.convert(raw[i+1], depth)
		if at < len(items) {
			items[at].Value = value
			c.find(Finding{FindingDupKey, fmt.Sprintf("key %s appears twice; the last value counts", quoteKey(key)), owner})
			continue
		}
		items = append(items, Item{key, value})
	}
	return items
}

// members builds the items of a set, each once.
func (c *converter) members(raw []any, depth int32) []Value {
	items := make([]Value, 0, len(raw))
	x := keyIndex{total: len(raw)}
	for _, r := range raw {
		v := c.convert(r, depth)
		if c.add(&x, v, len(items), depth) == len(items) {
			items = append(items, v)
		}
	}
	return items
}

func (l *loader) find(f Finding) {
	if len(l.pickle.Findings) < maxFindings {
		l.pickle.Findings = append(l.pickle.Findings, f)
	}
}

// quoteKey shows a key in a message, cut to 80 bytes.
func quoteKey(key Value) string {
	const most = 80
	s, ok := key.(string)
	if !ok {
		return TypeName(key)
	}
	if len(s) > most {
		s = s[:most]
	}
	return fmt.Sprintf("%q", s)
}
