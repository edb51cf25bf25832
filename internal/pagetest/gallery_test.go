package pagetest

import (
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// looks are the ways a screen is seen.
var looks = []struct {
	name          string
	width, height int64
	dark          bool
	lang          string
}{{"light", 1280, 800, false, "en"}, {"dark", 1280, 800, true, "en"}, {"zh-Hant", 1280, 800, false, "zh-Hant"}, {"phone", 390, 844, false, "en"}}

// Every screen fits the width it has, in light and dark, in another language and on a phone; WEIGHTROOM_SHOTS keeps the pictures,
// of which docs/screens.md shows some.
func TestGallery(t *testing.T) {
	b := newTab(t)
	press := func(selector string) func() {
		return func() { b.str("document.querySelector($1).click()", selector) }
	}
	nothing := func() {}
	// see opens a screen in each look; view is the tab of the phone that it is in.
	see := func(name, view string, open, shut func()) {
		b.Helper()
		for _, look := range looks {
			b.dark(look.dark)
			b.size(look.width, look.height)
			b.speak(look.lang)
			open()
			if look.width < 500 && view != "" {
				press("[data-action=" + view + "]")()
			}
			if wide := b.str("document.documentElement.scrollWidth - innerWidth"); wide != "0" {
				t.Errorf("%s, %s: %s pixels too wide", name, look.name, wide)
			}
			b.shot(name + "-" + look.name)
			shut()
		}
		b.dark(false)
		b.size(1280, 800)
	}
	b.until("document.documentElement.hasAttribute('data-offline')")
	dismiss := press("[data-action=dismiss-notice]") // it would lie on the picture
	dismiss()
	see("welcome", "", nothing, nothing)
	press("[data-action=example]")()
	b.wait("ready")
	dismiss()
	see("tree", "tab-keys", nothing, nothing)
	see("help", "", press("[data-action=help]"), press("[data-action=close-help]"))
	see("operation", "tab-edit", func() {
		b.click("drop")
		b.set("[data-field=match]", "**.bias")
		b.until("document.querySelector('.preview .change')")
	}, func() { b.click("close-panel") })
	see("map", "tab-keys", b.openMap, press("[data-action=map]"))
	path := b.str("document.querySelector('.row[data-kind=tensor]').dataset.path")
	b.selectRow(path)
	b.inspected(path)
	see("inspector", "tab-edit", func() { b.str("document.querySelector('[data-role=inspector]').scrollIntoView()") }, nothing)
	press(".shrink summary")()
	b.until("document.querySelectorAll('.saving-line').length > 0")
	see("shrink", "tab-edit", func() { b.str("document.querySelector('.shrink').scrollIntoView()") }, nothing)
	see("export", "tab-edit", func() {
		b.click("export")
		b.until("document.querySelector('.fact')")
	}, func() { b.click("close-panel") })
	b.edit("strip-prefix", "prefix", "model.")
	b.other(fixture("state_dict.pth"))
	b.until("!document.querySelector('[data-role=fit]').hidden")
	see("recipe", "tab-edit", func() { b.str("document.querySelector('[data-role=steps]').scrollIntoView()") }, nothing)
	b.other(write(t, "finetuned.pth", nativeAs(t, fixture("state_dict.pth"), `{"recipe":1,"steps":[{"cast":{"to":"float16","match":"fc.*"}},{"rename":{"from":"bn.bias","to":"bn.beta"}}]}`, statedict.TorchZip, "finetuned")))
	see("differences", "tab-keys", func() {
		b.pressAt("[data-action=differences]")
		b.wait("ready")
		b.pressAt("[data-action=compare-values]")
		b.until("!document.querySelector('[data-action=diff-values]').hidden")
		b.wait("ready")
		b.pressAt("[data-role=diff-rows] .diff-key")
	}, func() { b.pressAt("[data-action=diff-close]") })
	b.choose(fixture("hostile/12-exec-loads-twice.pth"))
	dismiss()
	see("safety", "tab-edit", press("[data-action=danger]"), nothing)
	b.choose(write(t, "broken.pth", []byte("nothing")))
	b.wait("error")
	see("error", "", nothing, nothing)
	b.clean()
}
