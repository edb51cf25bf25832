package statedict_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// What other readers and writers of checkpoints fell into, a test each. The rows of the table of cases look into some of these more
// closely; their comments name the trap.

// T1: a state dict is an OrderedDict with an attribute; what filters or renames keys has to keep it and to re-key it.
func TestTrap01Metadata(t *testing.T) {
	cp, _ := fixtureRow(t, "state_dict.pth")
	for steps, versions := range map[string]string{
		`{keep: "bn.**"}`:                          `["" "bn"] [1 2]`,
		`{rename: {from: bn., to: norm.}}`:         `["" "conv" "norm" "fc"] [1 1 2 1]`,
		`{add_prefix: a.b}`:                        `["" "a" "a.b" "a.b.conv" "a.b.bn" "a.b.fc"] [1 1 1 1 2 1]`,
		`{add_prefix: a}, {strip_prefix: a.}`:      `["" "conv" "bn" "fc"] [1 1 2 1]`,
		`{drop: "conv.**"}, {cast: {to: float16}}`: `["" "bn" "fc"] [1 2 1]`,
	} {
		for _, f := range []statedict.Format{statedict.TorchZip, statedict.TorchLegacy} {
			_, back := exports(t, apply(t, cp, steps), f)
			modules, numbers := back.ModuleVersions("")
			want(t, steps, fmt.Sprintf("%q %v", modules, numbers), versions)
		}
	}
}

// named is a safetensors checkpoint of one-element tensors with these keys.
func named(t *testing.T, keys ...string) *statedict.Checkpoint {
	t.Helper()
	header := "{"
	for i, key := range keys {
		header += fmt.Sprintf(`%q:{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]},`, key, 4*i, 4*i+4)
	}
	header = strings.TrimSuffix(header, ",") + "}"
	file := append([]byte(u64(uint64(len(header)))), header...)
	return mustOpen(t, append(file, make([]byte, 4*len(keys))...))
}

// T2: a prefix is stripped at the start and at a dot, to a fixed point where several are given, and collisions are found.
func TestTrap02Prefix(t *testing.T) {
	cp := named(t, "module.fc.w", "my_module.x", "module", "modules.y", "_orig_mod.module.module.z", "fc.module.v")
	want(t, "once", fmt.Sprint(paths(apply(t, cp, "{strip_prefix: module.}"))), "[fc.w my_module.x module modules.y _orig_mod.module.module.z fc.module.v]")
	want(t, "until none applies", fmt.Sprint(paths(apply(t, cp, "{strip_prefix: [module., _orig_mod.]}"))), "[fc.w my_module.x module modules.y z fc.module.v]")
	r, err := statedict.ParseRecipe([]byte("{recipe: 1, steps: [{strip_prefix: module.}]}"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = r.Apply(named(t, "module.a", "a", "module.b", "b", "c"), nil)
	if err == nil || statedict.Code(err) != "E_KEY" || !strings.Contains(err.Error(), `"module.a"`) || !strings.Contains(err.Error(), `"module.b"`) || strings.Contains(err.Error(), `"c"`) {
		t.Errorf("two collisions: %v", err)
	}
	// A key that is a prefix of another is a key of its own in a comparison, too.
	inc, err := statedict.Compare(named(t, "a.b", "a.b.c"), named(t, "a.b.c", "a.b.cc"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, "missing and unexpected", fmt.Sprint(inc.MissingKeys, inc.UnexpectedKeys), "[a.b] [a.b.cc]")
}

// T3: the folder in an archive is the stem of the file that was saved, "archive", or none; the file's own name says nothing.
func TestTrap03ArchivePrefix(t *testing.T) {
	cp, data := fixtureRow(t, "profile_2.1.pth")
	for _, folder := range []string{"model/", "archive/", "", "other.v1/", "é/"} {
		moved := rezip(t, data, func(r *zipRecord) { r.name = folder + strings.TrimPrefix(r.name, "model/") })
		for _, name := range []string{"model.pth", "renamed.bin", ""} {
			back, err := openBytes(name, moved)
			if err != nil {
				t.Fatalf("folder %q, file %q: %v", folder, name, err)
			}
			sameTensors(t, cp, back)
			out, _ := exports(t, edited(t, back), statedict.TorchZip)
			kept := folder
			if kept == "" {
				kept = "archive/" // torch refuses archives without a folder
			}
			want(t, "folder written", strings.HasPrefix(unzip(t, out)[0].name, kept+"data.pkl"), true)
		}
	}
}

// T4: files of torch.serialization.skip_data have records whose bytes were never written, and no checksums.
func TestTrap04Holes(t *testing.T) {
	_, data := fixtureRow(t, "profile_2.7.pth")
	cp := mustOpen(t, data)
	holes := slices.Clone(data)
	for i := range cp.Storages {
		x := cp.Storages[i].Data
		clear(holes[x.Off : x.Off+x.Len])
		clear(holes[x.Off+x.Len+4 : x.Off+x.Len+8]) // the checksum behind it
	}
	for off := 0; ; off += 4 {
		at := bytes.Index(holes[off:], []byte("PK\x01\x02"))
		if at < 0 {
			break
		}
		if off += at; strings.HasPrefix(string(holes[off+46:]), "model/data/") {
			clear(holes[off+16 : off+20])
		}
	}
	back := mustOpen(t, holes)
	want(t, "tensors", len(back.Entries), len(cp.Entries))
	for i := range back.Entries {
		e := &back.Entries[i]
		want(t, e.Key+" where it was", fmt.Sprint(e.Shape, back.Storages[e.Storage].Data.Off), fmt.Sprint(cp.Entries[i].Shape, cp.Storages[cp.Entries[i].Storage].Data.Off))
	}
	out, _ := exports(t, back, statedict.TorchZip)
	want(t, "copied with its holes", bytes.Equal(out, holes), true)
}

// T5: fp8 and the unsigned types come as _rebuild_tensor_v3 over an untyped storage; sizes there are bytes.
func TestTrap05Untyped(t *testing.T) {
	cp, _ := fixtureRow(t, "v3_fp8_unsigned.pth")
	for i := range cp.Entries {
		e := &cp.Entries[i]
		want(t, e.Key+" bytes", cp.Storages[e.Storage].NBytes, e.Numel()*e.DType.Size())
	}
	_, back := exports(t, apply(t, cp, "{drop: complex32}"), statedict.Safetensors)
	want(t, "values", values(t, back, "uint16")+values(t, back, "uint64")+values(t, back, "float8_e5m2"), "[1 65535][1 18446744073709551615][1 +Inf NaN -0]")
}

// T6: a span follows from strides and offset, in elements; no dimensions are one element, a dimension of 0 is none.
func TestTrap06Spans(t *testing.T) {
	cp, _ := fixtureRow(t, "tied_strided_views.pth")
	for key, shown := range map[string]string{"strided": "[1 4 7 10]", "offset": "[5 6 7 8]", "empty_slice": "[]", "diagonal": "[0 4 8]"} {
		want(t, key, values(t, cp, key), shown)
	}
	want(t, "offset in elements", entry(t, cp, "row_of_big").Offset, 140)
	want(t, "a column", strings.HasPrefix(values(t, cp, "column_of_big"), "[3 23 43 "), true)
	shapes, _ := fixtureRow(t, "shapes.pth")
	want(t, "no dimensions", entry(t, shapes, "scalar").Numel(), 1)
	want(t, "a dimension of 0", entry(t, shapes, "empty3").Numel(), 0)
	for _, f := range []statedict.Format{statedict.Safetensors, statedict.NPZ} {
		_, back := exports(t, shapes, f)
		sameValues(t, shapes, back)
	}
}

// T7: legacy storages follow the key list, each behind a count of eight bytes that has to be the pickle's.
func TestTrap07Legacy(t *testing.T) {
	cp, data := fixtureRow(t, "state_dict_legacy.pth")
	st := cp.Storages[entry(t, cp, "conv.weight").Storage]
	wrong := slices.Clone(data)
	wrong[st.Data.Off-8]++
	found(t, "another count", mustOpen(t, wrong), "F_TENSOR_BAD", "conv.weight")
	// The order of the list decides, not that of first use: with two keys of equal sizes exchanged the values are exchanged.
	x, y := cp.Storages[entry(t, cp, "bn.weight").Storage], cp.Storages[entry(t, cp, "bn.bias").Storage]
	list := bytes.LastIndex(data[:st.Data.Off], []byte("]q"))
	swapped := append([]byte{}, data...)
	at := func(key string) int { return list + bytes.Index(data[list:], []byte(key)) }
	copy(swapped[at(x.Key):], y.Key)
	copy(swapped[at(y.Key):], x.Key)
	want(t, "order of the list", values(t, mustOpen(t, swapped), "bn.weight"), values(t, cp, "bn.bias"))
}

// T8: what nobody here knows is kept as it is, and written in protocol 2, whatever protocol it came in.
func TestTrap08UnknownObjects(t *testing.T) {
	for what, pickle := range map[string]string{
		"protocol 0":            "(dp0\nVcfg\np1\nccopy_reg\n_reconstructor\np2\n(cmine\nConfig\np3\nc__builtin__\nobject\np4\nNtp5\nRp6\n(dp7\nVdepth\np8\nI3\nsbs.",
		"a class of protocol 2": "\x80\x02}X\x03\x00\x00\x00cfgcmine\nConfig\n)\x81}X\x05\x00\x00\x00depthK\x03sbs.",
		"frames of protocol 4":  "\x80\x04\x95\x24\x00\x00\x00\x00\x00\x00\x00}\x8c\x03cfg\x8c\x04mine\x8c\x06Config\x93)\x81}\x8c\x05depthK\x03sbs.",
		"dill's loader":         "\x80\x02}X\x03\x00\x00\x00cfgcdill._dill\n_create_type\n(cdill._dill\n_load_type\nX\x04\x00\x00\x00type\x85RX\x06\x00\x00\x00Config)}tR)\x81}X\x05\x00\x00\x00depthK\x03sbs.",
	} {
		cp, err := openBytes("m", pickled(t, pickle))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		want(t, what, fmt.Sprint(rowObject(t, cp, "cfg.depth").Value), "3")
		out, back := exports(t, edited(t, cp), statedict.TorchZip)
		want(t, what+", written", fmt.Sprint(rowObject(t, back, "cfg.depth").Value), "3")
		want(t, what+", protocol", string(unzip(t, out)[0].body[:2]), "\x80\x02")
	}
}

// T9: only what data.pkl refers to is a storage; one part that cannot be read hides no other.
func TestTrap09Scanners(t *testing.T) {
	cp, data := fixtureRow(t, "state_dict.pth")
	more := append(unzip(t, data), zipRecord{name: "archive/data/99", body: []byte("\x80\x02cos\nsystem\n.")}, zipRecord{name: "archive/data/notes.txt", body: []byte("x")},
		zipRecord{name: "archive/extra.dat", body: []byte("\x80\x02cposix\nsystem\n.")})
	back := mustOpen(t, makeZip(t, more...))
	want(t, "storages", len(back.Storages), len(cp.Storages))
	sameTensors(t, cp, back)

	arrays, err := os.ReadFile(filepath.Join("..", "testdata", "arrays.npz"))
	if err != nil {
		t.Fatal(err)
	}
	damaged := rezip(t, arrays, func(r *zipRecord) {
		switch r.name {
		case "half.npy":
			r.method = 12
		case "scalar.npy":
			r.body = []byte("no array at all")
		}
	})
	npz := mustOpen(t, damaged)
	found(t, "a member compressed in another way", npz, "E_METHOD", "half.npy")
	found(t, "a member that is no array", npz, "F_UNSUPPORTED", "scalar.npy")
	want(t, "the others", len(npz.Entries), 8)
	p, err := statedict.NewPlan(edited(t, npz), statedict.NPZ, nil)
	if err != nil || !strings.Contains(strings.Join(p.Report.Warnings, "\n"), `"half.npy", "scalar.npy"`) {
		t.Errorf("what is left out is not named: %v, %v", p.Report.Warnings, err)
	}
}

// T10: equal sizes prove nothing, and views make good outputs smaller or larger than their input: keys and values are compared.
func TestTrap10Sizes(t *testing.T) {
	cp, data := fixtureRow(t, "tied_strided_views.pth")
	out, back := exports(t, cp, statedict.Safetensors) // exports verifies it
	kept := 0
	for i := range cp.Entries {
		if key := cp.Entries[i].Key; back.Metadata[key] == "" {
			kept++
			want(t, key, hashOf(t, back, entry(t, back, key).View), hashOf(t, cp, cp.Entries[i].View))
		}
	}
	want(t, "tensors and those named in the metadata", len(back.Entries), kept)
	want(t, "the sizes differ", len(out) == len(data), false)
	// A file of the right size with another tensor in it is no success.
	p, err := statedict.NewPlan(cp, statedict.Safetensors, nil)
	if err != nil {
		t.Fatal(err)
	}
	wrong := bytes.Replace(out, []byte(`"strided"`), []byte(`"strodid"`), 1)
	if err := statedict.Verify(t.Context(), p, statedict.Source{Name: "out", R: bytes.NewReader(wrong), Size: int64(len(wrong))}); err == nil {
		t.Error("another key under the right size is taken")
	}
}
