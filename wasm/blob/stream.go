//go:build js

package blob

import (
	"fmt"
	"syscall/js"

	"github.com/weightroom/weightroom/statedict"
)

const (
	// streamPiece is how many bytes a stream asks for at once.
	streamPiece = 4 << 20
	// streamAfter is how many bytes must have been read in sequence before a stream is opened: opening a file reads less.
	streamAfter = 3 << 20
	// streamGap is how far ahead a read may skip.
	streamGap = 4 << 20
)

// A stream reads a Blob forward. While one piece is used the browser fetches the next, which is several times as quick as
// single reads: those wait for the browser's other processes each time. A read may go back as far as the piece before.
type stream struct {
	reader js.Value // ReadableStreamBYOBReader
	size   int64    // of the Blob
	held   []piece  // neighbours, in order, two at most
	next   int64    // where the piece begins that is on its way
	coming js.Value // the promise of it
	spare  js.Value // the ArrayBuffer of a piece that is no longer held
}

type piece struct {
	off, len int64
	bytes    js.Value // Uint8Array
}

// newStream starts to fetch from off on; nil where the browser has no such streams.
func newStream(blob js.Value, off, size int64) *stream {
	s := &stream{size: size, next: off}
	if blob.Get("stream").Type() != js.TypeFunction {
		return nil
	}
	if err := thrown(func() {
		s.reader = blob.Call("slice", float64(off), float64(size)).Call("stream").Call("getReader", map[string]any{"mode": "byob"})
		s.ask()
	}); err != nil {
		return nil
	}
	return s
}

// close gives up what is on its way.
func (s *stream) close() { s.reader.Call("cancel").Call("catch", js.Global().Get("Boolean")) }

// ask has the piece at next fetched.
func (s *stream) ask() {
	n := min(streamPiece, s.size-s.next)
	buffer := s.spare
	if n < streamPiece || !buffer.Truthy() {
		buffer = js.Global().Get("ArrayBuffer").New(n)
	}
	s.spare = js.Undefined()
	if n > 0 {
		s.coming = s.into(buffer, 0, n)
	}
}

func (s *stream) into(buffer js.Value, from, to int64) js.Value {
	return s.reader.Call("read", js.Global().Get("Uint8Array").New(buffer, from, to-from), map[string]any{"min": to - from})
}

// reaches tells whether off lies in what the stream holds or close behind it.
func (s *stream) reaches(off int64) bool {
	first := s.next
	if len(s.held) > 0 {
		first = s.held[0].off
	}
	return off >= first && off <= s.next+streamGap
}

// read fills p from off, which the stream reaches.
func (s *stream) read(p []byte, off int64) error {
	for len(p) > 0 {
		for off >= s.next {
			if err := s.advance(); err != nil {
				return err
			}
		}
		h := s.held[len(s.held)-1]
		if off < h.off {
			h = s.held[0]
		}
		from := off - h.off
		n := min(int64(len(p)), h.len-from)
		js.CopyBytesToGo(p[:n], h.bytes.Call("subarray", from, from+n))
		p, off = p[n:], off+n
	}
	return nil
}

// advance takes the piece that is on its way and asks for the one behind it.
func (s *stream) advance() error {
	n, filled := min(streamPiece, s.size-s.next), int64(0)
	var buffer js.Value
	for filled < n {
		got, err := settled(s.coming)
		if err != nil {
			return err
		}
		value := got.Get("value")
		if got.Get("done").Bool() || !value.Truthy() {
			return fmt.Errorf("%w: it ends %d bytes early", statedict.ErrSourceChanged, n-filled)
		}
		filled += int64(value.Get("byteLength").Int())
		buffer = value.Get("buffer")
		if filled < n { // a browser that doesn't know min gives what it has
			s.coming = s.into(buffer, filled, n)
		}
	}
	if len(s.held) == 2 {
		if s.held[0].len == streamPiece {
			s.spare = s.held[0].bytes.Get("buffer")
		}
		s.held = append(s.held[:0], s.held[1])
	}
	s.held = append(s.held, piece{s.next, n, js.Global().Get("Uint8Array").New(buffer, 0, n)})
	s.next += n
	s.ask()
	return nil
}

// settled waits for a promise that will be settled soon.
func settled(promise js.Value) (js.Value, error) {
	type outcome struct {
		v   js.Value
		err error
	}
	done := make(chan outcome, 1)
	good := js.FuncOf(func(_ js.Value, args []js.Value) any { done <- outcome{v: args[0]}; return nil })
	bad := js.FuncOf(func(_ js.Value, args []js.Value) any {
		done <- outcome{err: readError(js.Error{Value: args[0]})}
		return nil
	})
	defer good.Release()
	defer bad.Release()
	promise.Call("then", good, bad)
	o := <-done
	return o.v, o.err
}

// thrown turns what f throws into an error.
func thrown(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			e, ok := p.(js.Error)
			if !ok {
				panic(p)
			}
			err = readError(e)
		}
	}()
	f()
	return nil
}
