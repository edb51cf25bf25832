package pickle

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unsafe"
)

// EmitOptions of Emit. The zero value and nil write what torch.save writes into a zip file.
type EmitOptions struct {
	// Key names a storage; nil counts 0, 1, 2… in order of first use, as torch.save does.
	Key func(*Storage) string
	// Location is the device of a storage; nil keeps Storage.Location, "cpu" where that is empty.
	Location func(*Storage) string
	// Tensor and Storage stand in for a tensor or storage of the tree when it is written; nil and nil results keep it. A tensor
	// that stands in keeps the identity of the one that it replaces. Storage is asked after Tensor.
	Tensor  func(*Tensor) *Tensor
	Storage func(*Storage) *Storage
	// Legacy writes the persistent ids of legacy files: six elements, and a key string of its own for each id.
	Legacy bool
	// Modules are the source records to write at the first use of their classes (legacy files).
	Modules []Module
}

const (
	// batch is how many items CPython's pickler writes at once.
	batch = 1000
	// maxEmitDepth bounds the nesting that is written; a tuple that contains itself by way of tuples and calls alone, which no
	// pickle can say, runs into it.
	maxEmitDepth = 20_000
)

// Emit writes root as a pickle of protocol 2: the bytes that CPython's pickler makes when torch.save gives it the same
// objects. Shared nodes and strings are written once, cycles as the pickler writes them. storages are those that the pickle
// refers to, in order of their first persistent id.
//
// An *Error with code E_UNSUPPORTED names the path of what no pickle can express. Memory is the output and about 40 bytes
// per memoised object.
//
// Source: CPython Modules/_pickle.c (save and what it calls), torch/serialization.py (persistent_id).
func Emit(root Value, opt *EmitOptions) (pkl []byte, storages []*Storage, err error) {
	e := newEmitter(opt)
	if failed := e.run(root); failed != nil {
		return nil, nil, failed
	}
	return e.out, e.storages, nil
}

type emitter struct {
	opt      EmitOptions
	out      []byte
	next     uint32                    // memo index
	nodes    map[unsafe.Pointer]uint32 // memo of everything but
	texts    map[textID]uint32         // strings and
	globals  map[symbol]uint32         // classes
	refs     []GlobalRef               // as written, by first use
	keys     map[*Storage]storageMemo
	storages []*Storage
	storage  string // the string "storage"
	cpu      string
	modules  map[symbol]*Module
	stack    []frame
	err      *Error
}

// textID is the identity of a string: where its bytes are, and how many.
type textID struct {
	at *byte
	n  int
}

func identity(s string) textID {
	if s == "" {
		return textID{}
	}
	return textID{unsafe.StringData(s), len(s)}
}

type storageMemo struct {
	key  string
	memo uint32
	put  bool
}

// frame is one unfinished value, or something to do after the ones above it.
type frame struct {
	what  frameKind
	node  Value
	items []Value
	pairs []Item
	i     int
}

type frameKind uint8

const (
	frameSave      frameKind = iota // node
	frameOp                         // write opcode i
	frameTuple                      // items of node, a *Tuple or nil for one that nobody else has
	frameList                       // items, as the pickler writes a list
	frameListIter                   // items, as it writes what a class appends
	frameDict                       // pairs, likewise
	frameDictIter                   //
	frameMade                       // node has been called: write opcode i and its memo
	frameClose                      // end the arguments that began with MARK
	frameFlags                      // the end of a quantized tensor's arguments
	frameParameter                  // what follows the data of a Parameter
)

func newEmitter(opt *EmitOptions) *emitter {
	e := &emitter{nodes: make(map[unsafe.Pointer]uint32), texts: make(map[textID]uint32), globals: make(map[symbol]uint32),
		keys: make(map[*Storage]storageMemo), modules: make(map[symbol]*Module)}
	if opt != nil {
		e.opt = *opt
	}
	for i := range e.opt.Modules {
		m := &e.opt.Modules[i]
		e.modules[symbol{m.Class.Module, m.Class.Name}] = m
	}
	return e
}

func (e *emitter) run(root Value) *Error {
	e.out = append(e.out, opProto, 2)
	e.save(root)
	for len(e.stack) > 0 && e.err == nil {
		e.step()
	}
	if e.err == nil {
		e.out = append(e.out, opStop)
	}
	return e.err
}

func (e *emitter) op(c byte) { e.out = append(e.out, c) }

func (e *emitter) push(f frame) {
	if len(e.stack) >= maxEmitDepth {
		e.fail("more than %d levels, or a tuple that contains itself", maxEmitDepth)
		return
	}
	e.stack = append(e.stack, f)
}

// memoize writes PUT and returns the index.
func (e *emitter) memoize() uint32 {
	if e.next < 256 {
		e.out = append(e.out, opBinPut, byte(e.next))
	} else {
		e.out = binary.LittleEndian.AppendUint32(append(e.out, opLongBinPut), e.next)
	}
	e.next++
	return e.next - 1
}

func (e *emitter) get(idx uint32) {
	if idx < 256 {
		e.out = append(e.out, opBinGet, byte(idx))
	} else {
		e.out = binary.LittleEndian.AppendUint32(append(e.out, opLongBinGet), idx)
	}
}

// known writes a reference to a node that has been written.
func (e *emitter) known(p unsafe.Pointer) bool {
	idx, ok := e.nodes[p]
	if ok {
		e.get(idx)
	}
	return ok
}

func (e *emitter) put(p unsafe.Pointer) { e.nodes[p] = e.memoize() }

// save writes a value, or pushes the frames that will.
func (e *emitter) save(v Value) {
	switch v := v.(type) {
	case nil:
		e.op(opNone)
	case bool:
		e.bool(v)
	case int64:
		e.int(v)
	case *big.Int:
		e.long(v)
	case float64:
		e.float(v)
	case complex128:
		e.global("__builtin__", "complex")
		e.float(real(v))
		e.float(imag(v))
		e.op(opTuple2)
		e.memoize()
		e.op(opReduce)
		e.memoize()
	case string:
		e.text(v)
	case *Bytes:
		e.bytes(v)
	case *Tuple:
		e.tuple(v)
	case *List:
		if !e.known(unsafe.Pointer(v)) {
			e.op(opEmptyList)
			e.put(unsafe.Pointer(v))
			e.list(v.Items)
		}
	case *Dict:
		e.dict(v)
	case *Set:
		e.set(v)
	case *Global:
		e.class(v)
	case *Object:
		e.object(v)
	case *Tensor:
		e.tensor(v)
	case *Parameter:
		e.parameter(v)
	case *Storage:
		root, _ := e.resolve(v)
		e.persistentID(root)
	default:
		e.fail("a Go value that is no node")
	}
}

func (e *emitter) step() {
	f := &e.stack[len(e.stack)-1]
	switch f.what {
	case frameSave:
		v := f.node
		e.pop()
		e.save(v)
	case frameOp:
		e.op(byte(f.i))
		e.pop()
	case frameTuple:
		e.tupleStep(f)
	case frameList, frameListIter:
		e.listStep(f)
	case frameDict, frameDictIter:
		e.dictStep(f)
	case frameClose:
		e.pop()
		e.closeCall()
	case frameFlags:
		w := f.node.(*Tensor)
		e.pop()
		e.flags(w)
		e.closeCall()
	case frameParameter:
		p := f.node.(*Parameter)
		e.pop()
		e.parameterRest(p)
	case frameMade:
		node, op := f.node, byte(f.i)
		e.pop()
		e.op(op)
		e.made(node)
	}
}

func (e *emitter) pop() { e.stack = e.stack[:len(e.stack)-1] }

// later saves v when the frames pushed after this call are done.
func (e *emitter) later(v Value) { e.push(frame{what: frameSave, node: v}) }

func (e *emitter) bool(v bool) {
	if v {
		e.op(opNewTrue)
	} else {
		e.op(opNewFalse)
	}
}

func (e *emitter) int(v int64) {
	if v >= -1<<31 && v < 1<<31 {
		e.out = appendInt(e.out, int32(v))
		return
	}
	e.long(big.NewInt(v))
}

func (e *emitter) long(v *big.Int) {
	if v.IsInt64() && v.Int64() >= -1<<31 && v.Int64() < 1<<31 {
		e.int(v.Int64())
		return
	}
	b := encodeLong(v)
	if len(b) < 256 {
		e.out = append(e.out, opLong1, byte(len(b)))
	} else {
		e.out = binary.LittleEndian.AppendUint32(append(e.out, opLong4), uint32(len(b)))
	}
	e.out = append(e.out, b...)
}

func (e *emitter) float(v float64) {
	e.out = binary.BigEndian.AppendUint64(append(e.out, opBinFloat), math.Float64bits(v))
}

func (e *emitter) text(s string) {
	id := identity(s)
	if idx, ok := e.texts[id]; ok {
		e.get(idx)
		return
	}
	e.texts[id] = e.freshText(s)
}

// freshText writes a string that is an object of its own.
func (e *emitter) freshText(s string) uint32 {
	e.out = binary.LittleEndian.AppendUint32(append(e.out, opBinUnicode), uint32(len(s)))
	e.out = append(e.out, s...)
	return e.memoize()
}

// bytes writes a call of _codecs.encode, for protocol 2 has no bytes.
func (e *emitter) bytes(b *Bytes) {
	if e.known(unsafe.Pointer(b)) {
		return
	}
	class := "bytes"
	if b.Mutable {
		class = "bytearray"
	}
	switch {
	case len(b.B) == 0:
		e.global("__builtin__", class)
		e.op(opEmptyTuple)
	case b.Mutable:
		e.global("__builtin__", class)
		e.encoded(b.B)
		e.memoize()
		e.op(opTuple1)
		e.memoize()
	default:
		e.encoded(b.B)
		e.put(unsafe.Pointer(b))
		return
	}
	e.op(opReduce)
	e.put(unsafe.Pointer(b))
}

// latin1Name is CPython's one string of that name.
const latin1Name = "latin1"

func (e *emitter) encoded(b []byte) {
	e.global("_codecs", "encode")
	e.text(Interned(latin1(b)))
	e.text(latin1Name)
	e.op(opTuple2)
	e.memoize()
	e.op(opReduce)
}

// class writes a global, with the source record that legacy files have at its first use.
func (e *emitter) class(g *Global) {
	if m := e.modules[symbol{g.Module, g.Name}]; m != nil {
		delete(e.modules, symbol{g.Module, g.Name})
		e.op(opMark)
		e.text("module")
		e.global(g.Module, g.Name)
		for _, s := range []string{m.File, m.Source} {
			if s == "" {
				e.op(opNone)
			} else {
				e.freshText(s)
			}
		}
		e.op(opTuple)
		e.memoize()
		e.op(opBinPersID)
		return
	}
	e.global(g.Module, g.Name)
}

func (e *emitter) global(module, name string) {
	s := python2Name(module, name)
	if idx, ok := e.globals[s]; ok {
		e.get(idx)
		return
	}
	if strings.ContainsAny(s.module, "\n") || strings.ContainsAny(s.name, "\n") {
		e.fail("a class whose name has a line break")
		return
	}
	e.refs = append(e.refs, GlobalRef{Module: s.module, Name: s.name, Offset: int64(len(e.out)), Count: 1})
	e.op(opGlobal)
	e.out = append(append(e.out, s.module...), '\n')
	e.out = append(append(e.out, s.name...), '\n')
	e.globals[s] = e.memoize()
}

// fail stops the emitter; the message names the path of the value at work.
func (e *emitter) fail(format string, args ...any) {
	if e.err == nil {
		e.err = &Error{Code: CodeUnsupported, Msg: "cannot be pickled: " + fmt.Sprintf(format, args...) + e.path(), Offset: -1}
	}
}

// path names the frames from the outside in: the last key or position of each.
func (e *emitter) path() string {
	const most = 12
	var parts []string
	for _, f := range e.stack {
		if len(parts) == most {
			parts = append(parts, "…")
			break
		}
		switch f.what {
		case frameDict, frameDictIter:
			if f.i > 0 && f.i <= len(f.pairs) {
				parts = append(parts, PyStr(f.pairs[f.i-1].Key))
			}
		case frameList, frameListIter, frameTuple:
			if f.i > 0 {
				parts = append(parts, "["+strconv.Itoa(f.i-1)+"]")
			}
		}
	}
	if parts == nil {
		return ""
	}
	return fmt.Sprintf(" (at %q)", strings.Join(parts, "."))
}
