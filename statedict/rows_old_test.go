package statedict_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// Rows 32 to 42: what torch wrote before 1.6, bare pickles and scripts.

func TestRow32Legacy(t *testing.T) {
	a, _ := fixtureRow(t, "state_dict.pth")
	b, data := fixtureRow(t, "state_dict_legacy.pth")
	compareTensors(t, statedict.TorchLegacy, a, b, true)
	// Storages stand one behind the other in the order of their keys, each behind its count.
	inFile := slices.Clone(b.Storages)
	slices.SortFunc(inFile, func(x, y statedict.Storage) int { return strings.Compare(x.Key, y.Key) })
	off := int64(len(data))
	for i := len(inFile) - 1; i >= 0; i-- {
		off -= inFile[i].NBytes
		want(t, "offset of storage "+inFile[i].Key, inFile[i].Data.Off, off)
		off -= 8
	}
	rewrites(t, b, data)
}

// T7: old files hold the source text of modules.
func TestRow33LegacyModule(t *testing.T) {
	cp, data := fixtureRow(t, "module_source_legacy.pth")
	if len(cp.Code) == 0 || !strings.Contains(cp.Code[0].Text, "class Net") {
		t.Errorf("source: %q", cp.Code)
	}
	want(t, "class", rowObject(t, cp, "").Type, "net.Net")
	found(t, "nothing is run", cp, "F_GLOBAL", "net.Net, which is outside the safe list (unknown); it was not imported")
	rewrites(t, cp, data)
}

// T8: protocols other than 2 occur; what is written is protocol 2.
func TestRow34LegacyProtocols(t *testing.T) {
	two, _ := torchRow(t, "two.pt")
	for _, p := range []int{3, 4, 5} {
		cp, _ := torchRow(t, fmt.Sprintf("legacy_protocol%d.pt", p))
		want(t, "format", cp.Format, statedict.TorchLegacy)
		sameTensors(t, two, cp)
		out, _ := exports(t, edited(t, cp), statedict.TorchZip)
		want(t, "protocol written", string(unzip(t, out)[0].body[:2]), "\x80\x02")
	}
}

// By hand; real PyTorch loads it and says what is in it. T7: views carry a tuple.
func TestRow35ViewMetadata(t *testing.T) {
	cp, _ := fixtureRow(t, "windows_legacy.pth")
	root, window := cp.Storages[entry(t, cp, "whole").Storage], cp.Storages[entry(t, cp, "window").Storage]
	want(t, "the window's bytes are the root's", window.Data.Off-root.Data.Off, 4*4)
	want(t, "window", values(t, cp, "window"), "[4 5 6]")
	want(t, "offset in a window", values(t, cp, "offset"), "[3 4 5 6]")
	want(t, "the window again", values(t, cp, "again"), "[5 6]")
	for _, f := range []statedict.Format{statedict.TorchZip, statedict.TorchLegacy} {
		_, back := exports(t, edited(t, cp), f)
		sameTensors(t, cp, back)
	}
}

// T7: the flag in sys_info means nothing, data are little-endian. windows_legacy.pth has it False, too.
func TestRow36LittleEndianFalse(t *testing.T) {
	cp, data := fixtureRow(t, "state_dict_legacy.pth")
	at := bytes.Index(data, []byte("little_endian"))
	flag := at + bytes.IndexByte(data[at:], 0x88)
	changed := slices.Clone(data)
	changed[flag] = 0x89
	sameTensors(t, cp, mustOpen(t, changed))
}

// By hand; real PyTorch loads it and says what is in it.
func TestRow37Python2(t *testing.T) {
	cp, data := fixtureRow(t, "python2_legacy.pth")
	for what, code := range map[string]string{"SHORT_BINSTRING": "U\x09fc.weight", "LONG1": "\x8a\x01\x02", "memo from 1": "q\x01", "pairs as lists": "OrderedDict\n](](U", "hooks None": "\x89NtR"} {
		if !bytes.Contains(data, []byte(code)) {
			t.Errorf("the fixture has no %s", what)
		}
	}
	want(t, "keys", fmt.Sprint(paths(cp)), "[fc.weight fc.bias tied]")
	want(t, "tied", statedict.SameNode(&cp.Entries[0], &cp.Entries[2]), true)
	for _, f := range []statedict.Format{statedict.TorchZip, statedict.TorchLegacy} {
		_, back := exports(t, edited(t, cp), f)
		modules, versions := back.ModuleVersions("")
		want(t, "metadata", fmt.Sprintf("%q %v", modules, versions), `["" "fc"] [1 1]`)
		sameTensors(t, cp, back)
	}
}

// By hand; real PyTorch loads it and says what is in it.
func TestRow38Python2Module(t *testing.T) {
	cp, _ := fixtureRow(t, "python2_module_legacy.pth")
	e := entry(t, cp, "_parameters.weight")
	want(t, "state of three", e.Parameter && e.RequiresGrad, true)
	want(t, "state key", e.StateKey, "weight")
	want(t, "backend of the time", rowObject(t, cp, "_backend").Type, "torch.nn.backends.thnn._get_thnn_function_backend")
	if len(cp.Code) == 0 || !strings.Contains(cp.Code[0].Text, "class Net") {
		t.Errorf("source: %q", cp.Code)
	}
	_, back := exports(t, cp, statedict.Safetensors)
	want(t, "values", values(t, back, "weight")+values(t, back, "steps"), "[0 1 2 3 4 5][7]")
	for _, f := range []statedict.Format{statedict.TorchZip, statedict.TorchLegacy} {
		_, back := exports(t, edited(t, cp), f)
		sameTensors(t, cp, back)
	}
}

// By hand; real PyTorch loads it and says what is in it.
func TestRow39Tar(t *testing.T) {
	cp, _ := fixtureRow(t, "tar_0.1.pth")
	want(t, "format", cp.Format, statedict.TorchTar)
	root, view := cp.Storages[entry(t, cp, "fc.weight").Storage], cp.Storages[entry(t, cp, "window").Storage]
	want(t, "the view's bytes are the root's", view.Data.Off-root.Data.Off, 6*4)
	want(t, "view of a view", values(t, cp, "window"), "[7 9 8 10]")
	want(t, "tied", statedict.SameNode(entry(t, cp, "fc.weight"), entry(t, cp, "tied")), true)
	_, back := exports(t, cp, statedict.TorchZip)
	sameTensors(t, cp, back)
}

func TestRow40BarePickle(t *testing.T) {
	for _, p := range []int{2, 4} {
		cp, data := torchRow(t, fmt.Sprintf("bare%d.pkl", p))
		want(t, "format", cp.Format, statedict.Pickle)
		want(t, "values", values(t, cp, "w"), "[0 1 2]")
		// Of the nested stream its five pickles are read; the elements stay where they are behind them.
		st := cp.Storages[entry(t, cp, "w").Storage]
		want(t, "elements in their stream", st.Data.Off+st.Data.Len, st.Data.Source.Size)
		if !bytes.Contains(data, []byte("_load_from_bytes")) || st.Data.Off < 100 {
			t.Errorf("elements at byte %d of the stream", st.Data.Off)
		}
	}
}

func TestRow41TorchScript(t *testing.T) {
	for _, name := range []string{"script.pt", "traced.pt"} {
		cp, _ := torchRow(t, name)
		want(t, "format", cp.Format, statedict.TorchScript)
		want(t, name+" keys", fmt.Sprint(paths(cp)), "[fc.weight fc.bias]")
		if len(cp.Code) == 0 || !strings.Contains(cp.Code[0].Text, "def forward") {
			t.Errorf("code: %q", cp.Code)
		}
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
	script, _ := torchRow(t, "script.pt")
	cp, _ := torchRow(t, "lite.ptl")
	sameTensors(t, script, cp)
	data, err := os.ReadFile(torchFile(t, "flatbuffer.ptl"))
	if err != nil {
		t.Fatal(err)
	}
	fails(t, "flatbuffer", data, "E_FORMAT", "flatbuffer")
	if _, err := statedict.Scan(context.Background(), statedict.Source{Name: "m", R: bytes.NewReader(data), Size: int64(len(data))}); err == nil {
		t.Error("a scan finds something in a flatbuffer")
	}
}
