package statedict

import (
	"github.com/weightroom/weightroom/statedict/internal/gguf"
	"github.com/weightroom/weightroom/statedict/internal/pickle"
	"github.com/weightroom/weightroom/statedict/internal/torchfile"
)

// Format names a container, as `ls --json` prints it.
type Format string

const (
	TorchZip    Format = "torch-zip"
	TorchLegacy Format = "torch-legacy"
	TorchTar    Format = "torch-tar"
	TorchScript Format = "torchscript"
	Pickle      Format = "pickle"
	Safetensors Format = "safetensors"
	GGUF        Format = "gguf"
	NPZ         Format = "npz"
	NPY         Format = "npy"
	DCP         Format = "torch-distributed"
)

// Checkpoint is everything in one opened file or shard set. It is immutable: Recipe.Apply makes new ones that share its
// storages. It holds no tensor bytes.
type Checkpoint struct {
	Format  Format
	Sources []*Source
	// Entries are the tensors in file order, every mapping of tensors in the file included.
	Entries []Entry
	// Storages own the bytes; Entry.Storage indexes this list.
	Storages []Storage
	// Metadata is the string map of a safetensors file or the key-value part of a GGUF file printed as text; keys in
	// MetadataKeys order. Nil where the format has none.
	Metadata     map[string]string
	MetadataKeys []string
	// Globals are the names that the file's pickles would import, in order of first appearance.
	Globals  []Global
	Findings []Finding
	// Code is source text that the file carries, of TorchScript or of old pickled modules. It is text and nothing else.
	Code []Text

	found     []Finding          // of opening; Findings has those about the tree behind them
	constants pickle.Value       // TorchScript's constants.pkl
	root      pickle.Value       // the object tree; its *pickle.Tensor leaves carry Storage.Index = StorageID
	origin    *origin            // how the file was laid out, for outputs that repeat it
	edited    bool               // differs from what the sources hold, so that an export cannot copy them whole
	lenient   bool               // reads in two ways: to be looked at, not exported
	fingers   map[*Source][]byte // what CheckSources compares with
	ggufKV    []gguf.KV          // the typed pairs of a GGUF file, for writing them again
	twins     []twin             // what tie steps took for equal, for an export to compare
	left      []string           // members of an npz that are no arrays of numbers
}

// Entry is a key and the view it names.
type Entry struct {
	Dict string // path of the mapping that holds it; "" is the root
	Key  string // as Python's str writes it
	View
	// StateKey is the key that state_dict() gives a tensor of a pickled or scripted module; "" elsewhere.
	StateKey string
	Info     *TensorInfo  // what few tensors have; nil for a plain strided CPU tensor
	node     pickle.Value // *pickle.Tensor or *pickle.Parameter
}

// Path is Dict and Key joined: the full path in the object tree.
func (e *Entry) Path() string { return joinPath(e.Dict, e.Key) }

// StorageID is an index into Checkpoint.Storages; NoStorage marks meta tensors and composites.
type StorageID int32

const NoStorage StorageID = -1

// View is a strided window of a storage. Offset and Stride count elements, not bytes.
//
// Source: torch/_utils.py, _rebuild_tensor_v2.
type View struct {
	Storage       StorageID
	DType         DType
	RequiresGrad  bool
	Parameter     bool // a torch.nn.Parameter
	Conj, Neg     bool // the value is the conjugate (negative) of the stored bytes
	Offset        int64
	Shape, Stride []int64
}

// TensorInfo is what sparse, quantised, nested, meta and subclass tensors have beside a View.
type TensorInfo struct {
	Layout    string // "sparse_coo", "sparse_csr", …; "" is strided
	Device    string // of a tensor without storage
	QScheme   string
	Scale     float64
	ZeroPoint int64
	Axis      int64
	Class     string // subclass, module and name
	Parts     []Part
	Code      string // the format's own name of a dtype that torch lacks ("Q8_0"); DType is then 0
	CodeBytes int64  // bytes of such a tensor
	Bad       string // why this description is impossible; "" for a good tensor
}

// Part is a constituent of a composite tensor: indices, values, scales.
type Part struct {
	Name string
	View
}

// Storage is a flat run of bytes that views share. NBytes counts bytes of the dtype as stored.
type Storage struct {
	Key      string // as the file names it; empty for storages made by an operation
	Location string // device tag: "cpu", "cuda:0"
	NBytes   int64
	Data     Extent
	DType    DType // dtype of the storage class; UInt8 where untyped
	// Cast is the dtype its elements are converted to when read; the zero value means as stored.
	Cast DType
	// BigEndian: the bytes are swapped, element by element, when read.
	BigEndian bool
	// Used says how many entries reach it.
	Used int32
	// Of is set for a storage that an operation made: the row-major elements of a view of another storage. Data is unused.
	Of *View
	// Missing says why there are no bytes behind it ("record data/3 is not in the file"); "" for a good storage.
	Missing string
	rec     int32 // its record in origin.archive
	swapAs  DType // of an untyped big-endian storage: the dtype of its views
	mixed   bool  // whose elements have several widths
}

// Global is a name that a pickle asks to import.
type Global struct {
	Module, Name string
	Record       string // the pickle it stands in: "archive/data.pkl"; "" where a file is one pickle
	Position     int64  // byte offset of the opcode in that pickle
}

// String is module and name joined by a dot.
func (g Global) String() string { return g.Module + "." + g.Name }

// Verdict is "safe" for a name on the safe list, "unsafe" for what is known to be dangerous, else "unknown". Names are
// compared byte for byte.
func (g Global) Verdict() string { return pickle.Verdict(g.Module, g.Name) }

// Finding is something to know about a file that opened.
type Finding struct {
	Code    string `json:"code"` // F_TRAILING, …
	Message string `json:"message"`
	Path    string `json:"path"` // tensor, object or record; may be empty
}

// Object is a leaf of the object tree that is no tensor.
type Object struct {
	Path string
	Type string // Python's type name: "int", "str", "torch.Size", "argparse.Namespace"
	// Value is JSON-able: nil, bool, int64, float64, string, []any, or nil with HasValue false where it has no short form.
	Value    any
	HasValue bool
	// Ref is the path under which a container was listed before; only where IsRef.
	Ref   string
	IsRef bool
}

// StateDict sums up one mapping of tensors.
type StateDict struct {
	Path   string `json:"path"`
	Keys   int    `json:"keys"`   // tensors in it
	NBytes int64  `json:"nbytes"` // of the views, shared bytes counted each time
}

// origin remembers the container an unedited or torch-to-torch export repeats.
type origin struct {
	prefix    string // archive prefix, without the slash
	profile   string // torchfile profile of the record order
	alignment int64
	source    *Source // the archive; nil where the storages come from several
	directory torchfile.Options
	// archive is kept where records are found lazily. Else it is read again when an export or a check needs it: its 80 bytes a
	// tensor are a seventh of what an open checkpoint costs.
	archive *torchfile.Archive
	modules []pickle.Module // source records of a legacy file
}

// open answers the archive; nil without an error where there is none.
func (o *origin) open() (*torchfile.Archive, error) {
	if o == nil || o.source == nil || o.archive != nil {
		if o == nil {
			return nil, nil
		}
		return o.archive, nil
	}
	a, err := torchfile.ReadDirectory(o.source.R, o.source.Size, o.directory)
	if err != nil {
		return nil, torchfileError(o.source, "zip archive", err)
	}
	return a, nil
}

// Text is a named piece of text.
type Text struct{ Name, Text string }
