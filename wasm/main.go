//go:build js

// Command wasm is Weightroom in the browser. One binary plays two roles: the page, and the worker that reads files.
package main

import (
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/page"
	_ "github.com/weightroom/weightroom/wasm/simd" // casts on vectors; boot.js and worker.js give it its imports
	"github.com/weightroom/weightroom/wasm/worker"
)

func main() {
	if js.Global().Get("document").IsUndefined() {
		worker.Run()
		return
	}
	page.Run()
}
