//go:build js

// Command wasm is Weightroom in the browser. One binary plays two roles: the page, and the worker that reads files.
package main

import (
	"runtime/debug"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/page"
	_ "github.com/weightroom/weightroom/wasm/simd" // casts on vectors; boot.js and worker.js give it its imports
	"github.com/weightroom/weightroom/wasm/worker"
)

// roomy is how much the heap may grow between two collections, in percent; near a limit, in bytes, they come sooner. There is
// one thread, so a collection stops everything: opening 100,000 keys is a third faster this way, and scrolling them drops no
// frame. The page has more room than the worker, for it collects by itself when the user rests.
const (
	roomy       = 400
	pageLimit   = 640 << 20
	workerLimit = 384 << 20
)

func main() {
	debug.SetGCPercent(roomy)
	if js.Global().Get("document").IsUndefined() {
		debug.SetMemoryLimit(workerLimit)
		worker.Run()
		return
	}
	debug.SetMemoryLimit(pageLimit)
	page.Run()
}
