package statedict_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// Rows 43 to 51 and 53 to 56: the archives around data.pkl. All of them are made by hand.

// Newer torch: these are the records of 2.1 to 2.6 and of 2.7 and later.
func TestRow43Profiles(t *testing.T) {
	for name, records := range map[string]string{
		"profile_2.1.pth": "data.pkl byteorder data/0", "profile_2.7.pth": "data.pkl .format_version .storage_alignment byteorder data/0"} {
		cp, data := fixtureRow(t, name)
		var names []string
		for _, r := range unzip(t, data) {
			names = append(names, strings.TrimPrefix(r.name, "model/"))
		}
		if all := strings.Join(names, " "); !strings.HasPrefix(all, records) || !strings.HasSuffix(all, " version .data/serialization_id") {
			t.Errorf("%s holds %s", name, all)
		}
		rewrites(t, cp, data) // the id included
	}
}

// Newer torch: 2.7 and later can be told the alignment. T4.
func TestRow44Alignment(t *testing.T) {
	cp, data := fixtureRow(t, "aligned_4096.pth")
	want(t, "alignment of the storage", cp.Storages[0].Data.Off%4096, 0)
	rewrites(t, cp, data)
	p, err := statedict.NewPlan(cp, statedict.TorchZip, nil)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "an exact copy is one segment", len(p.Files[0].Segments), 1)
	out, back := exports(t, apply(t, cp, "{add_prefix: net}"), statedict.TorchZip)
	want(t, "alignment after an edit", back.Storages[0].Data.Off%4096, 0)
	for _, r := range unzip(t, out) {
		if strings.HasSuffix(r.name, "/.storage_alignment") {
			want(t, r.name, string(r.body), "4096")
		}
	}
}

func TestRow45BigEndian(t *testing.T) {
	cp, _ := fixtureRow(t, "big_endian.pth") // the oracle has the values of 1, 2, 4, 8 bytes and of complex ones
	for key, shown := range map[string]string{"int8": "[0 1 2]", "int16": "[0 1 2]", "float16": "[0 1 2]", "float32": "[NaN +Inf -0]", "int64": "[-9223372036854775808 9223372036854775807 0]",
		"complex64": "[(1+2i) (-0-0.5i) (3+0i)]", "complex128": "[(1+2i) (-0-0.5i) (3+0i)]"} {
		want(t, key, values(t, cp, key), shown)
	}
	little, _ := fixtureRow(t, "dtypes.pth")
	for _, f := range []statedict.Format{statedict.TorchZip, statedict.TorchLegacy} {
		_, back := exports(t, edited(t, cp), f)
		sameTensors(t, little, back)
	}
}

// Newer dtypes have untyped storages: the bytes are swapped by the dtype of the tensors that view them.
func TestRow45BigEndianUntyped(t *testing.T) {
	cp, data := fixtureRow(t, "v3_fp8_unsigned.pth")
	big := rezip(t, data, func(r *zipRecord) {
		_, key, ok := strings.Cut(r.name, "/data/")
		switch {
		case strings.HasSuffix(r.name, "/byteorder"):
			r.body = []byte("big")
		case ok:
			for i := range cp.Storages {
				for j := range cp.Entries {
					if cp.Storages[i].Key == key && cp.Entries[j].Storage == statedict.StorageID(i) {
						swap(r.body, map[string]int{"uint16": 2, "complex32": 2, "uint32": 4, "uint64": 8}[cp.Entries[j].Key])
					}
				}
			}
		}
	})
	back := mustOpen(t, big)
	sameTensors(t, cp, back)
	for _, f := range []statedict.Format{statedict.TorchZip, statedict.TorchLegacy} {
		_, again := exports(t, edited(t, back), f)
		sameTensors(t, cp, again)
	}
}

func swap(b []byte, unit int) {
	for i := 0; unit > 0 && i+unit <= len(b); i += unit {
		slices.Reverse(b[i : i+unit])
	}
}

// T4: the zip64 fields of a storage past 4 GiB and of a small one behind it, written and read back.
func TestRow46FourGigabytes(t *testing.T) {
	const big = int64(1<<30 + 4) // elements of float32
	header := fmt.Appendf(nil, `{"a":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]},"b":{"dtype":"F32","shape":[2],"data_offsets":[%d,%d]}}`, big, 4*big, 4*big, 4*big+8)
	head := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	tail := []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0x40} // 1 and 2
	size := int64(len(head)) + 4*big + 8
	cp, err := statedict.Open(context.Background(), statedict.Source{Name: "big.safetensors", R: &holed{head: head, tail: tail, size: size}, Size: size})
	if err != nil {
		t.Fatal(err)
	}
	p, err := statedict.NewPlan(cp, statedict.TorchZip, nil)
	if err != nil {
		t.Fatal(err)
	}
	var before, behind []byte // the file around the large payload
	at := &before
	for _, s := range p.Files[0].Segments {
		switch s := s.(type) {
		case statedict.Literal:
			*at = append(*at, s...)
		case statedict.Copy:
			if s.Len() > 1<<20 {
				at = &behind
				continue
			}
			b := make([]byte, s.Len())
			if _, err := s.Extent.Source.R.ReadAt(b, s.Extent.Off); err != nil && err != io.EOF {
				t.Fatal(err)
			}
			*at = append(*at, b...)
		case statedict.Sum:
			*at = append(*at, make([]byte, 4)...) // of four gigabytes: 0, which means not computed
		}
	}
	local := before[bytes.LastIndex(before, []byte("PK\x03\x04")):]
	extra := local[30+len("archive/data/0"):]
	want(t, "local field of the large record", fmt.Sprintf("% x", extra[:8]), fmt.Sprintf("01 00 10 00 % x", binary.LittleEndian.AppendUint32(nil, uint32(4*big&(1<<32-1)))))
	want(t, "descriptor of 24 bytes, then the next header", string(behind[:4])+string(behind[24:28]), "PK\x07\x08PK\x03\x04")
	extra = behind[24+30+len("archive/data/1"):]
	want(t, "local field of the small record", fmt.Sprintf("% x", extra[:4]), "01 00 08 00")

	for _, lazy := range []bool{false, true} {
		src := statedict.Source{Name: "big.pth", R: &holed{head: before, tail: behind, size: p.Files[0].Size}, Size: p.Files[0].Size}
		back, err := (&statedict.Options{LazyHeaders: lazy}).Open(context.Background(), src)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "large", entry(t, back, "a").Numel(), big)
		want(t, "behind it", values(t, back, "b"), "[1 2]")
		again, err := statedict.NewPlan(edited(t, back), statedict.TorchZip, nil)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "size when written again", again.Files[0].Size, p.Files[0].Size)
	}
}

// T4: deflated storages load, but not with mmap.
func TestRow47Deflated(t *testing.T) {
	cp, _ := fixtureRow(t, "rezipped_deflated.pth")
	want(t, "method", cp.Storages[0].Data.Method, statedict.Deflated)
	found(t, "deflated", cp, "F_CONTAINER", "mmap=True")
	out, _ := exports(t, edited(t, cp), statedict.TorchZip)
	want(t, "stored again", mustOpen(t, out).Storages[0].Data.Method, statedict.Stored)
}

func TestRow48OtherFolders(t *testing.T) {
	cp, data := fixtureRow(t, "state_dict.pth")
	for what, c := range map[string]struct {
		name  func(string) string
		extra []zipRecord
		text  string
	}{
		"outer folder":    {name: func(name string) string { return "outer/" + name }, text: "outer/archive"},
		"without folder":  {name: func(name string) string { return name[strings.IndexByte(name, '/')+1:] }, text: "folder"},
		"folder entries":  {extra: []zipRecord{{name: "archive/"}, {name: "archive/data/"}}},
		"files of a Mac":  {extra: []zipRecord{{name: "__MACOSX/archive/._data.pkl", body: []byte("x")}}, text: "outside folder"},
		"outer and extra": {name: func(name string) string { return "outer/" + name }, extra: []zipRecord{{name: "outer/"}, {name: "__MACOSX/._outer", body: []byte("x")}}, text: "outer/archive"},
	} {
		t.Run(what, func(t *testing.T) {
			records := unzip(t, data)
			for i := range records {
				if c.name != nil {
					records[i].name = c.name(records[i].name)
				}
			}
			back := mustOpen(t, makeZip(t, append(c.extra, records...)...))
			sameTensors(t, cp, back)
			if c.text != "" {
				found(t, what, back, "F_CONTAINER", c.text)
			}
		})
	}
}

func TestRow49OtherMethods(t *testing.T) {
	_, data := fixtureRow(t, "state_dict.pth")
	with := func(name string, change func(r *zipRecord)) []byte {
		return rezip(t, data, func(r *zipRecord) {
			if strings.HasSuffix(r.name, name) {
				change(r)
			}
		})
	}
	fails(t, "bzip2", with("data.pkl", func(r *zipRecord) { r.method = 12 }), "E_METHOD", "archive/data.pkl", "bzip2")
	fails(t, "lzma", with("data.pkl", func(r *zipRecord) { r.method = 14 }), "E_METHOD", "archive/data.pkl", "lzma")
	fails(t, "encrypted", with("data.pkl", func(r *zipRecord) { r.flags = 1 }), "E_ENCRYPTED", "archive/data.pkl", "encrypted")
	// A storage that cannot be decoded is the fault of its tensor alone: T9, one unreadable entry must not hide the rest.
	cp := mustOpen(t, with("/data/0", func(r *zipRecord) { r.method = 12 }))
	found(t, "a storage", cp, "E_METHOD", "bzip2")
	refused(t, cp, statedict.Safetensors, "conv.weight")
}

func TestRow50Checksums(t *testing.T) {
	cp, data := fixtureRow(t, "state_dict.pth")
	checked := func(data []byte) []statedict.Finding {
		faults, _, err := mustOpen(t, data).CheckBytes(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return faults
	}
	changed := slices.Clone(data)
	changed[cp.Storages[0].Data.Off] ^= 1
	if faults := checked(changed); len(faults) != 1 || faults[0].Code != "F_CHECKSUM" || faults[0].Path != "data/0" || !strings.HasSuffix(faults[0].Message, `; it holds "conv.weight"`) {
		t.Errorf("one flipped byte: %v", faults)
	}
	// CRC 0 everywhere is what set_crc32_options(False) leaves: not computed, which is no fault.
	none := slices.Clone(data)
	for off := 0; ; off += 4 {
		at := bytes.Index(none[off:], []byte("PK\x01\x02"))
		if at < 0 {
			break
		}
		off += at
		clear(none[off+16 : off+20])
	}
	if faults := checked(none); len(faults) != 0 {
		t.Errorf("CRC 0 everywhere: %v", faults)
	}
	none[cp.Storages[0].Data.Off] ^= 1
	if faults := checked(none); len(faults) != 0 {
		t.Errorf("CRC 0 everywhere, one flipped byte: %v", faults)
	}
}

func TestRow51RecordLength(t *testing.T) {
	_, data := fixtureRow(t, "state_dict.pth")
	with := func(by int) *statedict.Checkpoint {
		return mustOpen(t, rezip(t, data, func(r *zipRecord) {
			if strings.HasSuffix(r.name, "/data/0") && by < 0 {
				r.body = r.body[:len(r.body)+by]
			} else if strings.HasSuffix(r.name, "/data/0") {
				r.body = append(r.body, make([]byte, by)...)
			}
		}))
	}
	short := with(-1)
	want(t, "shorter", short.Storages[0].Missing, `record "data/0" has 431 bytes, its storage needs 432`)
	refused(t, short, statedict.Safetensors, "conv.weight")
	long := with(4)
	found(t, "longer", long, "F_SIZE_MISMATCH", "has 436 bytes, its storage needs 432")
	_, back := exports(t, edited(t, long), statedict.TorchZip)
	want(t, "written", back.Storages[0].NBytes, 432)
}

// T9: every part that is there is listed, whatever is missing.
func TestRow53Truncated(t *testing.T) {
	for _, name := range []string{"state_dict.pth", "state_dict_legacy.pth"} {
		data, err := os.ReadFile(filepath.Join("..", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			n := len(data) * i / 100
			allocated := testing.AllocsPerRun(1, func() {
				_, err = openBytes("file", data[:n])
			})
			switch {
			case err == nil:
				t.Errorf("%s cut at %d opens", name, n)
			case n == 0:
			case statedict.Code(err) != "E_TRUNCATED" && n > 40, !strings.Contains(err.Error(), "cut off") && n > 40:
				t.Errorf("%s cut at %d: %s: %v", name, n, statedict.Code(err), err)
			}
			if allocated > 10_000 {
				t.Errorf("%s cut at %d: %.0f allocations", name, n, allocated)
			}
		}
	}
}

func TestRow54MissingRecords(t *testing.T) {
	_, data := fixtureRow(t, "state_dict.pth")
	without := func(what string) []byte {
		return rezip(t, data, func(r *zipRecord) {
			if strings.HasSuffix(r.name, what) {
				r.name = ""
			}
		})
	}
	fails(t, "without data.pkl", without("/data.pkl"), "E_FORMAT", "data.pkl")
	cp := mustOpen(t, without("/data/0"))
	found(t, "without data/0", cp, "F_TENSOR_BAD", `record "data/0" is not in the archive`)
	refused(t, cp, statedict.NPZ, "conv.weight")
	found(t, "without version", mustOpen(t, without("/version")), "F_CONTAINER", "version")
	for _, version := range []string{"0\n", "11\n", "abc", "-3\n", ""} {
		code := "E_FORMAT"
		if version == "11\n" {
			code = "E_UNSUPPORTED" // a container that is yet to come
		}
		fails(t, "version "+version, rezip(t, data, func(r *zipRecord) {
			if strings.HasSuffix(r.name, "/version") {
				r.body = []byte(version)
			}
		}), code, "version")
	}
}

func TestRow55TwoReadings(t *testing.T) {
	_, data := fixtureRow(t, "state_dict.pth")
	records := unzip(t, data)
	other := zipRecord{name: "archive/data/0", body: bytes.Repeat([]byte{1}, 432)}
	fails(t, "a name twice", makeZip(t, append(slices.Clone(records), other)...), "E_AMBIGUOUS", "archive/data/0")
	other = zipRecord{name: "archive/DATA.PKL", body: records[0].body}
	fails(t, "a name in two cases", makeZip(t, append(slices.Clone(records), other)...), "E_AMBIGUOUS", "archive/DATA.PKL")

	// In one case alone, whichever it is, torch finds the records.
	upper := slices.Clone(records)
	for i := range upper {
		folder, name, _ := strings.Cut(upper[i].name, "/")
		upper[i].name = folder + "/" + strings.ToUpper(name)
	}
	shouted := mustOpen(t, makeZip(t, upper...))
	compareTensors(t, statedict.TorchZip, mustOpen(t, data), shouted, true)
	if _, back, err := export(t, edited(t, shouted), statedict.TorchZip, nil); err != nil {
		t.Error(err)
	} else {
		compareTensors(t, statedict.TorchZip, shouted, back, true)
	}

	local := makeZip(t, records...)
	copy(local[bytes.Index(local, []byte("archive/data/1")):], "archive/data/7")
	fails(t, "another name in the local header", local, "E_AMBIGUOUS", "archive/data/1", "the name")

	// The directory lets data/1 begin where data/0 does.
	overlap := makeZip(t, records...)
	central := func(name string) []byte { // its entry in the directory
		at := bytes.LastIndex(overlap, []byte(name))
		return overlap[at-46 : at]
	}
	copy(central("archive/data/1")[42:46], central("archive/data/0")[42:46])
	fails(t, "two payloads in one place", overlap, "E_AMBIGUOUS", "overlap")
	// Looking is allowed where it is asked for, writing is not.
	cp, err := (&statedict.Options{Lenient: true}).Open(context.Background(), statedict.Source{Name: "m", R: bytes.NewReader(local), Size: int64(len(local))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := statedict.NewPlan(cp, statedict.TorchZip, nil); err == nil {
		t.Error("a file that reads in two ways is written")
	}
}

func TestRow56NoCheckpoint(t *testing.T) {
	for _, c := range []struct{ what, data, text string }{
		{"git-lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("0", 64) + "\nsize 46830571\n", "which have 46830571 bytes"},
		{"html", "\xef\xbb\xbf \n<!DOCTYPE html><html><title>404</title></html>", "<!DOCTYPE html><html><title>404</title></html>"},
		{"xml", `<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>`, "AccessDenied"},
		{"json", `{"error":"Repository not found"}`, "Repository not found"},
		{"text", "Entry not found", "Entry not found"},
		{"gzip", "\x1f\x8b\x08\x00" + strings.Repeat("a", 40), "gzip"},
		{"xz", "\xfd7zXZ\x00\x00\x04" + strings.Repeat("a", 40), "xz"},
		{"zstd", "\x28\xb5\x2f\xfd" + strings.Repeat("a", 40), "zstd"},
		{"bzip2", "BZh91AY&SY" + strings.Repeat("a", 40), "bzip2"},
		{"lz4", "\x04\x22\x4d\x18" + strings.Repeat("a", 40), "lz4"},
		{"7z", "7z\xbc\xaf\x27\x1c" + strings.Repeat("a", 40), "7z"},
		{"hdf5", "\x89HDF\r\n\x1a\n" + strings.Repeat("a", 40), "HDF5"},
		{"empty", "", "empty"},
		{"zeros", strings.Repeat("\x00", 8192), "zeros"},
	} {
		fails(t, c.what, []byte(c.data), "E_FORMAT", "not a checkpoint", c.text)
	}
}
