package statedict

import (
	"fmt"
	"slices"
)

// Plan is an export laid out: every file, every byte count, every problem, before the first byte is written.
type Plan struct {
	Files  []File
	Report Report
	want   []wanted // what the files must hold when they are opened again
	twins  []twin   // what Confirm compares
}

// File is one output file: the concatenation of its segments. Size is in bytes and exact.
type File struct {
	Name     string
	Size     int64
	Segments []Segment
	// Cast counts what the casts of Write could not keep.
	Cast CastReport
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

// Convert is the elements of a view in row-major order, little-endian, cast to each of Via in turn and then to To.
// View.Offset and strides count elements of View.DType inside Src, whose Data has a valid Off.
type Convert struct {
	Src  Storage
	View View
	Via  []DType // nil for nearly all
	To   DType
}

// casts tells whether a step changes the dtype, and values may be lost.
func (s Convert) casts() bool {
	return s.To != s.View.DType || slices.ContainsFunc(s.Via, func(d DType) bool { return d != s.View.DType })
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
	// AllowExpanded lets views that show far more than their storages hold be written out whole.
	AllowExpanded bool
}

// NewPlan lays cp out in format f. Nothing is read but, where that has not happened yet, the local headers of the zip
// records that are copied. Memory: the segments, a few hundred bytes a tensor. Confirm comes before writing.
//
// Errors, all before any byte is written: *UnsupportedError lists every key that f cannot hold, *UnsafeError every name
// outside PyTorch's weights_only list, *KeyError names that clash, *LimitError views far larger than their storages.
func NewPlan(cp *Checkpoint, f Format, opts *PlanOptions) (*Plan, error) {
	if opts == nil {
		opts = &PlanOptions{}
	}
	o := *opts
	if o.Name == "" {
		o.Name = "checkpoint" + f.ending()
	}
	if cp.lenient {
		return nil, &UnsupportedError{What: "this file reads in two ways and was opened for looking only"}
	}
	if (f == TorchZip || f == TorchLegacy) && o.MaxShardSize > 0 && cp.fits(o.MaxShardSize) {
		o.MaxShardSize = 0 // one file, which may hold objects as well
	}
	if cp.copyable(f, &o) {
		return cp.planCopy(&o)
	}
	twins := cp.twins
	var warnings []string
	if len(cp.left) > 0 {
		warnings = append(warnings, "left out, because they are no arrays of numbers:"+quotedList(cp.left))
	}
	if cp.Format == TorchScript || f != TorchZip && f != TorchLegacy || o.MaxShardSize > 0 {
		states, more, err := cp.asStateDicts()
		if err != nil {
			return nil, err
		}
		cp, warnings = states, append(warnings, more...)
	}
	if err := cp.checkExpanded(f, &o); err != nil {
		return nil, err
	}
	p, err := cp.plan(f, &o)
	if err == nil {
		p.twins = twins
		warnings = append(warnings, cp.lostMetadata(f)...)
		p.Report.Warnings = append(warnings, p.Report.Warnings...)
	}
	return p, err
}

func (cp *Checkpoint) plan(f Format, o *PlanOptions) (*Plan, error) {
	switch f {
	case TorchZip:
		return planTorchZip(cp, o)
	case TorchLegacy:
		return planTorchLegacy(cp, o)
	case Safetensors:
		return planSafetensors(cp, o)
	case NPZ:
		return planNPZ(cp, o)
	case GGUF:
		return planGGUF(cp, o)
	}
	return nil, &UnsupportedError{What: fmt.Sprintf("%s files are read only; write torch, torch-legacy, safetensors, npz or gguf", f)}
}

// fits tells whether the storages that tensors show have at most so many bytes together.
func (cp *Checkpoint) fits(most int64) bool {
	for i := range cp.Storages {
		if st := &cp.Storages[i]; st.Used > 0 {
			if n := st.byteLen(); n > most {
				return false
			} else {
				most -= n
			}
		}
	}
	return true
}

// copyable tells that the output is the input: nothing was edited, the format stays, nothing is split.
func (cp *Checkpoint) copyable(f Format, o *PlanOptions) bool {
	return !cp.edited && cp.Format == f && len(cp.Sources) == 1 && o.MaxShardSize == 0
}

// planCopy writes the one source as it is, down to records and comments that nobody here knows. Code outside the safe list
// is asked for all the same.
func (cp *Checkpoint) planCopy(o *PlanOptions) (*Plan, error) {
	var warnings []string
	if cp.Format == TorchZip || cp.Format == TorchLegacy {
		var err error
		if warnings, err = checkGlobals(cp.root, o); err != nil {
			return nil, err
		}
	}
	src := cp.Sources[0]
	file := File{Name: o.Name, Size: src.Size, Segments: []Segment{Copy{Extent{Source: src, Len: src.Size}}}}
	p := &Plan{Files: []File{file}}
	p.Report.Warnings = warnings
	p.promiseCopied(cp)
	p.finish()
	return p, nil
}

// finish fills the report's file list.
func (p *Plan) finish() {
	p.Report.Files = make([]FileReport, len(p.Files))
	for i, f := range p.Files {
		p.Report.Files[i] = FileReport{f.Name, f.Size}
	}
	if p.Report.Warnings == nil {
		p.Report.Warnings = []string{}
	}
}

// ending is the file name ending that the format usually has.
func (f Format) ending() string {
	switch f {
	case TorchZip, TorchLegacy, TorchTar, TorchScript:
		return ".pth"
	case Pickle:
		return ".pkl"
	}
	return "." + string(f)
}
