package statedict

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNotCheckpoint is wrapped by the FormatError of a file that is no checkpoint at all.
var ErrNotCheckpoint = errors.New("not a checkpoint")

// ErrSourceChanged is wrapped by the SourceError of a file whose size or headers are no longer those of opening time.
var ErrSourceChanged = errors.New("the file changed while it was open")

// FormatError reports that the file is wrong.
type FormatError struct {
	Code   string // E_FORMAT, E_TRUNCATED, E_PICKLE, E_ZIP, E_AMBIGUOUS, E_HEADER, E_LAYOUT, E_CHECKSUM, …
	Format string // what was being read: "torch-zip", "safetensors header", …
	Part   string // record, tensor or key; "" for the whole file
	Offset int64  // byte offset in the source, -1 when it has none
	Msg    string
	Hint   string // what to do next; may be empty
	Err    error  // optional cause or sentinel
}

func (e *FormatError) Error() string {
	var b strings.Builder
	if e.Format != "" {
		b.WriteString(e.Format + ": ")
	}
	if e.Part != "" {
		fmt.Fprintf(&b, "%q: ", e.Part)
	}
	b.WriteString(e.Msg)
	if e.Offset >= 0 {
		fmt.Fprintf(&b, " (byte %d)", e.Offset)
	}
	return b.String()
}
func (e *FormatError) Unwrap() error { return e.Err }

// UnsupportedError reports a file, key or request that is right but that this package does not do.
type UnsupportedError struct {
	What string   // what cannot be done, in words
	Keys []string // every key concerned, in order; may be empty
	Hint string

	folded []string // stands for Keys in the text; nil for all of them
}

func (e *UnsupportedError) Error() string {
	if e.folded != nil {
		return e.What + quotedList(e.folded)
	}
	return e.What + quotedList(e.Keys)
}

// UnsafeError reports globals outside the safe list that an output would contain.
type UnsafeError struct {
	Globals []string
	Hint    string
}

func (e *UnsafeError) Error() string {
	return "the result would need weights_only=False, because it names code outside PyTorch's safe list:" + quotedList(e.Globals)
}

// LimitError reports that a limit was passed.
type LimitError struct {
	Limit    string // its name, as in the options
	Got, Max int64
	Offset   int64 // -1 for none
}

func (e *LimitError) Error() string {
	s := fmt.Sprintf("%s: %d is over the limit of %d", e.Limit, e.Got, e.Max)
	if e.Offset >= 0 {
		s += fmt.Sprintf(" (byte %d)", e.Offset)
	}
	return s
}

// KeyError reports an operation that cannot do what it says.
type KeyError struct {
	Op   string   // as in the recipe: "strip_prefix"
	Step int      // 1-based position in the recipe, 0 where there is none
	Keys []string // the keys concerned
	Msg  string
	Hint string
}

func (e *KeyError) Error() string {
	s := e.Op
	if e.Step > 0 {
		s = fmt.Sprintf("step %d, %s", e.Step, e.Op)
	}
	return s + ": " + e.Msg + quotedList(e.Keys)
}

// SourceError reports that reading a source failed.
type SourceError struct {
	Source string // its name
	Offset int64  // bytes from its start
	Err    error
}

func (e *SourceError) Error() string {
	return fmt.Sprintf("reading %q: %v (byte %d)", e.Source, e.Err, e.Offset)
}
func (e *SourceError) Unwrap() error { return e.Err }

// quotedList is ` "a", "b"`, or nothing. All of it: a list that is cut hides the key that somebody looks for.
func quotedList(keys []string) string {
	var b strings.Builder
	for i, k := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %q", k)
	}
	return b.String()
}

// Code is the error code that --json, HTTP bodies and the page carry for err: E_FORMAT and so on, E_FAILED for anything
// that has no code of its own.
func Code(err error) string {
	var fe *FormatError
	var ue *UnsupportedError
	var le *LimitError
	var se *SourceError
	var ke *KeyError
	var xe *UnsafeError
	switch {
	case errors.Is(err, ErrSourceChanged):
		return "E_CHANGED"
	case errors.As(err, &fe):
		return fe.Code
	case errors.As(err, &ue):
		return "E_UNSUPPORTED"
	case errors.As(err, &le):
		return "E_LIMIT"
	case errors.As(err, &xe):
		return "E_UNSAFE"
	case errors.As(err, &ke):
		return "E_KEY"
	case errors.As(err, &se):
		return "E_READ"
	}
	return "E_FAILED"
}

// Hint is the next step that err suggests, "" for none.
func Hint(err error) string {
	var fe *FormatError
	var ue *UnsupportedError
	var ke *KeyError
	var xe *UnsafeError
	var le *LimitError
	switch {
	case errors.As(err, &fe):
		return fe.Hint
	case errors.As(err, &ue):
		return ue.Hint
	case errors.As(err, &ke):
		return ke.Hint
	case errors.As(err, &xe):
		return xe.Hint
	case errors.As(err, &le) && le.Limit == expandedLimit:
		return "drop them, write a torch file, in which a view stays a view, or ask for it (--allow-expanded)"
	}
	return ""
}
