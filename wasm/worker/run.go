//go:build js

package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"syscall/js"
	"time"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/blob"
	"github.com/weightroom/weightroom/wasm/gpu"
	"github.com/weightroom/weightroom/wasm/message"
)

// Run answers messages for ever. Jobs run one after the other, in the order they came.
func Run() {
	w := &worker{session: NewSession(), breath: &blob.Breath{}, jobs: make(chan *job, 64), files: map[int][]input{}, saved: map[int]*statedict.Plan{}, choices: map[gpu.Mode]gpu.Choice{}}
	js.Global().Set("onmessage", js.FuncOf(func(_ js.Value, args []js.Value) any {
		w.hear(args[0].Get("data"))
		return nil
	}))
	post("ready", 0, nil)
	for j := range w.jobs {
		w.do(j)
	}
}

type worker struct {
	session *Session
	breath  *blob.Breath
	jobs    chan *job
	running *job
	files   map[int][]input         // by handle
	saved   map[int]*statedict.Plan // the last export, by handle
	choices map[gpu.Mode]gpu.Choice // measured once
}

type job struct {
	id     int
	method string
	body   []byte
	files  js.Value
	ctx    context.Context
	cancel context.CancelFunc
	last   time.Time // of a progress message
}

// hear takes a message. It never blocks: the job waits for its turn.
func (w *worker) hear(data js.Value) {
	j := &job{id: data.Get("id").Int(), method: data.Get("method").String(), files: data.Get("files")}
	body := data.Get("body")
	j.body = make([]byte, body.Get("byteLength").Int())
	js.CopyBytesToGo(j.body, body)
	if j.method == message.Cancel {
		var req message.CancelRequest
		if json.Unmarshal(j.body, &req) == nil && w.running != nil && w.running.id == req.ID {
			w.running.cancel()
		}
		return
	}
	j.ctx, j.cancel = context.WithCancel(context.Background())
	select {
	case w.jobs <- j:
	default:
		fail(j, &message.Error{Code: message.Internal, Message: "too many requests at once"})
	}
}

// do runs a job to its answer. A panic is a fault of this program: the page starts another worker.
func (w *worker) do(j *job) {
	defer func() {
		if p := recover(); p != nil {
			post("crash", j.id, map[string]any{"why": fmt.Sprint(p) + "\n" + string(debug.Stack())})
		}
	}()
	w.running = j
	w.breath.Start(j.ctx)
	reply, rows, blobs, err := w.answer(j)
	w.running = nil
	j.cancel()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			err = &message.Error{Code: message.Cancelled, Message: "stopped"}
		}
		fail(j, err)
		return
	}
	extra := map[string]any{}
	if rows != nil {
		extra["rows"] = bytesToJS(message.EncodeRows(rows))
	}
	if blobs != nil {
		extra["blobs"] = blobs
	}
	postJSON("reply", j.id, reply, extra)
}

func (w *worker) answer(j *job) (reply any, rows []message.Row, blobs []any, err error) {
	if reply, ok, err := w.answerInspector(j); ok {
		return reply, nil, nil, err
	}
	if reply, ok, err := w.answerRecipe(j); ok {
		return reply, nil, nil, err
	}
	switch j.method {
	case message.Open:
		var req message.OpenRequest
		if err := decode(j, &req); err != nil {
			return nil, nil, nil, err
		}
		out, rows, err := w.open(j, &req)
		return out, rows, nil, err
	case message.OpenURL:
		var req message.OpenURLRequest
		if err := decode(j, &req); err != nil {
			return nil, nil, nil, err
		}
		out, rows, err := w.openURL(j, &req)
		return out, rows, nil, err
	case message.Apply:
		var req message.ApplyRequest
		if err := decode(j, &req); err != nil {
			return nil, nil, nil, err
		}
		out, rows, err := w.session.Apply(&req)
		if err == nil {
			out.BytesRead = sum(w.files[req.Handle])
		}
		return out, rows, nil, err
	case message.Preview:
		var req message.PreviewRequest
		if err := decode(j, &req); err != nil {
			return nil, nil, nil, err
		}
		out, err := w.session.Preview(&req)
		return out, nil, nil, err
	case message.Plan:
		var req message.PlanRequest
		if err := decode(j, &req); err != nil {
			return nil, nil, nil, err
		}
		_, out, err := w.session.Plan(&req)
		return out, nil, nil, err
	case message.Export:
		var req message.PlanRequest
		if err := decode(j, &req); err != nil {
			return nil, nil, nil, err
		}
		out, blobs, err := w.export(j, &req)
		return out, nil, blobs, err
	case message.Array:
		var req message.ArrayRequest
		if err := decode(j, &req); err != nil {
			return nil, nil, nil, err
		}
		out, blobs, err := w.array(j, &req)
		return out, nil, blobs, err
	case message.Attach:
		var req message.AttachRequest
		if err := decode(j, &req); err != nil {
			return nil, nil, nil, err
		}
		out, err := w.attach(j, &req)
		return out, nil, nil, err
	case message.Detach:
		var req message.AttachRequest
		if err := decode(j, &req); err != nil {
			return nil, nil, nil, err
		}
		w.session.Detach(req.Name)
		return struct{}{}, nil, nil, nil
	case message.Check:
		var req message.CheckRequest
		if err := decode(j, &req); err != nil {
			return nil, nil, nil, err
		}
		out, err := w.session.Check(&req)
		return out, nil, nil, err
	case message.Diff:
		var req message.DiffRequest
		if err := decode(j, &req); err != nil {
			return nil, nil, nil, err
		}
		out, err := w.session.Diff(j.ctx, &req, j.progress)
		return out, nil, nil, err
	case message.Loss:
		var req message.PreviewRequest
		if err := decode(j, &req); err != nil {
			return nil, nil, nil, err
		}
		out, err := w.session.Loss(j.ctx, &req, func(p message.Progress) error {
			j.progress(p)
			return w.breath.Take()
		})
		return out, nil, nil, err
	case message.Verify:
		var req message.VerifyRequest
		if err := decode(j, &req); err != nil {
			return nil, nil, nil, err
		}
		return struct{}{}, nil, nil, w.verify(j, &req)
	case message.Close:
		var req message.CloseRequest
		if err := decode(j, &req); err != nil {
			return nil, nil, nil, err
		}
		delete(w.files, req.Handle)
		delete(w.saved, req.Handle)
		w.session.Close(req.Handle)
		return struct{}{}, nil, nil, nil
	}
	return nil, nil, nil, &message.Error{Code: message.Internal, Message: "unknown request " + j.method}
}

func (w *worker) open(j *job, req *message.OpenRequest) (*message.Opened, []message.Row, error) {
	var files []input
	var srcs []statedict.Source
	for i, name := range req.Names {
		f := blob.NewFile(j.files.Index(i), name, w.breath)
		f.Report = func() { j.progress(message.Progress{Phase: "read", Done: sum(files), Total: 0}) }
		files = append(files, f)
		srcs = append(srcs, f.Source())
	}
	out, rows, err := w.session.Open(j.ctx, srcs)
	for _, f := range files {
		f.(*blob.File).Report = nil
	}
	if err != nil {
		return nil, nil, err
	}
	w.files[out.Handle] = files
	out.BytesRead = sum(files)
	return out, rows, nil
}

func sum(files []input) (n int64) {
	for _, f := range files {
		n += f.BytesRead()
	}
	return n
}

// export composes the files of a plan, then opens them as a reader would and compares them with the plan.
func (w *worker) export(j *job, req *message.PlanRequest) (*message.Exported, []any, error) {
	plan, planned, err := w.session.Plan(req)
	if err != nil {
		return nil, nil, err
	}
	if err := w.session.CheckSources(req.Handle); err != nil {
		return nil, nil, err
	}
	if err := plan.Confirm(j.ctx); err != nil {
		return nil, nil, err
	}
	total, before := int64(0), int64(0)
	for i := range plan.Files {
		total += readBytes(&plan.Files[i])
	}
	road, choice := w.road(j.ctx, plan, req.Road)
	var blobs []any
	var cast statedict.CastReport
	var written []statedict.Source
	for i := range plan.Files {
		f := &plan.Files[i]
		b, err := blob.Compose(j.ctx, f, road, w.breath, func(done int64) {
			j.progress(message.Progress{Phase: "convert", Done: before + done, Total: total})
		})
		if err != nil {
			return nil, nil, err
		}
		before += readBytes(f)
		cast.Add(f.Cast)
		blobs = append(blobs, b)
		written = append(written, blob.NewFile(b, f.Name, w.breath).Source())
	}
	j.progress(message.Progress{Phase: "check"})
	if err := statedict.Verify(j.ctx, plan, written...); err != nil {
		return nil, nil, err
	}
	w.saved[req.Handle] = plan
	return &message.Exported{Files: planned.Files, Cast: cast, Road: w.travelled(road, choice), BytesRead: sum(w.files[req.Handle])}, blobs, nil
}

func (w *worker) verify(j *job, req *message.VerifyRequest) error {
	plan := w.saved[req.Handle]
	if plan == nil {
		return &message.Error{Code: message.Internal, Message: "nothing was exported"}
	}
	var written []statedict.Source
	for i, name := range req.Names {
		written = append(written, blob.NewFile(j.files.Index(i), name, w.breath).Source())
	}
	return statedict.Verify(j.ctx, plan, written...)
}

// progress tells the page, ten times a second at most.
func (j *job) progress(p message.Progress) {
	if now := time.Now(); now.Sub(j.last) > 100*time.Millisecond || p.Phase == "check" {
		j.last = now
		postJSON("progress", j.id, p, nil)
	}
}

func decode(j *job, into any) error {
	if err := json.Unmarshal(j.body, into); err != nil {
		return &message.Error{Code: message.Internal, Message: j.method + ": " + err.Error()}
	}
	return nil
}

func fail(j *job, err error) { postJSON("error", j.id, message.FromError(err), nil) }

func postJSON(kind string, id int, v any, extra map[string]any) {
	b, err := json.Marshal(v)
	if err != nil {
		b, kind = []byte(`{"Code":"`+message.Internal+`","Message":"the answer could not be written"}`), "error"
	}
	if extra == nil {
		extra = map[string]any{}
	}
	extra["body"] = bytesToJS(b)
	post(kind, id, extra)
}

// post sends a message; arrays of bytes move, they are not copied.
func post(kind string, id int, extra map[string]any) {
	msg := map[string]any{"kind": kind, "id": id}
	var moved []any
	for k, v := range extra {
		msg[k] = v
		if u8, ok := v.(js.Value); ok {
			moved = append(moved, u8.Get("buffer"))
		}
	}
	js.Global().Call("postMessage", msg, moved)
}

func bytesToJS(b []byte) js.Value {
	u8 := js.Global().Get("Uint8Array").New(len(b))
	js.CopyBytesToJS(u8, b)
	return u8
}
