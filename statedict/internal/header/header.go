// Package header has the error that the readers of header formats share: safetensors, GGUF, .npy and the index of shards.
package header

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Error says what is wrong with a file, or with what should become one.
type Error struct {
	Part string // what was read: "gguf header"
	Code string // one of the codes of the project's common vocabulary, "E_LAYOUT"
	Text string
	Off  int64 // offset in the file in bytes, -1 where there is none
}

func (e *Error) Error() string {
	if e.Off < 0 {
		return e.Part + ": " + e.Text
	}
	return e.Part + ": " + e.Text + " (byte " + strconv.FormatInt(e.Off, 10) + ")"
}

// Fault makes an Error of a format and its arguments.
func Fault(part, code string, off int64, format string, args ...any) *Error {
	return &Error{Part: part, Code: code, Text: fmt.Sprintf(format, args...), Off: off}
}

// Quote shows a name from a file: escaped, and cut at 256 bytes.
func Quote(name string) string {
	const most = 256
	if len(name) <= most {
		return strconv.Quote(name)
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(name[cut]) {
		cut--
	}
	return strconv.Quote(name[:cut]) + "..."
}
