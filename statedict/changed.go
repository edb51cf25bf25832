package statedict

import (
	"bytes"
	"crypto/sha256"
	"fmt"
)

// fingerSize is how much of a source's head and of its tail its fingerprint covers, in bytes.
const fingerSize = 4096

// fingerprint hashes the first and the last 4 KiB of a source.
func fingerprint(src *Source) ([]byte, error) {
	h := sha256.New()
	n := min(src.Size, fingerSize)
	buf := make([]byte, n)
	for _, off := range []int64{0, src.Size - n} {
		if _, err := readAt(src, buf, off); err != nil {
			return nil, err
		}
		h.Write(buf)
	}
	return h.Sum(nil), nil
}

// CheckSources reads the head and tail of every source again and reports ErrSourceChanged in a *SourceError for the first
// that is not as it was when it was opened.
func (cp *Checkpoint) CheckSources() error {
	for _, src := range cp.Sources {
		was, ok := cp.fingers[src]
		if !ok {
			continue
		}
		now, err := fingerprint(src)
		if err != nil {
			return err
		}
		if !bytes.Equal(was, now) {
			return &SourceError{Source: src.Name, Err: fmt.Errorf("%w: its first or last %d bytes differ", ErrSourceChanged, fingerSize)}
		}
	}
	return nil
}
