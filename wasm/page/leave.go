//go:build js

package page

import "syscall/js"

// listenLeave lets the browser ask before the page goes away during an export, or with steps that were not exported.
func (a *app) listenLeave() {
	on(window, "beforeunload", func(ev js.Value) {
		if e, ok := a.panel.(*exporter); ok && e.saving {
			ev.Call("preventDefault")
			return
		}
		for _, w := range a.tabs {
			if w.unsaved() && !a.place.updating {
				ev.Call("preventDefault")
			}
		}
	})
}
