package statedict

import (
	"bytes"
	"context"
	"fmt"
	"io"
)

// twin is a storage that a tie step left out, and the one that stands for it.
type twin struct {
	key, to     string
	left, other Storage
}

// Confirm reads what tie steps took for equal by its checksum, and compares it byte by byte; other plans read nothing. Call it
// before the first byte is written. A difference is E_CHECKSUM and names the key. Memory: two buffers of 1 MiB.
func (p *Plan) Confirm(ctx context.Context) error {
	if len(p.twins) == 0 {
		return nil
	}
	var buf [2][]byte
	for i := range buf {
		buf[i] = make([]byte, chunk)
	}
	for _, t := range p.twins {
		a, err := t.left.stored()
		if err != nil {
			return err
		}
		b, err := t.other.stored()
		if err != nil {
			return err
		}
		for done := int64(0); done < t.left.NBytes; done += chunk {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := min(chunk, t.left.NBytes-done)
			for i, r := range []io.Reader{a, b} {
				if _, err := io.ReadFull(r, buf[i][:n]); err != nil {
					return err
				}
			}
			if !bytes.Equal(buf[0][:n], buf[1][:n]) {
				return &FormatError{Code: "E_CHECKSUM", Part: t.key, Offset: -1,
					Msg: fmt.Sprintf("holds other bytes than %q although their checksums are equal; take it out of the tie step", t.to)}
			}
		}
	}
	return nil
}

// stored reads the bytes of a storage as they are in the file.
func (s *Storage) stored() (io.Reader, error) {
	x, err := s.Data.resolve()
	if err != nil {
		return nil, err
	}
	src := *s
	src.Data = x
	view := View{DType: byteType, Shape: []int64{s.NBytes}, Stride: []int64{1}}
	return Convert{Src: src, View: view, To: byteType}.Open(nil), nil
}
