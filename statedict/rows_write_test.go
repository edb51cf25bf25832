package statedict_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// Rows 60 to 68: sets of files, and what is written. Row 69 is TestRow69RealPyTorch: real PyTorch loads everything.

// saved writes an export for real PyTorch to read.
func saved(t *testing.T, cp *statedict.Checkpoint, f statedict.Format, opts *statedict.PlanOptions) string {
	t.Helper()
	out, _, err := export(t, cp, f, opts)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "out."+string(f))
	if err := os.WriteFile(path, out[0], 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRow60WeightsOnly(t *testing.T) {
	cp, _ := torchRow(t, "convert.pt")
	_, err := statedict.NewPlan(edited(t, cp), statedict.TorchZip, nil)
	var ue *statedict.UnsafeError
	if !errors.As(err, &ue) || !slices.Contains(ue.Globals, "numpy.core.multiarray.scalar") || !slices.Contains(ue.Globals, "collections.defaultdict") {
		t.Fatalf("a numpy scalar and a defaultdict: %v", err)
	}
	path := saved(t, apply(t, cp, "{drop_objects: [best, counts]}"), statedict.TorchZip, nil)
	var keys []string
	python(t, "import sys, json, torch\nprint(json.dumps(list(torch.load(sys.argv[1], weights_only=True)['state_dict'])))", &keys, path)
	want(t, "loaded with weights_only=True", len(keys), 7)
	plain, _ := fixtureRow(t, "lightning_like.ckpt")
	if _, err := statedict.NewPlan(edited(t, plain), statedict.TorchZip, nil); err != nil {
		t.Errorf("plain values: %v", err)
	}
}

const loadNorm = `
import sys, json, torch
out = []
for f in sys.argv[1:]:
    model = torch.nn.Module()
    model.net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    try:
        model.load_state_dict(torch.load(f))
        out.append('')
    except RuntimeError as e:
        out.append(str(e))
print(json.dumps(out))
`

// T1: without the version of its module a BatchNorm upgrades silently, and puts in place what was dropped.
func TestRow61Metadata(t *testing.T) {
	cp, _ := torchRow(t, "norm.pt")
	renamed := apply(t, cp, "{add_prefix: net}")
	dropped := apply(t, renamed, `{drop: "**.num_batches_tracked"}`)
	paths, versions := renamed.ModuleVersions("")
	want(t, "module versions", fmt.Sprintf("%q %v", paths, versions), `["" "net" "net.0" "net.1"] [1 1 1 2]`)
	var said []string
	python(t, loadNorm, &said, saved(t, renamed, statedict.TorchZip, nil), saved(t, dropped, statedict.TorchZip, nil), saved(t, dropped, statedict.TorchLegacy, nil))
	want(t, "renamed", said[0], "")
	for _, s := range said[1:] {
		if !strings.Contains(s, `Missing key(s) in state_dict: "net.1.num_batches_tracked"`) {
			t.Errorf("dropped: torch says %q", s)
		}
	}
	// The module of dropped keys goes with the last of them.
	paths, _ = apply(t, cp, `{drop: "1.**"}`).ModuleVersions("")
	want(t, "paths after a drop", fmt.Sprintf("%q", paths), `["" "0"]`)
}

func TestRow62Names(t *testing.T) {
	cp, data := torchRow(t, "names.pt")
	want(t, "keys", len(cp.Entries), 7)
	rewrites(t, cp, data)
}

// The second file by hand: no Python dict can be pickled so.
func TestRow63OtherKeys(t *testing.T) {
	cp, data := fixtureRow(t, "keys_not_strings.pth")
	want(t, "keys", fmt.Sprintf("%q", paths(cp)), `["0" "1" "-1" "None" "2.5" "('a', 1)" "0" "1099511627776"]`)
	rewrites(t, cp, data)
	refused(t, cp, statedict.Safetensors, "0", "1", "-1", "None", "2.5", "('a', 1)", "1099511627776")

	cp = mustOpen(t, pickled(t, "\x80\x02}(K\x01X\x03\x00\x00\x00one\x88X\x04\x00\x00\x00trueX\x01\x00\x00\x001X\x04\x00\x00\x00textu."))
	var rows []string
	for o := range cp.Objects() {
		rows = append(rows, fmt.Sprint(o.Path, " ", o.Value))
	}
	want(t, "True and 1 are one key, the string is another", fmt.Sprintf("%q", rows), `["1 true" "1 text"]`)
}

func TestRow64Shards(t *testing.T) {
	dir := filepath.Join("..", "testdata")
	all := sources(t, dir, "sharded.safetensors.index.json", "sharded-00001-of-00002.safetensors", "sharded-00002-of-00002.safetensors")
	cp, err := statedict.Open(context.Background(), all...)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "union", len(cp.Entries), 4)
	want(t, "findings", len(cp.Findings), 0)
	opens := func(index string) (*statedict.Checkpoint, error) {
		return statedict.Open(context.Background(), append([]statedict.Source{{Name: "m.safetensors.index.json", R: strings.NewReader(index), Size: int64(len(index))}}, all[1:]...)...)
	}
	const one, two = `"layer.1.bias":"sharded-00001-of-00002.safetensors","layer.1.weight":"sharded-00001-of-00002.safetensors"`, `"layer.2.bias":"sharded-00002-of-00002.safetensors"`
	for index, text := range map[string]string{
		`{"weight_map":{` + one + `,"x":"sharded-00003-of-00003.safetensors","y":"other.safetensors"}}`: `names files that are not here: "sharded-00003-of-00003.safetensors", "other.safetensors"`,
		`{"weight_map":{"a":"../x.safetensors"}}`:                                                       `"../x.safetensors"`,
		`{"weight_map":{"a":"/etc/x.safetensors"}}`:                                                     `/etc/x.safetensors`,
		`{"weight_map":{"a":"..\\x.safetensors"}}`:                                                      `x.safetensors`,
		`{"weight_map":{"a":"C:x.safetensors"}}`:                                                        `C:x.safetensors`,
		`{"weight_map":{"a":7}}`:                                                                        ``,
		`{"weight_map":{"a":"x.safetensors"},"weight_map"`:                                              ``,
	} {
		if _, err := opens(index); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", index, err)
		}
	}
	cp, err = opens(`{"metadata":{"total_size":7},"weight_map":{` + one + `,` + two + `,"gone":"sharded-00002-of-00002.safetensors"}}`)
	if err != nil {
		t.Fatal(err)
	}
	found(t, "in the map, not in the file", cp, "F_SHARD", "gone")
	found(t, "in the file, not in the map", cp, "F_SHARD", "layer.2.weight")
	found(t, "a wrong total", cp, "F_SIZE_MISMATCH", "total_size is 7, the files hold 72 bytes")
	// One key in two shards.
	twice := []statedict.Source{all[1], {Name: "sharded-00003-of-00003.safetensors", R: all[1].R, Size: all[1].Size}}
	cp, err = statedict.Open(context.Background(), twice...)
	if err != nil {
		t.Fatal(err)
	}
	found(t, "a key in two shards", cp, "F_DUPKEY", "layer.1.bias")
}

// By hand: torch 2.0 and newer write it.
func TestRow65Distributed(t *testing.T) {
	dir := filepath.Join("..", "testdata", "distributed")
	cp, err := statedict.Open(context.Background(), sources(t, dir, ".metadata", "__0_0.distcp", "__1_0.distcp")...)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "keys", fmt.Sprint(paths(cp)), "[model.matrix model.vector model.half]")
	want(t, "four boxes of two files", values(t, cp, "model.matrix"), "[0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23]")
	want(t, "two pieces", values(t, cp, "model.vector"), "[0 1 2 3 4]")
	want(t, "whole", fmt.Sprint(entry(t, cp, "model.half").DType, values(t, cp, "model.half")), "float16[0.5 -2]")
	want(t, "an object", fmt.Sprint(rowObject(t, cp, "extra.step").Value), "3")
	_, back := exports(t, apply(t, cp, "{drop_objects: extra}"), statedict.Safetensors)
	want(t, "exported", values(t, back, "model.vector"), "[0 1 2 3 4]")
	// Without one of its files the tensors of the others are there.
	cp, err = statedict.Open(context.Background(), sources(t, dir, ".metadata", "__0_0.distcp")...)
	if err != nil {
		t.Fatal(err)
	}
	found(t, "a missing file", cp, "F_TENSOR_BAD", "__1_0.distcp")
	want(t, "what is there", values(t, cp, "model.half"), "[0.5 -2]")
	refused(t, apply(t, cp, "{drop_objects: extra}"), statedict.Safetensors, "model.matrix", "model.vector")
}

func TestRow66SafetensorsRules(t *testing.T) {
	one := `"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`
	for _, c := range []struct{ what, header, code string }{
		{"hole", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "E_LAYOUT"},
		{"overlap", `{` + one + `,"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, "E_LAYOUT"},
		{"trailing bytes", `{` + one + `}`, "E_LAYOUT"},
		{"a key twice", `{` + one + `,"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "E_HEADER"},
		{"a wrong size", `{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, "E_LAYOUT"},
		{"begin behind end", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, "E_LAYOUT"},
		{"an odd count of F4", `{"a":{"dtype":"F4","shape":[15],"data_offsets":[0,8]}}`, "E_LAYOUT"},
		{"a product that overflows", `{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}`, "E_LAYOUT"},
		{"an unknown dtype", `{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}`, "E_UNSUPPORTED"},
		{"metadata that is no text", `{"__metadata__":{"a":1},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, "E_HEADER"},
		{"no JSON", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`, "E_HEADER"},
		{"no UTF-8", "{\"\xff\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "E_HEADER"},
	} {
		file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(c.header))), c.header...)
		fails(t, c.what, append(file, make([]byte, 8)...), c.code)
	}
	fails(t, "a header of 100,000,001 bytes", append(binary.LittleEndian.AppendUint64(nil, 100_000_001), make([]byte, 100)...), "E_FORMAT")
	fails(t, "the same, recognised", append(append(binary.LittleEndian.AppendUint64(nil, 100_000_001), `{"a":`...), make([]byte, 100)...), "E_HEADER", "the format allows 100000000")
}

func TestRow67Canonical(t *testing.T) {
	cp, data := fixtureRow(t, "canonical.safetensors")
	rewrites(t, cp, data)
	// Every dtype: by position in the reference list, then by name; each tensor where its elements may begin.
	cp, _ = fixtureRow(t, "dtypes.pth")
	out, back := exports(t, apply(t, cp, "{drop: complex128}, {rename: {from: uint8, to: '0'}}"), statedict.Safetensors)
	want(t, "order", fmt.Sprint(paths(back)), "[int64 float64 complex64 float32 int32 bfloat16 float16 int16 int8 0 bool]")
	n := binary.LittleEndian.Uint64(out)
	want(t, "header padded to 8", (8+n)%8, 0)
	want(t, "metadata first", strings.HasPrefix(string(out[8:]), `{"__metadata__":{"format":"pt"},"int64":{"dtype":"I64","shape":[3],"data_offsets":[0,24]},`), true)
	for i := range back.Entries {
		e := &back.Entries[i]
		want(t, e.Key+" aligned", back.Storages[e.Storage].Data.Off%e.DType.Size(), 0)
	}
}

const loadArrays = `
import sys, json, numpy as np
out = {}
with np.load(sys.argv[1], allow_pickle=False) as z:
    for k in z.files:
        out[k] = [z[k].dtype.str, list(z[k].shape), z[k].tobytes().hex()]
print(json.dumps(out))
`

func TestRow68ArraysAndGGUF(t *testing.T) {
	shapes, _ := fixtureRow(t, "shapes.pth")
	half, _ := fixtureRow(t, "bf16_half.pth")
	for _, cp := range []*statedict.Checkpoint{shapes, half} {
		path := saved(t, cp, statedict.NPZ, nil)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
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
			want(t, f.Name+" header length modulo 64", (10+int(binary.LittleEndian.Uint16(head[8:])))%64, 0)
		}
		var arrays map[string]json.RawMessage
		python(t, loadArrays, &arrays, path)
		for i := range cp.Entries {
			e := &cp.Entries[i]
			b, err := io.ReadAll(cp.Reader(e.View))
			if err != nil {
				t.Fatal(err)
			}
			descr := map[string]string{"float32": "<f4", "int64": "<i8", "float16": "<f2", "bfloat16": "<u2"}[e.DType.String()]
			shape, _ := json.Marshal(append([]int64{}, e.Shape...))
			want(t, e.Key, strings.ReplaceAll(string(arrays[e.Key]), ", ", ","), fmt.Sprintf(`["%s",%s,"%x"]`, descr, shape, b))
		}
	}
	// Rank 5 and more: every such tensor in one error.
	refused(t, shapes, statedict.GGUF, "empty", "empty3", "rank7")
	_, back := exports(t, apply(t, shapes, `{drop: [rank7, "empty*"]}`), statedict.GGUF)
	want(t, "a scalar becomes", fmt.Sprint(entry(t, back, "scalar").Shape, values(t, back, "scalar")), "[1][3.5]")
	want(t, "a permuted one", hashOf(t, back, entry(t, back, "permuted").View), hashOf(t, shapes, entry(t, shapes, "permuted").View))
	_, back = exports(t, half, statedict.GGUF)
	want(t, "bfloat16", entry(t, back, "conv.weight").DType.String(), "bfloat16")
	sameValues(t, half, back)
}

func sameValues(t *testing.T, a, b *statedict.Checkpoint) {
	t.Helper()
	for i := range a.Entries {
		want(t, a.Entries[i].Key, hashOf(t, b, entry(t, b, a.Entries[i].Key).View), hashOf(t, a, a.Entries[i].View))
	}
}
