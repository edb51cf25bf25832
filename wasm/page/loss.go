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
	box := find(o.el, ".loss")
	say := func(text string) {
		show(box, true)
		setText(find(box, "p"), text)
	}
	say(a.text.Text("loss.counting"))
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
			if err != nil {
				show(box, false)
				return err
			}
			text := "loss.some"
			if got.Overflowed+got.Flushed+got.NaNs == 0 {
				text = "loss.none"
			}
			say(a.text.Text(text, "elements", model.Number(got.Elements), "overflowed", model.Number(got.Overflowed),
				"flushed", model.Number(got.Flushed), "nans", model.Number(got.NaNs)))
			return nil
		},
		fail: func(err error) { a.drawProblem(find(o.el, ".preview-error"), err) },
	})
}
