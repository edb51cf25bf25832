//go:build js

package worker

import "github.com/weightroom/weightroom/wasm/message"

// answerInspector answers what the inspector asks; ok is false for other methods.
func (w *worker) answerInspector(j *job) (reply any, ok bool, err error) {
	switch j.method {
	case message.Describe:
		var req message.ItemRequest
		if err = decode(j, &req); err == nil {
			reply, err = w.session.Describe(&req)
		}
	case message.Measure:
		var req message.MeasureRequest
		if err = decode(j, &req); err == nil {
			got, bad := w.session.Measure(j.ctx, &req, func(done int64) { j.progress(message.Progress{Phase: "read", Done: done}) })
			if reply, err = got, bad; err == nil {
				got.BytesRead = sum(w.files[req.Handle])
			}
		}
	case message.Window:
		var req message.WindowRequest
		if err = decode(j, &req); err == nil {
			got, bad := w.session.Window(j.ctx, &req)
			if reply, err = got, bad; err == nil {
				got.BytesRead = sum(w.files[req.Handle])
			}
		}
	case message.Code:
		var req message.CodeRequest
		if err = decode(j, &req); err == nil {
			reply, err = w.session.Code(&req)
		}
	case message.Shrink:
		var req message.ShrinkRequest
		if err = decode(j, &req); err == nil {
			reply, err = w.session.Shrink(&req)
		}
	case message.Map:
		var req message.MapRequest
		if err = decode(j, &req); err == nil {
			reply, err = w.session.Map(&req)
		}
	default:
		return nil, false, nil
	}
	return reply, true, err
}
