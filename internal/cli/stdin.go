package cli

import (
	"context"
	"io"
)

// stdin is a reader that ends with its context: a read of a terminal or a pipe waits for as long as nobody writes, and would
// not see that the user has given up.
type stdin struct {
	ctx context.Context
	r   io.Reader
	buf []byte // what a read that was given up may still write to
}

func (s *stdin) Read(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	if len(s.buf) < len(p) {
		s.buf = make([]byte, len(p))
	}
	done, buf := make(chan result, 1), s.buf[:len(p)]
	go func() {
		n, err := s.r.Read(buf)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		copy(p, buf[:r.n])
		return r.n, r.err
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
}
