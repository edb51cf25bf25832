package pickle

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// GlobalRef is a name that an opcode of the stream resolves, or would.
type GlobalRef struct {
	Module, Name string
	// Offset is the byte of the first opcode that resolves it.
	Offset int64
	// Count is how many opcodes do.
	Count int
}

// String is module and name joined by a dot.
func (g GlobalRef) String() string { return g.Module + "." + g.Name }

// Report is what Scan saw, also when it failed.
type Report struct {
	// Len counts the bytes up to and including STOP; after an error, those before the opcode at fault.
	Len      int
	Protocol int // of the last PROTO; 0 without one, as protocols 0 and 1 are
	Opcodes  int64
	// Globals are the distinct names, by first appearance: of GLOBAL, INST, STACK_GLOBAL whatever way its two strings
	// came to the stack, and extension codes (module "copyreg", name "_inverted_registry[N]").
	Globals []GlobalRef
}

// kind is what is known of a stack entry without running anything.
type kind uint8

const (
	kAtom  kind = iota // None, bool, int, float, bytes, bytearray
	kStr               // ref: its opcode
	kTuple             //
	kList              //
	kDict              //
	kSet
	kFrozenSet
	kGlobal // ref: index in Report.Globals
	kMade   // the result of a call or of a persistent id
)

var kindNames = [...]string{"a plain value", "a string", "a tuple", "a list", "a dict", "a set", "a frozenset", "a class", "an object"}

func (k kind) unhashable() bool { return k == kList || k == kDict || k == kSet }

// slot is one simulated stack entry.
type slot struct {
	ref   uint32
	cost  uint32 // estimated bytes that it alone keeps alive
	depth uint16 // nesting below it
	kind  kind
}

// memoSlot is one memo entry. num is where the rewritten stream keeps it.
type memoSlot struct {
	slot
	num             uint32
	set, used, seen bool
}

// memo is indexed by what the stream says; pages serve the usual numbering, a map the outliers.
type memo struct {
	pages  []*[memoPage]memoSlot
	sparse map[uint32]*memoSlot
	count  int64 // entries that are set
}

const memoPage = 1024

// at returns the entry of idx, or nil where there can be none.
func (m *memo) at(idx uint32) *memoSlot {
	if page := int(idx / memoPage); page < len(m.pages) {
		return &m.pages[page][idx%memoPage]
	}
	return m.sparse[idx]
}

// grow returns the entry of idx, making room for it, and what it costs beyond the pages: those are gone before the VM runs.
func (m *memo) grow(idx uint32) (e *memoSlot, cost int64) {
	if e := m.at(idx); e != nil {
		return e, 0
	}
	if len(m.sparse) == 0 && int64(idx) <= 2*m.count+memoPage {
		for int64(len(m.pages))*memoPage <= int64(idx) {
			m.pages = append(m.pages, new([memoPage]memoSlot))
		}
		return m.at(idx), 0
	}
	if m.sparse == nil {
		m.sparse = make(map[uint32]*memoSlot)
	}
	e = new(memoSlot)
	m.sparse[idx] = e
	return e, costSparse
}

// scanner simulates the stack machine with kinds in place of values.
type scanner struct {
	p        []byte
	lim      Limits
	report   Report
	stack    []slot
	marks    []int // stack heights
	memo     memo
	names    map[[2]string]int // index in report.Globals
	globals  []int32           // that index, for each opcode that resolved one
	pos      int               // opcode at work
	frameEnd int               // 0 outside frames
	nodes    int64
	memory   int64
}

// Scan walks the opcodes of the pickle at the start of p up to STOP, within the limits (nil: defaults), and lists every
// global. Nothing is built: memory is a few bytes per stack entry and memo slot, time is linear in the length.
// The report is returned together with an *Error, and holds what was seen before it.
func Scan(p []byte, lim *Limits) (*Report, error) {
	s, err := scan(p, lim)
	if err != nil {
		return &s.report, err
	}
	return &s.report, nil
}

func scan(p []byte, lim *Limits) (*scanner, *Error) {
	s := &scanner{p: p, lim: lim.orDefault(), names: make(map[[2]string]int)}
	err := s.run()
	s.report.Len = s.pos
	return s, err
}

// Estimated bytes that values cost while the VM and then our tree hold them, with half as much for what the garbage collector
// has not seen yet. The storms of the tests show how good the estimates are.
const (
	costRef    = 16  // a stack entry, an item of a tuple or list
	costScalar = 24  // a boxed number
	costLong   = 160 // one beyond 64 bits
	costString = 48  // header and box, without the text
	costTuple  = 80  // both headers
	costMark   = 280 // gopickle makes room for 16 entries
	costList   = 144 // ours in the VM and in the tree
	costDict   = 240
	costItem   = 24 // an entry in a list or dict, besides the stack's
	costPair   = 48 // a pair of a dict, besides that: the tree's own, and the look-up for equal keys
	costMade   = 320
	costTensor = 200 // a plain one, or a storage
	costTorch  = 640 // other results of torch's functions
	costGlobal = 200 // once per name
	costSparse = 100 // a memo slot outside the pages
	costUsed   = 64  // a slot that is read: an entry of the VM's map
)

// A MARK costs the VM as much time as ten other opcodes.
const markOpcodes = 10

// costOfCall is what the result of a call costs.
func costOfCall(g *GlobalRef) int64 {
	switch {
	case leavesNoArgs(g.Module, g.Name):
		return costTensor
	case strings.HasPrefix(g.Module, "torch"):
		return costTorch
	}
	return costMade
}

func (s *scanner) run() *Error {
	end := len(s.p)
	if int64(end) > s.lim.Bytes {
		end = int(s.lim.Bytes)
	}
	next := 0
	for {
		s.pos = next
		limit := end
		if s.frameEnd > 0 {
			if s.pos == s.frameEnd {
				s.frameEnd = 0
			} else {
				limit = s.frameEnd
			}
		}
		if s.pos >= limit {
			if end < len(s.p) {
				return overLimit(s.pos, "bytes of a pickle", s.lim.Bytes)
			}
			return truncated(s.pos, "the stream ends before STOP")
		}
		s.report.Opcodes++
		if s.report.Opcodes > s.lim.Opcodes {
			return overLimit(s.pos, "opcodes", s.lim.Opcodes)
		}
		from, to, after, err := argument(s.p, s.pos, limit, &s.lim)
		if err != nil {
			if limit < end {
				return malformed(s.pos, "an opcode crosses the end of its frame")
			}
			if err.More && end < len(s.p) {
				return overLimit(s.pos, "bytes of a pickle", s.lim.Bytes)
			}
			return err
		}
		next = after
		if s.p[s.pos] == opStop {
			if _, err := s.pop(); err != nil {
				return err
			}
			s.pos = next
			return nil
		}
		if s.p[s.pos] == opFrame {
			err = s.frame(next, end)
		} else {
			err = s.step(s.p[s.pos], from, to)
		}
		if err != nil {
			return err
		}
	}
}

func (s *scanner) frame(start, end int) *Error {
	size := binary.LittleEndian.Uint64(s.p[start-8:])
	if s.frameEnd > 0 && start != s.frameEnd {
		return malformed(s.pos, "a frame inside a frame")
	}
	if size > uint64(end-start) {
		if size > uint64(s.lim.Bytes) {
			return overLimit(s.pos, "bytes of a pickle", s.lim.Bytes)
		}
		e := malformed(s.pos, "frame of %d bytes, but %d are left", size, end-start)
		e.More = true
		return e
	}
	s.frameEnd = 0
	if size > 0 {
		s.frameEnd = start + int(size)
	}
	return nil
}

// fence is the height below which nothing may be popped.
func (s *scanner) fence() int {
	if n := len(s.marks); n > 0 {
		return s.marks[n-1]
	}
	return 0
}

func (s *scanner) push(e slot) *Error {
	if int64(len(s.stack)) >= s.lim.Stack {
		return overLimit(s.pos, "stack entries", s.lim.Stack)
	}
	s.nodes++
	if s.nodes > s.lim.Nodes {
		return overLimit(s.pos, "values", s.lim.Nodes)
	}
	if int64(e.depth) > s.lim.Depth {
		return overLimit(s.pos, "nesting", s.lim.Depth)
	}
	s.stack = append(s.stack, e)
	return nil
}

// make pushes a new value of the given estimated cost.
func (s *scanner) make(k kind, ref int, cost int64, depth uint16) *Error {
	if err := s.charge(cost); err != nil {
		return err
	}
	return s.push(slot{ref: uint32(ref), cost: uint32(min(cost, 1<<31)), depth: depth, kind: k})
}

func (s *scanner) charge(cost int64) *Error {
	s.memory += cost
	if s.memory > s.lim.Memory {
		return overLimit(s.pos, "estimated bytes of memory", s.lim.Memory)
	}
	return nil
}

func (s *scanner) pop() (slot, *Error) {
	n := len(s.stack)
	if n <= s.fence() {
		return slot{}, malformed(s.pos, "the stack is empty")
	}
	e := s.stack[n-1]
	s.stack = s.stack[:n-1]
	return e, nil
}

func (s *scanner) top() (*slot, *Error) {
	n := len(s.stack)
	if n <= s.fence() {
		return nil, malformed(s.pos, "the stack is empty")
	}
	return &s.stack[n-1], nil
}

// popMark removes the entries above the last mark and the mark. The result is valid until the next push.
func (s *scanner) popMark() ([]slot, *Error) {
	n := len(s.marks)
	if n == 0 {
		return nil, malformed(s.pos, "no mark on the stack")
	}
	items := s.stack[s.marks[n-1]:]
	s.stack = s.stack[:s.marks[n-1]]
	s.marks = s.marks[:n-1]
	return items, nil
}

// sum adds up what entries cost, and how deep they nest.
func sum(items []slot) (cost int64, depth uint16) {
	for _, e := range items {
		cost += int64(e.cost)
		depth = max(depth, e.depth)
	}
	return cost, depth
}

// into moves the entries into the container target, which keeps them alive.
func (s *scanner) into(target *slot, items []slot) *Error {
	cost, depth := sum(items)
	target.cost = uint32(min(int64(target.cost)+cost, 1<<31))
	if len(items) > 0 {
		target.depth = max(target.depth, depth+1)
	}
	if int64(target.depth) > s.lim.Depth {
		return overLimit(s.pos, "nesting", s.lim.Depth)
	}
	return nil
}

func (s *scanner) hashable(items []slot, step int) *Error {
	for i := 0; i < len(items); i += step {
		if k := items[i].kind; k.unhashable() {
			return malformed(s.pos, "%s as a key or set member", kindNames[k])
		}
	}
	return nil
}

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
		if to-from > 4 && op != opBinFloat && op != opFloat {
			cost = costLong + int64(to-from)
		}
		return s.make(kAtom, 0, cost, 0)
	case opBinBytes, opShortBinBytes, opBinBytes8, opByteArray8:
		return s.make(kAtom, 0, costString+2*int64(to-from), 0)
	case opBinUnicode, opShortBinUnicode, opBinUnicode8, opBinString, opShortBinString, opString, opUnicode:
		if op == opString && !quoted(s.p[from:to]) {
			return malformed(s.pos, "a STRING without quotes")
		}
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
	s.stack = s.stack[:at]
	if err := s.charge(costTuple + int64(n)*costRef); err != nil {
		return err
	}
	return s.push(slot{cost: uint32(min(cost+costTuple+int64(n)*costRef, 1<<31)), depth: depth + 1, kind: kTuple})
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
		e.kind = kTuple
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
	case opInst:
		e.kind = kMade
		idx, err := s.name(s.p[from:to])
		if err != nil {
			return err
		}
		own = costOfCall(&s.report.Globals[idx])
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
	if class.kind == kGlobal {
		g := &s.report.Globals[class.ref]
		own = costOfCall(g)
		if leavesNoArgs(g.Module, g.Name) {
			s.memory -= min(int64(args.cost), 4096)
			return s.make(kMade, 0, own, 0)
		}
	}
	if err := s.charge(own); err != nil {
		return err
	}
	cost, depth := sum([]slot{class, args, kwargs})
	return s.push(slot{cost: uint32(min(cost+own, 1<<31)), depth: depth + 1, kind: kMade})
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
		idx, err = s.seen(s.text(module), s.text(name))
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

// text decodes the string of an entry; its opcode has been checked when it was pushed.
func (s *scanner) text(e slot) string {
	from, to, _, err := argument(s.p, int(e.ref), len(s.p), &s.lim)
	if err != nil {
		return ""
	}
	return decodeString(s.p[e.ref], s.p[from:to])
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
	if err := s.charge(costGlobal + int64(len(module)+len(name))); err != nil {
		return 0, err
	}
	s.names[key] = i
	s.report.Globals = append(s.report.Globals, GlobalRef{Module: module, Name: name, Offset: int64(s.pos), Count: 1})
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
	if e == nil || !e.set {
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
	if !e.set {
		s.memo.count++
		if s.memo.count > s.lim.Memo {
			return overLimit(s.pos, "memo slots", s.lim.Memo)
		}
	}
	e.slot, e.set = value, true
	return nil
}
