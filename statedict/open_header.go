package statedict

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/gguf"
	"github.com/weightroom/weightroom/statedict/internal/header"
	"github.com/weightroom/weightroom/statedict/internal/npy"
	"github.com/weightroom/weightroom/statedict/internal/pickle"
	"github.com/weightroom/weightroom/statedict/internal/torchfile"
)

// gguf opens a GGUF file. Quantised tensors keep their blocks as bytes under the format's own type name.
func (op *opener) gguf(src *Source) (*Checkpoint, error) {
	h, err := gguf.Parse(src.R, src.Size, gguf.Limits{})
	if err != nil {
		return nil, headerError(src, "", err)
	}
	if h.Unowned > 0 {
		op.finding("F_TRAILING", "", "%d bytes belong to no tensor", h.Unowned)
	}
	root := &pickle.Dict{Items: make([]pickle.Item, len(h.Tensors))}
	for i := range h.Tensors {
		t := &h.Tensors[i]
		root.Items[i] = pickle.Item{Key: t.Name, Value: op.headerTensor(src, t.DType, t.Type.String(), t.Shape, h.DataOff+t.Begin, t.Size)}
	}
	cp := &Checkpoint{Format: GGUF, root: root, Metadata: map[string]string{}, ggufKV: h.KV}
	for _, kv := range h.KV {
		if _, twice := cp.Metadata[kv.Key]; twice {
			continue
		}
		cp.Metadata[kv.Key] = ggufText(kv.Value)
		cp.MetadataKeys = append(cp.MetadataKeys, kv.Key)
	}
	return cp, nil
}

// headerTensor is plainTensor for a dtype that may be the format's own, whose tensors are bytes with a name.
func (op *opener) headerTensor(src *Source, dt DType, code string, shape []int64, off, n int64) *pickle.Tensor {
	if dt != 0 {
		return op.plainTensor(src, dt, shape, off, n)
	}
	t := op.plainTensor(src, byteType, shape, off, n)
	t.DType = 0
	t.Extra = &pickle.TensorExtra{Code: code}
	return t
}

// npy opens a single .npy array: a root without a key.
func (op *opener) npy(src *Source) (*Checkpoint, error) {
	h, err := npy.Parse(io.NewSectionReader(src.R, 0, src.Size), src.Size)
	if err != nil {
		return nil, headerError(src, "", err)
	}
	x := Extent{Source: src, Off: h.DataOff, Len: h.NBytes}
	return &Checkpoint{Format: NPY, root: op.array("", h, x)}, nil
}

// npz opens a zip of .npy members, in the order of the archive. Members that hold Python objects, dates or text are
// findings: numpy would have to unpickle them, or torch has no such type.
func (op *opener) npz(src *Source, a *torchfile.Archive) (*Checkpoint, error) {
	root := &pickle.Dict{}
	keys := op.npzKeys(a)
	var fault error // of the first member that is damaged; the others are shown all the same
	var left []string
	for i := range a.Records {
		name := a.FullName(i)
		key, isArray := strings.CutSuffix(name, ".npy")
		if own, ok := keys[name]; ok && isArray {
			key = own
		}
		if !isArray && name == torchfile.NPZIndex {
			continue
		}
		if !isArray {
			op.finding("F_UNSUPPORTED", name, "not an array")
			continue
		}
		rec := &a.Records[i]
		h, off, err := member(a, i)
		if err != nil {
			var he *header.Error
			var te *torchfile.Error
			code, text := "", ""
			switch {
			case errors.As(err, &he):
				code, text = he.Code, he.Text
			case errors.As(err, &te):
				code, text = te.Code, te.Msg
			default:
				return nil, headerError(src, name, err)
			}
			switch {
			case code == "E_UNSUPPORTED" || code == "E_FORMAT":
				code = "F_UNSUPPORTED"
			case fault == nil:
				fault = headerError(src, name, err)
			}
			op.finding(code, name, "%s", text)
			left = append(left, name)
			continue
		}
		x := Extent{Source: src, Off: off, Len: rec.CompressedSize, Method: Deflated, more: &extentMore{skip: h.DataOff}}
		if rec.Method == torchfile.Stored {
			x = Extent{Source: src, Off: off + h.DataOff, Len: h.NBytes}
		}
		root.Items = append(root.Items, pickle.Item{Key: key, Value: op.array(key, h, x)})
	}
	if len(root.Items) == 0 && fault != nil {
		return nil, fault
	}
	return &Checkpoint{Format: NPZ, root: root, lenient: a.Ambiguous, left: left}, nil
}

// member reads the header of array i and finds where the member starts.
func member(a *torchfile.Archive, i int) (h *npy.Header, off int64, err error) {
	r, err := a.Open(i)
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	if h, err = npy.Parse(r, a.Records[i].Size); err != nil {
		return nil, 0, err
	}
	off, err = a.DataOff(i)
	return h, off, err
}

// array makes the tensor of one numpy array. An array in Fortran order has the strides that torch.from_numpy gives it.
func (op *opener) array(key string, h *npy.Header, x Extent) *pickle.Tensor {
	dt := h.DType
	if dt == 0 {
		dt = byteType
		op.finding("F_UNSUPPORTED", key, "numpy type %q has no torch name; its bytes are kept as they are", h.Descr)
	}
	node := &pickle.Storage{DType: dt, Location: "cpu", Numel: h.NBytes / dt.Size()}
	op.add(node, Storage{DType: dt, NBytes: h.NBytes, Location: "cpu", Data: x, BigEndian: h.BigEndian})
	node.Key = fmt.Sprint(node.Index)
	op.storages[node.Index].Key = node.Key
	t := &pickle.Tensor{Storage: node, DType: h.DType, Shape: h.Shape, Stride: rowMajor(h.Shape), Form: pickle.FormHeader}
	if h.DType == 0 {
		t.Extra = &pickle.TensorExtra{Code: h.Descr}
	}
	if h.Fortran {
		n := int64(1)
		for i, d := range h.Shape {
			t.Stride[i] = n
			n *= max(d, 1)
		}
	}
	return t
}

// ggufText prints a value for Checkpoint.Metadata; of a long array the first elements and the count.
func ggufText(v gguf.Value) string {
	const shown = 32
	switch v.Type {
	case gguf.String:
		return v.Text()
	case gguf.Bool:
		return strconv.FormatBool(v.Uint() != 0)
	case gguf.Float32, gguf.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case gguf.Int8, gguf.Int16, gguf.Int32, gguf.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case gguf.Array:
		if v.Elem() == gguf.Array {
			return fmt.Sprintf("[%d arrays]", v.Len())
		}
		var b strings.Builder
		n := 0
		for item := range v.Items() {
			if n == shown {
				fmt.Fprintf(&b, ", … %d in all", v.Len())
				break
			}
			if n > 0 {
				b.WriteString(", ")
			}
			b.WriteString(ggufText(item))
			n++
		}
		return "[" + b.String() + "]"
	}
	return strconv.FormatUint(v.Uint(), 10)
}
