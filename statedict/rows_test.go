package statedict_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// This file and rows_hand_test.go have the tests of the rows of the table of cases in the description of the formats, each named
// after its row. Here are the rows that PyTorch 1.13 writes: testdata/rows.py makes most of their files, each with an oracle. Files
// called new_* call functions of later versions by name.

var rowDir string // once rowFiles has made it

var rowFiles = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rows")
	if err != nil {
		return "", err
	}
	rowDir = dir
	out, err := exec.Command("/usr/bin/python3", "../testdata/rows.py", dir, "../testdata").CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

var havePyTorch = sync.OnceValue(func() bool {
	return exec.Command("/usr/bin/python3", "-c", "import torch").Run() == nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if rowDir != "" {
		os.RemoveAll(rowDir)
	}
	os.Exit(code)
}

// torchRow opens a file that rows.py makes and compares it with its oracle where it has one.
func torchRow(t *testing.T, name string) (*statedict.Checkpoint, []byte) {
	t.Helper()
	if !havePyTorch() {
		t.Skip("no PyTorch")
	}
	dir, err := rowFiles()
	if err != nil {
		t.Fatal(err)
	}
	return openRow(t, filepath.Join(dir, name))
}

// fixtureRow opens a file of testdata and compares it with its oracle.
func fixtureRow(t *testing.T, name string) (*statedict.Checkpoint, []byte) {
	t.Helper()
	return openRow(t, filepath.Join("..", "testdata", name))
}

// corpusRow is the same for a file of the corpus.
func corpusRow(t *testing.T, name string) (*statedict.Checkpoint, []byte) {
	t.Helper()
	dir := os.Getenv("WEIGHTROOM_CORPUS")
	if dir == "" {
		t.Skip("no corpus")
	}
	return openRow(t, filepath.Join(dir, name))
}

func openRow(t *testing.T, file string) (*statedict.Checkpoint, []byte) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cp := mustOpen(t, data)
	if o, ok := readOracle(t, file); ok {
		checkOracle(t, cp, o)
	}
	return cp, data
}

func mustOpen(t *testing.T, data []byte) *statedict.Checkpoint {
	t.Helper()
	cp, err := openBytes("file", data)
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

// rewrites checks that the file comes out of its parsed tree with the same bytes.
func rewrites(t *testing.T, cp *statedict.Checkpoint, data []byte) {
	t.Helper()
	out, _, err := export(t, edited(t, cp), cp.Format, &statedict.PlanOptions{AllowUnsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out[0], data) {
		t.Errorf("%d bytes written, not the %d that were read", len(out[0]), len(data))
	}
}

// apply runs a recipe.
func apply(t *testing.T, cp *statedict.Checkpoint, steps string) *statedict.Checkpoint {
	t.Helper()
	r, err := statedict.ParseRecipe([]byte("{recipe: 1, steps: [" + steps + "]}"))
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := r.Apply(cp, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func entry(t *testing.T, cp *statedict.Checkpoint, path string) *statedict.Entry {
	t.Helper()
	for i := range cp.Entries {
		if cp.Entries[i].Path() == path {
			return &cp.Entries[i]
		}
	}
	t.Fatalf("no tensor %q", path)
	return nil
}

// rowObject is the object at path.
func rowObject(t *testing.T, cp *statedict.Checkpoint, path string) statedict.Object {
	t.Helper()
	for o := range cp.Objects() {
		if o.Path == path {
			return o
		}
	}
	t.Fatalf("no object %q", path)
	return statedict.Object{}
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestRow01TwoTensors(t *testing.T) {
	cp, data := torchRow(t, "two.pt")
	rewrites(t, cp, data)
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	want(t, "bytes of data.pkl", z.File[0].UncompressedSize64, 311)
}

func TestRow02Dtypes(t *testing.T) {
	cp, data := fixtureRow(t, "dtypes.pth")
	rewrites(t, cp, data)
}

func TestRow03Empty(t *testing.T) {
	cp, data := fixtureRow(t, "shapes.pth")
	rewrites(t, cp, data)
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	empty := 0
	for _, f := range z.File {
		if f.UncompressedSize64 == 0 {
			empty++
			want(t, f.Name+" flags", f.Flags, 0x800)
		}
	}
	if empty == 0 {
		t.Error("no empty record")
	}
}

func TestRow04Transposed(t *testing.T) {
	cp, data := torchRow(t, "transposed.pt")
	want(t, "stride", fmt.Sprint(entry(t, cp, "x").Stride), "[1 3]")
	rewrites(t, cp, data)
}

func TestRow05RowOfBigStorage(t *testing.T) {
	cp, _ := torchRow(t, "row.pt")
	want(t, "storage", cp.Storages[0].NBytes, 400)
	_, back, err := export(t, apply(t, cp, "{compact: true}"), statedict.TorchZip, nil)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "compacted storage", back.Storages[0].NBytes, 40)
	want(t, "values", hashOf(t, back, back.Entries[0].View), hashOf(t, cp, cp.Entries[0].View))
}

func TestRow06Expanded(t *testing.T) {
	cp, _ := torchRow(t, "expanded.pt")
	_, back, err := export(t, cp, statedict.Safetensors, nil)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "storage", cp.Storages[0].NBytes, 8)
	want(t, "written", back.Storages[0].NBytes, 8000)
}

func TestRow07Tied(t *testing.T) {
	cp, data := torchRow(t, "tied.pt")
	want(t, "storages", len(cp.Storages), 1)
	rewrites(t, cp, data)
}

func TestRow08ChannelsLast(t *testing.T) {
	cp, data := torchRow(t, "channels_last.pt")
	rewrites(t, cp, data)
	_, back, err := export(t, cp, statedict.Safetensors, nil)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "contiguous", back.Entries[0].Contiguous(), true)
	want(t, "values", hashOf(t, back, back.Entries[0].View), hashOf(t, cp, cp.Entries[0].View))
}

func TestRow09BeyondTheEnd(t *testing.T) {
	cp, data := torchRow(t, "beyond.pt")
	if cp.Entries[0].Info != nil {
		t.Errorf("%+v", cp.Entries[0].Info)
	}
	rewrites(t, cp, data)
}

func TestRow10ManyStorages(t *testing.T) {
	cp, data := torchRow(t, "twelve.pt")
	rewrites(t, cp, data)
}

func TestRow12Batches(t *testing.T) {
	for _, n := range []int{999, 1000, 1001, 2000} {
		for _, kind := range []string{"dict", "OrderedDict"} {
			cp, data := torchRow(t, fmt.Sprintf("many_%s_%d.pt", kind, n))
			want(t, "keys", len(cp.Entries), n)
			rewrites(t, cp, data)
		}
	}
}

func TestRow13LongMemo(t *testing.T) {
	cp, data := torchRow(t, "memo.pt")
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
	want(t, "parameter", entry(t, cp, "w").Parameter, true)
	rewrites(t, cp, data)
}

func TestRow17Subclass(t *testing.T) {
	cp, data := torchRow(t, "subclass.pt")
	e := entry(t, cp, "x")
	want(t, "class", e.Info.Class, "__main__.Sub")
	want(t, "shape", fmt.Sprint(e.Shape), "[3]")
	rewrites(t, cp, data)
}

func TestRow18Optimizer(t *testing.T) {
	cp, data := fixtureRow(t, "optimizer_adam.pth")
	if !slices.ContainsFunc(cp.Entries, func(e statedict.Entry) bool { return strings.HasSuffix(e.Path(), "state.0.exp_avg") }) {
		t.Error("no state.0.exp_avg")
	}
	rewrites(t, cp, data)
}

func TestRow19Sparse(t *testing.T) {
	cp, data := fixtureRow(t, "sparse_quantized.pth")
	want(t, "layout", entry(t, cp, "csr").Info.Layout, "sparse_csr")
	rewrites(t, cp, data)
}

// By hand: torch 2.0 and 2.2 write these.
func TestRow20SparseOfNewer(t *testing.T) {
	cp, data := torchRow(t, "new_sparse.pt")
	want(t, "layout", entry(t, cp, "coo").Info.Layout, "sparse_coo")
	want(t, "parts", len(entry(t, cp, "csr").Info.Parts), 3)
	rewrites(t, cp, data)
}

func TestRow21Quantized(t *testing.T) {
	cp, _ := fixtureRow(t, "sparse_quantized.pth")
	want(t, "scheme", entry(t, cp, "per_tensor").Info.QScheme, "per_tensor_affine")
	want(t, "scheme", entry(t, cp, "per_channel").Info.QScheme, "per_channel_affine")
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
	types := map[string]bool{}
	for o := range cp.Objects() {
		types[o.Type] = true
	}
	want(t, "a torch.dtype is listed", types["torch.dtype"], true)
	rewrites(t, cp, data)
}

func TestRow24Meta(t *testing.T) {
	cp, data := torchRow(t, "meta.pt")
	want(t, "device", entry(t, cp, "x").Info.Device, "meta")
	rewrites(t, cp, data)
	_, err := statedict.NewPlan(cp, statedict.Safetensors, nil)
	var ue *statedict.UnsupportedError
	if !errors.As(err, &ue) || len(ue.Keys) != 1 || !strings.HasPrefix(ue.Keys[0], "x ") {
		t.Errorf("export: %v", err)
	}
}

// By hand: torch 2.2 to 2.9 write these.
func TestRow25DtypesOfNewer(t *testing.T) { fixtureRow(t, "v3_fp8_unsigned.pth") }

// By hand: torch 2.0 and newer write it.
func TestRow26ConjAndNeg(t *testing.T) {
	cp, _ := torchRow(t, "new_conj.pt")
	_, back, err := export(t, cp, statedict.Safetensors, nil)
	if err != nil {
		t.Fatal(err)
	}
	for key, bits := range map[string]string{"x": "0000803f000000c0", "y": "000080bf"} {
		b, err := io.ReadAll(back.Reader(entry(t, back, key).View))
		if err != nil {
			t.Fatal(err)
		}
		want(t, key, fmt.Sprintf("%x", b), bits)
	}
}

func TestRow27Storages(t *testing.T) {
	cp, data := torchRow(t, "storage.pt")
	want(t, "storages", len(cp.Storages), 2)
	rowObject(t, cp, "untyped")
	rewrites(t, cp, data)
}

func TestRow28Numpy(t *testing.T) {
	cp, _ := fixtureRow(t, "numpy_namespace.pth")
	want(t, "type", rowObject(t, cp, "best").HasValue, true)
}

func TestRow30OtherObjects(t *testing.T) {
	cp, _ := fixtureRow(t, "numpy_namespace.pth")
	_, err := statedict.NewPlan(edited(t, cp), statedict.TorchZip, nil)
	var ue *statedict.UnsafeError
	if !errors.As(err, &ue) || !slices.Contains(ue.Globals, "argparse.Namespace") {
		t.Errorf("export: %v", err)
	}
}

func TestRow31WholeModule(t *testing.T) {
	cp, _ := fixtureRow(t, "module.pth")
	_, back, err := export(t, cp, statedict.Safetensors, nil)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for i := range back.Entries {
		keys = append(keys, back.Entries[i].Path())
	}
	slices.Sort(keys)
	want(t, "keys", fmt.Sprint(keys), "[steps weight]")
}

func TestRow32Legacy(t *testing.T) {
	a, _ := fixtureRow(t, "state_dict.pth")
	b, data := fixtureRow(t, "state_dict_legacy.pth")
	compareTensors(t, statedict.TorchLegacy, a, b, true)
	rewrites(t, b, data)
}

func TestRow33LegacyModule(t *testing.T) {
	cp, data := fixtureRow(t, "module_source_legacy.pth")
	if len(cp.Code) == 0 || !strings.Contains(cp.Code[0].Text, "class Net") {
		t.Errorf("source: %q", cp.Code)
	}
	rewrites(t, cp, data)
}

func TestRow34LegacyProtocols(t *testing.T) {
	for _, p := range []int{3, 4, 5} {
		torchRow(t, fmt.Sprintf("legacy_protocol%d.pt", p))
	}
}

func TestRow40BarePickle(t *testing.T) {
	for _, p := range []int{2, 4} {
		cp, _ := torchRow(t, fmt.Sprintf("bare%d.pkl", p))
		want(t, "format", cp.Format, statedict.Pickle)
		in, err := cp.Inspect(context.Background(), entry(t, cp, "w").View, statedict.InspectOptions{Values: 3})
		if err != nil {
			t.Fatal(err)
		}
		want(t, "values", fmt.Sprint(in.Values), "[0 1 2]")
	}
}

func TestRow41TorchScript(t *testing.T) {
	for _, name := range []string{"script.pt", "traced.pt"} {
		cp, _ := torchRow(t, name)
		want(t, name+" shape", fmt.Sprint(entry(t, cp, "fc.weight").Shape), "[2 2]")
	}
	cp, _ := torchRow(t, "frozen.pt")
	if len(cp.Entries) == 0 {
		t.Error("no constants in the frozen module")
	}
	for i := range cp.Entries {
		if st := cp.Storages[cp.Entries[i].Storage]; st.Missing != "" || !strings.HasPrefix(st.Key, "constants/") {
			t.Errorf("storage %q: %s", st.Key, st.Missing)
		}
	}
}

func TestRow42LiteInterpreter(t *testing.T) {
	cp, _ := torchRow(t, "lite.ptl")
	want(t, "shape", fmt.Sprint(entry(t, cp, "fc.weight").Shape), "[2 2]")
	if _, err := openBytes("m.ptl", append([]byte("\x1c\x00\x00\x00PTMF"), make([]byte, 200)...)); !errors.Is(err, statedict.ErrNotCheckpoint) {
		t.Errorf("flatbuffer: %v", err)
	}
}

func TestRow60WeightsOnly(t *testing.T) {
	cp, _ := fixtureRow(t, "lightning_like.ckpt")
	if _, err := statedict.NewPlan(edited(t, cp), statedict.TorchZip, nil); err != nil {
		t.Errorf("plain values: %v", err)
	}
}

func TestRow61Metadata(t *testing.T) {
	cp, _ := torchRow(t, "two.pt")
	_, back, err := export(t, apply(t, cp, "{add_prefix: net}"), statedict.TorchZip, nil)
	if err != nil {
		t.Fatal(err)
	}
	paths, _ := back.ModuleVersions("")
	if !slices.Contains(paths, "net.a") || slices.Contains(paths, "a") {
		t.Errorf("module versions of %q", paths)
	}
}

func TestRow62Names(t *testing.T) {
	cp, data := torchRow(t, "names.pt")
	rewrites(t, cp, data)
}

func TestRow63OtherKeys(t *testing.T) {
	cp, data := fixtureRow(t, "keys_not_strings.pth")
	rewrites(t, cp, data)
}

func TestRow68ArraysAndGGUF(t *testing.T) {
	cp, _ := fixtureRow(t, "shapes.pth")
	_, err := statedict.NewPlan(cp, statedict.GGUF, nil)
	if err == nil {
		t.Error("GGUF takes rank 7")
	}
	cp, _ = fixtureRow(t, "bf16_half.pth")
	out, _, err := export(t, cp, statedict.NPZ, nil)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(out[0]), int64(len(out[0])))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		head := make([]byte, 10)
		if _, err := io.ReadFull(r, head); err != nil {
			t.Fatal(err)
		}
		want(t, f.Name+" header length modulo 64", (10+int(head[8])+int(head[9])<<8)%64, 0)
	}
}

func TestRow69RealPyTorch(t *testing.T) { t.Run("delegated", TestRealPyTorch) }
