//go:build js

package page

import (
	"syscall/js"

	"github.com/weightroom/weightroom/web/example"
)

// openExample opens the checkpoint that comes with the page, as if it had been dropped.
func (a *app) openExample() {
	u8 := js.Global().Get("Uint8Array").New(len(example.Data))
	js.CopyBytesToJS(u8, example.Data)
	a.openFiles([]js.Value{js.Global().Get("File").New([]any{u8}, example.Name)})
}
