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
		if w := a.open; w != nil && w.recipe.Done > 0 && string(w.recipe.Document()) != w.saved && !a.place.updating {
			ev.Call("preventDefault")
		}
	})
}
