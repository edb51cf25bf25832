package pickle

import (
	"strconv"
	"strings"
	"unsafe"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// persistentID writes ('storage', class, key, location, numel[, None]) and BINPERSID. The pickler memoises the tuple, not what
// it stands for: each use writes it again.
func (e *emitter) persistentID(s *Storage) {
	e.op(opMark)
	if e.storage == "" {
		e.storage = "storage"
		if s.Tag == e.storage {
			e.storage = s.Tag // the string of the file, which a key may share
		}
	}
	e.text(e.storage)
	class, numel := storageSpelling(s)
	e.global(class.module, class.name)
	e.storageKey(s)
	e.location(s)
	e.int(numel)
	if e.opt.Legacy {
		e.op(opNone)
	}
	e.op(opTuple)
	e.memoize()
	e.op(opBinPersID)
}

// resolve applies EmitOptions.Storage, and goes from a window to its root; shift is the window's offset in elements.
func (e *emitter) resolve(s *Storage) (root *Storage, shift int64) {
	if s == nil {
		return nil, 0
	}
	if e.opt.Storage != nil {
		if other := e.opt.Storage(s); other != nil {
			s = other
		}
	}
	if s.Root != nil {
		root, more := e.resolve(s.Root)
		return root, more + s.Offset
	}
	return s, 0
}

// storageSpelling is the class of a storage as torch names it today, and the count that goes with it: bytes for those
// without a class of their own.
func storageSpelling(s *Storage) (class symbol, numel int64) {
	if name, ok := storageNames[s.DType]; ok && !s.Untyped {
		return symbol{"torch", name}, s.Numel
	}
	if s.Untyped {
		return symbol{"torch.storage", "UntypedStorage"}, s.Numel
	}
	return symbol{"torch.storage", "UntypedStorage"}, s.NBytes()
}

func isUntyped(s *Storage) bool {
	class, _ := storageSpelling(s)
	return class.name == "UntypedStorage"
}

// storageKey writes the key, which is one string for all ids of a storage, other than any equal string in the tree.
func (e *emitter) storageKey(s *Storage) {
	k, ok := e.keys[s]
	if !ok {
		if e.opt.Key != nil {
			k.key = e.opt.Key(s)
		} else {
			k.key = strconv.Itoa(len(e.storages))
		}
		e.storages = append(e.storages, s)
	}
	if k.put && !(e.opt.Legacy && len(k.key) <= maxFresh) {
		e.get(k.memo)
		return
	}
	k.memo, k.put = e.freshText(k.key), true
	e.keys[s] = k
}

// maxFresh bounds the texts that are written anew for each use, as torch does with its short ones.
const maxFresh = 64

// location writes the device. Those with an index are made for each id; the others are constants of torch.
func (e *emitter) location(s *Storage) {
	loc := s.Location
	if e.opt.Location != nil {
		loc = e.opt.Location(s)
	}
	if loc == "" {
		loc = "cpu"
	}
	if strings.Contains(loc, ":") && len(loc) <= maxFresh {
		e.freshText(loc)
		return
	}
	if loc == "cpu" {
		if e.cpu == "" {
			e.cpu = loc
		}
		loc = e.cpu
	}
	e.text(loc)
}

func (e *emitter) tensor(t *Tensor) {
	if e.known(unsafe.Pointer(t)) {
		return
	}
	written := t
	if e.opt.Tensor != nil {
		if other := e.opt.Tensor(t); other != nil {
			written = other
		}
	}
	x := written.Extra
	if x != nil && x.Func != nil && x.Args != nil && (x.Bad != "" || verbatim(written.Form)) {
		e.call(t, x.Func, x.Args)
		return
	}
	switch written.Form {
	case FormMeta:
		e.meta(t, written)
		return
	case FormSparse, FormSparseCSR, FormNested, FormTypeV2, FormType, FormWrapper, FormFromNumpy, FormFromCPU:
		e.fail("a tensor that is no view of a storage, without the call that made it")
		return
	}
	if x != nil && x.Bad != "" {
		e.fail("a tensor whose description is impossible")
		return
	}
	e.strided(t, written)
}

// verbatim tells the forms that are written as they were read.
func verbatim(f Form) bool {
	switch f {
	case FormSparse, FormSparseCSR, FormNested, FormTypeV2, FormType, FormWrapper, FormFromNumpy, FormFromCPU:
		return true
	}
	return false
}

// call writes function, arguments and REDUCE for a tensor; state follows it when there is one.
func (e *emitter) call(t *Tensor, f *Global, args *Tuple) {
	e.push(frame{what: frameMade, node: t, i: opReduce})
	e.laterArgs(args)
	e.later(f)
}

// meta: dtype, size, stride, requires_grad.
func (e *emitter) meta(t, w *Tensor) {
	e.global("torch._utils", "_rebuild_meta_tensor_no_storage")
	e.op(opMark)
	e.global("torch", w.DType.String())
	e.dims(w.Shape)
	e.dims(w.Stride)
	e.bool(w.RequiresGrad)
	e.op(opTuple)
	e.memoize()
	e.op(opReduce)
	e.put(unsafe.Pointer(t))
}

// strided writes _rebuild_tensor_v2, v3 or _rebuild_qtensor. Only quantizers and metadata need frames.
func (e *emitter) strided(t, w *Tensor) {
	root, shift := e.resolve(w.Storage)
	if root == nil {
		e.fail("a tensor without storage")
		return
	}
	name := "_rebuild_tensor_v2"
	_, named := storageNames[w.DType]
	v3 := !named || isUntyped(root) && (w.DType != dtype.UInt8 || w.Form == FormV3)
	switch {
	case w.Form == FormQuantized:
		name = "_rebuild_qtensor"
	case v3:
		name = "_rebuild_tensor_v3"
	}
	e.global("torch._utils", name)
	e.op(opMark)
	e.persistentID(root)
	e.int(w.Offset + shift)
	e.dims(w.Shape)
	e.dims(w.Stride)
	if w.Form == FormQuantized {
		e.quantizer(t, w)
		return
	}
	e.flags(w)
	if v3 {
		e.global("torch", w.DType.String())
	}
	if m := metadata(w); m != nil {
		e.push(frame{what: frameMade, node: t, i: opReduce})
		e.push(frame{what: frameClose})
		e.save(m)
		return
	}
	e.closeCall()
	e.op(opReduce)
	e.put(unsafe.Pointer(t))
}

// flags are requires_grad and an empty dict of hooks.
func (e *emitter) flags(w *Tensor) {
	e.bool(w.RequiresGrad)
	e.hooks()
}

func (e *emitter) hooks() {
	e.global("collections", "OrderedDict")
	e.op(opEmptyTuple)
	e.op(opReduce)
	e.memoize()
}

// closeCall ends the arguments that began with MARK.
func (e *emitter) closeCall() {
	e.op(opTuple)
	e.memoize()
}

// metadata is the trailing dict: the one that was read as long as it agrees with the flags, else a new one.
func metadata(w *Tensor) Value {
	var rest []Item
	if w.Extra != nil && w.Extra.Metadata != nil {
		d, ok := w.Extra.Metadata.(*Dict)
		if !ok {
			return w.Extra.Metadata
		}
		conj, neg := false, false
		for _, it := range d.Items {
			switch it.Key {
			case "conj":
				conj = it.Value == true
			case "neg":
				neg = it.Value == true
			default:
				rest = append(rest, it)
			}
		}
		if conj == w.Conj && neg == w.Neg {
			return d
		}
	}
	if w.Conj {
		rest = append(rest, Item{"conj", true})
	}
	if w.Neg {
		rest = append(rest, Item{"neg", true})
	}
	if rest == nil {
		return nil
	}
	return &Dict{Items: rest}
}

// quantizer writes the rest of a _rebuild_qtensor: quantizer, requires_grad, hooks.
func (e *emitter) quantizer(t, w *Tensor) {
	x := w.Extra
	if x == nil || x.QScheme == "" {
		e.fail("a quantized tensor without a quantizer")
		return
	}
	e.push(frame{what: frameMade, node: t, i: opReduce})
	e.push(frame{what: frameFlags, node: w})
	scheme := &Global{Module: "torch", Name: x.QScheme}
	if len(x.Parts) >= 2 {
		e.args(nil, []Value{scheme, x.Parts[0].Value, x.Parts[1].Value, x.Axis})
		return
	}
	e.args(nil, []Value{scheme, x.Scale, x.ZeroPoint})
}

// dims writes a tuple of ints that nobody else has.
func (e *emitter) dims(dims []int64) {
	switch n := len(dims); {
	case n == 0:
		e.op(opEmptyTuple)
		return
	case n > 3:
		e.op(opMark)
	}
	for _, d := range dims {
		e.int(d)
	}
	if len(dims) > 3 {
		e.op(opTuple)
	} else {
		e.op(opTuple1 + byte(len(dims)-1))
	}
	e.memoize()
}

// parameter writes _rebuild_parameter(data, requires_grad, hooks[, state]).
func (e *emitter) parameter(p *Parameter) {
	if e.known(unsafe.Pointer(p)) {
		return
	}
	name := "_rebuild_parameter"
	if p.HasState {
		name += "_with_state"
	}
	e.global("torch._utils", name)
	e.push(frame{what: frameMade, node: p, i: opReduce})
	if p.HasState {
		e.op(opMark)
	}
	e.push(frame{what: frameParameter, node: p})
	e.save(p.Data)
}

// parameterRest follows the data.
func (e *emitter) parameterRest(p *Parameter) {
	e.bool(p.RequiresGrad)
	e.hooks()
	if p.HasState {
		e.push(frame{what: frameClose})
		e.save(p.State)
		return
	}
	e.op(opTuple3)
	e.memoize()
}
