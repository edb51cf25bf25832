package torchfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSniff(t *testing.T) {
	pad := func(at int, sig string) string { return strings.Repeat("\x01", at) + sig + strings.Repeat("\x02", 64) }
	for _, c := range []struct {
		head string
		want Kind
		says string // somewhere in the description
	}{
		{"", Empty, "never started"},
		{strings.Repeat("\x00", 4096), Zeros, "never finished"},
		{sigLocal + "....", Zip, "zip"},
		{sigEnd + strings.Repeat("\x00", 18), EmptyZip, "without records"},
		{"\x80\x02" + legacyMagic, Legacy, "before 1.6"},
		{"\x80\x04\x95\x0d\x00\x00\x00\x00\x00\x00\x00" + legacyMagic, Legacy, ""},
		{"L119547037146038801333356L\n.", Legacy, ""},
		{pad(257, "ustar\x00"), Tar, "tar"},
		{"\x02\x00\x00\x00\x00\x00\x00\x00{}", Safetensors, "safetensors"},
		{"\xff\x00\x00\x00\x00\x00\x00\x00{\"a", Safetensors, ""},
		{"GGUF\x03\x00\x00\x00", GGUF, ""},
		{"tjgg\x03\x00\x00\x00", GGML, "llama.cpp"},
		{"\x93NUMPY\x01\x00", NPY, ""},
		{"PYTORCH1....", PyTorch1, "2018"},
		{pad(4, "PTMF"), Flatbuffer, "flatbuffer"},
		{pad(4, "ET12"), ExecuTorch, ".pte"},
		{pad(4, "FT01"), ExecuTorchData, ".ptd"},
		{"\x1f\x8b\x08", Gzip, "gunzip"},
		{"\xfd7zXZ\x00\x00", XZ, "unxz"},
		{"\x28\xb5\x2f\xfd\x00", Zstd, "unzstd"},
		{"BZh91AY", Bzip2, "bunzip2"},
		{"\x04\x22\x4d\x18", LZ4, "unlz4"},
		{"7z\xbc\xaf\x27\x1c\x00\x04", SevenZip, "7z x"},
		{"Rar!\x1a\x07\x01\x00", RAR, "unrar"},
		{"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5368709120\n", LFSPointer, "5368709120 bytes"},
		{"\ufeff \n<!DOCTYPE html>\n<html>\x1b[31m" + strings.Repeat("x", 200), SavedPage, `"<!DOCTYPE html> <html>\x1b[31mxxx`},
		{`{"error":"Repository not found"}`, SavedPage, `{\"error\":`},
		{"Entry not found", SavedPage, ""},
		{`{"metadata": {}, "weight_map": {}}`, JSON, "shards"},
		{"\x89HDF\r\n\x1a\n", HDF5, "Keras"},
		{"\x80\x04\x95\x00", Pickle, ""},
		{"(dp0\n", PickleGuess, ""},
		{"\x08\x07\x12\x07pytorch", ONNX, "ONNX"},
		{"\x08\x01\x12\x80\x20", SavedModel, "TensorFlow"},
		{"abc", Unknown, `a text: "abc"`},
		{"\xff\xfe\x00\x01", Unknown, "ff fe 00 01"},
	} {
		k := Sniff([]byte(c.head), int64(len(c.head)))
		d := Describe(k, []byte(c.head), int64(len(c.head)))
		if all := d.Looks + "; " + d.Hint; k != c.want || !strings.Contains(all, c.says) {
			t.Errorf("%.20q: %v (%s), want %v with %q", c.head, k, all, c.want, c.says)
		}
		if len(d.Looks) > 400 {
			t.Errorf("%v: description of %d bytes", k, len(d.Looks))
		}
	}
}

// The files that must be refused are named for what they are.
func TestSniffCorpus(t *testing.T) {
	dir := corpus(t)
	for name, want := range map[string]Kind{
		"broken/lfs_pointer.pth": LFSPointer, "broken/html_page.pth": SavedPage, "broken/json_error.safetensors": SavedPage,
		"broken/gzip_wrapped.pth": Gzip, "broken/empty.pth": Empty, "broken/burn_broken.pt": Unknown, "broken/burn_tar_float32.tar": Tar,
		"broken/picklescan_not_a_pickle.bin": PickleGuess, "broken/st_header_too_long.safetensors": Safetensors,
		"broken/gguf_truncated.gguf": GGUF, "broken/truncated_legacy.pth": Legacy, "hostile/sniff-7z.pth": SevenZip,
		"hostile/sniff-lfs-pointer.pth": LFSPointer, "hostile/sniff-npy-object.pth": NPY, "hostile/exec-proto0-legacy.pth": Legacy,
		"synthetic/tar_torch01.pth": Tar, "synthetic/toy.gguf": GGUF, "synthetic/proto5_legacy.pt": Legacy,
		"gopickle__tensor_uint8_proto1.pt": Legacy, "synthetic/st_all.safetensors": Safetensors,
	} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if k := Sniff(data[:min(len(data), HeadLen)], int64(len(data))); k != want {
			t.Errorf("%s: %v, want %v", name, k, want)
		}
	}
	corpusFiles(t, dir, func(name string, data []byte) {
		k := Sniff(data[:min(len(data), HeadLen)], int64(len(data)))
		readable := strings.HasSuffix(name, ".pt") || strings.HasSuffix(name, ".pth") || strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".npz")
		if readable && !damaged(name) && (kinds[k].hint != "" || k == PickleGuess) {
			t.Errorf("%s: %v", name, k)
		}
	})
}
