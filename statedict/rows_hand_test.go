package statedict_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// The rows whose files are made by hand: here, from a fixture, or by testdata/gen.py.

// rezip writes the records of an archive again, stored, as change answers them: an empty name leaves one out.
func rezip(t *testing.T, data []byte, change func(name string, body []byte) (string, []byte)) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if name, body := change(f.Name, body); name != "" {
			rawRecord(t, w, name, body, 0)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func rawRecord(t *testing.T, w *zip.Writer, name string, body []byte, method uint16) {
	t.Helper()
	h := &zip.FileHeader{Name: name, Method: method, CRC32: crc32.ChecksumIEEE(body),
		CompressedSize64: uint64(len(body)), UncompressedSize64: uint64(len(body))}
	r, err := w.CreateRaw(h)
	if err == nil {
		_, err = r.Write(body)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// fails checks that data does not open, and that the error has one of the codes.
func fails(t *testing.T, what string, data []byte, codes ...string) {
	t.Helper()
	cp, err := openBytes("file", data)
	if err == nil {
		t.Errorf("%s: opens with %v", what, cp.Findings)
	} else if code := statedict.Code(err); len(codes) > 0 && !slices.Contains(codes, code) {
		t.Errorf("%s: %s, want one of %q: %v", what, code, codes, err)
	}
}

func sameTensors(t *testing.T, a, b *statedict.Checkpoint) {
	t.Helper()
	if len(a.Entries) != len(b.Entries) {
		t.Fatalf("%d tensors, want %d", len(b.Entries), len(a.Entries))
	}
	compareTensors(t, statedict.TorchZip, a, b, true)
}

func TestRow11AddressKeys(t *testing.T) {
	cp, data := fixtureRow(t, "state_dict.pth")
	old, key := []byte("X\x01\x00\x00\x000q"), []byte("X\x0e\x00\x00\x0094387834623856q")
	renamed := rezip(t, data, func(name string, body []byte) (string, []byte) {
		switch {
		case strings.HasSuffix(name, "/data.pkl"):
			body = bytes.Replace(body, old, key, 1)
		case strings.HasSuffix(name, "/data/0"):
			name = strings.TrimSuffix(name, "0") + "94387834623856"
		}
		return name, body
	})
	sameTensors(t, cp, mustOpen(t, renamed))
}

func TestRow14CUDA(t *testing.T) {
	cp, _ := fixtureRow(t, "cuda.pth")
	want(t, "location", cp.Storages[0].Location, "cuda:0")
}

func TestRow29NumpyTwo(t *testing.T) {
	cp, data := fixtureRow(t, "numpy_namespace.pth")
	two := mustOpen(t, rezip(t, data, func(name string, body []byte) (string, []byte) {
		return name, bytes.ReplaceAll(body, []byte("cnumpy.core."), []byte("cnumpy._core."))
	}))
	for _, path := range []string{"best", "array"} {
		a, b := rowObject(t, cp, path), rowObject(t, two, path)
		want(t, path, fmt.Sprint(b.Value, b.HasValue), fmt.Sprint(a.Value, a.HasValue))
	}
}

func TestRow35ViewMetadata(t *testing.T) { corpusRow(t, "synthetic/legacy_view_metadata.pt") }

func TestRow36LittleEndianFalse(t *testing.T) {
	cp, data := fixtureRow(t, "state_dict_legacy.pth")
	at := bytes.Index(data, []byte("little_endian"))
	flag := at + bytes.IndexByte(data[at:], 0x88)
	changed := slices.Clone(data)
	changed[flag] = 0x89
	sameTensors(t, cp, mustOpen(t, changed))
}

func TestRow37Python2(t *testing.T) { corpusRow(t, "lpips__v0.1_alex.pth") }
func TestRow39Tar(t *testing.T)     { corpusRow(t, "synthetic/tar_torch01.pth") }

func TestRow43Profiles(t *testing.T) {
	for _, name := range []string{"profile_2.1.pth", "profile_2.7.pth"} {
		cp, data := fixtureRow(t, name)
		rewrites(t, cp, data)
	}
}

func TestRow45BigEndian(t *testing.T) { fixtureRow(t, "big_endian.pth") }

func TestRow46FourGigabytes(t *testing.T) { t.Run("delegated", TestOpenReads) }

func TestRow47Deflated(t *testing.T) {
	cp, _ := fixtureRow(t, "rezipped_deflated.pth")
	want(t, "method", cp.Storages[0].Data.Method, statedict.Deflated)
}

func TestRow48OtherFolders(t *testing.T) {
	cp, data := fixtureRow(t, "state_dict.pth")
	for what, change := range map[string]func(string) string{
		"outer folder":   func(name string) string { return "outer/" + name },
		"without folder": func(name string) string { return name[strings.IndexByte(name, '/')+1:] },
	} {
		t.Run(what, func(t *testing.T) {
			sameTensors(t, cp, mustOpen(t, rezip(t, data, func(name string, body []byte) (string, []byte) { return change(name), body })))
		})
	}
}

func TestRow49OtherMethods(t *testing.T) {
	_, data := fixtureRow(t, "state_dict.pth")
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.OpenRaw()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		method := uint16(0)
		if strings.HasSuffix(f.Name, "data.pkl") {
			method = 12 // bzip2
		}
		rawRecord(t, w, f.Name, body, method)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = openBytes("file", b.Bytes())
	if err == nil || !strings.Contains(err.Error(), "12") && !strings.Contains(err.Error(), "bzip2") {
		t.Errorf("bzip2: %v", err)
	}
}

func TestRow50FlippedByte(t *testing.T) {
	cp, data := fixtureRow(t, "state_dict.pth")
	st := &cp.Storages[0]
	changed := slices.Clone(data)
	changed[st.Data.Off] ^= 1
	faults, _, err := mustOpen(t, changed).CheckBytes(context.Background(), nil)
	if err != nil || len(faults) != 1 {
		t.Errorf("faults %v, error %v", faults, err)
	}
}

func TestRow51RecordLength(t *testing.T) {
	_, data := fixtureRow(t, "state_dict.pth")
	for _, by := range []int{-1, 4} {
		cp := mustOpen(t, rezip(t, data, func(name string, body []byte) (string, []byte) {
			if strings.HasSuffix(name, "/data/0") && by < 0 {
				body = body[:len(body)+by]
			} else if strings.HasSuffix(name, "/data/0") {
				body = append(body, make([]byte, by)...)
			}
			return name, body
		}))
		if by < 0 && cp.Storages[0].Missing == "" || by > 0 && !slices.ContainsFunc(cp.Findings, func(f statedict.Finding) bool { return f.Code == "F_SIZE_MISMATCH" }) {
			t.Errorf("%+d bytes: %+v, %v", by, cp.Storages[0], cp.Findings)
		}
	}
}

func TestRow53Truncated(t *testing.T) {
	for _, name := range []string{"state_dict.pth", "state_dict_legacy.pth"} {
		_, data := fixtureRow(t, name)
		for i := range 100 {
			n := len(data) * i / 100
			if cp, err := openBytes("file", data[:n]); err == nil {
				cp.CheckBytes(context.Background(), nil)
			} else if statedict.Code(err) == "" {
				t.Errorf("%s cut at %d: an error without a code: %v", name, n, err)
			}
		}
	}
}

func TestRow54MissingRecords(t *testing.T) {
	_, data := fixtureRow(t, "state_dict.pth")
	without := func(what string) []byte {
		return rezip(t, data, func(name string, body []byte) (string, []byte) {
			if strings.HasSuffix(name, what) {
				return "", nil
			}
			return name, body
		})
	}
	fails(t, "without data.pkl", without("/data.pkl"))
	if cp := mustOpen(t, without("/data/0")); cp.Storages[0].Missing == "" {
		t.Error("nothing is said about the missing record")
	}
	if cp := mustOpen(t, without("/version")); len(cp.Findings) == 0 {
		t.Error("nothing is said about the missing version")
	}
}

// Rows 52, 55, 57, 58 and 59 are files of the hostile corpus, each with the verdict that it must get.
func TestRow57Hostile(t *testing.T) { t.Run("delegated", TestHostile) }

func TestRow56NoCheckpoint(t *testing.T) {
	for what, data := range map[string]string{
		"git-lfs": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
		"html":    "<!DOCTYPE html><html></html>",
		"json":    `{"error":"Repository not found"}`,
		"xz":      "\xfd7zXZ\x00\x00\x04aaaaaaaaaaaaaaaa",
		"empty":   "",
		"zeros":   strings.Repeat("\x00", 4096),
	} {
		if _, err := openBytes("file", []byte(data)); err == nil || statedict.Code(err) == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestRow64Shards(t *testing.T) {
	t.Run("delegated", TestShardedSets)
	index := []byte(`{"metadata":{},"weight_map":{"a":"../x.bin"}}`)
	_, err := statedict.Open(context.Background(),
		statedict.Source{Name: "m.bin.index.json", R: bytes.NewReader(index), Size: int64(len(index))},
		statedict.Source{Name: "x.bin", R: bytes.NewReader(nil)})
	if err == nil {
		t.Error("a shard outside the folder is taken")
	}
}

func TestRow65Distributed(t *testing.T) { t.Run("delegated", TestDistributedFolder) }

func TestRow66SafetensorsRules(t *testing.T) {
	one := `"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`
	for what, header := range map[string]string{
		"hole":     `{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`,
		"overlap":  `{` + one + `,"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`,
		"trailing": `{` + one + `}`,
		"twice":    `{` + one + `,` + one + `}`,
		"size":     `{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`,
		"odd F4":   `{"a":{"dtype":"F4","shape":[15],"data_offsets":[0,8]}}`,
		"metadata": `{"__metadata__":{"a":1},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`,
	} {
		file := append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header...)
		fails(t, what, append(file, make([]byte, 8)...))
	}
	fails(t, "header of 100,000,001 bytes", append([]byte{1, 0xe1, 0xf5, 5, 0, 0, 0, 0, '{'}, make([]byte, 100)...))
}

func TestRow67Canonical(t *testing.T) {
	cp, data := fixtureRow(t, "canonical.safetensors")
	rewrites(t, cp, data)
}

func TestRow70OtherArchives(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range []string{"m/archive_format", "m/models/model.json", "m/version"} {
		rawRecord(t, w, name, []byte("pt2"), 0)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := openBytes("m.pt2", b.Bytes()); !errors.Is(err, statedict.ErrNotCheckpoint) {
		t.Errorf("pt2: %v", err)
	}
	for _, text := range []string{"PYTORCH1", "\x1c\x00\x00\x00ET12"} {
		if _, err := openBytes("m", append([]byte(text), make([]byte, 100)...)); err == nil || statedict.Code(err) == "" {
			t.Errorf("%q: %v", text, err)
		}
	}
}
