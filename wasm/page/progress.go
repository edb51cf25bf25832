//go:build js

package page

import (
	"time"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// patience is how long a job may take before the page shows what it does, with a way to stop it.
const patience = 300 * time.Millisecond

// meter is what the running job has told of itself.
type meter struct {
	job  int // counts jobs: a timer of one must not show another
	text string
	last message.Progress
	pace model.Pace
}

// begin starts the meter of a job. A job with a progress of its own needs none.
func (a *app) beginMeter(own bool) {
	m := &a.meter
	m.job++
	job := m.job
	m.text, m.last = a.text.Text("status.applying"), message.Progress{}
	m.pace.Begin()
	if own {
		return
	}
	go func() {
		time.Sleep(patience)
		if job == m.job && a.cancel != nil && !visible(role("opening")) {
			show(role("job"), true)
			a.drawMeter()
		}
	}()
}

func (a *app) endMeter() {
	a.meter.job++
	show(role("job"), false)
}

// report is what the running job does now.
func (a *app) report(text string, p message.Progress) {
	a.meter.text, a.meter.last = text, p
	if visible(role("job")) {
		a.drawMeter()
	}
}

func (a *app) drawMeter() {
	m := &a.meter
	text := m.text
	if m.last.Done > 0 {
		text += " " + a.paced(&m.pace, m.last)
	}
	if a.asked {
		text = a.text.Text("export.phase.stop")
	}
	setText(role("job-text"), text)
	setProgress(role("job-bar"), m.last.Done, m.last.Total)
}

// paced says how far a job is, how fast it goes and how long it will still take, as far as can be told.
func (a *app) paced(pace *model.Pace, p message.Progress) string {
	speed, left := pace.At(time.Now(), p.Done, p.Total)
	done := model.Bytes(p.Done)
	if p.Total > 0 {
		done = a.text.Text("pace.of", "done", done, "total", model.Bytes(p.Total))
	}
	switch {
	case speed == 0:
		return done
	case left == 0:
		return a.text.Text("pace.speed", "done", done, "speed", model.Bytes(speed))
	}
	h, m, s := model.Left(left)
	unit := "left.seconds"
	if h > 0 {
		unit = "left.hours"
	} else if m > 0 {
		unit = "left.minutes"
	}
	return a.text.Text("pace.left", "done", done, "speed", model.Bytes(speed), "left", a.text.Text(unit, "h", itoa(h), "m", itoa(m), "s", itoa(s)))
}
