package pickle

import "fmt"

// Codes of Error.
const (
	CodePickle      = "E_PICKLE"      // malformed stream
	CodeLimit       = "E_LIMIT"       // a limit was passed
	CodeTruncated   = "E_TRUNCATED"   // the stream ends before STOP
	CodeUnsupported = "E_UNSUPPORTED" // cannot be written as a pickle
)

// Codes of Finding.
const (
	FindingTensorBad   = "F_TENSOR_BAD"
	FindingDupKey      = "F_DUPKEY"
	FindingUnsupported = "F_UNSUPPORTED"
)

// Error is what reading or writing a pickle fails with.
type Error struct {
	Code string
	Msg  string
	// Offset is the byte of the opcode at fault, from the start of the pickle; -1 where there is none.
	Offset int64
	// More tells that the bytes given end too early, so that a longer window might cure it.
	More bool
	// Limit names the limit that was passed, Max is its value.
	Limit string
	Max   int64
}

func (e *Error) Error() string {
	if e.Offset < 0 {
		return e.Msg
	}
	return fmt.Sprintf("%s (byte %d)", e.Msg, e.Offset)
}

func malformed(off int, format string, args ...any) *Error {
	return &Error{Code: CodePickle, Msg: "pickle: " + fmt.Sprintf(format, args...), Offset: int64(off)}
}

func truncated(off int, format string, args ...any) *Error {
	return &Error{Code: CodeTruncated, Msg: "pickle: " + fmt.Sprintf(format, args...), Offset: int64(off), More: true}
}

func overLimit(off int, name string, limit int64) *Error {
	return &Error{Code: CodeLimit, Msg: fmt.Sprintf("pickle: more than the limit of %d for %s", limit, name), Offset: int64(off), Limit: name, Max: limit}
}

// Finding is something odd that does not stop the pickle from being used.
type Finding struct {
	Code    string
	Message string
	Node    Value // the node it is about, so that a walker can name its path
}

// Limits bound what a pickle may ask for. A zero field takes the default.
type Limits struct {
	Bytes   int64 // of one pickle stream; 64 MiB
	Opcodes int64 // 32 M
	Stack   int64 // entries; 1 M
	Marks   int64 // open at once; 10,000
	Memo    int64 // slots; 4 M
	Nodes   int64 // values pushed; 8 M
	Depth   int64 // nesting; 1,000
	String  int64 // bytes of one str; 16 MiB
	Integer int64 // bytes of one integer; 1 KiB
	Globals int64 // distinct names that opcodes resolve; 10,000, where the largest known files have some dozens
	// Memory bounds an estimate of the bytes that the values of the pickle occupy while it is read; 112 MiB,
	// which is enough for about 220,000 tensors.
	Memory int64
}

func (l *Limits) orDefault() Limits {
	d := Limits{Bytes: 64 << 20, Opcodes: 32e6, Stack: 1e6, Marks: 10_000, Memo: 4e6, Nodes: 8e6, Depth: 1000,
		String: 16 << 20, Integer: 1 << 10, Globals: 10_000, Memory: 112 << 20}
	if l == nil {
		return d
	}
	set := func(dst *int64, v int64) {
		if v > 0 {
			*dst = v
		}
	}
	set(&d.Bytes, l.Bytes)
	set(&d.Opcodes, l.Opcodes)
	set(&d.Stack, l.Stack)
	set(&d.Marks, l.Marks)
	set(&d.Memo, l.Memo)
	set(&d.Nodes, l.Nodes)
	set(&d.Depth, l.Depth)
	set(&d.String, l.String)
	set(&d.Integer, l.Integer)
	set(&d.Globals, l.Globals)
	set(&d.Memory, l.Memory)
	d.Bytes = min(d.Bytes, 1<<31-1) // offsets are kept in 32 bits
	d.Depth = min(d.Depth, 1<<15)
	return d
}
