//go:build js && wasm

package gpu

import (
	"context"
	"fmt"
	"syscall/js"

	"github.com/weightroom/weightroom/statedict"
)

// MaxChunk is the most elements that Convert takes at once: neither side of it is longer than 32 MiB, a quarter of what every
// WebGPU device can bind.
func MaxChunk(from, to statedict.DType) int {
	return 32 << 20 / int(max(from.Size(), to.Size()))
}

const (
	lossWords = 4 // of Kernel's binding 2
	// resultAt is where the result stands in what is read back, behind the losses; mapped ranges begin at multiples of 8.
	resultAt = 16
)

// A slot is the buffers of one chunk on its way; two slots keep the device busy while the other side reads and writes.
type slot struct {
	in, out, back   js.Value
	losses          js.Value // buffer, see Kernel
	inSize, outSize int      // bytes
	outBytes        int
	mapped          js.Value // promise
	check           func(context.Context) error
}

// try turns what a call to the browser throws into an *Error.
func try(f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			thrown, ok := r.(js.Error)
			if !ok {
				panic(r)
			}
			kind := Invalid
			if thrown.Get("name").String() == "RangeError" { // what createBuffer throws when there is no room
				kind = OutOfMemory
			}
			err = &Error{kind, thrown.Get("message").String()}
		}
	}()
	f()
	return nil
}

// start sends a chunk to the device and does not wait for it.
func (d *Device) start(ctx context.Context, which int, src js.Value, from, to statedict.DType) error {
	if d.lost != nil {
		return d.lost
	}
	size := src.Get("byteLength").Int()
	n := size / int(from.Size())
	switch {
	case !Supported(from, to):
		return &Error{Invalid, fmt.Sprintf("no kernel from %s to %s", from, to)}
	case size != n*int(from.Size()) || n == 0 || n > MaxChunk(from, to):
		return &Error{Invalid, fmt.Sprintf("a chunk of %d bytes of %s", size, from)}
	}
	p, err := d.pipeline(ctx, from, to)
	if err != nil {
		return err
	}
	s := &d.slots[which]
	groups := (n + 3) / 4
	in, out := groups*4*int(from.Size()), groups*4*int(to.Size())
	s.outBytes = n * int(to.Size())
	scope := d.guard()
	err = try(func() {
		d.grow(s, in, out)
		d.upload(s.in, src, size)
		head := js.Global().Get("Uint32Array").New(lossWords)
		head.SetIndex(0, n)
		d.queue.Call("writeBuffer", s.losses, 0, head)
		bind := d.device.Call("createBindGroup", map[string]any{
			"layout": p.Call("getBindGroupLayout", 0),
			"entries": []any{
				map[string]any{"binding": 0, "resource": map[string]any{"buffer": s.in, "size": in}},
				map[string]any{"binding": 1, "resource": map[string]any{"buffer": s.out, "size": out}},
				map[string]any{"binding": 2, "resource": map[string]any{"buffer": s.losses}},
			},
		})
		encoder := d.device.Call("createCommandEncoder")
		pass := encoder.Call("beginComputePass")
		pass.Call("setPipeline", p)
		pass.Call("setBindGroup", 0, bind)
		pass.Call("dispatchWorkgroups", min(65535, (groups+63)/64))
		pass.Call("end")
		encoder.Call("copyBufferToBuffer", s.losses, 0, s.back, 0, 4*lossWords)
		encoder.Call("copyBufferToBuffer", s.out, 0, s.back, resultAt, out)
		d.queue.Call("submit", []any{encoder.Call("finish")})
		s.mapped = s.back.Call("mapAsync", 1, 0, resultAt+out) // GPUMapMode.READ
	})
	s.check = scope()
	if err == nil {
		return nil
	}
	if caught := s.check(ctx); caught != nil {
		return caught
	}
	return err
}

// grow replaces buffers that are too short for a chunk.
func (d *Device) grow(s *slot, in, out int) {
	const mapRead, copySrc, copyDst, storage = 1, 4, 8, 128
	buffer := func(old js.Value, size, usage int) js.Value {
		if old.Truthy() {
			old.Call("destroy")
		}
		return d.device.Call("createBuffer", map[string]any{"size": size, "usage": usage})
	}
	if s.inSize < in {
		s.inSize = 0 // should createBuffer throw
		s.in = buffer(s.in, in, storage|copyDst)
		s.inSize = in
	}
	if s.outSize < out {
		s.outSize = 0
		s.out = buffer(s.out, out, storage|copySrc)
		s.back = buffer(s.back, resultAt+out, mapRead|copyDst)
		s.losses = buffer(s.losses, 4*lossWords, storage|copySrc|copyDst)
		s.outSize = out
	}
}

// upload writes the chunk from its own memory. Writes are of whole words: what is left goes through a padded word.
func (d *Device) upload(to, src js.Value, size int) {
	whole := size &^ 3
	if whole > 0 {
		d.queue.Call("writeBuffer", to, 0, src, 0, whole)
	}
	if whole < size {
		word := js.Global().Get("Uint8Array").New(4)
		word.Call("set", src.Call("subarray", whole, size))
		d.queue.Call("writeBuffer", to, whole, word)
	}
}

// finish waits for a slot's chunk, and adds what the cast lost to c.
func (d *Device) finish(ctx context.Context, which int, c *statedict.CastReport) (js.Value, error) {
	s := &d.slots[which]
	_, failed := await(ctx, s.mapped)
	if err := s.check(ctx); err != nil {
		return js.Value{}, err
	}
	if failed != nil {
		return js.Value{}, failed
	}
	var result js.Value
	err := try(func() {
		head := js.Global().Get("Uint32Array").New(s.back.Call("getMappedRange", 0, 4*lossWords))
		c.Overflowed += int64(head.Index(1).Float())
		c.Flushed += int64(head.Index(2).Float())
		c.NaNs += int64(head.Index(3).Float())
		mapped := s.back.Call("getMappedRange", resultAt, (s.outBytes+3)&^3)
		result = js.Global().Get("Uint8Array").New(mapped.Call("slice", 0, s.outBytes))
		s.back.Call("unmap")
	})
	return result, err
}
