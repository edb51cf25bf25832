//go:build js

package page

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"syscall/js"
	"time"
)

// A collection of garbage stops the page until it is through, some 100 ms with 200,000 rows. Left to itself it comes in the
// middle of an edit, since those make the garbage; so the page does it at the end of opening a file, and when the user rests.
const (
	restful = 1500 * time.Millisecond // without a key, a pointer or a wheel
	untidy  = 160 << 20               // bytes of garbage that are worth it
)

// tidier collects garbage at rest.
type tidier struct {
	app     *app
	acted   time.Time // when the user last did something
	waiting bool
}

func (t *tidier) listen(a *app) {
	t.app = a
	for _, event := range []string{"keydown", "pointerdown", "pointermove", "wheel", "scroll"} {
		document.Underlying().Call("addEventListener", event, js.FuncOf(func(js.Value, []js.Value) any {
			t.acted = time.Now()
			return nil
		}), map[string]any{"capture": true, "passive": true})
	}
}

// opening keeps collections away while a file is opened. The function that it gives ends that, with one where it is worth it.
func (t *tidier) opening() (end func()) {
	percent := debug.SetGCPercent(-1) // the limit of memory still holds
	return func() {
		if garbage() > untidy/4 {
			runtime.GC()
		}
		debug.SetGCPercent(percent)
	}
}

// soon is called after work that leaves garbage.
func (t *tidier) soon() {
	t.acted = time.Now()
	if t.waiting {
		return
	}
	t.waiting = true
	go func() {
		for {
			if t.app.waiting > 0 {
				t.acted = time.Now() // a job runs
			}
			left := restful - time.Since(t.acted)
			if left <= 0 {
				break
			}
			time.Sleep(left)
		}
		t.waiting = false
		if garbage() > untidy {
			runtime.GC()
		}
	}()
}

// garbage is at most how many bytes a collection would free.
func garbage() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - min(s[0].Value.Uint64(), s[1].Value.Uint64())
}
