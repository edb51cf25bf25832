package pagetest

import (
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// axe-core finds nothing to complain about on any screen, light or dark. WEIGHTROOM_AXE names axe.min.js of npm's
// axe-core 4.10.3; without it the test is skipped.
func TestAxe(t *testing.T) {
	path := os.Getenv("WEIGHTROOM_AXE")
	if path == "" {
		t.Skip("WEIGHTROOM_AXE is not set")
	}
	script, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := emptyTab(t)
	command(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: string(script)})
	b.do(chromedp.Navigate(server.URL + "/some/where/"))
	b.wait("ready")
	check := func(screen string) {
		b.Helper()
		for _, dark := range []bool{false, true} {
			b.dark(dark)
			time.Sleep(300 * time.Millisecond) // colours change slowly
			found := js[string](b, `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v => v.id + ": " + v.nodes.slice(0, 4).map(n => n.target.join(" ") + " " + (n.any[0]?.message ?? n.failureSummary)).join(" | ")).join("\n"))`)
			if found != "" {
				t.Errorf("%s, dark %t:\n%s", screen, dark, found)
			}
		}
	}
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
