package statedict

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/header"
	"github.com/weightroom/weightroom/statedict/internal/pickle"
	"github.com/weightroom/weightroom/statedict/internal/safetensors"
	"github.com/weightroom/weightroom/statedict/internal/torchfile"
)

// Options are the limits and choices of opening. The zero value has the defaults.
type Options struct {
	// LazyHeaders leaves a zip record's local header unread until its bytes are needed, for sources whose reads are slow.
	LazyHeaders bool
	// Lenient opens files that two readers could understand differently; they cannot be exported.
	Lenient bool
	// PickleBytes bounds one inflated pickle, in bytes; 64 MiB.
	PickleBytes int64
	// HeaderBytes bounds the JSON of a safetensors file, in bytes; 100,000,000, the format's own limit.
	HeaderBytes int64
	// Records bounds the records of a zip archive; 1,048,576.
	Records int64
}

func (o *Options) pickleBytes() int64 {
	if o.PickleBytes > 0 {
		return o.PickleBytes
	}
	return 64 << 20
}

func (o *Options) pickleLimits() *pickle.Limits { return &pickle.Limits{Bytes: o.pickleBytes()} }

// Open opens one file, or several that make up one checkpoint: an index with the shards it names, or shards alone.
//
// It reads directories, headers and pickles, and no tensor bytes. Memory: about 600 bytes a tensor. Errors are
// *FormatError, *UnsupportedError, *LimitError and *SourceError; a part that cannot be used while the rest can is a
// Finding of the result.
func Open(ctx context.Context, srcs ...Source) (*Checkpoint, error) {
	return (&Options{}).Open(ctx, srcs...)
}

// Open is the function Open with these options.
func (o *Options) Open(ctx context.Context, srcs ...Source) (*Checkpoint, error) {
	files := make([]*Source, len(srcs))
	for i := range srcs {
		files[i] = &srcs[i]
	}
	return (&opener{opt: o, ctx: ctx}).checkpoint(files)
}

// checkpoint opens files. On an error, op keeps what was found before it.
func (op *opener) checkpoint(files []*Source) (cp *Checkpoint, err error) {
	switch len(files) {
	case 0:
		return nil, &FormatError{Code: "E_FORMAT", Offset: -1, Msg: "no file given", Err: ErrNotCheckpoint}
	case 1:
		cp, err = op.file(files[0])
	default:
		cp, err = op.shards(files)
	}
	if err != nil {
		return nil, err
	}
	cp.Storages = fitted(op.storages)
	cp.found = append(op.findings, cp.Findings...)
	cp.Globals = op.globals
	cp.Sources = files
	cp.index()
	cp.fingers = make(map[*Source][]byte, len(files))
	for _, src := range files {
		if cp.fingers[src], err = fingerprint(src); err != nil {
			return nil, err
		}
	}
	return cp, nil
}

// opener collects what all files of one checkpoint share. Storages get their index here, before the tree is shown to
// anybody.
type opener struct {
	opt      *Options
	ctx      context.Context
	storages []Storage
	globals  []Global
	findings []Finding
	archives map[*Source]*torchfile.Archive // for the scan that may follow
	walked   map[pickleAt]*pickle.Report    // for the same
}

// file opens one file by its content; its name plays no part.
func (op *opener) file(src *Source) (*Checkpoint, error) {
	if err := op.ctx.Err(); err != nil {
		return nil, err
	}
	head := make([]byte, min(src.Size, torchfile.HeadLen))
	if _, err := readAt(src, head, 0); err != nil {
		return nil, err
	}
	kind := torchfile.Sniff(head, src.Size)
	switch kind {
	case torchfile.Zip:
		return op.zip(src)
	case torchfile.Legacy:
		return op.legacy(src)
	case torchfile.Tar:
		return op.tar(src)
	case torchfile.Safetensors:
		return op.safetensors(src)
	case torchfile.GGUF:
		return op.gguf(src)
	case torchfile.NPY:
		return op.npy(src)
	case torchfile.Pickle, torchfile.PickleGuess:
		return op.barePickle(src, kind == torchfile.PickleGuess, head)
	}
	if kind == torchfile.JSON {
		if index, err := readIndex(src); err == nil && len(index.Files) > 0 {
			return nil, &FormatError{Code: "E_FORMAT", Format: "shard index", Offset: -1, Msg: "names the shards but holds no tensors:" + quotedList(index.Files),
				Hint: "open it together with these files"}
		}
	}
	return nil, notCheckpoint(kind, head, src.Size)
}

// notCheckpoint says what a file is that nothing here opens.
func notCheckpoint(kind torchfile.Kind, head []byte, size int64) error {
	d := torchfile.Describe(kind, head, size)
	return &FormatError{Code: "E_FORMAT", Offset: -1, Msg: "not a checkpoint: this is " + d.Looks, Hint: d.Hint, Err: ErrNotCheckpoint}
}

// finding adds one; the path may be empty.
func (op *opener) finding(code, path, format string, args ...any) {
	op.findings = append(op.findings, Finding{Code: code, Path: path, Message: fmt.Sprintf(format, args...)})
}

// reserve makes room for n more storages.
func (op *opener) reserve(n int) { op.storages = slices.Grow(op.storages, n) }

// fitted is list without the room that append left, if that is worth a copy.
func fitted[T any](list []T) []T {
	if cap(list)-len(list) > len(list)/32 {
		return slices.Clone(list)
	}
	return list
}

// add makes st the next storage and points its node at it.
func (op *opener) add(node *pickle.Storage, st Storage) {
	node.Index = len(op.storages)
	op.storages = append(op.storages, st)
}

// loadPickle reads one pickle of record (empty where the file is the pickle) and notes its globals and findings. When
// the pickle breaks after it has named code outside the safe list, that is what the reader of the report must know: the
// error becomes a finding and pk.Root stays nil.
func (op *opener) loadPickle(data []byte, record string, at pickleAt) (*pickle.Pickle, error) {
	pk, err := pickle.Load(data, &pickle.Options{Limits: op.opt.pickleLimits()})
	op.remember(at, pk)
	return op.noted(pk, err, record, at.off)
}

// pickleAt is a place of a pickle: a record of an archive, by its index, or an offset in a file, with -1.
type pickleAt struct {
	src    *Source
	record int
	off    int64
}

// remember keeps what is known of a pickle for the scan. One with pickles in its strings is read again for them.
func (op *opener) remember(at pickleAt, pk *pickle.Pickle) {
	if r := pk.Report; op.walked != nil && len(r.Inside) == 0 {
		op.walked[at] = r
	}
}

// noted is the second half of loadPickle, for what Load answered.
func (op *opener) noted(pk *pickle.Pickle, err error, record string, base int64) (*pickle.Pickle, error) {
	unsafe := 0
	if pk != nil {
		unsafe = op.noteGlobals(pk.Globals, record, base)
		for _, f := range pk.Findings {
			op.finding(f.Code, "", "%s", f.Message)
		}
	}
	if err == nil {
		return pk, nil
	}
	wrapped := pickleError(err, record, base)
	if unsafe > 0 && pk != nil {
		op.finding(Code(wrapped), record, "%s", wrapped.Error())
		return pk, nil
	}
	return pk, wrapped
}

// noteGlobals lists globals, and answers how many of them are outside the safe list.
func (op *opener) noteGlobals(refs []pickle.GlobalRef, record string, base int64) (unsafe int) {
	for _, g := range refs {
		op.globals = append(op.globals, Global{Module: g.Module, Name: g.Name, Record: record, Position: base + g.Offset})
		if v := pickle.Verdict(g.Module, g.Name); v != pickle.Safe {
			unsafe++
			op.finding("F_GLOBAL", record, "names %s.%s, which is outside the safe list (%s); it was not imported", g.Module, g.Name, v)
		}
	}
	return unsafe
}

func pickleError(err error, record string, base int64) error {
	var pe *pickle.Error
	if !errors.As(err, &pe) {
		return err
	}
	if pe.Code == "E_LIMIT" {
		return &LimitError{Limit: pe.Limit, Got: pe.Max + 1, Max: pe.Max, Offset: base + pe.Offset}
	}
	off := int64(-1)
	if pe.Offset >= 0 {
		off = base + pe.Offset
	}
	return &FormatError{Code: pe.Code, Format: "pickle", Part: record, Offset: off, Msg: strings.TrimPrefix(pe.Msg, "pickle: "), Err: err}
}

// torchfileError puts an error of the container reader into this package's types.
func torchfileError(src *Source, format string, err error) error {
	var te *torchfile.Error
	var re *torchfile.ReadError
	switch {
	case errors.As(err, &te):
		switch te.Code {
		case torchfile.CodeUnsupported:
			return &UnsupportedError{What: te.Error()}
		}
		fe := &FormatError{Code: te.Code, Format: format, Part: te.Record, Offset: te.Offset, Msg: te.Msg}
		if te.Code == torchfile.CodeTruncated {
			fe.Hint = "download or copy the file again and compare its size with the original"
		}
		return fe
	case errors.As(err, &re):
		if errors.Is(re.Err, io.ErrUnexpectedEOF) || errors.Is(re.Err, io.EOF) {
			return &SourceError{Source: src.Name, Offset: re.Offset, Err: ErrSourceChanged}
		}
		return &SourceError{Source: src.Name, Offset: re.Offset, Err: re.Err}
	}
	return err
}

// safetensors opens a safetensors file: the header is checked whole, and any fault rejects it.
func (op *opener) safetensors(src *Source) (*Checkpoint, error) {
	h, err := safetensors.Parse(src.R, src.Size, safetensors.Limits{Header: op.opt.HeaderBytes})
	if err != nil {
		return nil, headerError(src, "", err)
	}
	cp := &Checkpoint{Format: Safetensors}
	root := &pickle.Dict{Items: make([]pickle.Item, len(h.Entries))}
	op.reserve(len(h.Entries))
	for i := range h.Entries {
		e := &h.Entries[i]
		t := op.headerTensor(src, e.DType, e.Code, e.Shape, h.DataOff+e.Begin, e.End-e.Begin)
		if e.DType == 0 {
			op.finding("F_UNSUPPORTED", e.Name, "dtype %s has no torch name; its bytes are kept as they are", e.Code)
		}
		root.Items[i] = pickle.Item{Key: e.Name, Value: t}
	}
	if h.Metadata != nil {
		cp.Metadata = make(map[string]string, len(h.Metadata))
		for _, p := range h.Metadata {
			cp.Metadata[p.Key] = p.Value
			cp.MetadataKeys = append(cp.MetadataKeys, p.Key)
		}
	}
	cp.root = root
	return cp, nil
}

// plainTensor makes a row-major tensor that owns its bytes, as header formats have them.
func (op *opener) plainTensor(src *Source, dt DType, shape []int64, off, n int64) *pickle.Tensor {
	node := &pickle.Storage{DType: dt, Location: "cpu"}
	if size := dt.Size(); size > 0 {
		node.Numel = n / size
	}
	op.add(node, Storage{DType: dt, NBytes: n, Location: "cpu", Data: Extent{Source: src, Off: off, Len: n}})
	node.Key = strconv.Itoa(node.Index)
	op.storages[node.Index].Key = node.Key
	return &pickle.Tensor{Storage: node, DType: dt, Shape: shape, Stride: rowMajor(shape), Form: pickle.FormHeader}
}

// rowMajor is the stride, in elements, of a contiguous tensor as torch computes it: a dimension of size 0 counts as 1.
func rowMajor(shape []int64) []int64 {
	stride := make([]int64, len(shape))
	n := int64(1)
	for i := len(shape) - 1; i >= 0; i-- {
		stride[i] = n
		n *= max(shape[i], 1)
	}
	return stride
}

// headerError puts an error of a header format, or of the archive around it, into this package's types. part is the record
// that the header stands in, "" for the whole file.
func headerError(src *Source, part string, err error) error {
	var he *header.Error
	var te *torchfile.Error
	var re *torchfile.ReadError
	switch {
	case errors.As(err, &te), errors.As(err, &re):
		return torchfileError(src, "zip archive", err)
	case !errors.As(err, &he):
		return &SourceError{Source: src.Name, Err: err}
	case he.Code == "E_UNSUPPORTED":
		return &UnsupportedError{What: he.Error()}
	}
	fe := &FormatError{Code: he.Code, Format: he.Part, Part: part, Offset: he.Off, Msg: he.Text}
	if he.Code == "E_TRUNCATED" {
		fe.Hint = "the file is cut off; download or copy it again"
	}
	return fe
}
