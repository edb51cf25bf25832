package pickle

import (
	"strings"
	"unicode/utf8"
)

type symbol struct{ module, name string }

// moduleNames are the spellings that are brought together before any look-up: Python 2's, numpy's move to _core, torch's
// own moves.
var moduleNames = map[string]string{
	"__builtin__": "builtins", "copy_reg": "copyreg", "torch.tensor": "torch._tensor",
	"numpy._core.multiarray": "numpy.core.multiarray", "numpy._core.numeric": "numpy.core.numeric", "numpy.core": "numpy",
}

func canonicalSymbol(module, name string) symbol {
	if m, ok := moduleNames[module]; ok {
		module = m
	}
	if module == "builtins" {
		switch name {
		case "long":
			name = "int"
		case "unicode":
			name = "str"
		case "xrange":
			name = "range"
		}
	}
	return symbol{module, name}
}

// calls is the one table of what a call makes; whatever is not in it makes an *Object.
var calls map[symbol]callFunc

func init() { // not an initializer: rebuildFromType looks functions up in it
	calls = map[symbol]callFunc{
		{"torch._utils", "_rebuild_tensor"}:                        rebuildTensor(FormV1),
		{"torch._utils", "_rebuild_tensor_v2"}:                     rebuildTensor(FormV2),
		{"torch._utils", "_rebuild_tensor_v3"}:                     rebuildTensor(FormV3),
		{"torch._utils", "_rebuild_parameter"}:                     rebuildParameter,
		{"torch._utils", "_rebuild_parameter_with_state"}:          rebuildParameter,
		{"torch._utils", "_rebuild_qtensor"}:                       rebuildQTensor,
		{"torch._utils", "_rebuild_sparse_tensor"}:                 rebuildSparse,
		{"torch._utils", "_rebuild_sparse_csr_tensor"}:             rebuildSparse,
		{"torch._utils", "_rebuild_nested_tensor"}:                 rebuildNested,
		{"torch._utils", "_rebuild_meta_tensor_no_storage"}:        rebuildMeta,
		{"torch._utils", "_rebuild_wrapper_subclass"}:              rebuildWrapper,
		{"torch._utils", "_rebuild_device_tensor_from_numpy"}:      rebuildFromNumpy,
		{"torch._utils", "_rebuild_xla_tensor"}:                    rebuildFromNumpy,
		{"torch._utils", "_rebuild_mlc_tensor"}:                    rebuildFromNumpy,
		{"torch._utils", "_rebuild_device_tensor_from_cpu_tensor"}: rebuildFromCPU,
		{"torch._tensor", "_rebuild_from_type"}:                    rebuildFromType(FormType),
		{"torch._tensor", "_rebuild_from_type_v2"}:                 rebuildFromType(FormTypeV2),
		{"torch.nn.parameter", "Parameter"}:                        oldParameter,
		{"torch.storage", "_load_from_bytes"}:                      loadFromBytes,
		{"torch", "Size"}:                                          callSize,

		{"collections", "OrderedDict"}: callMapping,
		{"collections", "Counter"}:     callMapping,
		{"collections", "defaultdict"}: callDefaultDict,
		{"builtins", "set"}:            callSet(false),
		{"builtins", "frozenset"}:      callSet(true),
		{"builtins", "complex"}:        callComplex,
		{"builtins", "bytes"}:          callBytes,
		{"builtins", "bytearray"}:      callBytes,
		{"_codecs", "encode"}:          callEncode,
		{"copyreg", "_reconstructor"}:  callReconstructor,
	}
	for _, name := range strings.Fields("Double Float Half BFloat16 Long Int Short Char Byte Bool") {
		calls[symbol{"torch", name + "Tensor"}] = legacyTensor
		calls[symbol{"torch.cuda", name + "Tensor"}] = legacyTensor
	}
	calls[symbol{"torch", "Tensor"}] = legacyTensor
}

func known(module, name string) callFunc { return calls[canonicalSymbol(module, name)] }

// leavesNoArgs tells the calls that keep nothing of their arguments, however many there are in a file.
func leavesNoArgs(module, name string) bool {
	return module == "torch._utils" && (name == "_rebuild_tensor" || name == "_rebuild_tensor_v2" || name == "_rebuild_tensor_v3")
}

// pairsOf reads what a mapping class is called with: nothing, a mapping, or a list of pairs as Python 2 wrote it.
func (l *loader) pairsOf(args []any) ([]any, bool) {
	if len(args) == 0 {
		return nil, true
	}
	if len(args) > 1 {
		return nil, false
	}
	if d, ok := args[0].(*dictNode); ok {
		return l.clone(d.items), true
	}
	list, ok := args[0].(*listNode)
	if !ok {
		return nil, false
	}
	l.take(64 * len(list.items))
	pairs := make([]any, 0, 2*len(list.items))
	for _, it := range list.items {
		pair, ok := tupleItems(it)
		if !ok || len(pair) != 2 {
			return nil, false
		}
		pairs = append(pairs, pair[0], pair[1])
	}
	return pairs, true
}

func callMapping(l *loader, c *classNode, args []any, _ How) any {
	pairs, ok := l.pairsOf(args)
	if !ok {
		return nil
	}
	return &dictNode{made: made{l}, items: pairs, class: c.g}
}

// callDefaultDict takes (factory) or nothing.
func callDefaultDict(l *loader, c *classNode, args []any, _ How) any {
	if len(args) > 1 {
		return nil
	}
	n := &dictNode{made: made{l}, class: c.g}
	if len(args) == 1 {
		n.extra = &dictExtra{args: l.clone(args)}
	}
	return n
}

func callSet(frozen bool) callFunc {
	return func(l *loader, _ *classNode, args []any, _ How) any {
		if len(args) == 0 {
			return &setNode{made: made{l}, frozen: frozen}
		}
		items, ok := tupleItems(args[0])
		if !ok || len(args) > 1 {
			return nil
		}
		return &setNode{made: made{l}, items: l.clone(items), frozen: frozen}
	}
}

func callComplex(l *loader, _ *classNode, args []any, _ How) any {
	if len(args) != 2 {
		return nil
	}
	re, ok := asFloat(args[0])
	im, ok2 := asFloat(args[1])
	if !ok || !ok2 {
		return nil
	}
	return &valueNode{made: made{l}, v: complex(re, im)}
}

// callBytes takes nothing, bytes, or a str with the name of an encoding.
func callBytes(l *loader, c *classNode, args []any, _ How) any {
	out := &Bytes{Mutable: c.g.Name == "bytearray"}
	switch len(args) {
	case 0:
	case 1:
		switch v := args[0].(type) {
		case []byte:
			out.B = v
		case *valueNode:
			b, ok := v.v.(*Bytes)
			if !ok {
				return nil
			}
			out.B = b.B
		default:
			return nil
		}
	default:
		b, ok := l.encode(args)
		if !ok {
			return nil
		}
		out.B = b
	}
	return &valueNode{made: made{l}, v: out}
}

func callEncode(l *loader, _ *classNode, args []any, _ How) any {
	b, ok := l.encode(args)
	if !ok {
		return nil
	}
	return &valueNode{made: made{l}, v: &Bytes{B: b}}
}

// encode is str.encode for the encodings that occur.
func (l *loader) encode(args []any) ([]byte, bool) {
	if len(args) != 2 {
		return nil, false
	}
	text, ok := args[0].(string)
	encoding, ok2 := args[1].(string)
	if !ok || !ok2 {
		return nil, false
	}
	l.take(len(text))
	switch encoding {
	case "latin1", "latin-1", "iso-8859-1", "ascii":
		return toLatin1(text)
	case "utf-8", "utf8":
		return []byte(text), true
	}
	return nil, false
}

// toLatin1 is the inverse of latin1; false where a character has no byte.
func toLatin1(text string) ([]byte, bool) {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r > 0xff {
			return nil, false
		}
		out = append(out, byte(r))
		i += n
	}
	return out, true
}

// callSize is torch.Size of a tuple.
func callSize(l *loader, _ *classNode, args []any, _ How) any {
	if len(args) > 1 {
		return nil
	}
	out := &Tuple{Size: true}
	if len(args) == 1 {
		items, ok := tupleItems(args[0])
		if !ok {
			return nil
		}
		l.take(32 * len(items))
		for _, it := range items {
			n, ok := asInt(it)
			if !ok {
				return nil
			}
			out.Items = append(out.Items, n)
		}
	}
	return &valueNode{made: made{l}, v: out}
}

// callReconstructor is copyreg._reconstructor(class, base, state), by which protocols 0 and 1 make objects. With object as base, or
// one that cannot change, it is what NEWOBJ does.
func callReconstructor(l *loader, _ *classNode, args []any, _ How) any {
	if len(args) != 3 {
		return nil
	}
	class, ok := args[0].(*classNode)
	base, ok2 := args[1].(*classNode)
	if !ok || !ok2 {
		return nil
	}
	switch s := canonicalSymbol(base.g.Module, base.g.Name); {
	case s.module != "builtins":
	case s.name == "object":
		return class.invoke(nil, NewObj)
	case s.name == "int" || s.name == "float" || s.name == "complex" || s.name == "str" || s.name == "bytes" || s.name == "tuple" || s.name == "frozenset":
		return class.invoke(args[2:], NewObj)
	}
	return nil
}
