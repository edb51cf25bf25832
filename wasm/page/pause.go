//go:build js

package page

import (
	"syscall/js"
	"time"

	"github.com/weightroom/weightroom/wasm/page/model"
)

// slice is how long work may go on until the browser has its turn.
const slice = 12 * time.Millisecond

// turns brings pause back behind what else the browser has to do. A timer would be late by 4 ms, and in a page that is out of
// sight by a second.
type turns struct {
	port js.Value
	come chan struct{}
}

var turn *turns

func newTurns() *turns {
	channel := js.Global().Get("MessageChannel").New()
	t := &turns{port: channel.Get("port2"), come: make(chan struct{}, 1)}
	channel.Get("port1").Set("onmessage", js.FuncOf(func(js.Value, []js.Value) any {
		t.come <- struct{}{} // whoever paused waits already
		return nil
	}))
	return t
}

// pause lets the browser draw between two long pieces of work. Only for goroutines of one's own: a handler of an event must
// not wait.
func pause() {
	turn.port.Call("postMessage", nil)
	<-turn.come
}

// breathing pauses when a slice is over.
func breathing() model.Breathe {
	since := time.Now()
	return func() {
		if time.Since(since) > slice {
			pause()
			since = time.Now()
		}
	}
}
