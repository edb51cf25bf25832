//go:build js

package page

import (
	"net/url"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// listenAddress opens an address that is pasted anywhere but into a field, or typed on the empty page.
func (a *app) listenAddress() {
	on(document, "paste", func(ev js.Value) {
		if ev.Get("target").Call("closest", "input,select,textarea").Truthy() || a.place.page == "embed" {
			return
		}
		if address, ok := model.Address(ev.Get("clipboardData").Call("getData", "text/plain").String()); ok {
			ev.Call("preventDefault")
			a.goToAddress(address)
		}
	})
	on(find(root, "[data-field=address]"), "keydown", func(ev js.Value) {
		if ev.Get("key").String() == "Enter" {
			a.openAddress()
		}
	})
}

// goToAddress opens a file of a server on the page that may talk to that server and to nobody else. Files that are open
// here stay: then it gets a window of its own.
func (a *app) goToAddress(address string) {
	target := js.Global().Get("URL").New("remote.html?src="+url.QueryEscape(address), document.Get("baseURI")).Get("href").String()
	if len(a.tabs) > 0 {
		js.Global().Call("open", target, "_blank", "noopener")
		return
	}
	js.Global().Get("location").Call("assign", target)
}

// openAddress takes what was typed.
func (a *app) openAddress() {
	address, ok := model.Address(value(find(root, "[data-field=address]")))
	if !ok {
		a.showError(&message.Error{Message: a.text.Text("address.wrong.why")}, "address.wrong")
		return
	}
	a.hideError()
	a.goToAddress(address)
}

// actAddress is act for these controls.
func (a *app) actAddress(action string) {
	switch action {
	case "address":
		show(role("address"), !visible(role("address")))
		if visible(role("address")) {
			find(root, "[data-field=address]").Focus()
		}
	case "open-address":
		a.openAddress()
	}
}
