package worker

import (
	"context"
	"encoding/binary"
	"math"
	"slices"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
)

const (
	mostNodes    = 400     // of an outline
	mostScales   = 1 << 16 // channels of a quantised tensor
	manyChannels = 16      // of a filter, and as many filters, are shown unless they are colours
	manyFilters  = 64      // of three channels
)

var unsigned8, _ = statedict.ParseDType("uint8")

// translated tells tensors whose values are not the numbers that are stored.
func translated(e *statedict.Entry) bool {
	if e.DType.IsQuantized() {
		return e.Info != nil && e.Info.QScheme != "" && e.DType.PerByte() == 1
	}
	return e.DType.IsFloat() && e.DType.Size() == 1
}

// through is what a view shows of the storage that its own was made of, where an operation made that of the same shape: parts of
// it can then be read alone.
func through(cp *statedict.Checkpoint, v statedict.View) statedict.View {
	for v.Storage >= 0 {
		st := &cp.Storages[v.Storage]
		if st.Of == nil || st.Cast != 0 || v.Offset != 0 || !v.Contiguous() || !slices.Equal(v.Shape, st.Of.Shape) {
			break
		}
		of := *st.Of
		of.Conj, of.Neg = of.Conj != v.Conj, of.Neg != v.Neg
		v = of
	}
	return v
}

// dequantise makes values of stored integers: (q - zero point) * scale in float32, as torch does. cols is the width of the window.
func dequantise(ctx context.Context, cp *statedict.Checkpoint, e *statedict.Entry, req *message.WindowRequest, values []any, cols int) error {
	scales, zeros := []float64{e.Info.Scale}, []int64{e.Info.ZeroPoint}
	perChannel := false
	for i := range e.Info.Parts {
		p := &e.Info.Parts[i]
		if n := p.Numel(); n < 0 || n > mostScales {
			return errItem
		}
		got, err := cp.Inspect(ctx, p.View, statedict.InspectOptions{NoHash: true, NoStats: true, Values: int(p.Numel())})
		if err != nil {
			return err
		}
		switch p.Name {
		case "q_scales":
			perChannel, scales = true, nil
			for _, x := range got.Values {
				scales = append(scales, float(x))
			}
		case "q_zero_points":
			zeros = nil
			for _, x := range got.Values {
				zeros = append(zeros, int64(float(x)))
			}
		}
	}
	if len(scales) == 0 || len(scales) != len(zeros) || perChannel && (e.Info.Axis < 0 || e.Info.Axis >= int64(len(e.Shape))) {
		return errItem
	}
	axis := int(e.Info.Axis)
	for i, x := range values {
		q := int64(float(x))
		if !perChannel {
			values[i] = float64(float32(q-zeros[0]) * float32(scales[0]))
			continue
		}
		row, col := req.Row+int64(i/cols)*req.Step, req.Col+int64(i%cols)*req.Step
		c := int64(0)
		switch {
		case len(e.Shape) == 1:
			c = row*min(e.Shape[0], int64(max(1, req.Cols))) + col // one line, unless it is folded
		case axis == req.Down:
			c = row
		case axis == req.Across:
			c = col
		default:
			c = req.At[axis]
		}
		if c < 0 || c >= int64(len(scales)) {
			return errItem
		}
		values[i] = float64(float32(float64(q-zeros[c]) * scales[c]))
	}
	return nil
}

// Filters reads the first kernels of a convolution: of three channels, which are shown as colours, many filters, else a few filters and
// channels.
func (s *Session) Filters(ctx context.Context, req *message.FiltersRequest) (*message.Filtered, error) {
	cp, e, err := s.tensor(&req.ItemRequest)
	if err != nil {
		return nil, err
	}
	if e == nil || e.Storage < 0 || !message.IsKernel(e.Shape) || req.From < 0 || req.From >= e.Shape[0] {
		return nil, errItem
	}
	v := through(cp, e.View)
	if len(v.Stride) != 4 {
		return nil, errItem
	}
	filters, channels := int64(manyFilters), v.Shape[1]
	if channels != 3 {
		filters, channels = manyChannels, min(channels, manyChannels)
	}
	filters = min(filters, v.Shape[0]-req.From)
	out := &message.Filtered{N: int(filters), C: int(channels), H: int(v.Shape[2]), W: int(v.Shape[3]), Filters: v.Shape[0], Channels: v.Shape[1]}
	v.Offset += req.From * v.Stride[0]
	v.Shape = []int64{filters, channels, v.Shape[2], v.Shape[3]}
	got, err := cp.Inspect(ctx, v, statedict.InspectOptions{NoHash: true, NoStats: true, Values: int(v.Numel())})
	if err != nil {
		return nil, err
	}
	if int64(len(got.Values)) != v.Numel() {
		return nil, errItem // a dtype without values
	}
	for _, x := range got.Values {
		out.Values = binary.LittleEndian.AppendUint64(out.Values, math.Float64bits(float(x)))
	}
	return out, nil
}

// Outline lists what is inside a value.
func (s *Session) Outline(req *message.OutlineRequest) (*message.Outlined, error) {
	o, err := s.handle(req.Handle)
	if err != nil {
		return nil, err
	}
	cp, _, err := s.after(o, req.Recipe)
	if err != nil {
		return nil, err
	}
	out := &message.Outlined{}
	out.Nodes, out.More = cp.Outline(req.Path, mostNodes)
	return out, nil
}

// Array lays one tensor out as an .npy file.
func (s *Session) Array(req *message.ArrayRequest) (*statedict.Plan, error) {
	cp, e, err := s.tensor(&req.ItemRequest)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, errItem
	}
	return cp.PlanArray(e, req.Name)
}
