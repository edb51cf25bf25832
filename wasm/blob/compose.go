//go:build js

package blob

import (
	"context"
	"encoding/binary"
	"fmt"
	"syscall/js"
	"time"

	"github.com/weightroom/weightroom/statedict"
)

// partSize is how many converted bytes are handed to the browser at a time.
const partSize = 4 << 20

// Compose is the output file as a Blob of parts: slices of the sources for what is copied, bytes for the rest. Only
// conversions and the checksums of records that have none are read; progress counts those bytes.
//
// Casts that a device can do go to it, where road has one. What casts lose is added to f.Cast, the same on either road.
// At most partSize bytes are held at once, and two chunks on a device.
func Compose(ctx context.Context, f *statedict.File, road *Road, b *Breath, progress func(done int64)) (js.Value, error) {
	c := composer{ctx: ctx, file: f, road: road, breath: b, progress: progress, covered: map[int][]int{}, sums: map[int]uint32{}}
	for i, s := range f.Segments {
		if s, ok := s.(statedict.Sum); ok {
			if s.From < 0 || s.From > s.To || s.To > i {
				return js.Value{}, fmt.Errorf("segment %d sums up segments %d to %d", i, s.From, s.To)
			}
			for k := s.From; k < s.To; k++ {
				c.covered[k] = append(c.covered[k], i)
			}
		}
	}
	parts := js.Global().Get("Array").New()
	c.parts = parts
	for i, s := range f.Segments {
		if err := c.add(i, s); err != nil {
			return js.Value{}, err
		}
	}
	c.flushCopy()
	c.flushBytes()
	out := js.Global().Get("Blob").New(parts)
	if got := int64(out.Get("size").Float()); got != f.Size {
		return js.Value{}, fmt.Errorf("%s came out as %d bytes, %d planned", f.Name, got, f.Size)
	}
	return out, nil
}

type composer struct {
	ctx      context.Context
	file     *statedict.File
	road     *Road
	breath   *Breath
	progress func(int64)
	parts    js.Value
	done     int64
	covered  map[int][]int  // the Sum segments that cover a segment
	sums     map[int]uint32 // CRC so far, by the index of the Sum

	pending []byte   // literal bytes not handed over yet
	from    js.Value // the file that a copy not handed over yet comes from
	off     int64
	end     int64
}

func (c *composer) add(i int, s statedict.Segment) error {
	sums := c.covered[i]
	switch s := s.(type) {
	case statedict.Literal:
		c.literal(s)
		c.sum(sums, s)
	case statedict.Sum:
		b := binary.LittleEndian.AppendUint32(nil, c.sums[i])
		c.literal(b)
		c.sum(sums, b)
	case statedict.Copy:
		switch r := s.Extent.Source.R.(type) {
		case *Remote:
			c.flushCopy()
			return r.copyTo(&converted{composer: c, sums: sums}, s.Extent.Off, s.Extent.Len)
		case *File:
			if len(sums) > 0 {
				if err := c.stream(s, sumOnly{c, sums}); err != nil {
					return err
				}
			}
			c.copy(r, s.Extent)
		default: // bytes within a pickle, parts of a distributed tensor
			c.flushCopy()
			return c.stream(s, &converted{composer: c, sums: sums})
		}
	case statedict.Convert:
		c.flushCopy()
		out := &converted{composer: c, sums: sums}
		if done, err := c.onDevice(s, out); done || err != nil {
			return err
		}
		start := time.Now()
		err := c.stream(s, out)
		c.road.Processor += s.Len()
		c.road.Spent += time.Since(start)
		return err
	}
	return nil
}

func (c *composer) sum(sums []int, b []byte) {
	for _, i := range sums {
		c.sums[i] = statedict.AddCRC(c.sums[i], b)
	}
}

// stream writes the bytes of one segment to w, as the codec itself would.
func (c *composer) stream(s statedict.Segment, w interface{ Write([]byte) (int, error) }) error {
	one := statedict.File{Name: c.file.Name, Size: s.Len(), Segments: []statedict.Segment{s}}
	err := one.Write(c.ctx, w, nil)
	c.file.Cast.Add(one.Cast)
	return err
}

// literal keeps small bytes back, so that neighbours make one part.
func (c *composer) literal(b []byte) {
	c.flushCopy()
	c.pending = append(c.pending, b...)
	if len(c.pending) >= partSize {
		c.flushBytes()
	}
}

// copy takes an extent over as a slice; neighbours make one slice, since each costs the browser about 0.25 ms.
func (c *composer) copy(f *File, x statedict.Extent) {
	if x.Len == 0 {
		return
	}
	if c.end > c.off && c.from.Equal(f.JS) && c.end == x.Off {
		c.end += x.Len
		return
	}
	c.flushCopy()
	c.flushBytes()
	c.from, c.off, c.end = f.JS, x.Off, x.Off+x.Len
}

func (c *composer) flushCopy() {
	if c.end > c.off {
		c.parts.Call("push", c.from.Call("slice", float64(c.off), float64(c.end)))
	}
	c.off, c.end = 0, 0
}

func (c *composer) flushBytes() {
	if len(c.pending) == 0 {
		return
	}
	u8 := js.Global().Get("Uint8Array").New(len(c.pending))
	js.CopyBytesToJS(u8, c.pending)
	// As a Blob the bytes belong to the browser, which may put them on disk; an array would stay in memory.
	list := js.Global().Get("Array").New()
	list.Call("push", u8)
	c.parts.Call("push", js.Global().Get("Blob").New(list))
	c.pending = c.pending[:0]
}

func (c *composer) count(n int) error {
	c.done += int64(n)
	if c.progress != nil {
		c.progress(c.done)
	}
	return c.breath.Take()
}

// sumOnly takes bytes that the output copies, for their checksum.
type sumOnly struct {
	c    *composer
	sums []int
}

func (w sumOnly) Write(b []byte) (int, error) {
	w.c.sum(w.sums, b)
	return len(b), w.c.count(len(b))
}

// converted takes bytes that go into the output.
type converted struct {
	*composer
	sums []int
	buf  []byte
}

func (w *converted) Write(b []byte) (int, error) {
	w.sum(w.sums, b)
	w.pending = append(w.pending, b...)
	if len(w.pending) >= partSize {
		w.flushBytes()
	}
	return len(b), w.count(len(b))
}
