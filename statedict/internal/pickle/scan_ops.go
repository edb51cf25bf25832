package pickle

import (
	"encoding/binary"
	"strconv"
)

// step does what the opcode does to kinds; the argument is p[from:to].
func (s *scanner) step(op byte, from, to int) *Error {
	switch op {
	case opProto:
		if s.p[from] > 5 {
			return malformed(s.pos, "protocol %d, at most 5 exists", s.p[from])
		}
		s.report.Protocol = int(s.p[from])
	case opMark:
		if int64(len(s.marks)) >= s.lim.Marks {
			return overLimit(s.pos, "open marks", s.lim.Marks)
		}
		s.report.Opcodes += markOpcodes - 1
		s.marks = append(s.marks, len(s.stack))
	case opNone, opNewTrue, opNewFalse, opBinInt1:
		return s.make(kAtom, 0, costRef, 0)
	case opBinInt, opBinInt2, opBinFloat, opLong1, opLong4, opInt, opFloat, opLong:
		if err := checkNumber(op, s.p[from:to]); err != "" {
			return malformed(s.pos, "%s", err)
		}
		cost := int64(costScalar)
		if n := int64(to - from); n > 4 && op != opBinFloat && op != opFloat {
			cost = costLong + n
			s.report.Opcodes += (n / digitBytes) * (n / digitBytes)
		}
		return s.make(kAtom, 0, cost, 0)
	case opBinBytes, opShortBinBytes, opBinBytes8, opByteArray8:
		return s.bytes(from, to)
	case opBinUnicode, opShortBinUnicode, opBinUnicode8, opBinString, opShortBinString, opString, opUnicode:
		if op == opString && !quoted(s.p[from:to]) {
			return malformed(s.pos, "a STRING without quotes")
		}
		s.textCount++
		s.textLen += to - from
		return s.make(kStr, s.pos, costString+int64(to-from), 0)
	case opEmptyTuple:
		return s.make(kTuple, 0, costTuple, 0)
	case opTuple1, opTuple2, opTuple3:
		return s.tuple(int(op-opTuple1) + 1)
	case opTuple, opList, opDict, opFrozenSet, opObj, opInst:
		return s.fromMark(op, from, to)
	case opEmptyList:
		return s.make(kList, 0, costList, 0)
	case opEmptyDict:
		return s.make(kDict, 0, costDict, 0)
	case opEmptySet:
		return s.make(kSet, 0, costDict, 0)
	case opAppend, opAppends, opSetItem, opSetItems, opAddItems:
		return s.fill(op)
	case opPop:
		if n := len(s.marks); n > 0 && s.marks[n-1] == len(s.stack) {
			s.marks = s.marks[:n-1]
			return nil
		}
		e, err := s.pop()
		s.memory -= int64(e.cost)
		return err
	case opPopMark:
		items, err := s.popMark()
		cost, _ := sum(items)
		s.memory -= cost
		return err
	case opDup:
		e, err := s.top()
		if err != nil {
			return err
		}
		e.cost = 0 // nobody's alone any more
		copied := *e
		if err := s.charge(costRef); err != nil {
			return err
		}
		return s.push(copied)
	case opGet, opBinGet, opLongBinGet:
		return s.get(op, from, to)
	case opPut, opBinPut, opLongBinPut, opMemoize:
		return s.put(op, from, to)
	case opGlobal, opStackGlobal, opExt1, opExt2, opExt4:
		return s.global(op, from, to)
	case opReduce, opNewObj, opNewObjEx, opBuild:
		return s.call(op)
	case opPersID, opBinPersID:
		s.ids++
		if op == opBinPersID {
			id, err := s.pop()
			if err != nil {
				return err
			}
			s.memory -= int64(id.cost)
		}
		return s.make(kMade, 0, costTensor, 0)
	case opReadOnlyBuffer:
		if e, err := s.top(); err != nil {
			return err
		} else if e.kind != kAtom {
			return malformed(s.pos, "%s in place of a buffer", kindNames[e.kind])
		}
	case opNextBuffer:
		return malformed(s.pos, "an out-of-band buffer, which a file cannot have")
	}
	return nil
}

func (s *scanner) tuple(n int) *Error {
	at := len(s.stack) - n
	if at < s.fence() {
		return malformed(s.pos, "the stack is empty")
	}
	cost, depth := sum(s.stack[at:])
	ref := s.data(s.stack[at:])
	s.stack = s.stack[:at]
	if err := s.charge(costTuple + int64(n)*costRef); err != nil {
		return err
	}
	return s.push(slot{ref: ref, cost: uint32(min(cost+costTuple+int64(n)*costRef, 1<<31)), depth: depth + 1, kind: kTuple})
}

func (s *scanner) fromMark(op byte, from, to int) *Error {
	items, err := s.popMark()
	if err != nil {
		return err
	}
	if err := s.charge(costMark); err != nil {
		return err
	}
	cost, depth := sum(items)
	e := slot{cost: uint32(min(cost+costMark, 1<<31)), depth: depth + 1}
	own := int64(costMade)
	switch op {
	case opTuple:
		e.kind, e.ref = kTuple, s.data(items)
	case opList:
		e.kind = kList
	case opDict:
		e.kind = kDict
		if len(items)%2 != 0 {
			return malformed(s.pos, "a key without a value")
		}
		if err := s.hashable(items, 2); err != nil {
			return err
		}
	case opFrozenSet:
		e.kind = kFrozenSet
		if err := s.hashable(items, 1); err != nil {
			return err
		}
	case opObj:
		e.kind = kMade
		if len(items) == 0 {
			return malformed(s.pos, "no class to make an object of")
		}
		if k := items[0].kind; k != kGlobal && k != kMade {
			return malformed(s.pos, "%s is called", kindNames[k])
		}
		e.ref = s.called(items[0], s.data(items[1:]))
	case opInst:
		e.kind = kMade
		idx, err := s.name(s.p[from:to])
		if err != nil {
			return err
		}
		e.ref = s.called(slot{kind: kGlobal, ref: uint32(idx)}, s.data(items))
		own = s.traits[idx].cost
	}
	if e.kind != kTuple {
		if err := s.charge(own); err != nil {
			return err
		}
	}
	return s.push(e)
}

// fill is APPEND(S), SETITEM(S) and ADDITEMS.
func (s *scanner) fill(op byte) *Error {
	var items []slot
	switch op {
	case opAppend, opSetItem:
		n := 1
		if op == opSetItem {
			n = 2
		}
		at := len(s.stack) - n
		if at < s.fence() {
			return malformed(s.pos, "the stack is empty")
		}
		items = s.stack[at:]
		s.stack = s.stack[:at]
	default:
		var err *Error
		if items, err = s.popMark(); err != nil {
			return err
		}
	}
	target, err := s.top()
	if err != nil {
		return err
	}
	want := kList
	switch op {
	case opSetItem, opSetItems:
		want = kDict
		if len(items)%2 != 0 {
			return malformed(s.pos, "a key without a value")
		}
		if err := s.hashable(items, 2); err != nil {
			return err
		}
	case opAddItems:
		want = kSet
		if err := s.hashable(items, 1); err != nil {
			return err
		}
	}
	if target.kind != want && target.kind != kMade {
		return malformed(s.pos, "%s cannot take items of %s", kindNames[target.kind], kindNames[want])
	}
	cost := int64(len(items)) * costItem
	if want != kList {
		cost += int64(len(items)) * costPair / 2
	}
	if op == opAppend || op == opSetItem {
		cost += costSingle
	}
	if err := s.charge(cost); err != nil {
		return err
	}
	return s.into(target, items)
}

// call is REDUCE, NEWOBJ, NEWOBJ_EX and BUILD.
func (s *scanner) call(op byte) *Error {
	if op == opBuild {
		state, err := s.pop()
		if err != nil {
			return err
		}
		target, err := s.top()
		if err != nil {
			return err
		}
		if target.kind != kMade {
			return malformed(s.pos, "%s cannot take a state", kindNames[target.kind])
		}
		return s.into(target, []slot{state})
	}
	var kwargs, args, class slot
	var err *Error
	if op == opNewObjEx {
		if kwargs, err = s.pop(); err != nil {
			return err
		}
		if kwargs.kind != kDict {
			return malformed(s.pos, "%s in place of keyword arguments", kindNames[kwargs.kind])
		}
	}
	if args, err = s.pop(); err != nil {
		return err
	}
	if class, err = s.pop(); err != nil {
		return err
	}
	if class.kind != kGlobal && class.kind != kMade {
		return malformed(s.pos, "%s is called", kindNames[class.kind])
	}
	if args.kind != kTuple {
		return malformed(s.pos, "%s in place of arguments", kindNames[args.kind])
	}
	own := int64(costMade)
	ref := s.called(class, args.ref)
	if class.kind == kGlobal {
		t := &s.traits[class.ref]
		own = t.cost
		if t.leavesNoArgs {
			s.memory -= min(int64(args.cost), 4096)
			return s.make(kMade, 0, own, 0)
		}
	}
	if err := s.charge(own); err != nil {
		return err
	}
	cost, depth := sum([]slot{class, args, kwargs})
	return s.push(slot{ref: ref, cost: uint32(min(cost+own, 1<<31)), depth: depth + 1, kind: kMade})
}

// global is GLOBAL, STACK_GLOBAL and the extension codes.
func (s *scanner) global(op byte, from, to int) *Error {
	var idx int
	var err *Error
	switch op {
	case opGlobal:
		idx, err = s.name(s.p[from:to])
	case opStackGlobal:
		at := len(s.stack) - 2
		if at < s.fence() {
			return malformed(s.pos, "the stack is empty")
		}
		module, name := s.stack[at], s.stack[at+1]
		if module.kind != kStr || name.kind != kStr {
			return malformed(s.pos, "STACK_GLOBAL on %s and %s", kindNames[module.kind], kindNames[name.kind])
		}
		s.stack = s.stack[:at]
		var m, n string
		if m, err = s.text(module); err == nil {
			if n, err = s.text(name); err == nil {
				idx, err = s.seen(m, n)
			}
		}
	default:
		idx, err = s.extension(s.p[from:to])
	}
	if err != nil {
		return err
	}
	return s.make(kGlobal, idx, costRef, 0)
}

func (s *scanner) extension(arg []byte) (int, *Error) {
	var code uint32
	for i := len(arg) - 1; i >= 0; i-- {
		code = code<<8 | uint32(arg[i])
	}
	if code == 0 || code > 1<<31-1 {
		return 0, malformed(s.pos, "extension code %d", int32(code))
	}
	return s.seen("copyreg", "_inverted_registry["+strconv.Itoa(int(code))+"]")
}

// text decodes a string for a name; its opcode has been checked when it was pushed. Names are as short as those of GLOBAL.
func (s *scanner) text(e slot) (string, *Error) {
	from, to, _, err := argument(s.p, int(e.ref), len(s.p), &s.lim)
	if err != nil {
		return "", err
	}
	if to-from > maxLine {
		return "", overLimit(s.pos, "bytes of a name", maxLine)
	}
	return decodeString(s.p[e.ref], s.p[from:to]), nil
}

// name records the global of a two-line argument.
func (s *scanner) name(arg []byte) (int, *Error) {
	for i, c := range arg {
		if c == '\n' {
			return s.seen(string(arg[:i]), string(arg[i+1:]))
		}
	}
	return 0, malformed(s.pos, "a class without a name")
}

// seen records a global and returns its index.
func (s *scanner) seen(module, name string) (int, *Error) {
	key := [2]string{module, name}
	i, ok := s.names[key]
	if !ok {
		i = len(s.report.Globals)
	}
	s.globals = append(s.globals, int32(i))
	if ok {
		s.report.Globals[i].Count++
		return i, s.charge(4)
	}
	if int64(i) >= s.lim.Globals {
		return 0, overLimit(s.pos, "distinct globals", s.lim.Globals)
	}
	if err := s.charge(costGlobal + costName*int64(len(module)+len(name))); err != nil {
		return 0, err
	}
	s.names[key] = i
	g := GlobalRef{Module: module, Name: name, Offset: int64(s.pos), Count: 1}
	s.report.Globals = append(s.report.Globals, g)
	s.traits = append(s.traits, traitsOf(&g))
	return i, nil
}

// index reads the argument of a memo opcode.
func (s *scanner) index(op byte, from, to int) (uint32, *Error) {
	switch op {
	case opBinGet, opBinPut:
		return uint32(s.p[from]), nil
	case opLongBinGet, opLongBinPut:
		return binary.LittleEndian.Uint32(s.p[from:]), nil
	case opMemoize:
		return uint32(s.memo.count), nil
	}
	n, err := strconv.ParseUint(string(s.p[from:to]), 10, 32)
	if err != nil {
		return 0, malformed(s.pos, "a memo index that is no number below 2^32")
	}
	return uint32(n), nil
}

func (s *scanner) get(op byte, from, to int) *Error {
	idx, err := s.index(op, from, to)
	if err != nil {
		return err
	}
	e := s.memo.at(idx)
	if e == nil || e.kind == kUnset {
		return malformed(s.pos, "memo slot %d was never set", idx)
	}
	cost := costRef + int64(e.cost)
	if !e.used {
		cost += costUsed
	}
	e.used = true
	if err := s.charge(cost); err != nil {
		return err
	}
	e.cost = 0 // the charge above makes up for a credit that the first reference may get
	return s.push(e.slot)
}

func (s *scanner) put(op byte, from, to int) *Error {
	idx, err := s.index(op, from, to)
	if err != nil {
		return err
	}
	top, err := s.top()
	if err != nil {
		return err
	}
	value := *top
	e, cost := s.memo.grow(idx)
	if err := s.charge(cost); err != nil {
		return err
	}
	if e.kind == kUnset {
		s.memo.count++
		if s.memo.count > s.lim.Memo {
			return overLimit(s.pos, "memo slots", s.lim.Memo)
		}
	}
	value.used = e.used
	e.slot = value
	return nil
}
