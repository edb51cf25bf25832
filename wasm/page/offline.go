//go:build js

package page

import (
	"syscall/js"
)

// keepOffline registers the service worker, says once that the page works without a network now, and asks before a newer
// version takes the place of this one. Where there is no service worker (a frame, plain http) nothing happens.
func (a *app) keepOffline() {
	host := js.Global().Get("weightroom")
	if host.Get("keepOffline").Type() != js.TypeFunction {
		return
	}
	container := js.Global().Get("navigator").Get("serviceWorker")
	first := !container.Get("controller").Truthy()
	on(wrap(container), "controllerchange", func(js.Value) {
		if a.place.updating {
			js.Global().Get("location").Call("reload")
		}
	})
	go func() {
		reg, err := await(host.Call("keepOffline"))
		if err != nil {
			return // the browser forbids it, or the network is away: the page works, and tries again next time
		}
		a.drawOffline(reg, first)
		follow := func(w js.Value) {
			if !w.Truthy() {
				return
			}
			on(wrap(w), "statechange", func(js.Value) { a.drawOffline(reg, first) })
			a.drawOffline(reg, first)
		}
		on(wrap(reg), "updatefound", func(js.Value) { follow(reg.Get("installing")) })
		follow(reg.Get("installing"))
		follow(reg.Get("waiting"))
	}()
}

// drawOffline says what the state of the service worker means to the user.
func (a *app) drawOffline(reg js.Value, first bool) {
	active, next := reg.Get("active"), reg.Get("waiting")
	if !first && next.Truthy() {
		a.place.next = next
		a.notify("update", "offline.waiting")
	}
	if active.Truthy() && active.Get("state").String() == "activated" && !root.HasAttribute("data-offline") {
		root.SetAttribute("data-offline", "")
		if first && !visible(role("notice")) {
			a.notify("", "offline.ready")
		}
	}
}

// takeLaunched opens the files with which the installed page was started, or that another program shares with it.
func (a *app) takeLaunched() {
	if queue := js.Global().Get("launchQueue"); queue.Truthy() {
		queue.Call("setConsumer", js.FuncOf(func(_ js.Value, args []js.Value) any {
			handles := list(args[0].Get("files"))
			go a.openHandles(handles)
			return nil
		}))
	}
	search := js.Global().Get("URLSearchParams").New(js.Global().Get("location").Get("search"))
	container := js.Global().Get("navigator").Get("serviceWorker")
	if !search.Call("has", "shared").Bool() || !container.Truthy() || !container.Get("controller").Truthy() {
		return
	}
	on(wrap(container), "message", func(ev js.Value) {
		if shared := ev.Get("data").Get("shared"); shared.Truthy() {
			a.openFiles(list(shared))
		}
	})
	container.Get("controller").Call("postMessage", "shared")
}
