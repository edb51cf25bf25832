package statedict

import (
	"fmt"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

func (cp *Checkpoint) use(e *Entry) {
	if e.Storage != NoStorage {
		cp.Storages[e.Storage].use(&e.View)
	}
	if e.Info != nil {
		for i := range e.Info.Parts {
			if p := &e.Info.Parts[i]; p.Storage != NoStorage {
				cp.Storages[p.Storage].use(&p.View)
			}
		}
	}
}

// use counts a view of s. Where s is big-endian and has no dtype of its own, its views say how its bytes are swapped.
func (s *Storage) use(v *View) {
	s.Used++
	switch {
	case !s.BigEndian || s.DType.SwapUnit() > 1:
	case s.swapAs == 0:
		s.swapAs = v.DType
	default:
		s.mixed = s.mixed || v.DType.SwapUnit() != s.swapAs.SwapUnit()
	}
}

// view fills v in from a tensor node, and says in Info.Bad what is impossible about it.
func (cp *Checkpoint) view(v *View, node pickle.Value) *TensorInfo {
	if p, ok := node.(*pickle.Parameter); ok {
		info := cp.tensorView(v, p.Data)
		v.Parameter, v.RequiresGrad = true, p.RequiresGrad
		return info
	}
	return cp.tensorView(v, node.(*pickle.Tensor))
}

func (cp *Checkpoint) tensorView(v *View, t *pickle.Tensor) *TensorInfo {
	v.Storage = NoStorage
	if t == nil {
		return &TensorInfo{Bad: "a parameter without a tensor"}
	}
	v.DType, v.RequiresGrad, v.Conj, v.Neg = t.DType, t.RequiresGrad, t.Conj, t.Neg
	v.Offset, v.Shape, v.Stride = t.Offset, t.Shape, t.Stride
	if t.Storage != nil {
		v.Storage = StorageID(t.Storage.Index)
	}
	var info *TensorInfo
	if x := t.Extra; x != nil {
		info = &TensorInfo{Layout: x.Layout, Device: x.Device, QScheme: x.QScheme, Scale: x.Scale, ZeroPoint: x.ZeroPoint, Axis: x.Axis, Code: x.Code, Bad: x.Bad}
		if x.Class != nil {
			info.Class = x.Class.String()
		}
		for _, p := range x.Parts {
			if pt, ok := p.Value.(*pickle.Tensor); ok {
				part := Part{Name: p.Name}
				sub := cp.tensorView(&part.View, pt)
				info.Parts = append(info.Parts, part)
				if sub != nil && sub.Bad != "" && info.Bad == "" {
					info.Bad = fmt.Sprintf("its %s: %s", p.Name, sub.Bad)
				}
			}
		}
	}
	if info != nil && info.Code != "" && v.Storage != NoStorage {
		info.CodeBytes = cp.Storages[v.Storage].NBytes
		return info
	}
	if info != nil && info.Bad != "" {
		return info
	}
	if bad := cp.impossible(v); bad != "" {
		if info == nil {
			info = &TensorInfo{}
		}
		info.Bad = bad
	}
	return info
}

// impossible says what is wrong with a view, or with the one that an operation gathers its storage from.
func (cp *Checkpoint) impossible(v *View) string {
	bad := cp.outOfStorage(v)
	for bad == "" && v.Storage != NoStorage && cp.Storages[v.Storage].Of != nil {
		of := *cp.Storages[v.Storage].Of
		if of.Storage != NoStorage && cp.Storages[of.Storage].Cast != 0 {
			of.DType = cp.Storages[of.Storage].Cast // a cast may have come after the gathering; byteLen counts in its dtype
		}
		v = &of
		bad = cp.outOfStorage(v)
	}
	return bad
}

// outOfStorage tells numbers that no tensor has, and elements outside the storage.
func (cp *Checkpoint) outOfStorage(v *View) string {
	if v.Numel() < 0 {
		return "its element count overflows or is negative"
	}
	if v.Storage == NoStorage {
		return ""
	}
	n, ok := v.span()
	if !ok {
		return "negative or overflowing size, stride or offset"
	}
	st := &cp.Storages[v.Storage]
	if st.Missing != "" && n > 0 {
		return st.Missing
	}
	per, size := v.DType.PerByte(), v.DType.Size()
	need := (n + per - 1) / per
	if size > 1 && need > (1<<63-1)/size {
		return "its byte count overflows"
	}
	if need *= size; need > st.byteLen() {
		return fmt.Sprintf("%d bytes needed, its storage has %d", need, st.byteLen())
	}
	return ""
}

// byteLen is the size of the storage as its views see it, after Cast.
func (s *Storage) byteLen() int64 {
	if s.Cast == 0 || s.DType.Size() == 0 {
		return s.NBytes
	}
	return s.NBytes / s.DType.Size() * s.Cast.Size()
}
