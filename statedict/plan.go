package statedict

// Plan is an export laid out: every file, every byte count, every problem, before the first byte is written.
type Plan struct {
	Files  []File
	Report Report
	// expect is what the files must hold when they are opened again.
	expect *Checkpoint
	format Format
}

// File is one output file: the concatenation of its segments. Size is in bytes and exact.
type File struct {
	Name     string
	Size     int64
	Segments []Segment
}

// Segment is a run of output bytes: Literal, Copy, Convert or Sum.
type Segment interface {
	// Len is the number of bytes.
	Len() int64
	segment()
}

// Literal is bytes in hand.
type Literal []byte

// Copy is an extent of a source, unchanged.
type Copy struct{ Extent Extent }

// Convert is the elements of a view in row-major order, little-endian, cast to To. View.Offset and strides count
// elements of View.DType inside Src, whose Data has a valid Off.
type Convert struct {
	Src  Storage
	View View
	To   DType
}

// Sum is the CRC-32 (IEEE, four bytes, little-endian) of the file's segments From to To-1, all of which stand before it.
type Sum struct{ From, To int }

func (s Literal) Len() int64 { return int64(len(s)) }
func (s Copy) Len() int64    { return s.Extent.Len }
func (s Convert) Len() int64 { return s.View.Numel() * s.To.Size() / s.To.PerByte() }
func (s Sum) Len() int64     { return 4 }

func (Literal) segment() {}
func (Copy) segment()    {}
func (Convert) segment() {}
func (Sum) segment()     {}

// PlanOptions are the choices of an export; the zero value writes one file named "checkpoint" with the format's ending.
type PlanOptions struct {
	// Name is the target's base name, ending included; shards and the index derive theirs from it.
	Name string
	// MaxShardSize splits the output into files whose tensors take at most so many bytes each; 0 writes one file.
	MaxShardSize int64
	// AllowUnsafe lets a torch output carry objects outside PyTorch's weights_only list through.
	AllowUnsafe bool
}
