package torchfile

import (
	"fmt"
	"strconv"
)

// Codes of errors and findings; they are part of the public interface of the project.
const (
	CodeZip         = "E_ZIP"         // malformed archive
	CodeAmbiguous   = "E_AMBIGUOUS"   // two readers could see different contents
	CodeTruncated   = "E_TRUNCATED"   // ends too early
	CodeFormat      = "E_FORMAT"      // not a checkpoint
	CodeEncrypted   = "E_ENCRYPTED"   // a record is encrypted
	CodeMethod      = "E_METHOD"      // a record is compressed in a way that nobody here can undo
	CodeLimit       = "E_LIMIT"       // a limit was passed
	CodeChecksum    = "E_CHECKSUM"    // a record does not have the CRC-32 that the directory states
	CodeLayout      = "E_LAYOUT"      // sizes or ranges disagree
	CodeUnsupported = "E_UNSUPPORTED" // known, not supported

	FoundTrailing  = "F_TRAILING"  // bytes behind the end, or between records, that nobody owns
	FoundPrefix    = "F_PREFIX"    // bytes in front of the first record
	FoundChecksum  = "F_CHECKSUM"  // a record does not have the CRC-32 that the directory states
	FoundName      = "F_NAME"      // a name is unsafe to show or write as it is
	FoundContainer = "F_CONTAINER" // usable here, but torch itself would refuse or misread the container
)

// Error says what is wrong with a file. Offset is a byte offset in the file, negative when there is none to name.
type Error struct {
	Code   string
	Offset int64
	Record string // full record name, empty when the fault belongs to no record
	Msg    string
}

// Error is one line: the record if any, what was found, the offset last. File contents never enter it unquoted.
func (e *Error) Error() string {
	s := e.Msg
	if e.Record != "" {
		s = "record " + quote(e.Record) + ": " + s
	}
	if e.Offset >= 0 {
		s += fmt.Sprintf(" (byte %d)", e.Offset)
	}
	return s
}

// ReadError is a failure of the source itself, not of the file's content.
type ReadError struct {
	Offset, Len int64 // the bytes that were asked for
	Err         error
}

func (e *ReadError) Error() string {
	return fmt.Sprintf("reading %d bytes at byte %d: %v", e.Len, e.Offset, e.Err)
}

func (e *ReadError) Unwrap() error { return e.Err }

// Finding is something worth saying about a file that is usable nevertheless. A code that starts with E_ is the one
// that reading the named record would fail with.
type Finding struct {
	Code   string
	Msg    string
	Record string // full record name, empty when the finding belongs to no record
}

func errorAt(code string, off int64, format string, args ...any) *Error {
	return &Error{Code: code, Offset: off, Msg: fmt.Sprintf(format, args...)}
}

func recordError(code, record string, off int64, format string, args ...any) *Error {
	return &Error{Code: code, Record: record, Offset: off, Msg: fmt.Sprintf(format, args...)}
}

// shownName is how many bytes of a record name an error or finding shows.
const shownName = 256

// quote makes a name from a file safe to show: ASCII, quoted, at most shownName bytes of it.
func quote(name string) string {
	if len(name) > shownName {
		return strconv.QuoteToASCII(name[:shownName]) + "…"
	}
	return strconv.QuoteToASCII(name)
}

// findings collects at most perCode entries of each code and counts the rest, so that a hostile directory of a million
// bad names costs no more to report than sixteen.
type findings struct {
	list  []Finding
	count map[string]int
}

const perCode = 16

func (f *findings) add(code, record, format string, args ...any) {
	if f.count == nil {
		f.count = map[string]int{}
	}
	f.count[code]++
	if f.count[code] <= perCode {
		f.list = append(f.list, Finding{Code: code, Record: record, Msg: fmt.Sprintf(format, args...)})
	}
}

// all returns what was collected, with one line for each code that had more to say.
func (f *findings) all() []Finding {
	for _, code := range []string{CodeAmbiguous, CodeEncrypted, CodeMethod, CodeUnsupported, FoundName, FoundContainer} {
		if more := f.count[code] - perCode; more > 0 {
			f.list = append(f.list, Finding{Code: code, Msg: fmt.Sprintf("and %d more of the same kind", more)})
			f.count[code] = perCode
		}
	}
	return f.list
}
