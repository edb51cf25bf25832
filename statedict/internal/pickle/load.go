package pickle

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	gopickle "github.com/nlpodyssey/gopickle/pickle"
	"github.com/nlpodyssey/gopickle/types"
)

// Options of Load. The zero value and nil are useful.
type Options struct {
	Limits *Limits
	// PersistentLoad answers persistent ids in place of the rules of torch.save; the id is int64, string or *Tuple of
	// such. Tensors, storages and globals that it returns can be used by the rebuild functions of the same pickle.
	PersistentLoad func(id Value) (Value, error)
	// nesting counts the pickles inside pickles (Storage.Inline); budget is what they have in common.
	nesting int
	budget  *budget
}

// budget bounds what calls can make of one argument that the stream mentions once and passes many times: the scan does not
// see that. Both count down.
type budget struct {
	memory int64 // bytes copied into values
	work   int64 // bytes of inner streams and of keys that are looked at
}

// Pickle is what Load made of a stream.
type Pickle struct {
	Root     Value
	Len      int // bytes up to and including STOP
	Protocol int
	Globals  []GlobalRef // see Report
	Storages []*Storage  // by first appearance; Storage.Index is the position
	Modules  []Module    // source records of legacy files
	Findings []Finding   // at most maxFindings
	Report   *Report     // what Scan answers, also with an error
}

// Module is a record ('module', class, file, source) of a legacy file: the source text of a pickled nn.Module.
type Module struct {
	Class        *Global
	File, Source string // "" where the record has None
}

const (
	maxFindings = 1000
	// maxBad bounds the impossible tensors whose arguments are kept.
	maxBad = 10_000
)

// Load reads the pickle at the start of p. Nothing in it runs: calls of known functions become typed nodes, all others
// become *Object, globals become *Global. A rebuild call with impossible arguments becomes a *Tensor with Extra.Bad set and
// a finding F_TENSOR_BAD; the rest of the pickle is read as usual. Whether views lie in their storages is not checked here.
//
// With an *Error comes a Pickle that has what was seen before it: Globals, Len, Protocol, Report; the rest is empty.
// Memory is bounded by Limits.Memory plus two times the length of the stream; p is not kept.
func Load(p []byte, opt *Options) (*Pickle, error) {
	if opt == nil {
		opt = &Options{}
	}
	s := newScanner(opt.Limits)
	return load(s, s.extend(p), opt)
}

// load is Load once the scan is done, with the error that it ended in.
func load(s *scanner, err *Error, opt *Options) (*Pickle, error) {
	report := s.report // not the scanner, which holds more
	out := &Pickle{Len: report.Len, Protocol: report.Protocol, Globals: report.Globals, Report: &report}
	if err != nil {
		return out, err
	}
	l := &loader{scan: s, opt: opt, pickle: &Pickle{}, budget: opt.budget}
	if s.ids > 0 {
		l.storages, l.pickle.Storages = make(map[string]*storageNode, s.ids), make([]*Storage, 0, s.ids)
	}
	if l.budget == nil {
		l.budget = &budget{memory: s.lim.Memory, work: 8 * s.lim.Bytes}
	}
	root, err := l.run()
	out.Globals = append(out.Globals, l.inner...)
	if err == nil {
		root, err = l.convertAll(root)
	}
	if err != nil {
		return out, err
	}
	l.pickle.Report, l.pickle.Root, l.pickle.Len, l.pickle.Protocol, l.pickle.Globals = out.Report, root, out.Len, out.Protocol, out.Globals
	return l.pickle, nil
}

type loader struct {
	scan     *scanner
	opt      *Options
	pickle   *Pickle
	consts   []Value
	texts    []span       // those that the VM has not asked for yet
	classes  []*classNode // by index in the report's globals
	storages map[string]*storageNode
	bad      int
	slabs    slabs
	jobs     []job
	late     []func()
	inner    []GlobalRef // of the pickles inside, with offsets in those, where the outer has them not
	budget   *budget
}

// take pays for bytes that a call copies.
func (l *loader) take(n int) {
	if l.budget.memory -= int64(n); l.budget.memory < 0 {
		panic(overLimit(-1, "estimated bytes of memory", l.scan.lim.Memory))
	}
}

// spend pays for bytes that are looked at once more.
func (l *loader) spend(n int) {
	if l.budget.work -= int64(n); l.budget.work < 0 {
		panic(overLimit(-1, "bytes looked at", 8*l.scan.lim.Bytes))
	}
}

// clone copies arguments that outlive their call, for the VM may have them in a tuple that lives on.
func (l *loader) clone(args []any) []any {
	l.take(32 * len(args))
	return append(make([]any, 0, len(args)), args...)
}

// run executes the rewritten stream. What it returns is raw: see convert.
func (l *loader) run() (root any, err *Error) {
	stream, _ := l.scan.rewrite(-1)
	l.consts, l.texts = stream.consts, stream.texts
	l.scan.memo = memo{} // the largest part of a scan
	for i := range l.scan.report.Globals {
		g := &l.scan.report.Globals[i]
		l.classes = append(l.classes, newClass(l, g.Module, g.Name))
	}
	r := bytes.NewReader(stream.out)
	vm := gopickle.NewUnpickler(r)
	vm.GetExtension = l.extension
	vm.FindClass = l.findClass
	vm.PersistentLoad = l.persistent
	vm.MakeReadOnly = l.unusualCall

	defer func() {
		if p := recover(); p != nil {
			e, ours := p.(*Error)
			if !ours {
				e = malformed(0, "the unpickler gave up")
			}
			err = l.located(e, len(stream.out)-r.Len())
		}
	}()
	root, failed := vm.Load()
	if failed != nil {
		var e *Error
		if !errors.As(failed, &e) {
			e = malformed(0, "%v", failed)
		}
		return nil, l.located(e, len(stream.out)-r.Len())
	}
	return root, nil
}

// located gives an error of the VM the offset in the original stream.
func (l *loader) located(e *Error, read int) *Error {
	again, _ := scan(l.scan.p, l.opt.Limits)
	_, at := again.rewrite(read)
	e.Offset = int64(at)
	return e
}

// noItems is the VM's empty tuple.
var noItems = &types.Tuple{}

func (l *loader) extension(code int) (any, error) {
	switch code {
	case extList:
		return &listNode{made: made{l}}, nil
	case extDict:
		return &dictNode{made: made{l}}, nil
	case extSet:
		return &setNode{made: made{l}}, nil
	case extEmptyTuple:
		return noItems, nil
	case extText:
		t := l.texts[0]
		l.texts = l.texts[1:]
		return l.slabs.texts.Add(l.scan.p[t.from:t.to]), nil
	}
	v := l.consts[code-extConst]
	if g, ok := v.(globalConst); ok {
		return l.classes[g], nil
	}
	return v, nil
}

func (l *loader) findClass(module, _ string) (any, error) {
	switch module {
	case instList, instDict, instFrozenSet:
		return builder{l, module}, nil
	}
	idx, err := strconv.Atoi(module)
	if err != nil {
		return nil, fmt.Errorf("class of no global")
	}
	return instance{l.classes[idx]}, nil
}

// builder makes the containers that opcodes build from a mark.
type builder struct {
	l    *loader
	what string
}

func (b builder) Call(args ...any) (any, error) {
	switch b.what {
	case instList:
		return &listNode{made: made{b.l}, items: args}, nil
	case instDict:
		return &dictNode{made: made{b.l}, items: args}, nil
	}
	return &setNode{made: made{b.l}, items: args, frozen: true}, nil
}

// instance is a class called by INST: without arguments CPython makes the object without calling it.
type instance struct{ class *classNode }

func (i instance) Call(args ...any) (any, error) {
	if len(args) == 0 {
		return i.class.PyNew()
	}
	return i.class.Call(args...)
}

// unusualCall does OBJ and NEWOBJ_EX, see rewriter.
func (l *loader) unusualCall(v any) (any, error) {
	t := *v.(*types.Tuple)
	if inner, ok := t[0].(*types.Tuple); ok { // NEWOBJ_EX
		class, args, kwargs := (*inner)[0], *(*inner)[1].(*types.Tuple), (*inner)[2]
		return &objectNode{made: made{l}, class: class, args: l.clone(args), kwargs: kwargs, how: NewObjEx}, nil
	}
	if c, ok := t[0].(*classNode); ok {
		return instance{c}.Call(t[1:]...)
	}
	return t[0].(types.Callable).Call(t[1:]...)
}
