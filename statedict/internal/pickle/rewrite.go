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
	extText       // the next str
	extEmptyTuple // an empty tuple, of which Python has one, too
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
//   - gets numbers and strings decoded where its own decoding is wrong, quadratic, or sized by int, and most strings from
//     us, who cut them from larger pieces: there are two for each tensor;
//   - keeps in its memo only what is read again: a tensor writes nine slots and reads few;
//   - can tell NEWOBJ_EX and OBJ from other calls: both become READONLY_BUFFER on a tuple, an opcode that no file needs.
type rewriter struct {
	*scanner
	rewritten
	global []int32   // consts index of a global's first use, -1 before
	refs   int       // opcodes so far that resolved a global
	slots  uint32    // memo slots given out
	count  int64     // memo entries set so far, what MEMOIZE numbers by
	chars  [256]bool // one-character strings so far
}

// rewritten is the stream for the VM and what its extension codes stand for.
type rewritten struct {
	out    []byte
	consts []Value
	texts  []span // of extText: where they are in the original
}

// span is p[from:to].
type span struct{ from, to uint32 }

// globalConst marks a place in consts that the loader fills with a class.
type globalConst int

// rewrite makes the stream. With stop >= 0 it ends when that many bytes are out. It returns the offset of the opcode at work:
// how an error of the VM gets its place in the original.
func (s *scanner) rewrite(stop int) (made rewritten, at int) {
	w := &rewriter{scanner: s, global: make([]int32, len(s.report.Globals))}
	w.out = make([]byte, 0, s.report.Len-s.textLen+16)
	w.texts = make([]span, 0, s.textCount)
	for i := range w.global {
		w.global[i] = -1
	}
	w.resetMemo()
	for pos := 0; pos < s.report.Len; {
		op := s.p[pos]
		from, to := pos+1, pos+int(opSizes[op])
		next := to
		if to <= pos {
			from, to, next, _ = argument(s.p, pos, s.report.Len, &s.lim)
		}
		w.op(pos, from, to, next)
		if stop >= 0 && len(w.out) >= stop {
			return rewritten{}, pos
		}
		pos = next
	}
	return w.rewritten, s.report.Len
}

// resolved is the index of the global that the opcode at work resolves.
func (w *rewriter) resolved() int {
	w.refs++
	return int(w.globals[w.refs-1])
}

func (w *rewriter) resetMemo() {
	for _, page := range w.memo.pages {
		for i := range page {
			page[i].num = unseen
		}
	}
	for _, e := range w.memo.sparse {
		e.num = unseen
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
	case opEmptyTuple:
		w.ext(extEmptyTuple)
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
			w.text(from, to)
		} else {
			w.constant(decodeString(op, arg))
		}
	case opBinUnicode, opShortBinUnicode, opBinUnicode8:
		w.text(from, to)
	case opPersID:
		w.constant(string(arg))
		w.out = append(w.out, opBinPersID)
	case opGet, opBinGet, opLongBinGet:
		idx, _ := w.index(op, from, to)
		w.memoOp(opBinGet, opLongBinGet, w.memo.at(idx).num-firstNum)
	case opPut, opBinPut, opLongBinPut, opMemoize:
		w.put(op, from, to)
	default:
		if w.out = append(w.out, op); next-pos > 1 {
			w.out = append(w.out, w.p[pos+1:next]...)
		}
	}
}

// The num of memo slots.
const (
	unseen   = iota // not written so far
	unread          // written, but never read
	firstNum        // this and more: the VM's slot plus firstNum
)

func (w *rewriter) put(op byte, from, to int) {
	idx, _ := w.index(op, from, to)
	if op == opMemoize {
		idx = uint32(w.count)
	}
	e := w.memo.at(idx)
	if e.num == unseen {
		w.count++
		e.num = unread
		if e.used {
			e.num = firstNum + w.slots
			w.slots++
		}
	}
	if e.used {
		w.memoOp(opBinPut, opLongBinPut, e.num-firstNum)
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

func (w *rewriter) text(from, to int) {
	if c, ok := oneChar(w.p[from:to]); ok {
		// Go has one string for a byte. CPython mostly has, too, but a stream that writes one twice had two.
		s := Interned(string(w.p[from:to]))
		if w.chars[c] {
			s = strings.Clone(s)
		}
		w.chars[c] = true
		w.constant(s)
		return
	}
	w.ext(extText)
	w.texts = append(w.texts, span{uint32(from), uint32(to)})
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
