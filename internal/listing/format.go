package listing

import (
	"strings"

	"github.com/weightroom/weightroom/statedict"
)

// formats maps what `--format` and the API take to the format, and to the file endings that stand for it.
var formats = []struct {
	name    string
	format  statedict.Format
	endings []string // the first is given to files that have no name yet
}{
	{"torch", statedict.TorchZip, []string{".pth", ".pt", ".bin", ".ckpt", ".pth.tar", ".th"}},
	{"torch-legacy", statedict.TorchLegacy, nil},
	{"safetensors", statedict.Safetensors, []string{".safetensors"}},
	{"npz", statedict.NPZ, []string{".npz"}},
	{"gguf", statedict.GGUF, []string{".gguf"}},
}

// OutputFormat is the format that a user calls name, and the ending of its files.
func OutputFormat(name string) (f statedict.Format, ending string, ok bool) {
	for _, f := range formats {
		if f.name == name {
			return f.format, append(f.endings, ".pth")[0], true
		}
	}
	return "", "", false
}

// FormatOf is the format that the ending of a file name stands for.
func FormatOf(file string) (statedict.Format, bool) {
	for _, f := range formats {
		for _, ending := range f.endings {
			if strings.HasSuffix(strings.ToLower(file), ending) {
				return f.format, true
			}
		}
	}
	return "", false
}

// FormatNames lists what OutputFormat knows.
func FormatNames() []string {
	var names []string
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}
