package model

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	var p Pace
	at := func(ms int) time.Time { return time.Unix(1000, 0).Add(time.Duration(ms) * time.Millisecond) }
	for i, c := range []struct {
		ms          int
		done, total int64
		speed       int64
		left        time.Duration
	}{
		{0, 100, 1100, 0, 0}, // what came before does not count
		{50, 200, 1100, 0, 0},
		{1000, 600, 1100, 500, time.Second},
		{2000, 1100, 1100, 500, 0},
		{2500, 50, 1100, 0, 0}, // another job
		{3500, 1050, 0, 1000, 0},
	} {
		if speed, left := p.At(at(c.ms), c.done, c.total); speed != c.speed || left != c.left {
			t.Errorf("report %d: %d bytes/s and %v left, want %d and %v", i, speed, left, c.speed, c.left)
		}
	}
	for d, want := range map[time.Duration][3]int{0: {0, 0, 0}, 1500 * time.Millisecond: {0, 0, 2}, 99 * time.Second: {0, 0, 99}, 150 * time.Second: {0, 3, 0}, 2*time.Hour + 59*time.Minute: {2, 59, 0}} {
		if h, m, s := Left(d); [3]int{h, m, s} != want {
			t.Errorf("%v is told as %d h %d min %d s", d, h, m, s)
		}
	}
}
