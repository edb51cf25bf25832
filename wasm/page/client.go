//go:build js

package page

import (
	"context"
	"encoding/json"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/message"
)

// client talks with a worker. When the worker dies, every request that waits fails and crashed is called once.
type client struct {
	js      js.Value
	last    int
	pending map[int]*call
	ready   chan struct{}
	started bool
	dead    bool
	crashed func()
	hear    js.Func
	fault   js.Func
}

type call struct {
	done     chan answer
	progress func(message.Progress)
}

type answer struct {
	body, rows []byte
	blobs      []js.Value
	err        error
}

var errCrashed = &message.Error{Code: message.Internal, Message: "the worker stopped"}
var errCancelled = &message.Error{Code: message.Cancelled, Message: "stopped"}

// startWorker makes a worker of the program that this page runs.
func startWorker(crashed func()) *client {
	c := &client{pending: map[int]*call{}, ready: make(chan struct{}), crashed: crashed}
	c.js = js.Global().Get("weightroom").Call("spawn")
	c.hear = js.FuncOf(func(_ js.Value, args []js.Value) any {
		c.take(args[0].Get("data"))
		return nil
	})
	c.fault = js.FuncOf(func(js.Value, []js.Value) any {
		c.die()
		return nil
	})
	c.js.Set("onmessage", c.hear)
	c.js.Set("onerror", c.fault)
	c.js.Set("onmessageerror", c.fault)
	return c
}

func (c *client) take(msg js.Value) {
	if c.dead {
		return
	}
	kind, id := msg.Get("kind").String(), msg.Get("id").Int()
	switch kind {
	case "ready":
		c.started = true
		close(c.ready)
		return
	case "crash":
		js.Global().Get("console").Call("error", "worker: "+msg.Get("why").String())
		c.die()
		return
	}
	p := c.pending[id]
	if p == nil {
		return
	}
	a := answer{body: fromJS(msg.Get("body")), rows: fromJS(msg.Get("rows"))}
	switch kind {
	case "progress":
		var pr message.Progress
		if p.progress != nil && json.Unmarshal(a.body, &pr) == nil {
			p.progress(pr)
		}
		return
	case "error":
		e := &message.Error{}
		if err := json.Unmarshal(a.body, e); err != nil {
			e.Code, e.Message = message.Internal, err.Error()
		}
		a.err = e
	}
	if blobs := msg.Get("blobs"); blobs.Truthy() {
		for i := range blobs.Length() {
			a.blobs = append(a.blobs, blobs.Index(i))
		}
	}
	delete(c.pending, id)
	p.done <- a
}

func fromJS(u8 js.Value) []byte {
	if !u8.Truthy() {
		return nil
	}
	b := make([]byte, u8.Get("byteLength").Int())
	js.CopyBytesToGo(b, u8)
	return b
}

// die ends the worker: it crashed, or somebody does not want to wait for it.
func (c *client) die() {
	if c.dead {
		return
	}
	c.end(errCrashed)
	c.crashed()
}

// end stops the worker and answers all requests with err.
func (c *client) end(err error) {
	c.dead = true
	c.js.Call("terminate")
	for id, p := range c.pending {
		delete(c.pending, id)
		p.done <- answer{err: err}
	}
}

// do sends a request and waits for its answer, which goes into reply. Ending ctx asks the worker to stop; the answer is
// awaited all the same.
func (c *client) do(ctx context.Context, method string, req, reply any, files []js.Value, progress func(message.Progress)) (answer, error) {
	if c.dead {
		return answer{}, errCrashed
	}
	select {
	case <-c.ready:
	case <-ctx.Done():
		return answer{}, errCancelled
	}
	body, err := json.Marshal(req)
	if err != nil {
		return answer{}, err
	}
	c.last++
	id := c.last
	p := &call{done: make(chan answer, 1), progress: progress}
	c.pending[id] = p
	list := js.Global().Get("Array").New()
	for _, f := range files {
		list.Call("push", f)
	}
	c.send(id, method, body, list)
	var a answer
	select {
	case a = <-p.done:
	case <-ctx.Done():
		stop, _ := json.Marshal(message.CancelRequest{ID: id})
		c.send(0, message.Cancel, stop, js.Undefined())
		a = <-p.done
	}
	if a.err == nil && reply != nil {
		a.err = json.Unmarshal(a.body, reply)
	}
	return a, a.err
}

func (c *client) send(id int, method string, body []byte, files js.Value) {
	u8 := js.Global().Get("Uint8Array").New(len(body))
	js.CopyBytesToJS(u8, body)
	c.js.Call("postMessage", map[string]any{"id": id, "method": method, "body": u8, "files": files}, []any{u8.Get("buffer")})
}
