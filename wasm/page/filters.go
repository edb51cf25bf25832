//go:build js

package page

import (
	"context"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// filters shows the kernels of a convolution as images.
type filters struct {
	in    *inspector
	from  int64 // of the first filter on show
	got   message.Filtered
	image *model.FilterImage
	asked int
}

func newFilters(in *inspector) *filters {
	f := &filters{in: in}
	canvas := find(in.el, ".filter-canvas")
	on(canvas, "mousemove", func(ev js.Value) { f.point(ev, false) })
	on(canvas, "click", func(ev js.Value) { f.point(ev, true) })
	return f
}

func (f *filters) load(ctx context.Context, turn int) {
	f.asked++
	asked := f.asked
	a := f.in.app
	var got message.Filtered
	_, err := a.worker.do(ctx, message.Filters, message.FiltersRequest{ItemRequest: f.in.req, From: f.from}, &got, nil, nil)
	if turn != f.in.turn || asked != f.asked || f.in.failed(err) {
		return
	}
	a.readMore(got.BytesRead)
	f.got, f.image = got, model.NewFilterImage(&got)
	f.draw()
}

func (f *filters) draw() {
	if f.image == nil {
		return
	}
	box, text := find(f.in.el, ".filters"), f.in.app.text
	show(box, true)
	width, height := f.image.Size()
	pixels := f.image.Pixels(isDark())
	canvas := find(box, ".filter-canvas")
	canvas.Set("width", width)
	canvas.Set("height", height)
	data := js.Global().Get("Uint8ClampedArray").New(len(pixels))
	js.CopyBytesToJS(data, pixels)
	canvas.Call("getContext", "2d").Call("putImageData", js.Global().Get("ImageData").New(data, width, height), 0, 0)
	canvas.Get("style").Call("setProperty", "--widest", itoa(14*width)+"px")
	kind := "filters.tiles"
	if f.image.RGB {
		kind = "filters.rgb"
	}
	setText(find(box, ".filter-about"), text.Text(kind, "low", model.Value(f.image.Low), "high", model.Value(f.image.High), "reach", model.Value(f.image.Reach()),
		"channels", count(f.got.C), "all", model.Number(f.got.Channels)))
	shown := text.Text("filters.shown", "from", model.Number(f.from), "to", model.Number(f.from+int64(f.got.N)-1), "all", model.Number(f.got.Filters))
	canvas.SetAttribute("aria-label", shown)
	setText(find(box, ".filter-reads"), shown)
	setDisabled(find(box, "[data-action=filters-before]"), f.from == 0)
	setDisabled(find(box, "[data-action=filters-after]"), f.from+int64(f.got.N) >= f.got.Filters)
	show(find(box, ".filter-turn"), f.got.Filters > int64(f.got.N))
}

// point says which filter is under the mouse, and shows its values below if it is chosen.
func (f *filters) point(ev js.Value, chosen bool) {
	canvas := find(f.in.el, ".filter-canvas")
	box := canvas.Call("getBoundingClientRect")
	if f.image == nil || box.Get("width").Float() == 0 {
		return
	}
	x := (ev.Get("clientX").Float() - box.Get("left").Float()) / box.Get("width").Float()
	y := (ev.Get("clientY").Float() - box.Get("top").Float()) / box.Get("height").Float()
	n, c, ok := f.image.At(x, y)
	if !ok {
		return
	}
	index := []int64{f.from + int64(n), int64(c)}
	setText(find(f.in.el, ".filter-reads"), f.in.app.text.Text("filters.which", "n", model.Number(index[0]), "c", model.Number(index[1])))
	if h := f.in.heat; chosen && h != nil {
		h.show(index[0], index[1])
	}
}

// turnPage shows the filters before or after those on show.
func (f *filters) turnPage(by int64) {
	f.from = max(0, f.from+by*int64(f.got.N))
	turn := f.in.turn
	go f.load(context.Background(), turn)
}
