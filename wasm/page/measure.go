//go:build js

package page

import (
	"context"
	"strconv"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// small is up to how many bytes a tensor is measured without being asked.
const small = 8 << 20

// bins of the histogram.
const bins = 64

// offerMeasure measures a small tensor at once, and shows a button for a large one.
func (in *inspector) offerMeasure(ctx context.Context, turn int) {
	box := find(in.el, ".measure")
	show(box, true)
	if in.row.NBytes <= small {
		in.measure(ctx, turn)
		return
	}
	button := find(box, "[data-action=measure]")
	setText(button, in.app.text.Text("measure.now", "size", model.Bytes(in.row.NBytes)))
	show(button, true)
}

func (in *inspector) measureNow() {
	in.stop()
	ctx, cancel := context.WithCancel(context.Background())
	in.cancel = cancel
	turn := in.turn
	in.busy(true)
	go func() {
		in.measure(ctx, turn)
		if turn == in.turn {
			in.busy(false)
		}
	}()
}

// measure reads the tensor and shows its statistics.
func (in *inspector) measure(ctx context.Context, turn int) {
	a, el := in.app, in.el
	button, work := find(el, "[data-action=measure]"), find(el, ".measuring")
	large := in.row.NBytes > small
	show(button, false)
	show(work, large)
	bar := find(work, ".progress")
	setProgress(bar, 0, 1)
	total := 2 * in.row.NBytes // once for the statistics, once for the histogram between their ends
	var got message.Measured
	var pace model.Pace
	_, err := a.worker.do(ctx, message.Measure, message.MeasureRequest{ItemRequest: in.req, Bins: bins}, &got, nil, func(p message.Progress) {
		setProgress(bar, p.Done, total)
		setText(find(work, "p"), a.paced(&pace, message.Progress{Done: p.Done, Total: total}))
	})
	show(work, false)
	if turn != in.turn {
		return
	}
	show(button, large && err != nil)
	if in.failed(err) {
		return
	}
	a.readMore(got.BytesRead)
	in.drawMeasured(&got)
}

func (in *inspector) drawMeasured(m *message.Measured) {
	a, box := in.app, find(in.el, ".measure")
	facts := find(box, ".facts")
	clear(facts)
	if m.Known {
		for _, f := range [][2]string{{"mean", m.Mean}, {"std", m.Std}, {"min", m.Min}, {"max", m.Max}} {
			if f[1] != "" {
				in.fact(facts, f[0], f[1])
			}
		}
		in.fact(facts, "zeros", model.Number(m.Zeros)+" · "+percent(m.Zeros, m.Numel))
		if m.NaN > 0 {
			in.fact(facts, "nan", model.Number(m.NaN)+" · "+percent(m.NaN, m.Numel))
		}
		if m.Inf > 0 {
			in.fact(facts, "inf", model.Number(m.Inf)+" · "+percent(m.Inf, m.Numel))
		}
	}
	in.fact(facts, "sha256", m.SHA256)
	chart, ends := find(box, ".histogram"), find(box, ".histogram-ends")
	show(chart, len(m.Counts) > 0)
	show(ends, len(m.Counts) > 0)
	if len(m.Counts) == 0 {
		return
	}
	clear(chart)
	width := (m.High - m.Low) / float64(len(m.Counts))
	for i, h := range model.Bars(m.Counts) {
		bar := textElement("i", "")
		bar.Get("style").Call("setProperty", "--part", strconv.FormatFloat(h, 'f', 4, 64))
		bar.SetAttribute("title", a.text.Text("measure.bin", "from", model.Value(m.Low+float64(i)*width), "to", model.Value(m.Low+float64(i+1)*width), "n", model.Number(m.Counts[i])))
		chart.AppendChild(bar)
	}
	chart.SetAttribute("aria-label", a.text.Text("measure.histogram", "low", m.Min, "high", m.Max))
	spans := ends.Call("querySelectorAll", "span")
	setText(wrap(spans.Index(0)), m.Min)
	setText(wrap(spans.Index(1)), m.Max)
}

func percent(n, of int64) string {
	if of == 0 {
		return "0 %"
	}
	p := 100 * float64(n) / float64(of)
	switch {
	case n > 0 && p < 0.01:
		return "< 0.01 %"
	case n < of && p > 99.99:
		return "> 99.99 %"
	}
	return strconv.FormatFloat(p, 'g', 3, 64) + " %"
}
