package message

import (
	"encoding/json"

	"github.com/weightroom/weightroom/statedict"
)

// Methods of the inspector.
const (
	Describe = "describe" // ItemRequest -> Description; reads at most a header
	Measure  = "measure"  // MeasureRequest -> Measured, with Progress on the way
	Window   = "window"   // WindowRequest -> Windowed
	Filters  = "filters"  // FiltersRequest -> Filtered
	Outline  = "outline"  // OutlineRequest -> Outlined
	Array    = "array"    // ArrayRequest -> Exported and a Blob
	Code     = "code"     // CodeRequest -> []CodeText
)

// ItemRequest names a row of the checkpoint after a recipe. Paths may repeat, so it goes by position: Index counts the
// tensors, or the objects, in the order of the rows.
type ItemRequest struct {
	Handle int
	Recipe json.RawMessage
	Kind   Kind
	Index  int
}

// Description is what a row is, without its values.
type Description struct {
	Path    string
	Storage string // as the file names it; "" for none
	Bytes   int64  // of the storage
	Stride  []int64
	Offset  int64 // elements
	Device  string
	Layout  string // "" is strided
	Class   string // of a subclass
	Quant   string // how stored integers become values; "" for none
	Bad     string
	Missing string
	Made    bool // by an operation; the bytes lie in no file

	Grad, Parameter, Contiguous bool
	Readable                    bool // its values can be read

	File     string // "" where the bytes lie in no file
	Off, Len int64  // bytes in it
	Deflated bool

	Array      string // what saving it as .npy does to it; "" for nothing
	NoArray    string // why it can't be saved so; "" if it can
	Translated bool   // its values are not the numbers that are stored: quantised, float8

	Sharers []Sharer // others that show bytes of the same storage, the first of them
	Shared  int      // how many there are
	Value   string   // of an object, longer than the row has it
	Cut     bool     // Value ends early
}

// Sharer is a row with bytes of the same storage.
type Sharer struct {
	Index int
	Path  string
	Same  bool // exactly the same elements
}

// MeasureRequest asks for the statistics of a tensor.
type MeasureRequest struct {
	ItemRequest
	Bins int
}

// Measured is the statistics of a tensor as text, because JSON has no NaN. Numbers are "" where there is none.
type Measured struct {
	SHA256              string
	Known               bool // there are statistics
	Numel               int64
	NaN, Inf, Zeros     int64
	Min, Max, Mean, Std string
	Low, High           float64
	Counts              []int64
	BytesRead           int64 // of the checkpoint's files, since they were opened
}

// WindowRequest asks for a window of a two-dimensional slice of a tensor: Rows by Cols elements from Row and Col on, every
// Step-th one, along the dimensions Down and Across; At gives the position in every dimension (those two excepted). A tensor
// of one dimension is folded into lines of Cols elements.
type WindowRequest struct {
	ItemRequest
	Down, Across   int
	At             []int64
	Row, Col, Step int64
	Rows, Cols     int
	Text           bool // also as text, for a grid
	Stored         bool // the numbers that are stored, where values are made of them
}

// Windowed has the elements in row-major order as little-endian float64. Less than asked for where the slice ends.
type Windowed struct {
	Rows, Cols int
	Height     int64 // of the whole slice
	Width      int64
	Values     []byte
	Cells      []string // with Text
	BytesRead  int64    // as in Measured
}

// FiltersRequest asks for kernels of a convolution, from filter From on.
type FiltersRequest struct {
	ItemRequest
	From int64
}

// Filtered are N filters of C channels with kernels of H by W elements, as little-endian float64 in this order. The tensor has Filters
// of Channels each.
type Filtered struct {
	N, C, H, W        int
	Filters, Channels int64
	Values            []byte
	BytesRead         int64 // as in Measured
}

// mostKernel is how many elements a side of a kernel that is shown as an image may have.
const mostKernel = 16

// IsKernel tells the shape of a convolution's weights with small kernels.
func IsKernel(shape []int64) bool {
	return len(shape) == 4 && shape[0] > 0 && shape[1] > 0 && shape[2] > 0 && shape[3] > 0 && shape[2] <= mostKernel && shape[3] <= mostKernel && shape[2]*shape[3] > 1
}

// OutlineRequest asks what is inside the value at Path.
type OutlineRequest struct {
	Handle int
	Recipe json.RawMessage
	Path   string
}

// Outlined lists it; More values follow.
type Outlined struct {
	Nodes []statedict.OutlineNode
	More  int
}

// ArrayRequest asks for one tensor as an .npy file.
type ArrayRequest struct {
	ItemRequest
	Name string // of the file
}

// CodeRequest asks for the source text that a file carries.
type CodeRequest struct{ Handle int }

// CodeText is one piece of it.
type CodeText struct {
	Name, Text string
	Cut        bool // Text ends early
}
