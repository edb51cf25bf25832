//go:build js

package blob

import (
	"context"
	"fmt"
	"syscall/js"
	"time"

	"github.com/weightroom/weightroom/statedict"
)

// File reads a JavaScript File or Blob in a worker: single reads synchronously, those in sequence as a stream. Not to be read
// by an event handler, which may not wait.
type File struct {
	*Cache
	Name string
	Size int64
	JS   js.Value

	// Report is called after each read from the browser; may be nil.
	Report func()

	reader js.Value // FileReaderSync
	breath *Breath
	stream *stream // nil: reads are not in sequence, or not yet
	end    int64   // of the last read
	run    int64   // how many bytes were read in sequence up to there
	single bool    // this browser has no streams
}

// NewFile reads blob. Every read gives b a chance to let the worker hear its messages; b may be nil.
func NewFile(blob js.Value, name string, b *Breath) *File {
	f := &File{Name: name, JS: blob, Size: int64(blob.Get("size").Float()), reader: js.Global().Get("FileReaderSync").New(), breath: b}
	f.Cache = NewCache(f.Size, f.fetch)
	return f
}

// Source is f as the codec takes it.
func (f *File) Source() statedict.Source {
	return statedict.Source{Name: f.Name, R: f, Size: f.Size}
}

// fetch is a single read, until reads follow each other: then it has a stream.
func (f *File) fetch(p []byte, off int64) error {
	if f.run += int64(len(p)); off < f.end-pageSize || off > f.end+streamGap {
		f.run = int64(len(p))
	}
	f.end = off + int64(len(p))
	if f.stream != nil && !f.stream.reaches(off) {
		f.stream.close()
		f.stream = nil
	}
	if f.stream == nil && f.run > streamAfter && !f.single {
		f.stream = newStream(f.JS, off, f.Size)
		f.single = f.stream == nil
	}
	if f.stream != nil {
		err := f.breath.Take()
		if err == nil {
			err = f.stream.read(p, off)
		}
		if err != nil {
			f.stream.close()
			f.stream, f.run = nil, 0
			return err
		}
	} else {
		u8, err := f.slice(off, int64(len(p)))
		if err != nil {
			return err
		}
		js.CopyBytesToGo(p, u8)
	}
	if f.Report != nil {
		f.Report()
	}
	return nil
}

// slice reads n bytes at off into a Uint8Array of their own.
func (f *File) slice(off, n int64) (u8 js.Value, err error) {
	if err := f.breath.Take(); err != nil {
		return js.Value{}, err
	}
	if err := thrown(func() {
		buf := f.reader.Call("readAsArrayBuffer", f.JS.Call("slice", float64(off), float64(off+n)))
		u8 = js.Global().Get("Uint8Array").New(buf)
	}); err != nil {
		return js.Value{}, err
	}
	if got := u8.Get("byteLength").Int(); int64(got) != n {
		return js.Value{}, fmt.Errorf("%w: %d of %d bytes could be read", statedict.ErrSourceChanged, got, n)
	}
	return u8, nil
}

// readError tells a file that is no longer what was picked from other failures. Browsers answer both of the first two
// names for a file that was changed, moved or deleted.
func readError(e js.Error) error {
	switch name := e.Get("name").String(); name {
	case "NotReadableError", "NotFoundError":
		return fmt.Errorf("%w (%s)", statedict.ErrSourceChanged, name)
	default:
		return fmt.Errorf("the browser could not read it: %s", name)
	}
}

// Breath lets a worker that is busy hear its messages now and then: without it, a request to stop would wait for the
// end of what it wants to stop.
type Breath struct {
	ctx  context.Context
	last time.Time
}

// between is how long a worker may be deaf.
const between = 50 * time.Millisecond

// Start sets the context of the job that begins.
func (b *Breath) Start(ctx context.Context) { b.ctx, b.last = ctx, time.Now() }

// Context is that of the job that runs.
func (b *Breath) Context() context.Context { return b.ctx }

// Take pauses if it is time to, and answers the context's error.
func (b *Breath) Take() error {
	if b == nil || b.ctx == nil {
		return nil
	}
	if time.Since(b.last) > between {
		time.Sleep(time.Microsecond) // gives the event loop a turn
		b.last = time.Now()
	}
	return b.ctx.Err()
}
