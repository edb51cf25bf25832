package statedict

import (
	"fmt"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
	"github.com/weightroom/weightroom/statedict/internal/npy"
)

// stand is the dtype whose bits numpy has for a quantised one.
var stand = map[DType]DType{dtype.QInt8: dtype.Int8, dtype.QUInt8: dtype.UInt8, dtype.QInt32: dtype.Int32}

// PlanArray lays the tensor e of cp out as numpy.save does: one .npy file, row-major, strided views gathered. Types that numpy lacks
// are written as integers of their width with the same bits, and a warning says so: bfloat16 and the 8-bit floats as unsigned ones,
// quantised tensors as their stored integers, without scale and zero point.
//
// Nothing is read but, where that has not happened yet, the local header of one zip record. Errors are *UnsupportedError for what
// has no such form: sparse and other composite tensors, tensors without bytes, types of less than a byte, a format's own blocks.
//
// Source: numpy/lib/format.py.
func (cp *Checkpoint) PlanArray(e *Entry, name string) (*Plan, error) {
	refuse := func(why string) (*Plan, error) {
		return nil, &UnsupportedError{What: fmt.Sprintf("an .npy file cannot hold %q: %s", e.Path(), why)}
	}
	v, code := e.View, ""
	if in := e.Info; in != nil {
		switch {
		case in.Bad != "":
			return refuse(in.Bad)
		case in.Layout != "":
			return refuse("it is " + in.Layout)
		case in.Code != "" && (cp.Format == NPZ || cp.Format == NPY):
			code = in.Code // text or dates of a numpy source
		case in.Code != "":
			return refuse("its elements are " + in.Code + " blocks")
		}
	}
	if v.Storage == NoStorage {
		return refuse("it has no bytes")
	}
	p := &Plan{}
	if as, ok := stand[v.DType]; ok {
		p.Report.Warnings = append(p.Report.Warnings, fmt.Sprintf("numpy has no %s: the stored integers are written as %s, without scale and zero point", v.DType, as))
		v.DType = as
	}
	descr, exact, ok := npy.DescrOf(v.DType)
	switch {
	case code != "":
		descr = code
	case !ok:
		return refuse(fmt.Sprintf("numpy has no %s", v.DType))
	case !exact:
		p.Report.Warnings = append(p.Report.Warnings, fmt.Sprintf("numpy has no %s: its bits are written as unsigned integers of %d bytes", v.DType, v.DType.Size()))
	}
	header, err := npy.Emit(descr, v.Shape)
	if err != nil {
		return nil, headerError(nil, e.Path(), err)
	}
	data, err := cp.flatSegment(&Entry{View: v, Info: e.Info})
	if err != nil {
		return nil, err
	}
	p.Files = []File{{Name: name, Size: int64(len(header)) + data.Len(), Segments: []Segment{Literal(header), data}}}
	p.want = []wanted{{shape: e.Shape, storage: -1}} // numpy's own name of the type may be another one
	p.finish()
	return p, nil
}
