//go:build js

package page

import (
	"context"
	"syscall/js"
	"time"

	"github.com/weightroom/weightroom/wasm/message"
)

// piece is how many bytes of a Blob are written to a picked file at a time, so that progress shows and stopping works.
const piece = 32 << 20

// reflex is less than a person needs to dismiss a dialog: a dialog that was dismissed sooner was never shown.
const reflex = 400 * time.Millisecond

// clockSlack is how much a file system's times are coarser than the clock, in milliseconds.
const clockSlack = 2000

// target is where an export goes: a file that the user picked, or the browser's downloads where there is no such dialog
// (some browsers, frames of another site, a browser without a window).
type target struct {
	name   string // as picked; "" for a download
	asked  time.Time
	pick   js.Value // promise of a handle; undefined where there is no dialog
	handle js.Value
}

// pickTarget shows the save dialog, if there is one. It must be called by the handler of a click.
func pickTarget(name string) (t *target) {
	t = &target{asked: time.Now()}
	if js.Global().Get("showSaveFilePicker").Type() != js.TypeFunction {
		return t
	}
	defer func() {
		if recover() != nil {
			t.pick = js.Undefined()
		}
	}()
	t.pick = js.Global().Call("showSaveFilePicker", map[string]any{"suggestedName": name})
	return t
}

// wait is for the user's choice; errCancelled if there was none.
func (t *target) wait() error {
	if t.pick.IsUndefined() {
		return nil
	}
	handle, err := await(t.pick)
	switch {
	case err == nil:
		t.handle, t.name = handle, handle.Get("name").String()
	case errorName(err) == "AbortError" && time.Since(t.asked) > reflex:
		return errCancelled
	}
	return nil
}

// write puts one file of the export at its place. Only the first can go to the picked file.
func (t *target) write(ctx context.Context, i int, name string, blob js.Value, progress func(done, total int64)) error {
	if i > 0 || t.handle.IsUndefined() {
		download(name, blob)
		return nil
	}
	stream, err := await(t.handle.Call("createWritable"))
	if err != nil {
		return writeError(err, blob)
	}
	size := int64(blob.Get("size").Float())
	for at := int64(0); at < size; at += piece {
		if ctx.Err() == nil {
			_, err = await(stream.Call("write", blob.Call("slice", float64(at), float64(min(at+piece, size)))))
		}
		if err != nil || ctx.Err() != nil {
			await(stream.Call("abort")) // what was there before stays
			if ctx.Err() != nil {
				return errCancelled
			}
			return writeError(err, blob.Call("slice", float64(at), float64(at+1)))
		}
		progress(min(at+piece, size), size)
	}
	if _, err = await(stream.Call("close")); err != nil {
		return writeError(err, blob)
	}
	return nil
}

// writeError says what a browser's error while writing means. When the disk is full it complains of the side that reads as often
// as of the one that writes; so sample, a part of what was to be written, is read once more.
func writeError(err error, sample js.Value) error {
	code := ""
	switch errorName(err) {
	case "QuotaExceededError":
		code = "E_SPACE"
	case "NotAllowedError", "NoModificationAllowedError":
		code = "E_DENIED"
	case "NotReadableError", "NotFoundError":
		code = "E_SPACE"
		if _, err := await(sample.Call("slice", 0, 1).Call("arrayBuffer")); err != nil {
			code = "E_CHANGED"
		}
	default:
		return err
	}
	return &message.Error{Code: code, Message: err.Error()}
}

// discard takes away the empty file that a dialog makes for a new name, after an export that failed. A file that was there
// before stays.
func (t *target) discard() {
	if t.handle.IsUndefined() || t.handle.Get("remove").Type() != js.TypeFunction {
		return
	}
	file, err := await(t.handle.Call("getFile"))
	if err == nil && file.Get("size").Int() == 0 && int64(file.Get("lastModified").Float()) >= t.asked.UnixMilli()-clockSlack {
		await(t.handle.Call("remove"))
	}
}

// written is the saved file, to be looked at again; nil for a download, which the page can't read.
func (t *target) written() []js.Value {
	if t.handle.IsUndefined() {
		return nil
	}
	file, err := await(t.handle.Call("getFile"))
	if err != nil {
		return nil
	}
	return []js.Value{file}
}

func download(name string, blob js.Value) {
	url := js.Global().Get("URL").Call("createObjectURL", blob)
	link := textElement("a", "")
	link.Set("href", url)
	link.Set("download", name)
	link.Click()
	go func() {
		time.Sleep(time.Minute) // the browser needs it until it has begun to read
		js.Global().Get("URL").Call("revokeObjectURL", url)
	}()
}
