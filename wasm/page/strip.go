//go:build js

package page

import (
	"regexp"
	"strconv"
	"strings"
	"syscall/js"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

const (
	stripHigh   = 34 // CSS pixels, the mark included
	leastWindow = 64 // bytes that the strip shows at least
	fewNames    = 3
)

// stripView draws the files as a strip: all of them, or a window that the user zoomed in on.
type stripView struct {
	maps  *maps
	box   element // takes the keys
	strip *model.Strip
	from  float64 // of the window, in bytes
	to    float64
	at    int // region under the cursor

	// By storage as the file has it: its tensors, as nodes of the tree, linked by next; and how many.
	first, many []int32
	next        []int32

	bins   []model.Bin     // of the window
	marked []message.Place // of the row under the cursor
	paints *model.Palette  // nil once the colours may have changed

	drag struct {
		on, moved bool
		x, from   float64
	}
}

func (s *stripView) listen(m *maps) {
	s.maps, s.box = m, role("strip")
	on(s.box, "pointerdown", func(ev js.Value) {
		s.drag.on, s.drag.moved, s.drag.x, s.drag.from = true, false, ev.Get("clientX").Float(), s.from
		s.box.Call("setPointerCapture", ev.Get("pointerId"))
	})
	on(s.box, "pointermove", s.move)
	on(s.box, "pointerup", func(ev js.Value) {
		s.drag.on = false
		if !s.drag.moved && s.strip != nil {
			s.at = s.under(ev)
			s.pick()
		}
	})
	on(s.box, "pointerleave", func(js.Value) { s.tell(s.at) })
	on(s.box, "wheel", func(ev js.Value) {
		if s.strip == nil {
			return
		}
		ev.Call("preventDefault")
		if dx := ev.Get("deltaX").Float(); dx != 0 {
			s.window(s.from+dx*(s.to-s.from)/s.width(), s.to-s.from)
			return
		}
		by := 1.25
		if ev.Get("deltaY").Float() > 0 {
			by = 0.8
		}
		s.zoom(by, s.part(ev))
	})
	on(s.box, "keydown", s.key)
}

func (s *stripView) reset() { s.strip, s.bins, s.from, s.to, s.at = nil, nil, 0, 0, 0 }

// set shows another map; the window stays as far as the file is the same.
func (s *stripView) set(strip *model.Strip) {
	fresh := s.strip == nil || s.strip.Size != strip.Size
	s.strip = strip
	if fresh {
		s.from, s.to, s.at = 0, float64(strip.Size), 0
	}
	s.at = min(s.at, len(strip.Regions)-1)
	s.link()
	s.draw()
	s.mark()
}

// unlink forgets the tensors of each storage: the tree has other nodes now.
func (s *stripView) unlink() { s.first, s.many, s.next = nil, nil, nil }

// link finds the tensors of each storage. What an operation made belongs to the storage it was made of.
func (s *stripView) link() {
	nodes := s.maps.nodes()
	n := len(s.strip.Places)
	s.first, s.many, s.next = make([]int32, n), make([]int32, n), make([]int32, len(nodes))
	for i := range s.first {
		s.first[i] = -1
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		if st := s.base(int32(i)); st >= 0 {
			s.next[i], s.first[st] = s.first[st], int32(i)
			s.many[st]++
		}
	}
}

// base is the storage of a tensor as the file has it, -1 for none.
func (s *stripView) base(node int32) int32 {
	n := &s.maps.nodes()[node]
	if n.Kind != model.Tensor {
		return -1
	}
	place, ok := s.strip.Of(n.Row.Storage)
	if !ok {
		return -1
	}
	i := s.strip.At(place.Off)
	if i < 0 {
		return -1
	}
	return s.strip.Regions[i].Storage
}

// mark shows the bytes of the row under the cursor of the tree.
func (s *stripView) mark() {
	if s.strip == nil {
		return
	}
	s.marked = s.marked[:0]
	if row := s.maps.row; row >= 0 && int(row) < len(s.maps.nodes()) {
		for i := row; i < s.maps.nodes()[row].End; i++ {
			n := &s.maps.nodes()[i]
			if n.Kind != model.Tensor {
				continue
			}
			if place, ok := s.strip.Of(n.Row.Storage); ok {
				s.marked = append(s.marked, place)
				if len(s.marked) == 1 {
					s.at = max(0, s.strip.At(place.Off))
				}
			}
		}
	}
	s.paint()
	s.tell(s.at)
}

func (s *stripView) width() float64 { return max(1, s.box.Get("clientWidth").Float()) }

var digits = regexp.MustCompile(`[0-9.]+`)

// colour is what the browser makes of a custom property.
func colour(probe element, name string) (c model.Colour) {
	probe.Get("style").Call("setProperty", "color", "var(--"+name+")")
	text := js.Global().Call("getComputedStyle", probe.Underlying()).Get("color").String()
	for i, d := range digits.FindAllString(text, 3) {
		x, _ := strconv.ParseFloat(d, 64)
		c[i] = uint8(x)
	}
	return c
}

func (s *stripView) palette() *model.Palette {
	if s.paints != nil {
		return s.paints
	}
	probe := find(s.maps.box, ".strip-probe")
	p := &model.Palette{Hatch: colour(probe, "m-ink"), Mark: colour(probe, "accent")}
	for i := range model.PaintType {
		p.Paints = append(p.Paints, colour(probe, "m-"+legend[i]))
	}
	for _, c := range model.Classes {
		p.Paints = append(p.Paints, colour(probe, "m-"+c))
	}
	s.paints = p
	return p
}

// draw counts the window anew and paints it.
func (s *stripView) draw() {
	width := int(s.box.Get("clientWidth").Float())
	if s.strip == nil || width == 0 || s.strip.Size == 0 {
		return
	}
	scale := max(1, min(3, js.Global().Get("devicePixelRatio").Float()))
	s.bins = s.strip.Bins(int64(s.from), int64(s.to), int(float64(width)*scale), func(st int32) bool { return int(st) < len(s.many) && s.many[st] > 1 })
	s.paint()
	s.drawScale()
}

// paint shows the window with what is marked in it.
func (s *stripView) paint() {
	if len(s.bins) == 0 {
		return
	}
	model.MarkBins(s.bins, int64(s.from), int64(s.to), s.marked)
	high := int(stripHigh * max(1, min(3, js.Global().Get("devicePixelRatio").Float())))
	pixels := model.Pixels(s.bins, high, s.palette())
	canvas := find(s.box, "canvas")
	canvas.Set("width", len(s.bins))
	canvas.Set("height", high)
	data := js.Global().Get("Uint8ClampedArray").New(len(pixels))
	js.CopyBytesToJS(data, pixels)
	image := js.Global().Get("ImageData").New(data, len(s.bins), high)
	canvas.Call("getContext", "2d").Call("putImageData", image, 0, 0)
}

// drawScale says which bytes are on show, and where the window is.
func (s *stripView) drawScale() {
	size := float64(s.strip.Size)
	thumb := find(s.maps.box, ".strip-window i").Get("style")
	thumb.Call("setProperty", "left", strconv.FormatFloat(100*s.from/size, 'f', 3, 64)+"%")
	thumb.Call("setProperty", "width", strconv.FormatFloat(100*(s.to-s.from)/size, 'f', 3, 64)+"%")
	show(find(s.maps.box, ".strip-window"), s.to-s.from < size)
	setText(role("strip-from"), model.Number(int64(s.from)))
	setText(role("strip-to"), model.Number(int64(s.to)))
	setDisabled(find(root, "[data-action=strip-out]"), s.to-s.from >= size)
	setDisabled(find(root, "[data-action=strip-in]"), s.to-s.from <= leastWindow)
}

// window shows length bytes from from on, as far as there are.
func (s *stripView) window(from, length float64) {
	size := float64(s.strip.Size)
	length = max(min(length, size), min(leastWindow, size))
	s.from = max(0, min(from, size-length))
	s.to = s.from + length
	s.draw()
}

// zoom shows by times fewer bytes around a part of the window.
func (s *stripView) zoom(by, part float64) {
	if s.strip == nil {
		return
	}
	length := (s.to - s.from) / by
	s.window(s.from+part*(s.to-s.from)-part*length, length)
}

// part is where in the strip an event is, from 0 to 1.
func (s *stripView) part(ev js.Value) float64 {
	left := s.box.Call("getBoundingClientRect").Get("left").Float()
	return max(0, min(1, (ev.Get("clientX").Float()-left)/s.width()))
}

// under is the region at an event.
func (s *stripView) under(ev js.Value) int {
	off := int64(s.from + s.part(ev)*(s.to-s.from))
	return max(0, s.strip.At(min(off, s.strip.Size-1)))
}

func (s *stripView) move(ev js.Value) {
	if s.strip == nil {
		return
	}
	if !s.drag.on {
		s.tell(s.under(ev))
		return
	}
	dx := ev.Get("clientX").Float() - s.drag.x
	if s.drag.moved = s.drag.moved || dx > 4 || dx < -4; s.drag.moved {
		s.window(s.drag.from-dx*(s.to-s.from)/s.width(), s.to-s.from)
	}
}

// tensors are the nodes that a region's bytes belong to.
func (s *stripView) tensors(region int) (out []int32) {
	if st := s.strip.Regions[region].Storage; st >= 0 && int(st) < len(s.first) {
		for n := s.first[st]; n >= 0; n = s.next[n] {
			out = append(out, n)
		}
	}
	return out
}

// pick puts the cursor of the tree on the tensor of the region under the cursor, or on the next one that shares it.
func (s *stripView) pick() {
	all := s.tensors(s.at)
	s.tell(s.at)
	for i, n := range all {
		if n == s.maps.row {
			s.maps.choose(all[(i+1)%len(all)])
			return
		}
	}
	if len(all) > 0 {
		s.maps.choose(all[0])
	}
}

// tell says what a region is.
func (s *stripView) tell(i int) {
	if s.strip == nil || i < 0 || i >= len(s.strip.Regions) {
		return
	}
	r, text := s.strip.Regions[i], s.maps.app.text
	file, from := s.strip.InFile(s.strip.Start(i))
	what := ""
	switch p := s.strip.Paint(i); {
	case r.Use == statedict.UseTensor:
		var names []string
		all := s.tensors(i)
		for _, n := range all[:min(fewNames, len(all))] {
			names = append(names, s.maps.app.shown(s.maps.nodes()[n].Path))
		}
		if more := len(all) - len(names); more > 0 {
			names = append(names, text.Text("change.more", "n", count(more)))
		}
		what = strings.Join(names, ", ") + " · " + model.Visible(r.Type)
	default:
		what = text.Text("map." + legend[p])
	}
	where := text.Text("strip.bytes", "size", model.Bytes(r.Len), "from", model.Number(from), "to", model.Number(from+r.Len))
	if len(s.strip.Files) > 1 {
		where += " · " + model.Visible(s.strip.Files[file].Name)
	}
	setText(role("strip-reads"), what+" · "+where)
	s.box.SetAttribute("aria-valuemax", itoa(len(s.strip.Regions)-1))
	s.box.SetAttribute("aria-valuenow", itoa(i))
	s.box.SetAttribute("aria-valuetext", what+" · "+where)
}

// seen notes the paints of the file, and tells whether keys share storages.
func (s *stripView) seen(paints []bool) (shared bool) {
	if s.strip == nil {
		return false
	}
	for i := range s.strip.Regions {
		paints[s.strip.Paint(i)] = true
	}
	for _, n := range s.many {
		shared = shared || n > 1
	}
	return shared
}

// key moves from region to region; the window goes along.
func (s *stripView) key(ev js.Value) {
	if s.strip == nil || len(s.strip.Regions) == 0 || ev.Get("ctrlKey").Bool() || ev.Get("metaKey").Bool() || ev.Get("altKey").Bool() {
		return
	}
	at := s.at
	switch ev.Get("key").String() {
	case "ArrowRight", "ArrowDown":
		at++
	case "ArrowLeft", "ArrowUp":
		at--
	case "PageDown":
		at += 20
	case "PageUp":
		at -= 20
	case "Home":
		at = 0
	case "End":
		at = len(s.strip.Regions) - 1
	case "+", "=", "-":
		by := 2.0
		if ev.Get("key").String() == "-" {
			by = 0.5
		}
		middle := float64(s.strip.Start(s.at)) + float64(s.strip.Regions[s.at].Len)/2
		s.zoom(by, max(0, min(1, (middle-s.from)/(s.to-s.from))))
	case "0":
		s.window(0, float64(s.strip.Size))
	case "Enter", " ":
		s.pick()
	default:
		return
	}
	ev.Call("preventDefault")
	s.at = max(0, min(at, len(s.strip.Regions)-1))
	if start := float64(s.strip.Start(s.at)); start < s.from || start >= s.to {
		s.window(start-(s.to-s.from)/2, s.to-s.from)
	}
	s.tell(s.at)
}
