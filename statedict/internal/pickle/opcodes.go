package pickle

import (
	"bytes"
	"encoding/binary"
)

// Opcodes, as CPython's pickletools names them.
const (
	opMark            = '('
	opStop            = '.'
	opPop             = '0'
	opPopMark         = '1'
	opDup             = '2'
	opFloat           = 'F'
	opInt             = 'I'
	opBinInt          = 'J'
	opBinInt1         = 'K'
	opLong            = 'L'
	opBinInt2         = 'M'
	opNone            = 'N'
	opPersID          = 'P'
	opBinPersID       = 'Q'
	opReduce          = 'R'
	opString          = 'S'
	opBinString       = 'T'
	opShortBinString  = 'U'
	opUnicode         = 'V'
	opBinUnicode      = 'X'
	opAppend          = 'a'
	opBuild           = 'b'
	opGlobal          = 'c'
	opDict            = 'd'
	opEmptyDict       = '}'
	opAppends         = 'e'
	opGet             = 'g'
	opBinGet          = 'h'
	opInst            = 'i'
	opLongBinGet      = 'j'
	opList            = 'l'
	opEmptyList       = ']'
	opObj             = 'o'
	opPut             = 'p'
	opBinPut          = 'q'
	opLongBinPut      = 'r'
	opSetItem         = 's'
	opTuple           = 't'
	opEmptyTuple      = ')'
	opSetItems        = 'u'
	opBinFloat        = 'G'
	opProto           = 0x80
	opNewObj          = 0x81
	opExt1            = 0x82
	opExt2            = 0x83
	opExt4            = 0x84
	opTuple1          = 0x85
	opTuple2          = 0x86
	opTuple3          = 0x87
	opNewTrue         = 0x88
	opNewFalse        = 0x89
	opLong1           = 0x8a
	opLong4           = 0x8b
	opBinBytes        = 'B'
	opShortBinBytes   = 'C'
	opShortBinUnicode = 0x8c
	opBinUnicode8     = 0x8d
	opBinBytes8       = 0x8e
	opEmptySet        = 0x8f
	opAddItems        = 0x90
	opFrozenSet       = 0x91
	opNewObjEx        = 0x92
	opStackGlobal     = 0x93
	opMemoize         = 0x94
	opFrame           = 0x95
	opByteArray8      = 0x96
	opNextBuffer      = 0x97
	opReadOnlyBuffer  = 0x98
)

// argKind is how an opcode's argument is laid out.
type argKind uint8

const (
	argUnknown argKind = iota // no such opcode
	argNone
	arg1     // fixed sizes
	arg2     //
	arg4     //
	arg8     //
	argLen1  // a length, then that many bytes
	argLen4  //
	argLen4s // signed length
	argLen8  //
	argLine  // up to a newline
	argLine2 // two lines
)

var opArgs = func() (t [256]argKind) {
	set := func(k argKind, ops string) {
		for i := 0; i < len(ops); i++ {
			t[ops[i]] = k
		}
	}
	set(argNone, "(.012NQRab}de])louts"+"\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94\x97\x98")
	set(arg1, "Khq\x80\x82")
	set(arg2, "M\x83")
	set(arg4, "Jjr\x84")
	set(arg8, "G\x95")
	set(argLen1, "UC\x8a\x8c")
	set(argLen4, "XB")
	set(argLen4s, "T\x8b")
	set(argLen8, "\x8d\x8e\x96")
	set(argLine, "FILPSVgp")
	set(argLine2, "ci")
	return t
}()

// opSizes are the bytes of the opcodes whose argument has one size, opcode included; 0 for the others.
var opSizes = func() (t [256]uint8) {
	sizes := [...]uint8{argNone: 1, arg1: 2, arg2: 3, arg4: 5, arg8: 9, argLen1: 0}
	for op, kind := range opArgs {
		if int(kind) < len(sizes) {
			t[op] = sizes[kind]
		}
	}
	return t
}()

// maxLine bounds the text arguments that hold names, numbers and memo indices.
const maxLine = 4 << 10

// argument finds the argument of the opcode at p[pos]: it is p[from:to], without length prefix or newlines (of two lines:
// with the newline between them), and the next opcode is at next. Nothing past end belongs to the stream.
func argument(p []byte, pos, end int, lim *Limits) (from, to, next int, err *Error) {
	from = pos + 1
	left := uint64(end - from)
	var prefix int
	var n uint64
	switch kind := opArgs[p[pos]]; kind {
	case argNone:
		return from, from, from, nil
	case arg1:
		n = 1
	case arg2:
		n = 2
	case arg4:
		n = 4
	case arg8:
		n = 8
	case argLen1:
		if prefix = 1; left >= 1 {
			n = uint64(p[from])
		}
	case argLen4, argLen4s:
		if prefix = 4; left >= 4 {
			n = uint64(binary.LittleEndian.Uint32(p[from:]))
			if kind == argLen4s && n > 1<<31-1 {
				return 0, 0, 0, malformed(pos, "negative length")
			}
		}
	case argLen8:
		if prefix = 8; left >= 8 {
			n = binary.LittleEndian.Uint64(p[from:])
		}
	case argLine, argLine2:
		return lineArgument(p, pos, end, lim)
	default:
		return 0, 0, 0, malformed(pos, "unknown opcode 0x%02x", p[pos])
	}
	if left < uint64(prefix) {
		return 0, 0, 0, truncated(pos, "the stream ends inside an opcode")
	}
	left -= uint64(prefix)
	from += prefix
	switch p[pos] {
	case opBinUnicode, opBinUnicode8, opBinString:
		if n > uint64(lim.String) {
			return 0, 0, 0, overLimit(pos, "bytes of a string", lim.String)
		}
	case opLong1, opLong4:
		if n > uint64(lim.Integer) {
			return 0, 0, 0, overLimit(pos, "bytes of an integer", lim.Integer)
		}
	}
	if n > left {
		if prefix == 0 {
			return 0, 0, 0, truncated(pos, "the stream ends inside an opcode")
		}
		e := malformed(pos, "length %d, but %d bytes are left", n, left)
		e.More = true
		return 0, 0, 0, e
	}
	return from, from + int(n), from + int(n), nil
}

func lineArgument(p []byte, pos, end int, lim *Limits) (from, to, next int, err *Error) {
	longest := int64(maxLine)
	if op := p[pos]; op == opString || op == opUnicode {
		longest = lim.String
	}
	lines := 1
	if opArgs[p[pos]] == argLine2 {
		lines = 2
	}
	from, to = pos+1, pos+1
	for i := range lines {
		window := p[to:min(int64(end), int64(to)+longest+1)]
		n := bytes.IndexByte(window, '\n')
		if n < 0 {
			if int64(len(window)) > longest {
				return 0, 0, 0, overLimit(pos, "bytes of a line", longest)
			}
			return 0, 0, 0, truncated(pos, "the stream ends inside a line")
		}
		to += n
		if i < lines-1 {
			to++
		}
	}
	return from, to, to + 1, nil
}
