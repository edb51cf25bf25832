//go:build js && wasm

// Check is the page that gpu_test.go opens in Chromium: it compares every kernel with Go's loops, breaks the device at three
// stages of a cast, and times both roads. Its lines go to the array globalThis.lines, the last one being "done".
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"syscall/js"
	"time"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/gpu"
	"github.com/weightroom/weightroom/wasm/simd"
)

func say(format string, args ...any) {
	js.Global().Get("lines").Call("push", fmt.Sprintf(format, args...))
}

func main() {
	defer say("done")
	ctx := context.Background()
	if _, err := gpu.New(ctx, false); !errors.Is(err, gpu.ErrSoftware) {
		say("FAIL: the software adapter was not refused: %v", err)
	}
	d, err := gpu.New(ctx, true)
	if err != nil {
		say("FAIL: %v", err)
		return
	}
	say("adapter %q software %v", d.Adapter, d.Software)
	pairs(ctx, d)
	interrupted(ctx, d)
	breakDown(ctx)
	choices(ctx)
	processor()
}

var names = []string{"float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"}

func dtypeOf(name string) statedict.DType {
	d, ok := statedict.ParseDType(name)
	if !ok {
		panic(name)
	}
	return d
}

// patterns are all of 8 and 16 bits; of float32 a dense sample and every bfloat16 with its neighbours and midpoints; of
// float64 the neighbours of those and a sample.
func patterns(d statedict.DType, dense int) []byte {
	var b []byte
	switch d.Size() {
	case 1:
		for i := range 256 {
			b = append(b, byte(i))
		}
		return b[:255:255] // a length that fills no word
	case 2:
		for i := range 1 << 16 {
			b = binary.LittleEndian.AppendUint16(b, uint16(i))
		}
		return b
	}
	for i := range uint32(1 << 16) {
		for _, off := range []uint32{math.MaxUint32, 0, 1, 0x7fff, 0x8000, 0x8001, 0xfff, 0x1000, 0x1001, 0x7ffff, 0x80000, 0x80001} {
			u := i<<16 + off
			if d.Size() == 4 {
				b = binary.LittleEndian.AppendUint32(b, u)
				continue
			}
			w := math.Float64bits(float64(math.Float32frombits(u)))
			for _, off := range []uint64{math.MaxUint64, 0, 1, 0x0fffffff, 0x10000000, 0x10000001} {
				b = binary.LittleEndian.AppendUint64(b, w+off)
			}
		}
	}
	for i := range uint64(dense) {
		if d.Size() == 4 {
			b = binary.LittleEndian.AppendUint32(b, uint32(i*0x9E3779B1))
		} else if i%4 == 0 {
			z := (i + 1) * 0x9E3779B97F4A7C15
			z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
			b = binary.LittleEndian.AppendUint64(b, z^z>>27)
		}
	}
	return b
}

func toJS(b []byte) js.Value {
	a := js.Global().Get("Uint8Array").New(len(b))
	js.CopyBytesToJS(a, b)
	return a
}

func toGo(a js.Value) []byte {
	b := make([]byte, a.Get("byteLength").Int())
	js.CopyBytesToGo(b, a)
	return b
}

// chunked gives a source in pieces of at most so many bytes.
func chunked(src js.Value, size int, before func(chunk int)) func() (js.Value, error) {
	at, chunk := 0, 0
	return func() (js.Value, error) {
		total := src.Get("byteLength").Int()
		if at >= total {
			return js.Value{}, io.EOF
		}
		if before != nil {
			before(chunk)
		}
		end := min(at+size, total)
		part := src.Call("subarray", at, end)
		at, chunk = end, chunk+1
		return part, nil
	}
}

func pairs(ctx context.Context, d *gpu.Device) {
	simd.Use(false)
	defer simd.Use(true)
	dense := js.Global().Get("dense").Int()
	count, differ := 0, 0
	var counted statedict.CastReport
	for _, f := range names {
		from := dtypeOf(f)
		src := patterns(from, dense)
		jsrc := toJS(src)
		for _, t := range names {
			to := dtypeOf(t)
			if from == to {
				continue
			}
			count++
			want := make([]byte, int64(len(src))/from.Size()*to.Size())
			var lost statedict.CastReport
			if err := statedict.CastBytes(want, src, to, from, &lost); err != nil {
				say("FAIL: %v", err)
				return
			}
			counted.Add(lost)
			var got []byte
			r, err := gpu.Cast(ctx, d, from, to, chunked(jsrc, 4<<20, nil), func(out js.Value) error {
				got = append(got, toGo(out)...)
				return nil
			})
			if err != nil || r.Failure != nil || r.Processor != 0 || r.Device != int64(len(src)) {
				say("FAIL: %s -> %s: not on the device: %+v %v %v", f, t, r, r.Failure, err)
				return
			}
			if r.Lost != lost {
				say("FAIL: %s -> %s: the device counts %+v, the processor %+v", f, t, r.Lost, lost)
			}
			if !bytes.Equal(got, want) {
				differ++
				for i := 0; i < len(got); i += int(to.Size()) {
					if j := i + int(to.Size()); !bytes.Equal(got[i:j], want[i:j]) {
						at := i / int(to.Size()) * int(from.Size())
						say("FAIL: %s -> %s: element %d, %x gives %x, want %x", f, t, i/int(to.Size()), src[at:at+int(from.Size())], got[i:j], want[i:j])
						break
					}
				}
			}
		}
	}
	say("pairs %d differ %d; lost on both roads: %d overflowed, %d flushed, %d NaN", count, differ, counted.Overflowed, counted.Flushed, counted.NaNs)
}

// breakDown loses the device before the first chunk, between two, and while one is on its way; and makes it run out of memory
// and fail validation. The bytes must be those of the processor alone.
func breakDown(ctx context.Context) {
	from, to := dtypeOf("float32"), dtypeOf("float16")
	src := patterns(from, 0)
	want := make([]byte, len(src)/2)
	var lost statedict.CastReport
	if err := statedict.CastBytes(want, src, to, from, &lost); err != nil {
		say("FAIL: %v", err)
		return
	}
	device := js.Global().Get("GPUDevice").Get("prototype")
	queue := js.Global().Get("GPUQueue").Get("prototype")
	for _, stage := range []string{"before the first chunk", "between two chunks", "while a chunk is on its way", "out of memory", "invalid"} {
		d, err := gpu.New(ctx, true)
		if err != nil {
			say("FAIL: %v", err)
			return
		}
		restore := func() {}
		before := func(chunk int) {
			switch {
			case stage == "before the first chunk" && chunk == 0, stage == "between two chunks" && chunk == 4:
				d.Close()
			case stage == "while a chunk is on its way" && chunk == 0:
				submit := queue.Get("submit")
				n := 0
				hook := js.FuncOf(func(this js.Value, args []js.Value) any {
					submit.Call("call", this, args[0])
					if n++; n == 4 {
						d.Close()
					}
					return nil
				})
				queue.Set("submit", hook)
				restore = func() { queue.Set("submit", submit) }
			case stage == "out of memory" && chunk == 1, stage == "invalid" && chunk == 1:
				create := device.Get("createBuffer")
				device.Set("createBuffer", js.Global().Get("broken").Get(stage))
				restore = func() { device.Set("createBuffer", create) }
			}
		}
		var got []byte
		r, err := gpu.Cast(ctx, d, from, to, chunked(toJS(src), 1<<19, before), func(out js.Value) error {
			got = append(got, toGo(out)...)
			return nil
		})
		restore()
		switch {
		case err != nil || r.Failure == nil || r.Processor == 0:
			say("FAIL: %s: the failure went unseen: %+v %v", stage, r, err)
		case !bytes.Equal(got, want):
			say("FAIL: %s: other bytes", stage)
		case r.Lost != lost:
			say("FAIL: %s: %+v counted, not %+v", stage, r.Lost, lost)
		case r.Device+r.Processor != int64(len(src)), chunksBefore(stage) > r.Device:
			say("FAIL: %s: %d bytes on the device and %d on the processor of %d", stage, r.Device, r.Processor, len(src))
		default:
			say("broken %s: %v; %d bytes on the device, %d on the processor", stage, r.Failure, r.Device, r.Processor)
		}
	}
}

// chunksBefore is how many bytes the device must have done when it breaks.
func chunksBefore(stage string) int64 {
	switch stage {
	case "between two chunks", "while a chunk is on its way":
		return 1 << 19
	}
	return 0
}

// interrupted casts end by an error of the reading or the writing side, and the device must serve the next cast.
func interrupted(ctx context.Context, d *gpu.Device) {
	from, to := dtypeOf("float32"), dtypeOf("bfloat16")
	src := toJS(patterns(from, 0))
	stop := errors.New("stop")
	for _, side := range []string{"next", "emit"} {
		next := chunked(src, 1<<19, nil)
		n := 0
		_, err := gpu.Cast(ctx, d, from, to, func() (js.Value, error) {
			if n++; side == "next" && n == 3 {
				return js.Value{}, stop
			}
			return next()
		}, func(js.Value) error {
			if side == "emit" {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) {
			say("FAIL: stopped by %s: %v", side, err)
		}
	}
	r, err := gpu.Cast(ctx, d, from, to, chunked(src, 1<<19, nil), func(js.Value) error { return nil })
	if err != nil || r.Failure != nil || r.Processor != 0 {
		say("FAIL: after interruptions: %+v %v", r, err)
	}
	say("interrupted and used again")
}

func choices(ctx context.Context) {
	c := gpu.Choose(ctx, gpu.Auto)
	say("auto: device %v: %s", c.Device != nil, c.Why)
	if c.Device != nil {
		say("FAIL: a software adapter was chosen")
	}
	if c = gpu.Choose(ctx, gpu.OnDevice); c.Device == nil {
		say("FAIL: forced, and not used: %s", c.Why)
		return
	}
	say("forced: device %.2f GB/s, processor %.2f GB/s: %s", c.DeviceRate, c.ProcessorRate, c.Why)
	c.Device.Close()
}

// processor times the processor's road in the browser: with the SIMD helper and with Go's loops.
func processor() {
	src := make([]byte, 1<<20)
	for i := 0; i < len(src); i += 4 {
		binary.LittleEndian.PutUint32(src[i:], math.Float32bits(float32(math.Sin(float64(i)))*0.02))
	}
	from := dtypeOf("float32")
	for _, t := range []string{"float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"} {
		to := dtypeOf(t)
		dst := make([]byte, int64(len(src))/4*to.Size())
		var rate [2]float64
		for i, on := range []bool{true, false} {
			simd.Use(on)
			best := math.Inf(1)
			for range 4 {
				start := time.Now()
				for range 16 {
					if err := statedict.CastBytes(dst, src, to, from, nil); err != nil {
						panic(err)
					}
				}
				best = min(best, time.Since(start).Seconds())
			}
			rate[i] = float64(16*len(src)) / best / 1e9
		}
		say("processor float32 -> %s: helper %.2f GB/s, Go %.2f GB/s, ratio %.1f", t, rate[0], rate[1], rate[0]/rate[1])
	}
	simd.Use(true)
}
