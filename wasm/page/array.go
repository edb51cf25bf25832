//go:build js

package page

import (
	"context"
	"strings"
	"time"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// offerArray shows the button that saves the tensor as .npy, with what that does to it, or why it can't be done.
func (in *inspector) offerArray(d *message.Description) {
	box, note := find(in.el, ".array"), find(in.el, ".array-note")
	show(box, !in.app.place.readonly && (d.Readable || d.NoArray != "" && d.Bad == "" && d.Missing == ""))
	setDisabled(find(box, "[data-action=save-array]"), d.NoArray != "")
	text := d.Array
	if d.NoArray != "" {
		text = d.NoArray
	}
	show(note, text != "")
	setText(note, model.VisibleAll(sentence(text)))
}

// arrayName is the path of a tensor as the name of a file.
func arrayName(path string) string {
	name := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, path)
	if len(name) > 80 {
		name = name[len(name)-80:]
	}
	if name = strings.TrimLeft(name, "."); name == "" {
		name = "tensor"
	}
	return name + ".npy"
}

// saveArray writes the tensor on show to a file, the way an export goes.
func (in *inspector) saveArray() {
	a, turn := in.app, in.turn
	req := message.ArrayRequest{ItemRequest: in.req, Name: arrayName(in.row.Path)}
	bar := find(in.el, ".array .progress")
	button := find(in.el, "[data-action=save-array]")
	target := pickTarget(req.Name)
	setDisabled(button, true)
	a.run(job{
		work: func(ctx context.Context) error {
			defer setDisabled(button, false)
			defer show(bar, false)
			err := in.writeArray(ctx, req, target, bar)
			if err != nil {
				target.discard()
			}
			return err
		},
		fail: func(err error) {
			if turn == in.turn {
				in.failed(err)
				return
			}
			a.showError(err, "error.save")
		},
	})
}

func (in *inspector) writeArray(ctx context.Context, req message.ArrayRequest, target *target, bar element) error {
	a := in.app
	if err := target.wait(); err != nil {
		return err
	}
	started := time.Now()
	progress := func(done, total int64) {
		show(bar, time.Since(started) > slow)
		setProgress(bar, done, total)
	}
	var out message.Exported
	got, err := a.worker.do(ctx, message.Array, req, &out, nil, func(p message.Progress) { progress(p.Done, p.Total) })
	if err != nil {
		return err
	}
	a.readMore(out.BytesRead)
	if err := target.write(ctx, 0, req.Name, got.blobs[0], progress); err != nil {
		return err
	}
	text, name := "export.saved.download", req.Name
	if files := target.written(); files != nil {
		if _, err := a.worker.do(ctx, message.Verify, message.VerifyRequest{Handle: req.Handle, Names: []string{req.Name}}, nil, files, nil); err != nil {
			return err
		}
		text, name = "export.saved.disk", target.name
	}
	a.notify("", text, "name", model.Visible(name), "size", model.Bytes(out.Files[0].Size))
	return nil
}

// slow is how long a job may take before it shows how far it is.
const slow = 300 * time.Millisecond
