package worker

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
)

const (
	manySharers = 20      // are listed one by one
	longValue   = 8 << 10 // bytes of an object's value
	longCode    = 256 << 10
	allCode     = 4 << 20
	maxWindow   = 1 << 16 // elements
)

// tensor is the entry that a request names.
func (s *Session) tensor(req *message.ItemRequest) (*statedict.Checkpoint, *statedict.Entry, error) {
	o, err := s.handle(req.Handle)
	if err != nil {
		return nil, nil, err
	}
	cp, _, err := s.after(o, req.Recipe)
	if err != nil {
		return nil, nil, err
	}
	if req.Kind != message.Tensor || req.Index < 0 || req.Index >= len(cp.Entries) {
		return cp, nil, nil
	}
	return cp, &cp.Entries[req.Index], nil
}

var errItem = &message.Error{Code: message.Internal, Message: "there is no such row"}

// Describe tells what a row is. At most the header of one record is read.
func (s *Session) Describe(req *message.ItemRequest) (*message.Description, error) {
	cp, e, err := s.tensor(req)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return describeObject(cp, req)
	}
	d := &message.Description{
		Path: e.Path(), Stride: e.Stride, Offset: e.Offset, Grad: e.RequiresGrad, Parameter: e.Parameter,
		Contiguous: e.Contiguous(), Readable: e.Storage >= 0 && e.DType.Size() > 0,
	}
	if in := e.Info; in != nil {
		d.Layout, d.Device, d.Class, d.Bad, d.Quant = in.Layout, in.Device, in.Class, in.Bad, quant(in)
	}
	if plan, err := cp.PlanArray(e, "array.npy"); err != nil {
		d.NoArray = message.FromError(err).Message
	} else {
		d.Array = strings.Join(plan.Report.Warnings, "; ")
	}
	if e.Storage < 0 || int(e.Storage) >= len(cp.Storages) {
		return d, nil
	}
	st := &cp.Storages[e.Storage]
	d.Storage, d.Bytes, d.Missing, d.Made = st.Key, st.NBytes, st.Missing, st.Of != nil || st.Cast != 0
	if st.Location != "" {
		d.Device = st.Location
	}
	d.Readable = d.Readable && d.Bad == "" && d.Missing == ""
	for i := range cp.Entries {
		o := &cp.Entries[i]
		if o.Storage != e.Storage || i == req.Index {
			continue
		}
		if d.Shared++; d.Shared <= manySharers {
			d.Sharers = append(d.Sharers, message.Sharer{Index: i, Path: o.Path(), Same: o.Offset == e.Offset && o.DType == e.DType && o.Numel() == e.Numel()})
		}
	}
	d.Translated = d.Readable && translated(e)
	place, ok, err := cp.Where(e.View)
	if err != nil {
		return nil, err
	}
	if ok {
		d.File, d.Off, d.Len, d.Deflated = place.Source.Name, place.Off, place.Len, place.Deflated
	}
	return d, nil
}

func quant(in *statedict.TensorInfo) string {
	if in.QScheme == "" {
		return in.Code
	}
	if in.Scale == 0 {
		return in.QScheme
	}
	return in.QScheme + " · (q − " + strconv.FormatInt(in.ZeroPoint, 10) + ") × " + number(in.Scale)
}

func describeObject(cp *statedict.Checkpoint, req *message.ItemRequest) (*message.Description, error) {
	i := 0
	for o := range cp.Objects() {
		if i == req.Index {
			d := &message.Description{Path: o.Path}
			d.Value, d.Cut = valueUpTo(o, longValue)
			return d, nil
		}
		i++
	}
	return nil, errItem
}

// Measure reads a tensor once or twice for its statistics and their histogram.
func (s *Session) Measure(ctx context.Context, req *message.MeasureRequest, progress statedict.Progress) (*message.Measured, error) {
	cp, e, err := s.tensor(&req.ItemRequest)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, errItem
	}
	got, err := cp.Inspect(ctx, e.View, statedict.InspectOptions{Bins: req.Bins, Progress: progress})
	if err != nil {
		return nil, err
	}
	out := &message.Measured{SHA256: got.SHA256, Counts: got.Counts}
	if st := got.Stats; st != nil {
		out.Known, out.Numel, out.NaN, out.Inf, out.Zeros = true, st.Numel, st.NaN, st.Inf, st.Zeros
		if st.Finite > 0 {
			out.Min, out.Max, out.Mean = number(st.Min), number(st.Max), number(st.Mean)
			out.Low, out.High = st.Min, st.Max
		}
		if st.Finite > 1 {
			out.Std = number(st.Std)
		}
	}
	return out, nil
}

// Window reads a part of a two-dimensional slice.
func (s *Session) Window(ctx context.Context, req *message.WindowRequest) (*message.Windowed, error) {
	cp, e, err := s.tensor(&req.ItemRequest)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, errItem
	}
	whole := through(cp, e.View)
	values := translated(e) && !req.Stored
	if e.DType.IsFloat() && req.Stored && translated(e) {
		whole.DType = unsigned8
	}
	v, ok := slice(whole, req)
	if !ok || req.Rows <= 0 || req.Cols <= 0 || req.Rows*req.Cols > maxWindow || req.Step < 1 || req.Row < 0 || req.Col < 0 {
		return nil, errItem
	}
	out := &message.Windowed{Height: v.Shape[0], Width: v.Shape[1]}
	rows, cols := left(v.Shape[0], req.Row, req.Step, req.Rows), left(v.Shape[1], req.Col, req.Step, req.Cols)
	v.Offset += req.Row*v.Stride[0] + req.Col*v.Stride[1]
	v.Shape, v.Stride = []int64{rows, cols}, []int64{v.Stride[0] * req.Step, v.Stride[1] * req.Step}
	if rows == 0 || cols == 0 {
		return out, nil
	}
	got, err := cp.Inspect(ctx, v, statedict.InspectOptions{NoHash: true, NoStats: true, Values: int(rows * cols)})
	if err != nil {
		return nil, err
	}
	if len(got.Values) != int(rows*cols) {
		return out, nil // a dtype without values
	}
	out.Rows, out.Cols = int(rows), int(cols)
	if values && !e.DType.IsFloat() {
		if err := dequantise(ctx, cp, e, req, got.Values, out.Cols); err != nil {
			return nil, err
		}
	}
	out.Values = make([]byte, 0, 8*len(got.Values))
	for _, x := range got.Values {
		out.Values = binary.LittleEndian.AppendUint64(out.Values, math.Float64bits(float(x)))
		if req.Text {
			out.Cells = append(out.Cells, cell(x))
		}
	}
	return out, nil
}

// slice is the two-dimensional view that a request means. Positions outside the tensor have none.
func slice(v statedict.View, req *message.WindowRequest) (statedict.View, bool) {
	rank := len(v.Shape)
	if v.Storage < 0 || rank != len(v.Stride) || v.Numel() < 0 {
		return v, false
	}
	switch rank {
	case 0:
		v.Shape, v.Stride = []int64{1, 1}, []int64{1, 1}
		return v, true
	case 1:
		width := min(v.Shape[0], int64(max(1, req.Cols)))
		if width == 0 {
			v.Shape, v.Stride = []int64{0, 0}, []int64{1, 1}
			return v, true
		}
		if v.Shape[0]%width != 0 || req.Text { // as one line: lines of equal length don't hold it
			v.Shape, v.Stride = []int64{1, v.Shape[0]}, []int64{0, v.Stride[0]}
			return v, true
		}
		v.Shape, v.Stride = []int64{v.Shape[0] / width, width}, []int64{v.Stride[0] * width, v.Stride[0]}
		return v, true
	}
	if req.Down < 0 || req.Down >= rank || req.Across < 0 || req.Across >= rank || req.Down == req.Across || len(req.At) != rank {
		return v, false
	}
	for i, at := range req.At {
		if i == req.Down || i == req.Across || v.Shape[i] == 0 {
			continue
		}
		if at < 0 || at >= v.Shape[i] {
			return v, false
		}
		v.Offset += at * v.Stride[i]
	}
	v.Shape, v.Stride = []int64{v.Shape[req.Down], v.Shape[req.Across]}, []int64{v.Stride[req.Down], v.Stride[req.Across]}
	return v, true
}

// left is how many elements a window has along a dimension of n.
func left(n, from, step int64, most int) int64 {
	if from >= n {
		return 0
	}
	return min(int64(most), (n-from-1)/step+1)
}

// float is what a colour shows of an element; of a complex number that is its magnitude.
func float(x any) float64 {
	switch x := x.(type) {
	case bool:
		if x {
			return 1
		}
		return 0
	case int64:
		return float64(x)
	case uint64:
		return float64(x)
	case float64:
		return x
	case complex128:
		return math.Hypot(real(x), imag(x))
	}
	return math.NaN()
}

func cell(x any) string {
	switch x := x.(type) {
	case bool:
		if x {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(x, 10)
	case uint64:
		return strconv.FormatUint(x, 10)
	case float64:
		return number(x)
	case complex128:
		im := number(imag(x))
		if im[0] != '-' && im[0] != '+' {
			im = "+" + im
		}
		return number(real(x)) + im + "j"
	}
	return ""
}

// number is x with the digits that tell float32 values apart, as Python writes NaN and infinities.
func number(x float64) string {
	switch {
	case math.IsNaN(x):
		return "nan"
	case math.IsInf(x, 0):
		return map[bool]string{true: "inf", false: "-inf"}[x > 0]
	}
	return strconv.FormatFloat(x, 'g', 8, 64)
}

// Code is the source text that a file carries. It is text; nothing of it runs.
func (s *Session) Code(req *message.CodeRequest) ([]message.CodeText, error) {
	o, err := s.handle(req.Handle)
	if err != nil {
		return nil, err
	}
	out, total := []message.CodeText{}, 0
	for _, t := range o.base.Code {
		c := message.CodeText{Name: t.Name, Text: t.Text}
		if room := min(longCode, allCode-total); len(c.Text) > room {
			c.Text, c.Cut = c.Text[:room], true
		}
		total += len(c.Text)
		out = append(out, c)
	}
	return out, nil
}

// valueUpTo is an object's value with at most limit bytes.
func valueUpTo(o statedict.Object, limit int) (text string, cut bool) {
	if !o.HasValue {
		return "", false
	}
	s := ""
	switch v := o.Value.(type) {
	case nil:
		return "None", false
	case bool:
		return cell(v), false
	case int64:
		return cell(v), false
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), false
	case string:
		s = v
	default:
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return "", false
		}
		s = string(b)
	}
	if len(s) > limit {
		return s[:limit], true
	}
	return s, false
}
