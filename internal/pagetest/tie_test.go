package pagetest

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// twice saves four masks with the same bytes, one of them under a name with a comma, and weights of their own.
const twice = `import sys, torch
mask = torch.tril(torch.ones(64, 64))
torch.save({**{f"h.{i}.mask": mask.clone() for i in range(3)}, "odd, name": mask.clone(), **{f"h.{i}.w": torch.randn(8, 8) for i in range(3)}}, sys.argv[1])`

// Tensors that were saved several times are tied: by what the form offers, by the selection, and the step can be changed.
func TestTie(t *testing.T) {
	file := filepath.Join(t.TempDir(), "twice.pth")
	if out, err := exec.Command("/usr/bin/python3", "-c", twice, file).CombinedOutput(); err != nil {
		t.Skipf("no torch: %s", out)
	}
	b := newTab(t)
	b.choose(file)
	b.more()
	b.pressAt("[data-action=tie]")
	b.until("document.querySelector('.chips .chip')?.innerText.includes('h.0.mask')")
	if got := b.str("document.querySelector('.chips').innerText"); !strings.Contains(got, "4 keys") {
		t.Errorf("the form offers %q", got)
	}
	b.pressAt(".chips .chip")
	b.until("document.querySelector('.preview-line').innerText === '3 keys change'")
	b.shot("tie")
	b.apply()
	recipe := `{"recipe":1,"steps":[{"tie":{"to":"h.0.mask","keys":["h.1.mask","h.2.mask","odd, name"]}}]}`
	if got, want := b.export("torch", "tied.pth"), native(t, file, recipe, statedict.TorchZip); !bytes.Equal(got, want) {
		t.Errorf("the page saved %d bytes, the codec writes %d", len(got), len(want))
	}
	b.click("close-panel")
	b.step(0, "edit")
	b.fill("keys", `h.2.mask, odd\, name`)
	b.apply()
	if got := b.steps(); got != `Tie h.0.mask → h.2.mask, odd\, name` {
		t.Errorf("steps %q", got)
	}
	b.click("undo")
	b.wait("ready")
	b.click("undo")
	b.wait("ready")

	// The first selected key is what the others share with; what differs is refused.
	b.selectRow("h.1.mask")
	js[bool](b, `(() => { const r = [...document.querySelectorAll(".row")].find(r => !r.hidden && r.dataset.path === "h.2.w"); return r.dispatchEvent(new MouseEvent("click", {bubbles: true, ctrlKey: true})) })()`)
	b.pressAt("[data-action=tie]")
	if got := b.str("[...document.querySelectorAll('.panel .control')].map(c => c.value).join()"); got != "h.1.mask,h.2.w" {
		t.Errorf("the form starts with %q", got)
	}
	b.until("document.querySelector('.preview-error p')?.innerText.includes('Not like')")
	b.clean()
}
