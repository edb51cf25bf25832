package statedict_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// Rows 1 to 13: plain tensors, their views and the pickle around them.

func TestRow01TwoTensors(t *testing.T) {
	cp, data := torchRow(t, "two.pt")
	want(t, "keys", fmt.Sprint(paths(cp)), "[a.weight a.bias]")
	modules, versions := cp.ModuleVersions("")
	want(t, "metadata", fmt.Sprintf("%q %v", modules, versions), `["" "a"] [1 1]`)
	want(t, "bytes of data.pkl", len(unzip(t, data)[0].body), 311)
	rewrites(t, cp, data)
}

func TestRow02Dtypes(t *testing.T) {
	cp, data := fixtureRow(t, "dtypes.pth")
	want(t, "storage classes", len(cp.Storages), 12)
	for i := range cp.Entries {
		want(t, cp.Entries[i].Path(), cp.Entries[i].Numel(), 3)
	}
	rewrites(t, cp, data)
}

func TestRow03Empty(t *testing.T) {
	cp, data := fixtureRow(t, "shapes.pth")
	want(t, "scalar", fmt.Sprint(entry(t, cp, "scalar").Shape, " ", values(t, cp, "scalar")), "[] [3.5]")
	want(t, "empty", fmt.Sprint(entry(t, cp, "empty").Shape, entry(t, cp, "empty3").Shape), "[0] [2 0 3]")
	empty := 0
	for off := 0; ; {
		at := bytes.Index(data[off:], []byte("PK\x03\x04"))
		if at < 0 {
			break
		}
		h := data[off+at:]
		name := 30 + int(h[26]) + int(h[27])<<8
		payload := name + int(h[28]) + int(h[29])<<8
		if flags := int(h[6]) + int(h[7])<<8; flags == 0x0800 {
			empty++
			if next := string(h[payload : payload+2]); next != "PK" || h[payload+2] == 7 {
				t.Errorf("%s: a descriptor or bytes follow the empty record: % x", h[30:name], h[payload:payload+4])
			}
		} else {
			want(t, string(h[30:name])+" flags", flags, 0x0808)
		}
		off += at + payload
	}
	want(t, "empty records", empty, 2)
	rewrites(t, cp, data)
}

func TestRow04Transposed(t *testing.T) {
	cp, data := torchRow(t, "transposed.pt")
	want(t, "stride", fmt.Sprint(entry(t, cp, "x").Stride), "[1 3]")
	want(t, "gathered", values(t, cp, "x"), "[0 3 1 4 2 5]")
	rewrites(t, cp, data)
}

func TestRow05RowOfBigStorage(t *testing.T) {
	cp, _ := torchRow(t, "row.pt")
	want(t, "used and stored", fmt.Sprint(entry(t, cp, "x").NBytes(), cp.Storages[0].NBytes), "40 400")
	_, back := exports(t, apply(t, cp, "{compact: true}"), statedict.TorchZip)
	want(t, "compacted storage", back.Storages[0].NBytes, 40)
	want(t, "offset", back.Entries[0].Offset, 0)
	want(t, "values", hashOf(t, back, back.Entries[0].View), hashOf(t, cp, cp.Entries[0].View))
}

// T10: bytes that grew are no damage, and a file that grew is no failure: what grows is said before.
func TestRow06Expanded(t *testing.T) {
	cp, _ := torchRow(t, "expanded.pt")
	want(t, "storage", cp.Storages[0].NBytes, 8)
	p, err := statedict.NewPlan(cp, statedict.Safetensors, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(p.Report.Warnings, func(w string) bool {
		return strings.Contains(w, `"x"`) && strings.Contains(w, "8 bytes") && strings.Contains(w, "8000 bytes")
	}) {
		t.Errorf("no warning about 8 bytes that become 8000: %q", p.Report.Warnings)
	}
	_, back := exports(t, cp, statedict.Safetensors)
	want(t, "written", back.Storages[0].NBytes, 8000)
	want(t, "values", hashOf(t, back, back.Entries[0].View), hashOf(t, cp, cp.Entries[0].View))
	_, back = exports(t, edited(t, cp), statedict.TorchZip)
	want(t, "in a torch file", back.Storages[0].NBytes, 8)
}

func TestRow07Tied(t *testing.T) {
	cp, data := torchRow(t, "tied.pt")
	pickle := string(unzip(t, data)[0].body)
	if !strings.Contains(pickle, "Rq\rX\x01\x00\x00\x00bq\x0eh\r") { // memo entry 13 is the tensor a; BINGET 13 behind the key b
		t.Errorf("b is no reference to a: %q", pickle)
	}
	for _, f := range []statedict.Format{statedict.TorchZip, statedict.TorchLegacy} {
		_, back := exports(t, edited(t, cp), f)
		want(t, "storages", len(back.Storages), 1)
		want(t, "a and b are one object", statedict.SameNode(entry(t, back, "a"), entry(t, back, "b")), true)
		want(t, "a and d are one object", statedict.SameNode(entry(t, back, "a"), entry(t, back, "d")), false)
		want(t, "c", fmt.Sprint(entry(t, back, "c").Shape), "[2 2]")
	}
	rewrites(t, cp, data)
}

// T6: strides that a reader ignores scramble the weights and nothing says so.
func TestRow08ChannelsLast(t *testing.T) {
	cp, data := torchRow(t, "channels_last.pt")
	want(t, "stride", fmt.Sprint(cp.Entries[0].Stride), "[48 1 12 3]")
	rewrites(t, cp, data)
	_, back := exports(t, cp, statedict.Safetensors)
	want(t, "contiguous", back.Entries[0].Contiguous(), true)
	want(t, "values", hashOf(t, back, back.Entries[0].View), hashOf(t, cp, cp.Entries[0].View))
}

func TestRow09BeyondTheEnd(t *testing.T) {
	cp, data := torchRow(t, "beyond.pt")
	want(t, "offset and shape", fmt.Sprint(cp.Entries[0].Offset, cp.Entries[0].Shape), "5 [0]")
	if cp.Entries[0].Info != nil {
		t.Errorf("%+v", cp.Entries[0].Info)
	}
	rewrites(t, cp, data)
}

func TestRow10ManyStorages(t *testing.T) {
	cp, data := torchRow(t, "twelve.pt")
	var order []string
	for _, r := range unzip(t, data) {
		if _, key, ok := strings.Cut(r.name, "/data/"); ok {
			order = append(order, key)
		}
	}
	want(t, "order of records", fmt.Sprint(order), "[0 1 10 11 12 13 2 3 4 5 6 7 8 9]")
	for i := range 14 {
		want(t, "values", values(t, cp, fmt.Sprintf("k%d", i)), fmt.Sprintf("[%d %d]", i, i))
	}
	rewrites(t, cp, data)
}

func TestRow11AddressKeys(t *testing.T) {
	cp, data := fixtureRow(t, "state_dict.pth")
	old, key := []byte("X\x01\x00\x00\x000q"), []byte("X\x0e\x00\x00\x0094387834623856q")
	renamed := rezip(t, data, func(r *zipRecord) {
		switch {
		case strings.HasSuffix(r.name, "/data.pkl"):
			r.body = bytes.Replace(r.body, old, key, 1)
		case strings.HasSuffix(r.name, "/data/0"):
			r.name = strings.TrimSuffix(r.name, "0") + "94387834623856"
		}
	})
	back := mustOpen(t, renamed)
	want(t, "key", back.Storages[0].Key, "94387834623856")
	sameTensors(t, cp, back)
}

func TestRow12Batches(t *testing.T) {
	for _, n := range []int{999, 1000, 1001, 2000} {
		for _, kind := range []string{"dict", "OrderedDict"} {
			cp, data := torchRow(t, fmt.Sprintf("many_%s_%d.pt", kind, n))
			want(t, "keys", len(cp.Entries), n)
			pickle := string(unzip(t, data)[0].body)
			want(t, fmt.Sprint(kind, n, " ends in an empty batch"), strings.Contains(pickle, "u(u."), kind == "dict" && n%1000 == 0)
			rewrites(t, cp, data)
		}
	}
}

func TestRow13LongMemo(t *testing.T) {
	cp, data := torchRow(t, "memo.pt")
	pickle := string(unzip(t, data)[0].body)
	if !strings.Contains(pickle, "r\x00\x01\x00\x00") || strings.Contains(pickle, "q\x00\x01") {
		t.Error("the memo does not go past 256")
	}
	rewrites(t, cp, data)
}

// Steps that gather a view into a storage of its own do not hide that it leaves the one it has: the export is refused.
func TestRow52GatheredAllTheSame(t *testing.T) {
	cp, _ := torchRow(t, "bad_views.pt")
	for _, step := range []string{"compact: true", `unshare: "**"`} {
		r, err := statedict.ParseRecipe([]byte("recipe: 1\nsteps: [{keep: [size, offset, stride, span]}, {" + step + "}]"))
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := r.Apply(cp, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []statedict.Format{statedict.TorchZip, statedict.Safetensors} {
			refused(t, out, f, "size", "offset", "stride", "span")
		}
	}
}
