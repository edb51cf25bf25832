//go:build js

package page

import (
	"context"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// loss asks what the cast of the open form could not keep. That reads the tensors.
func (a *app) loss() {
	o, ok := a.panel.(*operation)
	if !ok || a.open == nil || o.op().Empty() != "" {
		return
	}
	w, turn := a.open, o.asked
	line := find(o.el, ".loss")
	show(line, true)
	setText(find(line, "p"), a.text.Text("loss.counting"))
	req := message.PreviewRequest{Handle: w.about.Handle, Recipe: o.before(), Step: model.Only(w.state.At, o.op())}
	a.run(job{
		work: func(ctx context.Context) error {
			var got message.Lost
			_, err := a.worker.do(ctx, message.Loss, req, &got, nil, func(p message.Progress) {
				a.report(a.text.Text("loss.counting"), p)
			})
			if turn != o.asked {
				return err
			}
			if err == nil {
				o.lost = &got
			}
			o.drawLoss()
			return err
		},
		fail: func(err error) { a.drawProblem(find(o.el, ".preview-error"), err) },
	})
}

// drawLoss says what was counted; nothing where the form says something else by now.
func (o *operation) drawLoss() {
	box := find(o.el, ".loss")
	show(box, o.lost != nil)
	if o.lost == nil {
		return
	}
	text := "loss.some"
	if o.lost.Overflowed+o.lost.Flushed+o.lost.NaNs == 0 {
		text = "loss.none"
	}
	setText(find(box, "p"), o.app.text.Text(text, "elements", model.Number(o.lost.Elements), "overflowed", model.Number(o.lost.Overflowed),
		"flushed", model.Number(o.lost.Flushed), "nans", model.Number(o.lost.NaNs)))
}
