package pickle

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

// Extension codes of the rewritten stream. The VM asks us for their values; constants follow.
const (
	extList = iota
	extDict
	extSet
	extConst
)

// Classes that the rewritten stream calls by INST; every other class name in it is the decimal index of a global.
const (
	instList      = "l"
	instDict      = "d"
	instFrozenSet = "f"
)

// rewriter makes the stream that gopickle runs out of one that has been scanned. It differs so that the VM
//   - makes our containers instead of its own (the codes above): it has maps that panic on unhashable keys and lose order;
//   - finds globals by number, since it resolves three names by itself before it asks;
//   - gets numbers and strings decoded where its own decoding is wrong, quadratic, or sized by int;
//   - keeps in its memo only what is read again: a tensor writes nine slots and reads few;
//   - can tell NEWOBJ_EX and OBJ from other calls: both become READONLY_BUFFER on a tuple, an opcode that no file needs.
type rewriter struct {
	*scanner
	out    []byte
	consts []Value
	global []int32   // consts index of a global's first use, -1 before
	refs   int       // opcodes so far that resolved a global
	slots  uint32    // memo slots given out
	count  int64     // memo entries set so far, what MEMOIZE numbers by
	chars  [256]bool // one-character strings so far
}

// globalConst marks a place in consts that the loader fills with a class.
type globalConst int

// rewrite returns the stream and its constants. With stop >= 0 it ends when that many bytes are out and returns the
// offset of the opcode at work: how an error of the VM gets its place in the original.
func (s *scanner) rewrite(stop int) (out []byte, consts []Value, at int) {
	w := &rewriter{scanner: s, out: make([]byte, 0, s.report.Len+16), global: make([]int32, len(s.report.Globals))}
	for i := range w.global {
		w.global[i] = -1
	}
	w.resetMemo()
	for pos := 0; pos < s.report.Len; {
		from, to, next, _ := argument(s.p, pos, s.report.Len, &s.lim)
		w.op(pos, from, to, next)
		if stop >= 0 && len(w.out) >= stop {
			return nil, nil, pos
		}
		pos = next
	}
	return w.out, w.consts, s.report.Len
}

// resolved is the index of the global that the opcode at work resolves.
func (w *rewriter) resolved() int {
	w.refs++
	return int(w.globals[w.refs-1])
}

func (w *rewriter) resetMemo() {
	for _, page := range w.memo.pages {
		for i := range page {
			page[i].seen = false
		}
	}
	for _, e := range w.memo.sparse {
		e.seen = false
	}
}

func (w *rewriter) op(pos, from, to, next int) {
	op, arg := w.p[pos], w.p[from:to]
	switch op {
	case opProto, opFrame, opReadOnlyBuffer:
	case opEmptyList:
		w.ext(extList)
	case opEmptyDict:
		w.ext(extDict)
	case opEmptySet:
		w.ext(extSet)
	case opList:
		w.inst(instList)
	case opDict:
		w.inst(instDict)
	case opFrozenSet:
		w.inst(instFrozenSet)
	case opObj:
		w.out = append(w.out, opTuple, opReadOnlyBuffer)
	case opNewObjEx:
		w.out = append(w.out, opTuple3, opTuple1, opReadOnlyBuffer)
	case opInst:
		w.inst(strconv.Itoa(w.resolved()))
	case opGlobal, opExt1, opExt2, opExt4:
		w.class(w.resolved())
	case opStackGlobal:
		w.out = append(w.out, opPop, opPop)
		w.class(w.resolved())
	case opInt, opLong, opLong1, opLong4, opFloat:
		v, _ := parseNumber(op, arg)
		w.number(v)
	case opString, opUnicode:
		w.constant(decodeString(op, arg))
	case opBinString, opShortBinString:
		if validText(arg) {
			w.text(arg)
		} else {
			w.constant(decodeString(op, arg))
		}
	case opBinUnicode, opShortBinUnicode, opBinUnicode8:
		w.text(arg)
	case opPersID:
		w.constant(string(arg))
		w.out = append(w.out, opBinPersID)
	case opGet, opBinGet, opLongBinGet:
		idx, _ := w.index(op, from, to)
		w.memoOp(opBinGet, opLongBinGet, w.memo.at(idx).num)
	case opPut, opBinPut, opLongBinPut, opMemoize:
		w.put(op, from, to)
	default:
		w.out = append(w.out, w.p[pos:next]...)
	}
}

func (w *rewriter) put(op byte, from, to int) {
	idx, _ := w.index(op, from, to)
	if op == opMemoize {
		idx = uint32(w.count)
	}
	e := w.memo.at(idx)
	if !e.seen {
		e.seen = true
		w.count++
		if e.used {
			e.num = w.slots
			w.slots++
		}
	}
	if e.used {
		w.memoOp(opBinPut, opLongBinPut, e.num)
	}
}

func (w *rewriter) memoOp(short, long byte, num uint32) {
	if num < 256 {
		w.out = append(w.out, short, byte(num))
	} else {
		w.out = binary.LittleEndian.AppendUint32(append(w.out, long), num)
	}
}

// ext pushes what the loader answers for an extension code.
func (w *rewriter) ext(code int) {
	switch {
	case code < 256:
		w.out = append(w.out, opExt1, byte(code))
	case code < 1<<16:
		w.out = binary.LittleEndian.AppendUint16(append(w.out, opExt2), uint16(code))
	default:
		w.out = binary.LittleEndian.AppendUint32(append(w.out, opExt4), uint32(code))
	}
}

func (w *rewriter) inst(class string) {
	w.out = append(append(append(w.out, opInst), class...), '\n', '\n')
}

func (w *rewriter) constant(v Value) {
	w.ext(extConst + len(w.consts))
	w.consts = append(w.consts, v)
}

func (w *rewriter) class(idx int) {
	if w.global[idx] < 0 {
		w.global[idx] = int32(len(w.consts))
		w.consts = append(w.consts, globalConst(idx))
	}
	w.ext(extConst + int(w.global[idx]))
}

func (w *rewriter) text(arg []byte) {
	if c, ok := oneChar(arg); ok {
		// Go has one string for a byte. CPython mostly has, too, but a stream that writes one twice had two.
		s := Interned(string(arg))
		if w.chars[c] {
			s = strings.Clone(s)
		}
		w.chars[c] = true
		w.constant(s)
		return
	}
	if len(arg) < 256 {
		w.out = append(w.out, opShortBinUnicode, byte(len(arg)))
	} else {
		w.out = binary.LittleEndian.AppendUint32(append(w.out, opBinUnicode), uint32(len(arg)))
	}
	w.out = append(w.out, arg...)
}

func (w *rewriter) number(v Value) {
	switch v := v.(type) {
	case bool:
		if v {
			w.out = append(w.out, opNewTrue)
		} else {
			w.out = append(w.out, opNewFalse)
		}
		return
	case float64:
		w.out = binary.BigEndian.AppendUint64(append(w.out, opBinFloat), math.Float64bits(v))
		return
	case int64:
		if v >= -1<<31 && v < 1<<31 {
			w.out = appendInt(w.out, int32(v))
			return
		}
	}
	w.constant(v)
}

// appendInt writes the shortest of the three binary forms.
func appendInt(out []byte, v int32) []byte {
	switch {
	case v >= 0 && v < 256:
		return append(out, opBinInt1, byte(v))
	case v >= 0 && v < 1<<16:
		return binary.LittleEndian.AppendUint16(append(out, opBinInt2), uint16(v))
	}
	return binary.LittleEndian.AppendUint32(append(out, opBinInt), uint32(v))
}
