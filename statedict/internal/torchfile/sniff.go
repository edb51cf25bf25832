package torchfile

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Kind is what a file looks like from its first bytes.
type Kind uint8

const (
	Unknown Kind = iota
	Empty
	Zeros
	Zip
	EmptyZip
	Legacy // torch.save before 1.6: five pickles and raw storages
	Tar
	Safetensors
	GGUF
	GGML
	NPY
	PyTorch1   // preview container of 2018
	Flatbuffer // TorchScript for mobile, .ptl
	ExecuTorch // .pte
	ExecuTorchData
	Gzip
	XZ
	Zstd
	Bzip2
	LZ4
	SevenZip
	RAR
	LFSPointer
	SavedPage // HTML, XML or an error message under a checkpoint's name
	JSON
	HDF5
	Pickle      // starts with a PROTO opcode
	PickleGuess // starts with an opcode of protocol 0 or 1: a pickle only if it scans to STOP
	ONNX
	SavedModel
)

// HeadLen is how many bytes Sniff and Describe want to see; a shorter file is shown whole.
const HeadLen = headLen

// magic lists the signatures that stand at a fixed place. Order matters only where one could contain another.
var magic = []struct {
	at   int
	sig  string
	kind Kind
}{
	{0, sigLocal, Zip},
	{0, sigEnd, EmptyZip},
	{0, "\x80\x02" + legacyMagic, Legacy},
	{0, "\x80\x03" + legacyMagic, Legacy},
	{0, "\x80\x04\x95\x0d\x00\x00\x00\x00\x00\x00\x00" + legacyMagic, Legacy},
	{0, "\x80\x05\x95\x0d\x00\x00\x00\x00\x00\x00\x00" + legacyMagic, Legacy},
	{0, "L" + legacyMagicText + "L\n.", Legacy},
	{257, "ustar", Tar},
	{0, "GGUF", GGUF},
	{0, "lmgg", GGML}, {0, "fmgg", GGML}, {0, "tjgg", GGML},
	{0, "\x93NUMPY", NPY},
	{0, "PYTORCH1", PyTorch1},
	{4, "PTMF", Flatbuffer},
	{0, "\x1f\x8b", Gzip},
	{0, "\xfd7zXZ\x00", XZ},
	{0, "\x28\xb5\x2f\xfd", Zstd},
	{0, "BZh", Bzip2},
	{0, "\x04\x22\x4d\x18", LZ4},
	{0, "7z\xbc\xaf\x27\x1c", SevenZip},
	{0, "Rar!\x1a\x07", RAR},
	{0, "version https://git-lfs.github.com/spec/v1", LFSPointer},
	{0, "\x89HDF\r\n\x1a\n", HDF5},
}

// pages are beginnings of documents that servers send in place of a file.
var pages = []string{"<!doctype", "<html", "<?xml", "<head", "<!--", `{"error`, "entry not found", "not found", "access to model", "invalid username", "404: not found"}

// Sniff tells what a file of size bytes is that starts with head, HeadLen bytes or the whole file. It decides by content
// alone. PickleGuess is no more than that: the caller scans, and says Unknown if the scan fails.
func Sniff(head []byte, size int64) Kind {
	if size == 0 || len(head) == 0 {
		return Empty
	}
	if len(bytes.Trim(head[:min(len(head), HeadLen)], "\x00")) == 0 {
		return Zeros
	}
	has := func(at int, sig string) bool {
		return len(head) >= at+len(sig) && string(head[at:at+len(sig)]) == sig
	}
	for _, m := range magic {
		if m.kind > Tar && isSafetensors(head, size) {
			return Safetensors
		}
		if has(m.at, m.sig) {
			return m.kind
		}
	}
	if len(head) >= 8 && digit(head[6]) && digit(head[7]) {
		switch string(head[4:6]) {
		case "ET":
			return ExecuTorch
		case "FT":
			return ExecuTorchData
		}
	}
	text := strings.ToLower(string(bytes.TrimLeft(bytes.TrimPrefix(head[:min(len(head), 512)], []byte("\xef\xbb\xbf")), " \t\r\n")))
	for _, page := range pages {
		if strings.HasPrefix(text, page) {
			return SavedPage
		}
	}
	switch {
	case strings.HasPrefix(text, "{"):
		return JSON
	case head[0] == 0x80 && len(head) > 1 && head[1] <= 5:
		return Pickle
	case len(head) > 9 && head[8] == '{' && strings.IndexByte("\"} \n", head[9]) >= 0:
		return Safetensors // with a length that cannot be: its codec says what is wrong
	case has(0, "\x08\x01\x12"):
		return SavedModel
	case head[0] == 8 && len(head) > 2 && head[1] <= 32 && head[2]&7 == 2:
		return ONNX
	case strings.IndexByte("().NIJKLMFGSTUVXBC]}cI", head[0]) >= 0:
		return PickleGuess
	}
	return Unknown
}

func isSafetensors(head []byte, size int64) bool {
	if len(head) < 9 || head[8] != '{' {
		return false
	}
	n := le.Uint64(head)
	return n >= 2 && n <= 100_000_000 && int64(n) <= size-8
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// kinds says for each kind what it is, as the end of "this is", and what to do about it, empty where it can be opened.
var kinds = [...]struct{ looks, hint string }{
	Unknown:        {"a file of unknown kind", "if it should be a checkpoint, compare its size with what the sender has, and fetch it again"},
	Empty:          {"an empty file", "the download never started: fetch it again"},
	Zeros:          {"zeros only", "the download never finished: fetch it again"},
	Zip:            {"a zip archive", ""},
	EmptyZip:       {"a zip archive without records", "there is nothing in it: ask for the file again"},
	Legacy:         {"a torch checkpoint in the format before 1.6", ""},
	Tar:            {"a tar archive", ""},
	Safetensors:    {"a safetensors file", ""},
	GGUF:           {"a GGUF file", ""},
	GGML:           {"a ggml file older than GGUF", "convert it to GGUF with llama.cpp first"},
	NPY:            {"a NumPy array", ""},
	PyTorch1:       {"a PYTORCH1 container of a 2018 preview of torch", "save it again with a released torch"},
	Flatbuffer:     {"a TorchScript mobile flatbuffer (.ptl)", "open the file that it was made from: it holds no state dict"},
	ExecuTorch:     {"an ExecuTorch program (.pte)", "open the checkpoint that it was exported from"},
	ExecuTorchData: {"ExecuTorch named data (.ptd)", "open the checkpoint that it was exported from"},
	Gzip:           {"gzip-compressed data", "unpack it first: gunzip"},
	XZ:             {"xz-compressed data", "unpack it first: unxz"},
	Zstd:           {"zstd-compressed data", "unpack it first: unzstd"},
	Bzip2:          {"bzip2-compressed data", "unpack it first: bunzip2"},
	LZ4:            {"lz4-compressed data", "unpack it first: unlz4"},
	SevenZip:       {"a 7z archive", "unpack it first: 7z x"},
	RAR:            {"a RAR archive", "unpack it first: unrar x"},
	LFSPointer:     {"a Git LFS pointer, not the weights", "run `git lfs pull` in the repository that it comes from"},
	SavedPage:      {"a saved web page or error message, not the weights", "fetch it again: check the address, and whether one has to sign in"},
	JSON:           {"a JSON document", "open the checkpoint itself, or an index that lists its shards"},
	HDF5:           {"an HDF5 file, as Keras writes", "load it with Keras and save the weights again"},
	Pickle:         {"a pickle", ""},
	PickleGuess:    {"a pickle of protocol 0 or 1", ""},
	ONNX:           {"an ONNX model, or other protobuf data", "open the checkpoint that it was exported from"},
	SavedModel:     {"a TensorFlow SavedModel", "load it with TensorFlow and save the weights again"},
}

// Description is what to tell about a file that is no checkpoint.
type Description struct {
	Looks string // "a Git LFS pointer, not the weights (of 5368709120 bytes)": the end of "this is"
	Hint  string // what to do next, empty for readable kinds
}

// Describe says what a file of kind k is, with what its beginning tells. Text from the file is quoted, escaped and cut
// to 80 characters.
func Describe(k Kind, head []byte, size int64) Description {
	if int(k) >= len(kinds) {
		k = Unknown
	}
	d := Description{Looks: kinds[k].looks, Hint: kinds[k].hint}
	switch k {
	case Zeros:
		if size > int64(len(head)) {
			d.Looks = fmt.Sprintf("%d bytes that start with %d zeros", size, len(head))
		}
	case LFSPointer:
		if n, ok := pointerSize(head); ok {
			d.Looks += fmt.Sprintf(" (which have %d bytes)", n)
		}
	case SavedPage, JSON:
		d.Looks += ": " + beginning(head)
	case Unknown:
		if isText(head) {
			d.Looks = "a text: " + beginning(head)
		} else {
			d.Looks += fmt.Sprintf(", starting with % x", head[:min(len(head), 16)])
		}
	}
	return d
}

// pointerSize is the size that a Git LFS pointer states.
func pointerSize(head []byte) (int64, bool) {
	for line := range strings.Lines(string(head[:min(len(head), 1024)])) {
		if digits, ok := strings.CutPrefix(line, "size "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
			return n, err == nil && n >= 0
		}
	}
	return 0, false
}

// beginning quotes the first 80 characters, runs of space as one.
func beginning(head []byte) string {
	text := strings.Join(strings.Fields(string(bytes.TrimPrefix(head[:min(len(head), 512)], []byte("\xef\xbb\xbf")))), " ")
	if r := []rune(text); len(r) > 80 {
		text = string(r[:80])
	}
	return strconv.QuoteToASCII(text)
}

// isText tells bytes that are printable ASCII or space, as far as they are shown.
func isText(head []byte) bool {
	for _, c := range head[:min(len(head), 512)] {
		if c < 0x20 && c != '\n' && c != '\r' && c != '\t' || c >= 0x7F {
			return false
		}
	}
	return true
}
