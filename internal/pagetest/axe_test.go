package pagetest

import (
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// axeTab is a tab with axe-core in it, and a check of what it shows, in both themes.
func axeTab(t *testing.T) (*tab, func(screen string)) {
	t.Helper()
	path := os.Getenv("WEIGHTROOM_AXE")
	if path == "" {
		t.Skip("WEIGHTROOM_AXE is not set")
	}
	script, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := longTab(t, 3*time.Minute)
	command(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: string(script)})
	b.do(chromedp.Navigate(server.URL + "/some/where/"))
	b.wait("ready")
	return b, func(screen string) {
		b.Helper()
		for _, dark := range []bool{false, true} {
			b.dark(dark)
			js[bool](b, "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
			b.until("document.getAnimations().every(a => !(a instanceof CSSTransition))") // colours change slowly
			found := js[string](b, `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v => v.id + ": " + v.nodes.slice(0, 4).map(n => n.target.join(" ") + " " + (n.any[0]?.message ?? n.failureSummary)).join(" | ")).join("\n"))`)
			if found != "" {
				t.Errorf("%s, dark %t:\n%s", screen, dark, found)
			}
		}
	}
}

// axe-core finds nothing to complain about on any screen, light or dark. WEIGHTROOM_AXE names axe.min.js of npm's
// axe-core 4.10.3, which scripts/test.sh installs; without it the test is skipped.
func TestAxe(t *testing.T) {
	b, check := axeTab(t)
	check("welcome")
	b.choose(fixture("dataparallel_sgd.pth"))
	check("tree")
	b.selectRow("state_dict.module.conv.weight")
	check("inspector")
	b.str("document.querySelector('.shrink summary').click()")
	b.until("document.querySelectorAll('.saving-line').length > 0")
	check("shrink report")
	b.openMap()
	check("map")
	b.click("rename")
	check("operation")
	b.click("export")
	check("export")
	b.str("document.querySelector('[data-action=help]').click()")
	check("help")
}

// The same of the recipe and what belongs to it.
func TestAxeRecipe(t *testing.T) {
	b, check := axeTab(t)
	b.choose(fixture("dataparallel_sgd.pth"))
	b.edit("strip-prefix", "prefix", "module.")
	b.edit("drop", "match", "bn.**")
	b.str("document.querySelector('[data-role=steps] details').open = true")
	b.openPresets()
	check("recipe and presets")
	b.click("undo")
	b.wait("ready")
	check("a step undone")
}

// The same of two files, compared and in tabs.
func TestAxeFiles(t *testing.T) {
	b, check := axeTab(t)
	b.choose(fixture("dataparallel_sgd.pth"))
	b.edit("strip-prefix", "prefix", "module.")
	b.other(fixture("state_dict.pth"))
	b.until("!document.querySelector('[data-role=fit]').hidden")
	b.pressAt("[data-action=differences]")
	b.wait("ready")
	b.pressAt("[data-action=compare-values]")
	b.wait("ready")
	check("comparison and differences")
	b.pressAt("[data-action=diff-close]")
	b.pressAt("[data-action=paste-error]")
	check("a pasted error")
	b.choose(fixture("lightning_like.ckpt"))
	check("tabs and an offer")
}

// The same of the ways in and out.
func TestAxeShell(t *testing.T) {
	b, check := axeTab(t)
	b.choose(fixture("dataparallel_sgd.pth"))
	b.edit("strip-prefix", "prefix", "module.")
	b.choose(fixture("lightning_like.ckpt"))
	b.pressAt("[data-role=tab-list] li:first-child .tab")
	b.wait("ready")
	b.pressAt("[data-action=close-file]")
	b.until("document.querySelector('[data-role=ask]').open")
	check("a question")
	b.pressAt("[data-action=ask-yes]")
	b.wait("ready")
	b.str("(document.querySelector('[data-role=overlay]').hidden = false)")
	check("places to drop")
	b.str("(document.querySelector('[data-role=overlay]').hidden = true)")
	b.pressAt("[data-action=close-file]")
	b.until("!document.querySelector('[data-role=welcome]').hidden")
	b.pressAt("[data-action=address]")
	check("an address")
	b.choose(write(t, "broken.pth", []byte("nothing")))
	b.wait("error")
	check("an error")
}
