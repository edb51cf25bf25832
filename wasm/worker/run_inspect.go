//go:build js

package worker

import (
	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/blob"
	"github.com/weightroom/weightroom/wasm/message"
)

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
	case message.Filters:
		var req message.FiltersRequest
		if err = decode(j, &req); err == nil {
			got, bad := w.session.Filters(j.ctx, &req)
			if reply, err = got, bad; err == nil {
				got.BytesRead = sum(w.files[req.Handle])
			}
		}
	case message.Outline:
		var req message.OutlineRequest
		if err = decode(j, &req); err == nil {
			reply, err = w.session.Outline(&req)
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

// array composes an .npy file of one tensor and looks at it as a reader would.
func (w *worker) array(j *job, req *message.ArrayRequest) (*message.Exported, []any, error) {
	plan, err := w.session.Array(req)
	if err != nil {
		return nil, nil, err
	}
	if err := w.session.CheckSources(req.Handle); err != nil {
		return nil, nil, err
	}
	f := &plan.Files[0]
	road, _ := w.road(j.ctx, plan, "processor")
	total := readBytes(f)
	b, err := blob.Compose(j.ctx, f, road, w.breath, func(done int64) { j.progress(message.Progress{Phase: "convert", Done: done, Total: total}) })
	if err != nil {
		return nil, nil, err
	}
	if err := statedict.Verify(j.ctx, plan, blob.NewFile(b, f.Name, w.breath).Source()); err != nil {
		return nil, nil, err
	}
	w.saved[req.Handle] = plan
	return &message.Exported{Files: plan.Report.Files, BytesRead: sum(w.files[req.Handle])}, []any{b}, nil
}
