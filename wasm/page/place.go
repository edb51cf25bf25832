//go:build js

package page

import (
	"strings"
	"syscall/js"
	"time"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// place is where this page runs and what it does beside the file: kept offline, read from a server, or framed by another page.
type place struct {
	page     string   // "app", "remote" or "embed"
	sources  []string // origins that the page may fetch from
	requests int      // since the page was loaded
	next     js.Value // service worker of a newer version
	updating bool
	notices  int           // so far
	host     string        // origin of the framing page, if it is talked with
	selected *message.Row  // the last that the framing page was told of
	readonly bool          // nothing is edited or exported
	recipe   *model.Recipe // of the address, for the next file
}

// findPlace reads what policy.js decided.
func (a *app) findPlace() {
	host := js.Global().Get("weightroom")
	a.place.page = host.Get("page").String()
	for _, s := range list(host.Get("sources")) {
		a.place.sources = append(a.place.sources, s.String())
	}
	a.findHost()
	a.adaptTexts()
	known := map[string]bool{}
	for _, l := range list(document.Call("querySelectorAll", "link[href]")) {
		known[l.Get("href").String()] = true
	}
	observer := js.Global().Get("PerformanceObserver").New(js.FuncOf(func(_ js.Value, args []js.Value) any {
		for _, e := range list(args[0].Call("getEntries")) {
			// The browser takes the icon and the manifest when it likes; they belong to the markup.
			if url := e.Get("name").String(); strings.HasPrefix(url, "http") && !known[url] {
				a.place.requests++
			}
		}
		a.drawPrivacy()
		return nil
	}))
	observer.Call("observe", map[string]any{"type": "resource"})
}

// adaptTexts says where this page reads from, if that is a server.
func (a *app) adaptTexts() {
	if len(a.place.sources) > 0 {
		from := strings.Join(a.place.sources[:1], "")
		for _, name := range []string{"welcome.local.title", "welcome.local.text", "status.local", "private.title", "private.step.1", "private.step.2"} {
			a.text[name] = a.text.Text(name+".remote", "origin", from)
		}
	}
}

// notify says something by the way, by the name of a text and its places, with a button for the action if there is one.
func (a *app) notify(action, name string, places ...string) {
	a.note(action, func() string { return a.text.Text(name, places...) })
}

func (a *app) note(action string, text func() string) {
	a.noted = func() { setText(role("notice-text"), text()) }
	a.noted()
	a.place.notices++
	turn := a.place.notices
	show(find(role("notice"), "[data-action=update]"), action == "update")
	show(role("offers"), action == "offer")
	show(role("notice"), true)
	if action != "" {
		return
	}
	go func() {
		time.Sleep(10 * time.Second)
		if turn == a.place.notices {
			show(role("notice"), false)
		}
	}()
}

// actPlace is act for the controls of these parts.
func (a *app) actPlace(action string) {
	switch action {
	case "update":
		a.place.updating = true
		a.place.next.Call("postMessage", "update")
	case "dismiss-notice":
		show(role("notice"), false)
	case "offer-compare", "offer-merge":
		a.takeOffer(action == "offer-merge")
	case "privacy":
		a.drawPrivacy()
		role("privacy").Call("showModal")
	case "close-privacy":
		role("privacy").Call("close")
	case "copy-link":
		a.copyLink()
	case "expand-all", "collapse-all":
		a.tellHeight()
	case "retry":
		a.hideError()
		a.openURL(absolute(query("src")))
	}
}

// drawPrivacy tells how to check what the page promises, and what it has asked for itself.
func (a *app) drawPrivacy() {
	line := role("privacy-count")
	n := a.place.requests
	line.Get("classList").Call("toggle", "some", n > 0)
	if n == 0 {
		setText(line, a.text.Text("private.count.none"))
	} else {
		setText(line, a.text.Count("private.count", int64(n), count(n)))
	}
	steps := role("privacy-steps")
	clear(steps)
	for _, i := range []string{"1", "2", "3"} {
		steps.AppendChild(textElement("li", a.text.Text("private.step."+i)))
	}
	policy := role("privacy-policy")
	clear(policy)
	for _, m := range list(document.Call("querySelectorAll", "meta[http-equiv=Content-Security-Policy]")) {
		policy.Call("append", m.Get("content").String()+"\n")
	}
}

// begin does what the address of the page and the system ask for, now that the worker is ready.
func (a *app) begin() {
	a.takeRecipe()
	if src := query("src"); src != "" && a.place.page != "app" {
		a.openURL(absolute(src))
	}
	a.drawRecent()
	a.keepOffline()
	a.takeLaunched()
	a.tell("ready", nil)
	switch {
	case a.waiting > 0:
	case visible(role("error")):
		a.setState("error")
	default:
		a.setState("ready")
	}
}
