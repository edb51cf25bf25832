package pickle

import "github.com/weightroom/weightroom/statedict/internal/dtype"

// Value is one Python object of a checkpoint, inert: nothing in it was ever called. The closed set is
//
//	nil (None), bool, int64, *big.Int (wider than 64 bits), float64, complex128, string,
//	*Bytes, *Tuple, *List, *Dict, *Set, *Global, *Object, *Tensor, *Parameter, *Storage
//
// Identity is the pointer, for strings the pointer to their bytes (StringID): two references to one Python object are
// one node here, and the emitter writes the second as a memo reference. A tree may hold cycles; walk it with an
// identity set and an explicit stack. Trees are immutable once Load has returned.
type Value = any

// Bytes is a Python bytes or bytearray object.
type Bytes struct {
	B       []byte
	Mutable bool // a bytearray
}

// Tuple is a Python tuple; Size marks a torch.Size.
type Tuple struct {
	Items []Value
	Size  bool
}

// List is a Python list.
type List struct{ Items []Value }

// Set is a Python set or frozenset, in stream order.
type Set struct {
	Items  []Value
	Frozen bool
}

// Item is one pair of a mapping.
type Item struct{ Key, Value Value }

// Dict is a Python dict (Class nil), OrderedDict, defaultdict or Counter. Keys are unique, the last value wins and the
// first position stays, as in Python.
type Dict struct {
	Items []Item
	Class *Global // nil for a plain dict
	Args  *Tuple  // what Class was called with, nil for none; a defaultdict's factory stands here
	// Attrs is the state that BUILD gave an OrderedDict or subclass, nil for none: `_metadata` of a state dict lives here.
	Attrs Value
}

// Global is a name that the pickle asked to import. It is never resolved.
type Global struct{ Module, Name string }

// String is module and name joined by a dot, as scan and ls print it.
func (g *Global) String() string { return g.Module + "." + g.Name }

// How says by which opcode an Object was made.
type How uint8

const (
	Reduce   How = iota // Class(*Args)
	NewObj              // Class.__new__(Class, *Args)
	NewObjEx            // with Kwargs
)

// Object is the result of calling something that has no type of its own here.
type Object struct {
	Class    Value // mostly *Global
	Args     *Tuple
	Kwargs   Value // *Dict or nil
	How      How
	State    Value // what BUILD gave
	HasState bool
	Items    []Item  // SETITEM(S)
	Elems    []Value // APPEND(S), ADDITEMS
	// Script is what a TorchScript archive's code says of the class, nil elsewhere. The reader of the archive sets it before the
	// tree is shown to anybody.
	Script *ScriptClass
}

// ScriptClass names the attributes of a TorchScript module that state_dict() lists.
type ScriptClass struct {
	Parameters, Buffers []string
	HasBuffers          bool // old archives do not list them
}

// Tensor is one tensor: a view of a storage, or one of the composite kinds (Extra.Layout).
type Tensor struct {
	Storage *Storage // nil for meta tensors and composites
	DType   dtype.DType
	// RequiresGrad is the flag of the rebuild call itself; a Parameter has its own.
	RequiresGrad, Conj, Neg bool
	// Form tells how the pickle spelled it, so that it can be spelled the same way again.
	Form   Form
	Offset int64   // in elements
	Shape  []int64 // per dimension
	Stride []int64 // in elements
	Extra  *TensorExtra
}

// Form is the function that rebuilds a tensor.
type Form uint8

const (
	FormV2        Form = iota // _rebuild_tensor_v2, or v3 where the dtype has no storage class
	FormV1                    // _rebuild_tensor (torch 0.3 and older)
	FormLegacy                // torch.FloatTensor made by NEWOBJ and BUILD
	FormV3                    // _rebuild_tensor_v3 although the dtype has a storage class
	FormMeta                  // _rebuild_meta_tensor_no_storage
	FormQuantized             // _rebuild_qtensor
	FormSparse                // _rebuild_sparse_tensor
	FormSparseCSR             // _rebuild_sparse_csr_tensor (torch 1.11 to 1.13)
	FormNested                // _rebuild_nested_tensor
	FormTypeV2                // _rebuild_from_type_v2: a subclass, or a tensor with Python attributes
	FormType                  // _rebuild_from_type
	FormWrapper               // _rebuild_wrapper_subclass: no data of its own
	FormFromNumpy             // _rebuild_device_tensor_from_numpy and its aliases
	FormFromCPU               // _rebuild_device_tensor_from_cpu_tensor
	FormTar                   // torch 0.1.x tar: rebuilt from the tensors record
	FormHeader                // safetensors, npz, GGUF: never was a pickle
)

// TensorExtra holds what few tensors have.
type TensorExtra struct {
	Layout string // "sparse_coo", "sparse_csr", …; "" is strided
	Device string // of a tensor without storage ("meta", "xla:0")
	// Parts are the tensors that make up a composite (indices and values; crow_indices, col_indices, values; scales and
	// zero points; the inner tensor of a subclass), in call order.
	Parts []Part
	// Quantizer: qscheme ("per_tensor_affine", …), scale, zero point and axis; per channel ones are in Parts.
	QScheme   string
	Scale     float64
	ZeroPoint int64
	Axis      int64
	Class     *Global // the subclass
	State     Value   // Python attributes
	// Code is the format's own name of a dtype that torch does not have ("Q8_0"); its storage is as many bytes as it has.
	Code string
	// Args is the rebuild call's own argument tuple, kept for the forms that are re-emitted as they came.
	Func *Global
	Args *Tuple
	// Metadata is the trailing metadata dict of v2 and v3, nil for none. Tensor.Conj and Neg are read from it.
	Metadata Value
	// Bad says why the rebuild call makes no sense, "" where it does; Func and Args hold the call. Storage, DType, Shape and
	// Stride are set as far as they could be read.
	Bad string
}

// Part is a named constituent of a composite tensor.
type Part struct {
	Name  string
	Value Value // *Tensor mostly
}

// Parameter is a torch.nn.Parameter around a tensor.
type Parameter struct {
	Data         *Tensor
	RequiresGrad bool
	Hooks        Value // as given; ignored
	State        Value // _rebuild_parameter_with_state, nil otherwise
	HasState     bool
	// OldClass marks the REDUCE/NEWOBJ of torch.nn.parameter.Parameter itself (torch 0.1 to 0.3).
	OldClass bool
}

// Storage is what a persistent id names. One node per key.
type Storage struct {
	// Tag, Key and Location are the strings of the first persistent id, identity kept for the emitter.
	Tag, Key, Location string
	DType              dtype.DType // of the storage class; UInt8 where Untyped
	Untyped            bool        // torch.storage.UntypedStorage: Numel counts bytes
	Class              *Global     // as spelled in the file
	Numel              int64       // elements of DType
	Index              int         // position in the reader's list of storages: order of first appearance
	// View is set for the windows that old legacy files have: this storage is Numel elements of Root from Offset on.
	Root   *Storage
	Offset int64 // elements
	// Inline is a complete legacy stream given to torch.storage._load_from_bytes (bare pickles); nil otherwise. The elements
	// are its bytes from InlineOff on. Key is then "inline" and a number that no stream can give.
	Inline    *Bytes
	InlineOff int64
}

// NBytes is the size of the storage in bytes.
func (s *Storage) NBytes() int64 { return s.Numel * s.DType.Size() }
