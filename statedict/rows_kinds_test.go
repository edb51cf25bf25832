package statedict_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// Rows 14 to 31: kinds of tensors, and the objects around them.

func TestRow14CUDA(t *testing.T) {
	cp, _ := fixtureRow(t, "cuda.pth")
	want(t, "location", cp.Storages[0].Location, "cuda:0")
	// What nobody asked to change stays; set_device is the way to files that load without a GPU.
	_, back := exports(t, apply(t, cp, "{set_device: cpu}"), statedict.TorchZip)
	for i := range back.Storages {
		want(t, "location", back.Storages[i].Location, "cpu")
	}
	sameTensors(t, cp, back)
	// torch makes the tag anew for each persistent id.
	cp, data := torchRow(t, "cuda.pt")
	want(t, "tags", bytes.Count(unzip(t, data)[0].body, []byte("cuda:0")), 3)
	rewrites(t, cp, data)
}

func TestRow15Parameter(t *testing.T) {
	cp, data := torchRow(t, "parameter.pt")
	e := entry(t, cp, "w")
	want(t, "parameter and requires_grad", e.Parameter && e.RequiresGrad, true)
	rewrites(t, cp, data)
}

// By hand: torch 2.0 and newer write it.
func TestRow16ParameterWithAttributes(t *testing.T) {
	cp, data := torchRow(t, "new_parameter.pt")
	e := entry(t, cp, "w")
	want(t, "parameter and requires_grad", e.Parameter && e.RequiresGrad, true)
	want(t, "values", values(t, cp, "w"), "[1 1]")
	rewrites(t, cp, data)
	_, back := exports(t, edited(t, cp), statedict.TorchZip)
	want(t, "attributes kept", bytes.Contains(unzip(t, data)[0].body, []byte("foo")) && entry(t, back, "w").Parameter, true)
}

// The second file by hand: torch 2.0 and newer write plain tensors with Python attributes so.
func TestRow17Subclass(t *testing.T) {
	cp, data := torchRow(t, "subclass.pt")
	e := entry(t, cp, "x")
	want(t, "class", e.Info.Class, "__main__.Sub")
	want(t, "shape and values", fmt.Sprint(e.Shape, " ", values(t, cp, "x")), "[3] [1 1 1]")
	refused(t, cp, statedict.Safetensors, "x")
	rewrites(t, cp, data)

	cp, data = torchRow(t, "new_attributes.pt")
	want(t, "class", entry(t, cp, "x").Info.Class, "torch.Tensor")
	rewrites(t, cp, data)
	_, back := exports(t, cp, statedict.Safetensors) // a plain tensor in spite of its attributes
	want(t, "values", values(t, back, "x"), "[1 1]")
}

func TestRow18Optimizer(t *testing.T) {
	cp, data := fixtureRow(t, "optimizer_adam.pth")
	want(t, "moment", fmt.Sprint(entry(t, cp, "optimizer.state.0.exp_avg").Shape), "[4 3 3 3]")
	for path, value := range map[string]string{"lr": "0.001", "betas[0]": "0.9", "amsgrad": "true", "maximize": "false", "params[5]": "5", "foreach": "<nil>"} {
		want(t, path, fmt.Sprint(rowObject(t, cp, "optimizer.param_groups[0]."+path).Value), value)
	}
	want(t, "scale", rowObject(t, cp, "scaler.scale").Type, "float")
	rewrites(t, cp, data)
}

// partNames are the names of a composite's parts.
func partNames(e *statedict.Entry) (names []string) {
	for _, p := range e.Info.Parts {
		names = append(names, p.Name)
	}
	return names
}

func TestRow19Sparse(t *testing.T) {
	cp, data := fixtureRow(t, "sparse_quantized.pth")
	for key, parts := range map[string]string{"coo": "sparse_coo [indices values]", "csr": "sparse_csr [crow_indices col_indices values]"} {
		e := entry(t, cp, key)
		want(t, key, fmt.Sprint(e.Info.Layout, " ", partNames(e)), parts)
		want(t, key, fmt.Sprint(e.Shape), "[2 3]")
		in := &statedict.Entry{View: e.Info.Parts[len(e.Info.Parts)-1].View}
		want(t, key+" values", fmt.Sprint(in.Shape), "[3]")
	}
	want(t, "CSR is the global of 1.13", bytes.Contains(unzip(t, data)[0].body, []byte("_rebuild_sparse_csr_tensor")), true)
	rewrites(t, cp, data)
	// torch 2.0 and newer have no such global, and nobody's list of safe ones has it.
	var ue *statedict.UnsafeError
	if _, err := statedict.NewPlan(edited(t, cp), statedict.TorchZip, nil); !errors.As(err, &ue) || !slices.Contains(ue.Globals, "torch._utils._rebuild_sparse_csr_tensor") {
		t.Errorf("export: %v", err)
	}
}

// By hand: torch 2.0 and 2.2 write these.
func TestRow20SparseOfNewer(t *testing.T) {
	cp, data := torchRow(t, "new_sparse.pt")
	want(t, "the coalesced flag is a fourth value", bytes.Contains(unzip(t, data)[0].body, []byte("Rq\x1e\x88tq\x1f\x86")), true)
	for key, parts := range map[string]string{
		"coo": "[3] [indices values]", "csr": "[2 2] [crow_indices col_indices values]", "csc": "[2 2] [ccol_indices row_indices values]",
		"bsr": "[4 6] [crow_indices col_indices values]", "bsc": "[4 6] [ccol_indices row_indices values]",
	} {
		e := entry(t, cp, key)
		want(t, key, e.Info.Layout, "sparse_"+key)
		want(t, key, fmt.Sprint(e.Shape, " ", partNames(e)), parts)
	}
	rewrites(t, cp, data)
	refused(t, cp, statedict.Safetensors, "coo", "csr", "csc", "bsr", "bsc")
}

func TestRow21Quantized(t *testing.T) {
	cp, data := fixtureRow(t, "sparse_quantized.pth")
	e := entry(t, cp, "per_tensor")
	want(t, "per tensor", fmt.Sprint(e.DType, " ", e.Info.QScheme, " ", e.Info.Scale, e.Info.ZeroPoint), "quint8 per_tensor_affine 0.05 3")
	e = entry(t, cp, "per_channel")
	want(t, "per channel", fmt.Sprint(e.DType, " ", e.Info.QScheme, e.Info.Axis, partNames(e)), "qint8 per_channel_affine0 [q_scales q_zero_points]")
	want(t, "scales", fmt.Sprint(e.Info.Parts[0].DType, e.Info.Parts[0].Shape), "float64 [4]")
	rewrites(t, cp, data)
}

func TestRow22FourBits(t *testing.T) {
	cp, data := torchRow(t, "quint4x2.pt")
	e := entry(t, cp, "x")
	want(t, "dtype", e.DType.String(), "quint4x2")
	want(t, "bytes", cp.Storages[e.Storage].NBytes, 4)
	want(t, "fault", e.Info.Bad, "")
	rewrites(t, cp, data)
}

func TestRow23DynamicQuantized(t *testing.T) {
	cp, data := torchRow(t, "dynamic.pt")
	want(t, "dtype", fmt.Sprint(rowObject(t, cp, "0._packed_params.dtype").Type, " ", rowObject(t, cp, "0._packed_params.dtype").Value), "torch.dtype qint8")
	want(t, "first of the tuple", entry(t, cp, "0._packed_params._packed_params[0]").DType.String(), "qint8")
	want(t, "second of the tuple", fmt.Sprint(entry(t, cp, "0._packed_params._packed_params[1]").Shape), "[3]")
	rewrites(t, cp, data)
}

func TestRow24Meta(t *testing.T) {
	cp, data := torchRow(t, "meta.pt")
	want(t, "device", entry(t, cp, "x").Info.Device, "meta")
	records := 0
	for _, r := range unzip(t, data) {
		if strings.Contains(r.name, "/data/") {
			records++
		}
	}
	want(t, "records", records, 1)
	rewrites(t, cp, data)
	for _, f := range []statedict.Format{statedict.Safetensors, statedict.NPZ, statedict.GGUF} {
		refused(t, cp, f, "x")
	}
}

// By hand: torch 2.2 to 2.9 write these.
func TestRow25DtypesOfNewer(t *testing.T) {
	cp, data := fixtureRow(t, "v3_fp8_unsigned.pth")
	pickle := unzip(t, data)[0].body
	want(t, "typed storage classes", bytes.Count(pickle, []byte("Storage\n")), bytes.Count(pickle, []byte("UntypedStorage\n")))
	e := entry(t, cp, "complex32")
	want(t, "the count is of bytes", fmt.Sprint(e.Numel(), cp.Storages[e.Storage].NBytes), "2 8")
	for i := range cp.Entries {
		e := &cp.Entries[i]
		want(t, "dtype", e.DType.String(), e.Key)
		want(t, e.Key+" is named", bytes.Contains(pickle, []byte("ctorch\n"+e.Key+"\n")), true)
	}
	rewrites(t, cp, data)
	for _, f := range []statedict.Format{statedict.TorchZip, statedict.TorchLegacy} {
		_, back := exports(t, edited(t, cp), f)
		sameTensors(t, cp, back)
	}
}

// By hand: torch 2.0 and newer write it.
func TestRow26ConjAndNeg(t *testing.T) {
	cp, _ := torchRow(t, "new_conj.pt")
	_, back := exports(t, cp, statedict.Safetensors)
	for key, bits := range map[string]string{"x": "0000803f000000c0", "y": "000080bf"} {
		b, err := io.ReadAll(back.Reader(entry(t, back, key).View))
		if err != nil {
			t.Fatal(err)
		}
		want(t, key, fmt.Sprintf("%x", b), bits)
	}
	_, back = exports(t, edited(t, cp), statedict.TorchZip)
	want(t, "bits in a torch file", entry(t, back, "x").Conj && entry(t, back, "y").Neg, true)
	sameTensors(t, cp, back)
}

func TestRow27Storages(t *testing.T) {
	cp, data := torchRow(t, "storage.pt")
	want(t, "storages", len(cp.Storages), 2)
	for path, shown := range map[string][2]string{"untyped": {"UntypedStorage", "12 bytes"}, "typed": {"FloatStorage", "float32 [3]"}} {
		o := rowObject(t, cp, path)
		want(t, path, fmt.Sprint(o.Type, ": ", o.Value), "storage: "+shown[1])
		want(t, shown[0]+" is named", bytes.Contains(unzip(t, data)[0].body, []byte(shown[0])), true)
	}
	want(t, "ids that are values", bytes.Count(unzip(t, data)[0].body, []byte("Q")), 2)
	rewrites(t, cp, data)
}

// checkNumpy checks what is shown of the objects in numpy.pt.
func checkNumpy(t *testing.T, cp *statedict.Checkpoint) {
	t.Helper()
	for path, shown := range map[string]string{
		"scalar": "numpy.float32 1.5", "truth": "numpy.bool true", "text": "numpy.str hé", "dtype": "numpy.dtype >f8", "array": "ndarray <i2 [2, 3]",
		"fortran": "ndarray <f8 [2, 3] in Fortran order", "objects": "ndarray |O [3]", "record": "ndarray |V12 [2]",
	} {
		o := rowObject(t, cp, path)
		want(t, path, fmt.Sprint(o.Type, " ", o.Value), shown)
	}
	refused(t, cp, statedict.Safetensors, "scalar", "truth", "text", "array", "fortran", "objects", "record", "dtype")
}

func TestRow28Numpy(t *testing.T) {
	cp, data := torchRow(t, "numpy.pt")
	checkNumpy(t, cp)
	rewrites(t, cp, data)
}

// By hand: numpy 2 writes these names.
func TestRow29NumpyTwo(t *testing.T) {
	_, data := torchRow(t, "numpy.pt")
	cp := mustOpen(t, rezip(t, data, func(r *zipRecord) {
		r.body = bytes.ReplaceAll(r.body, []byte("cnumpy.core."), []byte("cnumpy._core."))
	}))
	checkNumpy(t, cp)
	out, _ := exports(t, edited(t, cp), statedict.TorchZip)
	want(t, "names kept", bytes.Contains(unzip(t, out)[0].body, []byte("cnumpy._core.")), true)
}

func TestRow30OtherObjects(t *testing.T) {
	cp, data := torchRow(t, "objects.pt")
	for path, kind := range map[string]string{
		"namespace": "argparse.Namespace", "deque": "deque", "path": "pathlib.PurePosixPath", "bytes": "bytes",
		"complex": "complex", "datetime": "datetime.datetime", "enum[0]": "global", "defaultdict.a[0]": "int", "counter.b": "int", "set[0]": "int",
	} {
		want(t, path, rowObject(t, cp, path).Type, kind)
	}
	want(t, "bytes", rowObject(t, cp, "bytes").Value, any("00ff"))
	rewrites(t, cp, data)
	_, err := statedict.NewPlan(edited(t, cp), statedict.TorchZip, nil)
	var ue *statedict.UnsafeError
	if !errors.As(err, &ue) {
		t.Fatalf("export: %v", err)
	}
	// Counter, set, bytes and complex are on the list of torch 2.6.
	for _, name := range []string{"argparse.Namespace", "collections.defaultdict", "collections.deque", "pathlib.PurePosixPath", "datetime.datetime", "__main__.Kind"} {
		if !slices.Contains(ue.Globals, name) {
			t.Errorf("%s is not named among %q", name, ue.Globals)
		}
	}
}

func TestRow31WholeModule(t *testing.T) {
	cp, data := fixtureRow(t, "module.pth")
	var keys []string
	for i := range cp.Entries {
		keys = append(keys, cp.Entries[i].StateKey)
	}
	// weight and steps are what state_dict() gives; the buffer scratch is not persistent.
	want(t, "keys", fmt.Sprintf("%q", keys), `["weight" "steps" ""]`)
	_, back := exports(t, cp, statedict.Safetensors)
	want(t, "exported", len(back.Entries), 2)
	want(t, "weight", values(t, back, "weight"), "[0 1 2 3 4 5]")
	rewrites(t, cp, data)
}
