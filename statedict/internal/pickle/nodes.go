package pickle

import (
	"slices"
	"unsafe"

	"github.com/nlpodyssey/gopickle/types"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// made is the base of every object of ours in the VM. It has all methods that gopickle may call, so that the VM never meets an
// object without one: its own errors print whole values.
type made struct{ l *loader }

var (
	_ types.Callable        = made{}
	_ types.PyNewable       = made{}
	_ types.PyStateSettable = made{}
	_ types.DictSetter      = made{}
	_ types.ListAppender    = made{}
	_ types.SetAdder        = made{}
)

func (made) Call(...any) (any, error) {
	return nil, malformed(0, "a call of something that is no function")
}
func (made) PyNew(...any) (any, error) {
	return nil, malformed(0, "an instance of something that is no class")
}
func (made) PySetState(any) error { return malformed(0, "a state for something that takes none") }
func (made) Set(any, any)         { panic(malformed(0, "SETITEM on something that is no mapping")) }
func (made) Append(any)           { panic(malformed(0, "APPEND on something that is no list")) }
func (made) Add(any)              { panic(malformed(0, "ADDITEMS on something that is no set")) }

type listNode struct {
	made
	items []any
	out   *List
}

func (n *listNode) Append(v any) { n.items = append(doubled(n.items), v) }

// doubled makes room in a full list for as many items again. append makes long ones a quarter longer, and each time leaves
// the old one to the collector.
func doubled(items []any) []any {
	if n := len(items); n == cap(items) && n >= 256 {
		return slices.Grow(items, n)
	}
	return items
}

// dictNode is a dict, or one of the classes that hold pairs like it.
type dictNode struct {
	made
	items []any // key, value, key, value…
	class *Global
	extra *dictExtra
	out   *Dict
}

// dictExtra is what few classes have.
type dictExtra struct {
	args  []any
	state any
	built bool
}

func (n *dictNode) Set(k, v any) { n.items = append(doubled(n.items), k, v) }

func (n *dictNode) PySetState(state any) error {
	if n.class == nil {
		return n.made.PySetState(state)
	}
	if n.extra == nil {
		n.extra = &dictExtra{}
	}
	n.extra.state, n.extra.built = state, true
	return nil
}

type setNode struct {
	made
	items  []any
	frozen bool
	out    *Set
}

func (n *setNode) Add(v any) { n.items = append(n.items, v) }

// objectNode is a call of something unknown.
type objectNode struct {
	made
	class        any
	args         []any
	kwargs       any
	state        any
	items, elems []any
	how          How
	built        bool
	out          *Object
}

func (n *objectNode) Set(k, v any) { n.items = append(n.items, k, v) }
func (n *objectNode) Append(v any) { n.elems = append(n.elems, v) }
func (n *objectNode) Add(v any)    { n.elems = append(n.elems, v) }

func (n *objectNode) PySetState(state any) error {
	n.state, n.built = state, true
	return nil
}

func (n *objectNode) Call(args ...any) (any, error) {
	return &objectNode{made: n.made, class: n, args: n.l.clone(args)}, nil
}

func (n *objectNode) PyNew(args ...any) (any, error) {
	return &objectNode{made: n.made, class: n, args: n.l.clone(args), how: NewObj}, nil
}

// valueNode carries a finished value.
type valueNode struct {
	made
	v Value
}

type storageNode struct {
	made
	s   *Storage
	bad string // why tensors over it cannot be trusted
}

// tensorNode is a tensor; the fields but the first wait for conversion.
type tensorNode struct {
	made
	t        *Tensor
	pending  *pendingTensor
	buildCls *classNode // torch.FloatTensor and the like before their BUILD
}

type pendingTensor struct {
	args     []any // Extra.Args
	metadata any   // Extra.Metadata
	state    any   // Extra.State
	parts    []any // Extra.Parts[i].Value
	done     bool
}

// paramNode is a Parameter. One without data is listed as an object.
type paramNode struct {
	made
	p            *Parameter
	class        *classNode
	args         []any
	how          How
	data         *tensorNode
	hooks, state any
	built        bool
	out          Value
}

// classNode is a global.
type classNode struct {
	made
	g       *Global
	call    callFunc
	storage *storageClass // nil for what is none
}

// storageClass is what StorageType knows.
type storageClass struct {
	dtype   dtype.DType
	untyped bool
}

// callFunc makes the node of a call. It answers nil where the arguments are none that it knows: then it is an *Object.
type callFunc func(l *loader, c *classNode, args []any, how How) any

func newClass(l *loader, module, name string) *classNode {
	c := &classNode{made: made{l}, g: &Global{Module: module, Name: name}, call: known(module, name)}
	if d, untyped, ok := StorageType(name); ok {
		c.storage = &storageClass{d, untyped}
	}
	return c
}

func (c *classNode) Call(args ...any) (any, error)  { return c.invoke(args, Reduce), nil }
func (c *classNode) PyNew(args ...any) (any, error) { return c.invoke(args, NewObj), nil }

func (c *classNode) invoke(args []any, how How) any {
	if c.call != nil {
		if n := c.call(c.l, c, args, how); n != nil {
			return n
		}
	}
	return &objectNode{made: c.made, class: c, args: c.l.clone(args), how: how}
}

// slabs hand out what a checkpoint has many of, as many at a time as fill one of the allocator's blocks.
type slabs struct {
	ints     []int64
	tensors  []Tensor
	nodes    []tensorNode
	storages []Storage
	ids      []storageNode
	texts    Texts
}

func (s *slabs) dims(n int) []int64 {
	if cap(s.ints)-len(s.ints) < n {
		s.ints = make([]int64, 0, max(512, n))
	}
	at := len(s.ints)
	s.ints = s.ints[:at+n]
	return s.ints[at : at+n : at+n]
}

func slab[T any](s *[]T) *T {
	if len(*s) == cap(*s) {
		const block = 8192
		var one T
		*s = make([]T, 0, block/unsafe.Sizeof(one))
	}
	*s = (*s)[:len(*s)+1]
	return &(*s)[len(*s)-1]
}
