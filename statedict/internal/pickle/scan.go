package pickle

import (
	"encoding/binary"
	"strings"
)

// GlobalRef is a name that an opcode of the stream resolves, or would.
type GlobalRef struct {
	Module, Name string
	// Offset is the byte of the first opcode that resolves it.
	Offset int64
	// Count is how many opcodes do.
	Count int
	// Called tells whether an opcode calls it, or makes an object of it.
	Called bool
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
	// Inside are the strings of the stream that are pickles themselves, or are given to a function that reads pickles.
	Inside []Inside
	// InsideOver tells that there were more than the maxInside listed.
	InsideOver bool
	// Failed tells that the walk ended in an error.
	Failed bool
}

// kind is what is known of a stack entry without running anything.
type kind uint8

const (
	kUnset kind = iota // of memo slots
	kAtom              // None, bool, int, float, bytes, bytearray; ref of the last two: see scanner.data
	kStr               // ref: its opcode
	kTuple             // ref: see scanner.data
	kList              //
	kDict              //
	kSet
	kFrozenSet
	kGlobal // ref: index in Report.Globals
	kMade   // the result of a call or of a persistent id; ref: see scanner.data
)

var kindNames = [...]string{"nothing", "a plain value", "a string", "a tuple", "a list", "a dict", "a set", "a frozenset", "a class", "an object"}

func (k kind) unhashable() bool { return k == kList || k == kDict || k == kSet }

// slot is one simulated stack entry.
type slot struct {
	ref   uint32
	cost  uint32 // estimated bytes that it alone keeps alive
	depth uint16 // nesting below it
	kind  kind
	used  bool // of memo slots: it is read
}

// memoSlot is one memo entry; files have nine for each tensor.
type memoSlot struct {
	slot
	num uint32 // see rewriter.put
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
	p         []byte
	lim       Limits
	report    Report
	stack     []slot
	marks     []int // stack heights
	memo      memo
	names     map[[2]string]int // index in report.Globals
	traits    []traits          // of report.Globals
	globals   []int32           // index in report.Globals, for each opcode that resolved one
	inside    map[uint32]int    // index in report.Inside by ref
	pos       int               // opcode at work
	frameEnd  int               // 0 outside frames
	nodes     int64
	memory    int64
	textCount int // opcodes that push a str
	textLen   int // bytes of those
	ids       int // opcodes that resolve a persistent id
}

// traits are what the scan has to know of a global each time that it is called.
type traits struct {
	cost         int64 // of the result
	leavesNoArgs bool
	reads        bool // it reads a pickle from a string
	recodes      bool // it makes bytes of a text
}

func traitsOf(g *GlobalRef) traits {
	name := canonicalSymbol(g.Module, g.Name)
	return traits{
		cost:         costOfCall(g),
		leavesNoArgs: leavesNoArgs(g.Module, g.Name),
		reads:        readers[name],
		recodes:      name == symbol{"_codecs", "encode"} || name == symbol{"builtins", "bytes"} || name == symbol{"builtins", "bytearray"},
	}
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
	s := newScanner(lim)
	return s, s.extend(p)
}

func newScanner(lim *Limits) *scanner {
	return &scanner{lim: lim.orDefault(), names: make(map[[2]string]int)}
}

// extend walks to STOP or the end of p. After an error with More it may be called again with a longer p that begins alike: no
// opcode is walked twice.
func (s *scanner) extend(p []byte) *Error {
	s.p = p
	err := s.run()
	s.report.Len, s.report.Failed = s.pos, err != nil
	return err
}

// Estimated bytes that values cost while the VM and then our tree hold them, with half as much for what the garbage collector
// has not seen yet. The storms of the tests show how good the estimates are.
const (
	costRef    = 16  // a stack entry, an item of a tuple or list
	costScalar = 24  // a boxed number
	costLong   = 160 // one beyond 64 bits
	costString = 48  // header and box, without the text
	costTuple  = 128 // both headers
	costMark   = 280 // gopickle makes room for 16 entries
	costList   = 192 // ours in the VM and in the tree
	costDict   = 240
	costItem   = 32 // an entry in a list or dict, besides the stack's
	costSingle = 48 // one that comes alone: a container that grows item by item leaves its old selves behind
	costPair   = 48 // a pair of a dict, besides that: the tree's own, and the look-up for equal keys
	costMade   = 320
	costTensor = 200 // a plain one, or a storage
	costTorch  = 640 // other results of torch's functions
	costGlobal = 200 // once per name
	costName   = 8   // a byte of it: lists, findings and messages repeat it
	costSparse = 100 // a memo slot outside the pages
	costUsed   = 64  // a slot that is read: an entry of the VM's map
)

// A MARK costs the VM as much time as ten other opcodes. The digits of an integer cost time that grows with the square of its
// length: those of 16 bytes are counted as one opcode more.
const (
	markOpcodes = 10
	digitBytes  = 16
)

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
	next := s.pos
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
		if s.report.Opcodes >= s.lim.Opcodes {
			return overLimit(s.pos, "opcodes", s.lim.Opcodes)
		}
		op := s.p[s.pos]
		from := s.pos + 1
		to := s.pos + int(opSizes[op])
		if to <= s.pos || to > limit {
			var err *Error
			from, to, next, err = argument(s.p, s.pos, limit, &s.lim)
			if err != nil {
				if limit < end {
					return malformed(s.pos, "an opcode crosses the end of its frame")
				}
				if err.More && end < len(s.p) {
					return overLimit(s.pos, "bytes of a pickle", s.lim.Bytes)
				}
				return err
			}
		} else {
			next = to
		}
		var err *Error
		switch op {
		case opStop:
			if _, err = s.pop(); err == nil {
				s.pos = next
				s.report.Opcodes++
				return nil
			}
		case opFrame:
			err = s.frame(next, end)
		default:
			err = s.step(op, from, to)
		}
		if err != nil {
			return err
		}
		s.report.Opcodes++
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
