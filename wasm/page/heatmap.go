//go:build js

package page

import (
	"context"
	"strconv"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

const (
	wide     = 128 // elements along each side of the map
	gridRows = 8
	gridCols = 5
	mostCell = 22 // CSS pixels of one element
)

// heatmap shows a two-dimensional slice of a tensor as colours, and the numbers at its cursor.
type heatmap struct {
	in          *inspector
	shape       []int64
	down, cross int
	at          []int64
	row, col    int64 // of the first element on show
	step        int64 // 1: every element
	height      int64 // of the slice
	width       int64
	y, x        int // the cursor, in elements on show
	heat        *model.Heat
	cells       []string
	cellCols    int
	asked       int
	stored      bool // as stored, not as the values made of it
}

func newHeatmap(in *inspector) *heatmap {
	h := &heatmap{in: in, shape: in.row.Shape, at: make([]int64, len(in.row.Shape)), step: 1}
	if n := len(h.shape); n >= 2 {
		h.down, h.cross = n-2, n-1
		h.step = h.overview()
	}
	h.drawAxes()
	on(find(in.el, "[data-field=stored]"), "change", func(ev js.Value) {
		h.stored = ev.Get("target").Get("checked").Bool()
		h.reload()
	})
	canvas := find(in.el, ".heat-canvas")
	on(canvas, "click", func(ev js.Value) { h.point(ev); h.grid() })
	on(canvas, "mousemove", h.point)
	on(canvas, "dblclick", func(ev js.Value) { h.point(ev); h.zoom(!ev.Get("shiftKey").Bool()) })
	on(canvas, "keydown", h.key)
	return h
}

// show goes to the kernel of a filter and a channel.
func (h *heatmap) show(filter, channel int64) {
	h.down, h.cross = 2, 3
	h.at[0], h.at[1] = filter, channel
	h.row, h.col, h.y, h.x, h.step = 0, 0, 0, 0, h.overview()
	h.drawAxes()
	h.reload()
}

// overview is the step that shows the whole slice.
func (h *heatmap) overview() int64 {
	return max(1, (h.shape[h.down]+wide-1)/wide, (h.shape[h.cross]+wide-1)/wide)
}

// drawAxes offers which dimensions run down and across, and the position in each other one.
func (h *heatmap) drawAxes() {
	box := find(h.in.el, ".axes")
	clear(box)
	show(box, len(h.shape) > 2)
	if len(h.shape) <= 2 {
		return
	}
	text := h.in.app.text
	for _, side := range []struct {
		name string
		dim  *int
	}{{"heat.down", &h.down}, {"heat.across", &h.cross}} {
		label := clone("t-axis")
		setText(find(label, "span"), text.Text(side.name))
		sel := find(label, "select")
		for d, n := range h.shape {
			o := textElement("option", text.Text("heat.dimension", "n", itoa(d), "size", model.Number(n)))
			o.SetAttribute("value", itoa(d))
			sel.AppendChild(o)
		}
		sel.Set("value", itoa(*side.dim))
		on(sel, "change", func(js.Value) {
			d, _ := strconv.Atoi(value(sel))
			if other := h.down + h.cross - *side.dim; d == other {
				h.down, h.cross = h.cross, h.down
			} else {
				*side.dim = d
			}
			h.row, h.col, h.y, h.x, h.step = 0, 0, 0, 0, h.overview()
			h.drawAxes()
			h.reload()
		})
		box.AppendChild(label)
	}
	for d, n := range h.shape {
		if d == h.down || d == h.cross || n <= 1 {
			continue
		}
		label := clone("t-axis")
		setText(find(label, "span"), text.Text("heat.dimension", "n", itoa(d), "size", model.Number(n)))
		show(find(label, "select"), false)
		in := find(label, "input")
		show(in, true)
		in.SetAttribute("max", strconv.FormatInt(n-1, 10))
		in.Set("value", strconv.FormatInt(h.at[d], 10))
		on(in, "change", func(js.Value) {
			i, _ := strconv.ParseInt(value(in), 10, 64)
			h.at[d] = max(0, min(i, n-1))
			in.Set("value", strconv.FormatInt(h.at[d], 10))
			h.reload()
		})
		box.AppendChild(label)
	}
}

func (h *heatmap) request() message.WindowRequest {
	return message.WindowRequest{ItemRequest: h.in.req, Down: h.down, Across: h.cross, At: h.at, Row: h.row, Col: h.col, Step: h.step, Rows: wide, Cols: wide, Stored: h.stored}
}

func (h *heatmap) reload() {
	turn := h.in.turn
	h.in.busy(true)
	go func() {
		h.load(context.Background(), turn)
		if turn == h.in.turn {
			h.in.busy(false)
		}
	}()
}

// load reads the elements on show and those of the grid.
func (h *heatmap) load(ctx context.Context, turn int) {
	h.asked++
	asked := h.asked
	a := h.in.app
	var got message.Windowed
	_, err := a.worker.do(ctx, message.Window, h.request(), &got, nil, nil)
	if turn != h.in.turn || asked != h.asked || h.in.failed(err) {
		return
	}
	a.readMore(got.BytesRead)
	h.height, h.width = got.Height, got.Width
	h.heat = model.NewHeat(got.Rows, got.Cols, got.Values)
	show(find(h.in.el, ".heat"), len(h.heat.Values) > 0)
	if len(h.heat.Values) == 0 {
		return
	}
	h.y, h.x = min(h.y, got.Rows-1), min(h.x, got.Cols-1)
	h.draw()
	h.loadGrid(ctx, turn)
}

// draw paints the map in the colours of the theme.
func (h *heatmap) draw() {
	el, a := h.in.el, h.in.app
	canvas := find(el, ".heat-canvas")
	dark := isDark()
	pixels := h.heat.Pixels(dark)
	data := js.Global().Get("Uint8ClampedArray").New(len(pixels))
	js.CopyBytesToJS(data, pixels)
	canvas.Set("width", h.heat.Cols)
	canvas.Set("height", h.heat.Rows)
	image := js.Global().Get("ImageData").New(data, h.heat.Cols, h.heat.Rows)
	canvas.Call("getContext", "2d").Call("putImageData", image, 0, 0)
	canvas.Get("style").Call("setProperty", "--widest", itoa(max(mostCell*h.heat.Cols, 48))+"px")
	canvas.SetAttribute("aria-label", a.text.Text("heat.label", "shape", model.Shape([]int64{h.height, h.width})))
	reach := model.Value(h.heat.Reach)
	setText(find(el, ".heat-legend .low"), "−"+reach)
	setText(find(el, ".heat-legend .high"), reach)
	marks := find(el, ".heat-marks")
	show(marks, h.heat.NaN+h.heat.Inf > 0)
	setText(marks, a.text.Text("heat.marks", "nan", count(h.heat.NaN), "inf", count(h.heat.Inf)))
	setDisabled(find(el, "[data-action=heat-in]"), h.step == 1)
	setDisabled(find(el, "[data-action=heat-out]"), len(h.shape) < 2 || h.step >= h.overview())
	h.readout()
}

// place is the cursor in the slice.
func (h *heatmap) place() (row, col int64) {
	return h.row + int64(h.y)*h.step, h.col + int64(h.x)*h.step
}

// readout says which element the cursor is on.
func (h *heatmap) readout() {
	i := h.y*h.heat.Cols + h.x
	if i < 0 || i >= len(h.heat.Values) {
		return
	}
	row, col := h.place()
	index := append([]int64(nil), h.at...)
	switch len(index) {
	case 0:
	case 1:
		index[0] = row*h.width + col
	default:
		index[h.down], index[h.cross] = row, col
	}
	text := model.Shape(index) + " = " + model.Value(h.heat.Values[i])
	if h.step > 1 {
		text += " · " + h.in.app.text.Text("heat.step", "n", model.Number(h.step))
	}
	setText(find(h.in.el, ".heat-reads"), text)
}

// point puts the cursor under the mouse.
func (h *heatmap) point(ev js.Value) {
	box := find(h.in.el, ".heat-canvas").Call("getBoundingClientRect")
	if h.heat == nil || box.Get("width").Float() == 0 {
		return
	}
	x := (ev.Get("clientX").Float() - box.Get("left").Float()) / box.Get("width").Float()
	y := (ev.Get("clientY").Float() - box.Get("top").Float()) / box.Get("height").Float()
	h.x = max(0, min(int(x*float64(h.heat.Cols)), h.heat.Cols-1))
	h.y = max(0, min(int(y*float64(h.heat.Rows)), h.heat.Rows-1))
	h.readout()
}

// key moves the cursor; beyond an edge the window moves.
func (h *heatmap) key(ev js.Value) {
	if h.heat == nil {
		return
	}
	dy, dx := 0, 0
	switch ev.Get("key").String() {
	case "ArrowUp":
		dy = -1
	case "ArrowDown":
		dy = 1
	case "ArrowLeft":
		dx = -1
	case "ArrowRight":
		dx = 1
	case "+", "=":
		h.zoom(true)
	case "-":
		h.zoom(false)
	case "Enter":
		h.grid()
	default:
		return
	}
	ev.Call("preventDefault")
	y, x := h.y+dy, h.x+dx
	row, col := h.row, h.col
	if y < 0 || y >= h.heat.Rows {
		row = max(0, min(h.row+int64(dy)*h.step*wide/2, h.height-1))
	}
	if x < 0 || x >= h.heat.Cols {
		col = max(0, min(h.col+int64(dx)*h.step*wide/2, h.width-1))
	}
	h.y, h.x = max(0, min(y, h.heat.Rows-1)), max(0, min(x, h.heat.Cols-1))
	if pan := h.step < h.overviewStep(); pan && (row != h.row || col != h.col) {
		h.row, h.col = row, col
		h.reload()
		return
	}
	h.readout()
}

func (h *heatmap) overviewStep() int64 {
	if len(h.shape) < 2 {
		return 1
	}
	return h.overview()
}

// zoom shows fewer or more elements around the cursor: a quarter of the step, or four times as much.
func (h *heatmap) zoom(in bool) {
	row, col := h.place()
	step := min(h.step*4, h.overviewStep())
	if in {
		step = max(1, h.step/4)
	}
	if step == h.step {
		return
	}
	h.step = step
	h.row = max(0, min(row-step*wide/2, h.height-step*wide))
	h.col = max(0, min(col-step*wide/2, h.width-step*wide))
	h.y, h.x = int((row-h.row)/step), int((col-h.col)/step)
	h.reload()
}

// grid shows the numbers around the cursor.
func (h *heatmap) grid() {
	turn := h.in.turn
	go h.loadGrid(context.Background(), turn)
}

func (h *heatmap) loadGrid(ctx context.Context, turn int) {
	req := h.request()
	req.Row, req.Col = h.place()
	if len(h.shape) == 1 {
		req.Row, req.Col = 0, req.Row*h.width+req.Col
	}
	req.Step, req.Rows, req.Cols, req.Text = 1, gridRows, gridCols, true
	var got message.Windowed
	_, err := h.in.app.worker.do(ctx, message.Window, req, &got, nil, nil)
	if turn != h.in.turn || h.in.failed(err) {
		return
	}
	h.in.app.readMore(got.BytesRead)
	h.cells, h.cellCols = got.Cells, got.Cols
	table := find(h.in.el, ".cells table")
	clear(table)
	head := textElement("tr", "")
	head.AppendChild(textElement("td", ""))
	for c := range got.Cols {
		head.AppendChild(header("col", model.Number(req.Col+int64(c))))
	}
	table.AppendChild(head)
	for r := range got.Rows {
		line := textElement("tr", "")
		line.AppendChild(header("row", model.Number(req.Row+int64(r))))
		for _, cell := range got.Cells[r*got.Cols : (r+1)*got.Cols] {
			td := textElement("td", cell)
			td.Get("classList").Call("toggle", "odd", cell == "nan" || cell == "inf" || cell == "-inf")
			line.AppendChild(td)
		}
		table.AppendChild(line)
	}
}

func header(scope, text string) element {
	th := textElement("th", text)
	th.SetAttribute("scope", scope)
	return th
}

func (h *heatmap) copy(as string) {
	clipboard := js.Global().Get("navigator").Get("clipboard")
	if clipboard.Truthy() {
		clipboard.Call("writeText", model.Copied(h.cells, h.cellCols, as))
		h.in.app.notify("", "heat.copied")
	}
}
