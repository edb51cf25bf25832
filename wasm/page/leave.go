//go:build js

package page

import "syscall/js"

// listenLeave lets the browser ask before the page goes away with steps that were not exported.
func (a *app) listenLeave() {
	on(window, "beforeunload", func(ev js.Value) {
		for _, w := range a.tabs {
			if w.unsaved() && !a.place.updating {
				ev.Call("preventDefault")
			}
		}
	})
}
