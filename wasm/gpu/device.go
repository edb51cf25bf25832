//go:build js && wasm

// Package gpu casts tensor bytes with WebGPU. Bytes go from the ArrayBuffer that a file slice gave to the device and from
// there to the ArrayBuffer of the output; they never pass through Go's memory. The bits are those of statedict.CastBytes.
//
// A device that is lost, out of memory or invalid is an *Error, and Cast goes on with the processor at the same chunk.
package gpu

import (
	"context"
	"errors"
	"fmt"
	"syscall/js"

	"github.com/weightroom/weightroom/statedict"
)

// ErrAbsent says that there is no WebGPU here: no adapter, an old browser, or a page that is no secure context.
var ErrAbsent = errors.New("no WebGPU adapter")

// ErrSoftware says that the only adapter computes on the processor, where Go's own road is quicker.
var ErrSoftware = errors.New("the WebGPU adapter is a software one")

// Kind says what went wrong with a device.
type Kind string

const (
	Lost        Kind = "device lost"
	OutOfMemory Kind = "out of device memory"
	Invalid     Kind = "validation failed"
	Internal    Kind = "internal device error"
)

// Error is a failure of the device, not of the data: the same cast can be done without it.
type Error struct {
	Kind    Kind
	Message string
}

func (e *Error) Error() string {
	if e.Message == "" {
		return "WebGPU: " + string(e.Kind)
	}
	return fmt.Sprintf("WebGPU: %s: %s", e.Kind, e.Message)
}

// Device is an opened adapter. It serves one goroutine at a time.
type Device struct {
	Adapter  string // what the browser tells of it
	Software bool

	device, queue js.Value
	pipelines     map[[2]statedict.DType]js.Value
	slots         [2]slot
	lost          *Error
	watch         js.Func
}

// New opens the adapter that the browser prefers. Errors: ErrAbsent; ErrSoftware, unless software adapters are allowed;
// *Error when the device cannot be had.
func New(ctx context.Context, allowSoftware bool) (*Device, error) {
	gpu := js.Global().Get("navigator").Get("gpu")
	if !gpu.Truthy() {
		return nil, ErrAbsent
	}
	adapter, err := await(ctx, gpu.Call("requestAdapter", map[string]any{"powerPreference": "high-performance"}))
	if err != nil {
		return nil, err
	}
	if !adapter.Truthy() {
		return nil, ErrAbsent
	}
	d := &Device{pipelines: map[[2]statedict.DType]js.Value{}}
	info := adapter.Get("info")
	if info.Truthy() {
		for _, part := range []string{"vendor", "architecture", "device", "description"} {
			if s := info.Get(part); s.Type() == js.TypeString && s.String() != "" {
				if d.Adapter != "" {
					d.Adapter += " "
				}
				d.Adapter += s.String()
			}
		}
		d.Software = info.Get("isFallbackAdapter").Truthy()
	}
	d.Software = d.Software || adapter.Get("isFallbackAdapter").Truthy()
	if d.Software && !allowSoftware {
		return nil, ErrSoftware
	}
	if d.device, err = await(ctx, adapter.Call("requestDevice")); err != nil {
		return nil, err
	}
	d.queue = d.device.Get("queue")
	d.watch = js.FuncOf(func(_ js.Value, args []js.Value) any {
		d.lost = &Error{Lost, args[0].Get("message").String()}
		return nil
	})
	d.device.Get("lost").Call("then", d.watch)
	return d, nil
}

// Close gives the device back. It is lost to everything that still runs on it.
func (d *Device) Close() {
	d.device.Call("destroy")
	if d.lost == nil {
		d.lost = &Error{Lost, "closed"}
	}
}

// pipeline compiles a pair's kernel when it is first asked for.
func (d *Device) pipeline(ctx context.Context, from, to statedict.DType) (js.Value, error) {
	key := [2]statedict.DType{from, to}
	if p, ok := d.pipelines[key]; ok {
		return p, nil
	}
	k := NewKernel(from, to)
	constants := map[string]any{}
	for name, v := range k.Constants {
		constants[name] = v
	}
	scope := d.guard()
	module := d.device.Call("createShaderModule", map[string]any{"code": k.Code})
	made, err := await(ctx, d.device.Call("createComputePipelineAsync", map[string]any{
		"layout":  "auto",
		"compute": map[string]any{"module": module, "entryPoint": "main", "constants": constants},
	}))
	if caught := scope()(ctx); caught != nil {
		err = caught
	}
	if err != nil {
		return js.Value{}, err
	}
	d.pipelines[key] = made
	return made, nil
}

// guard opens error scopes. The function it returns closes them, before others are opened, and returns one that waits for
// what they caught and gives it as *Error.
func (d *Device) guard() func() func(context.Context) error {
	kinds := []struct {
		filter string
		kind   Kind
	}{{"internal", Internal}, {"out-of-memory", OutOfMemory}, {"validation", Invalid}}
	for _, k := range kinds {
		d.device.Call("pushErrorScope", k.filter)
	}
	return func() func(context.Context) error {
		promises := make([]js.Value, len(kinds))
		for i := range kinds { // scopes close in the reverse order
			promises[len(kinds)-1-i] = d.device.Call("popErrorScope")
		}
		return func(ctx context.Context) error {
			for i, p := range promises {
				caught, err := await(ctx, p)
				if err != nil && d.lost == nil {
					return err
				}
				if err == nil && caught.Truthy() {
					return &Error{kinds[i].kind, caught.Get("message").String()}
				}
			}
			if d.lost != nil {
				return d.lost
			}
			return nil
		}
	}
}

// await waits for a promise. A rejection is an *Error of kind Internal, or Lost where its name says so.
func await(ctx context.Context, promise js.Value) (js.Value, error) {
	type outcome struct {
		value js.Value
		err   error
	}
	done := make(chan outcome, 2)
	resolve := js.FuncOf(func(_ js.Value, args []js.Value) any {
		v := js.Undefined()
		if len(args) > 0 {
			v = args[0]
		}
		done <- outcome{value: v}
		return nil
	})
	reject := js.FuncOf(func(_ js.Value, args []js.Value) any {
		e := &Error{Kind: Internal}
		if len(args) > 0 && args[0].Type() == js.TypeObject {
			e.Message = args[0].Get("message").String()
		}
		done <- outcome{err: e}
		return nil
	})
	promise.Call("then", resolve, reject)
	select {
	case o := <-done:
		resolve.Release()
		reject.Release()
		return o.value, o.err
	case <-ctx.Done():
		go func() { // the promise still holds the functions
			<-done
			resolve.Release()
			reject.Release()
		}()
		return js.Value{}, ctx.Err()
	}
}
