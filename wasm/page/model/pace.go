package model

import "time"

// Pace is how fast a job goes and how long it will take, by what it has done since it started. It starts with the first
// report, for what comes before says nothing about the speed.
type Pace struct {
	start time.Time
	first int64
}

// Begin starts anew.
func (p *Pace) Begin() { *p = Pace{} }

// At takes a report: bytes done of total, 0 for not known. speed is in bytes a second, 0 where it cannot be told yet; left
// is 0 where the end cannot be told.
func (p *Pace) At(now time.Time, done, total int64) (speed int64, left time.Duration) {
	if p.start.IsZero() || done < p.first {
		p.start, p.first = now, done
		return 0, 0
	}
	spent := now.Sub(p.start)
	if spent < 100*time.Millisecond || done == p.first {
		return 0, 0
	}
	rate := float64(done-p.first) / spent.Seconds()
	if total > done {
		left = time.Duration(min(float64(total-done)/rate, 1e9) * float64(time.Second))
	}
	return int64(rate), left
}

// Left splits a duration into the two units that tell it best: hours and minutes, minutes, or seconds. Only one of a pair
// of counts is above 0 but for hours, whose minutes come with them.
func Left(d time.Duration) (hours, minutes, seconds int) {
	switch s := int((d + time.Second - 1) / time.Second); {
	case s >= 3600:
		return s / 3600, s % 3600 / 60, 0
	case s >= 100:
		return 0, (s + 30) / 60, 0
	default:
		return 0, 0, s
	}
}
