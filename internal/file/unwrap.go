package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/weightroom/weightroom/statedict"
)

var (
	gzipMagic = []byte{0x1f, 0x8b, 8}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// unwrap answers in itself, or its unpacked copy where the whole file is compressed. in is taken over: on an error it is
// closed.
func unwrap(in *input, o Options) (*input, error) {
	head := make([]byte, 8)
	n, err := in.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		in.File.Close()
		return nil, &statedict.SourceError{Source: in.path, Err: errors.Unwrap(err)}
	}
	head, err = head[:n], nil
	packed := io.NewSectionReader(in, 0, in.info.Size())
	var r io.Reader
	kind := ""
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		kind = "gzip"
		r, err = gzip.NewReader(packed)
	case bytes.HasPrefix(head, zstdMagic):
		kind = "zstd"
		var d *zstd.Decoder
		d, err = zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(128<<20))
		if err == nil {
			defer d.Close()
			r = d
		}
	default:
		return in, nil
	}
	if err == nil {
		limit := o.MaxUnpacked
		if limit == 0 {
			limit = max(1<<30, 64*min(in.info.Size(), 1<<50))
		}
		var un *input
		if un, err = toTemp(r, limit); err == nil {
			if in.temp != "" { // a stream that was spooled: only its unpacked copy is needed
				in.File.Close()
				os.Remove(in.temp)
			} else {
				un.packed = in
			}
			return un, nil
		}
	}
	in.File.Close()
	if in.temp != "" {
		os.Remove(in.temp)
	}
	var le *statedict.LimitError
	var pe *os.PathError
	switch {
	case errors.As(err, &le), errors.As(err, &pe):
		return nil, err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return nil, &statedict.FormatError{Code: "E_TRUNCATED", Format: kind, Offset: -1, Msg: "the compressed file ends too early"}
	}
	return nil, &statedict.FormatError{Code: "E_FORMAT", Format: kind, Offset: -1, Msg: fmt.Sprintf("the compressed file is damaged: %v", err)}
}

// spool copies a stream, which has no byte ranges, to a temporary file.
func spool(r io.Reader, o Options) (*input, error) {
	limit := o.MaxUnpacked
	if limit == 0 {
		limit = 1 << 62
	}
	return toTemp(r, limit)
}

// toTemp copies r to a temporary file that goes away with the process where the system lets an open file be removed, and
// at Close elsewhere.
func toTemp(r io.Reader, limit int64) (*input, error) {
	f, err := os.CreateTemp("", "weightroom-*")
	if err != nil {
		return nil, err
	}
	in := &input{File: f, temp: f.Name()}
	if os.Remove(f.Name()) == nil {
		in.temp = ""
	}
	fail := func(err error) (*input, error) {
		f.Close()
		if in.temp != "" {
			os.Remove(in.temp)
		}
		return nil, err
	}
	n, err := io.Copy(f, io.LimitReader(r, limit))
	if err != nil {
		return fail(err)
	}
	if n == limit {
		if k, _ := io.ReadFull(r, make([]byte, 1)); k == 1 {
			return fail(&statedict.LimitError{Limit: "max-unpacked", Got: limit + 1, Max: limit, Offset: -1})
		}
	}
	if in.info, err = f.Stat(); err != nil {
		return fail(err)
	}
	return in, nil
}
