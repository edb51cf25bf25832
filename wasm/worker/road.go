//go:build js

package worker

import (
	"context"
	"time"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/blob"
	"github.com/weightroom/weightroom/wasm/gpu"
	"github.com/weightroom/weightroom/wasm/message"
)

// worthADevice is how many bytes of a tensor are too few to send, in automatic mode.
const worthADevice = 1 << 20

// road chooses how the casts of a plan are done. A device is looked for, and timed, when the first cast asks for it.
func (w *worker) road(ctx context.Context, plan *statedict.Plan, asked string) (*blob.Road, gpu.Choice) {
	casts := false
	for i := range plan.Files {
		for _, s := range plan.Files[i].Segments {
			c, ok := s.(statedict.Convert)
			casts = casts || ok && c.To != c.View.DType
		}
	}
	if !casts {
		return &blob.Road{}, gpu.Choice{}
	}
	mode := gpu.Mode(asked)
	if mode == "" {
		mode = gpu.Auto
	}
	choice, ok := w.choices[mode]
	if !ok {
		choice = gpu.Choose(ctx, mode)
		w.choices[mode] = choice
	}
	road := &blob.Road{Device: choice.Device}
	if mode == gpu.Auto {
		road.SmallestForDevice = worthADevice
	}
	return road, choice
}

// travelled tells the page about it. A device that failed is not used again.
func (w *worker) travelled(r *blob.Road, c gpu.Choice) message.Road {
	if r.OnDevice+r.Processor == 0 || c.Why == "" {
		return message.Road{}
	}
	out := message.Road{Asked: "processor", Why: c.Why, OnDevice: r.OnDevice, OnProcessor: r.Processor}
	if c.Device != nil {
		out.Asked = "gpu"
	}
	if r.Failure != nil {
		out.Failure = r.Failure.Error()
		clear(w.choices)
	}
	out.Rate = float64(r.OnDevice+r.Processor) / max(r.Spent, time.Microsecond).Seconds()
	return out
}

// attach opens another file for recipes and comparisons.
func (w *worker) attach(j *job, req *message.AttachRequest) (*message.Attached, error) {
	var srcs []statedict.Source
	for i, name := range req.Names {
		if req.Handle > 0 {
			break // they are open
		}
		srcs = append(srcs, blob.NewFile(j.files.Index(i), name, w.breath).Source())
	}
	return w.session.Attach(j.ctx, req, srcs)
}
