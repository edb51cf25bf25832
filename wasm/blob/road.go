//go:build js

package blob

import (
	"io"
	"syscall/js"
	"time"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/gpu"
)

// deviceChunk is how many bytes of a source go to a device at a time.
const deviceChunk = 8 << 20

// Road is how casts are done, and what was done on it: bytes of output, and the time it took.
type Road struct {
	Device            *gpu.Device // nil for the processor
	OnDevice          int64
	Processor         int64
	Spent             time.Duration
	Failure           error // why the device was left
	SmallestForDevice int64 // bytes of a source below which the processor is quicker
}

// onDevice casts a plain run of a file on the device and tells whether it did: a strided view, a chain of casts or a
// source that is no file of the page goes the codec's own way. When the device fails the processor ends the work.
func (c *composer) onDevice(s statedict.Convert, out *converted) (bool, error) {
	f, ok := (*File)(nil), false
	if s.Src.Data.Source != nil {
		f, ok = s.Src.Data.Source.R.(*File)
	}
	v, from, to := s.View, s.View.DType, s.To
	if c.road.Device == nil || !ok || !v.Contiguous() || v.Conj || v.Neg || s.Src.BigEndian || s.Src.Data.Method != statedict.Stored ||
		len(s.Via) > 0 || from == to || !gpu.Supported(from, to) {
		return false, nil
	}
	off := s.Src.Data.Off + v.Offset*from.Size()
	left := v.Numel() * from.Size()
	if left < max(1, c.road.SmallestForDevice) || off+left > f.Size {
		return false, nil
	}
	step := int64(deviceChunk)
	start := time.Now()
	report, err := gpu.Cast(c.ctx, c.road.Device, from, to, func() (js.Value, error) {
		if left == 0 {
			return js.Value{}, io.EOF
		}
		n := min(step, left)
		buf, err := f.slice(off, n)
		off, left = off+n, left-n
		return buf, err
	}, out.take)
	c.road.Spent += time.Since(start)
	c.file.Cast.Add(report.Lost)
	share := func(n int64) int64 { return n / from.Size() * to.Size() }
	c.road.OnDevice += share(report.Device)
	c.road.Processor += share(report.Processor)
	if report.Failure != nil {
		c.road.Device, c.road.Failure = nil, report.Failure
	}
	return true, err
}

// take puts a Uint8Array of converted bytes into the output. Only a checksum makes it pass through Go's memory.
func (w *converted) take(u8 js.Value) error {
	w.flushBytes()
	n := u8.Get("byteLength").Int()
	if len(w.sums) > 0 {
		if cap(w.buf) < n {
			w.buf = make([]byte, n)
		}
		w.buf = w.buf[:n]
		js.CopyBytesToGo(w.buf, u8)
		w.sum(w.sums, w.buf)
	}
	list := js.Global().Get("Array").New()
	list.Call("push", u8)
	w.parts.Call("push", js.Global().Get("Blob").New(list))
	return w.count(n)
}
