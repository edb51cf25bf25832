//go:build js && wasm

package gpu

import (
	"context"
	"errors"
	"io"
	"syscall/js"

	"github.com/weightroom/weightroom/statedict"
)

// Report says which road a cast took, in bytes of input, what it lost, the same on every road, and why it left the device,
// if it did.
type Report struct {
	Device, Processor int64
	Lost              statedict.CastReport
	Failure           *Error // nil: none
}

// Cast casts a long run of elements chunk by chunk. next gives Uint8Arrays of whole elements, of at most MaxChunk of them,
// and io.EOF behind the last; emit gets the results in the same order, each with a buffer of its own. While the device works on
// one chunk the next one is read and the last one written.
//
// Where d is nil, has no kernel for the pair or fails, the processor does the work, from the first chunk that was not
// emitted: the bytes are the same. Errors are those of next, emit, ctx and statedict.CastBytes.
func Cast(ctx context.Context, d *Device, from, to statedict.DType, next func() (js.Value, error), emit func(js.Value) error) (Report, error) {
	var r Report
	if d != nil && !Supported(from, to) {
		d = nil
	}
	var waiting []js.Value // sources of the chunks on the device, in order; the first is in slot turn
	turn := 0
	onProcessor := func(src js.Value) error {
		out, err := castOnProcessor(src, from, to, &r.Lost)
		if err != nil {
			return err
		}
		r.Processor += int64(src.Get("byteLength").Int())
		return emit(out)
	}
	defer func() { // when next, emit or ctx ended it: the slots must be free for the next cast
		for ; d != nil && len(waiting) > 0; waiting = waiting[1:] {
			d.finish(context.Background(), turn, new(statedict.CastReport))
			turn ^= 1
		}
	}()
	// leave gives the device up, for good, and does what it had not finished.
	leave := func(err error) error {
		if !errors.As(err, &r.Failure) {
			return err
		}
		if d.lost == nil {
			d.lost = r.Failure
		}
		d = nil
		for _, src := range waiting {
			if err := onProcessor(src); err != nil {
				return err
			}
		}
		waiting = nil
		return nil
	}
	settle := func() error {
		var lost statedict.CastReport // of a chunk that is not done again
		out, err := d.finish(ctx, turn, &lost)
		if err != nil {
			return leave(err)
		}
		r.Device += int64(waiting[0].Get("byteLength").Int())
		r.Lost.Add(lost)
		waiting = waiting[1:]
		turn ^= 1
		return emit(out)
	}
	for {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		src, err := next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return r, err
		}
		if d != nil && len(waiting) == len(d.slots) {
			if err := settle(); err != nil {
				return r, err
			}
		}
		if d == nil {
			if err := onProcessor(src); err != nil {
				return r, err
			}
			continue
		}
		failed := d.start(ctx, (turn+len(waiting))%len(d.slots), src, from, to)
		waiting = append(waiting, src)
		if failed != nil {
			if err := leave(failed); err != nil {
				return r, err
			}
		}
	}
	for d != nil && len(waiting) > 0 {
		if err := settle(); err != nil {
			return r, err
		}
	}
	return r, nil
}

// castOnProcessor takes a chunk through Go's memory.
func castOnProcessor(src js.Value, from, to statedict.DType, c *statedict.CastReport) (js.Value, error) {
	in := make([]byte, src.Get("byteLength").Int())
	js.CopyBytesToGo(in, src)
	out := make([]byte, int64(len(in))/from.Size()*to.Size())
	if err := statedict.CastBytes(out, in, to, from, c); err != nil {
		return js.Value{}, err
	}
	result := js.Global().Get("Uint8Array").New(len(out))
	js.CopyBytesToJS(result, out)
	return result, nil
}
