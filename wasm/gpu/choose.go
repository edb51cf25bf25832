//go:build js && wasm

package gpu

import (
	"context"
	"fmt"
	"io"
	"math"
	"syscall/js"
	"time"

	"github.com/weightroom/weightroom/statedict"
)

// Mode is the user's switch.
type Mode string

const (
	Auto      Mode = "auto"      // a hardware adapter that is quicker than the processor
	OnDevice  Mode = "gpu"       // any adapter, also a software one
	Processor Mode = "processor" // none
)

// Choice is the road that casts take here. Device is nil for the processor; Why says why, for the page to show.
// Rates are GB/s of input, float32 to float16; 0 where they were not measured.
type Choice struct {
	Device                    *Device
	Why                       string
	DeviceRate, ProcessorRate float64
}

// Choose opens the adapter and, in mode Auto, times it once on 16 MiB against the processor and keeps the quicker; an
// adapter whose bits differ is not kept in any mode.
func Choose(ctx context.Context, mode Mode) Choice {
	if mode == Processor {
		return Choice{Why: "chosen by hand"}
	}
	d, err := New(ctx, mode == OnDevice)
	if err != nil {
		return Choice{Why: err.Error()}
	}
	c := Choice{Device: d}
	same := false
	c.DeviceRate, c.ProcessorRate, same, err = d.time(ctx)
	switch {
	case err != nil:
		c.Device, c.Why = nil, err.Error()
	case !same:
		c.Device, c.Why = nil, fmt.Sprintf("%s computes other bits", d.Adapter)
	case mode == OnDevice:
		c.Why = "chosen by hand"
	case c.DeviceRate <= c.ProcessorRate:
		c.Device, c.Why = nil, fmt.Sprintf("%s is slower than the processor", d.Adapter)
	default:
		c.Why = fmt.Sprintf("%s is faster than the processor", d.Adapter)
	}
	if c.Device == nil {
		d.Close()
	}
	return c
}

// time casts 16 MiB of float32 to float16 in chunks of 4 MiB on both roads, after one chunk to warm up.
func (d *Device) time(ctx context.Context) (device, processor float64, same bool, err error) {
	const chunks, size = 4, 4 << 20
	from, _ := statedict.ParseDType("float32")
	to, _ := statedict.ParseDType("float16")
	sample := make([]byte, size)
	for i := 0; i < size; i += 4 { // of every magnitude around 1, with subnormals, infinities and NaNs of float16 among them
		u := math.Float32bits(float32(i+1)/size) + uint32(i)*0x9E3779B1>>5
		sample[i], sample[i+1], sample[i+2], sample[i+3] = byte(u), byte(u>>8), byte(u>>16), byte(u>>24)
	}
	src := js.Global().Get("Uint8Array").New(size)
	js.CopyBytesToJS(src, sample)
	run := func(d *Device, n int) (float64, uint64, error) {
		start, left := time.Now(), n
		var last js.Value
		r, err := Cast(ctx, d, from, to, func() (js.Value, error) {
			if left == 0 {
				return js.Value{}, io.EOF
			}
			left--
			return src, nil
		}, func(out js.Value) error {
			last = out
			return nil
		})
		if err == nil && r.Failure != nil {
			err = r.Failure
		}
		rate := float64(n*size) / time.Since(start).Seconds() / 1e9
		if err != nil {
			return 0, 0, err
		}
		return rate, fingerprint(last), nil
	}
	var rates [2]float64
	var sums [2]uint64
	for i, road := range []*Device{d, nil} {
		if _, _, err := run(road, 1); err != nil {
			return 0, 0, false, err
		}
		if rates[i], sums[i], err = run(road, chunks); err != nil {
			return 0, 0, false, err
		}
	}
	return rates[0], rates[1], sums[0] == sums[1], nil
}

// fingerprint is FNV-1a of a result.
func fingerprint(out js.Value) uint64 {
	b := make([]byte, out.Get("byteLength").Int())
	js.CopyBytesToGo(b, out)
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}
