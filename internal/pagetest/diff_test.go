package pagetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/weightroom/weightroom/statedict"
)

// diffRows is the table as text, a line for each row.
func (b *tab) diffRows() string {
	b.Helper()
	return b.str(`[...document.querySelectorAll('[data-role=diff-rows] tr')].map(r => r.innerText.replace(/\s+/g, ' ').trim()).join('\n')`)
}

// Two files are compared by names, shapes and dtypes at once and by their values on demand; a row leads to the tree.
func TestDiffView(t *testing.T) {
	b := newTab(t)
	file := fixture("dataparallel_sgd.pth")
	changed := nativeAs(t, file, `{"recipe":1,"at":"","steps":[{"extract":"state_dict"},{"cast":{"to":"float16","match":"module.fc.weight"}},{"rename":{"from":"module.bn.bias","to":"module.bn.beta"}}]}`, statedict.TorchZip, "other")
	b.choose(file)
	b.other(write(t, "other.pth", changed))
	b.until("document.querySelector('[data-action=fit-ok] b').innerText === '8'")
	b.pressAt("[data-action=differences]")
	b.until("!document.querySelector('[data-role=diff]').hidden")
	b.wait("ready")
	want := "module.bn.bias only here float32 [4]\nmodule.bn.beta only there float32 [4]\nmodule.fc.weight float32 → float16"
	if got := b.diffRows(); got != want {
		t.Errorf("rows\n%s\nwant\n%s", got, want)
	}
	b.shot("diff")
	b.pressAt("[data-action=compare-values]")
	b.until("!document.querySelector('[data-action=diff-values]').hidden")
	b.wait("ready")
	if got := b.diffRows(); !strings.HasPrefix(got, want+" values 0.0") || !strings.HasSuffix(got, " of 80") {
		t.Errorf("with values\n%s", got)
	}
	b.shot("diff-values")
	// The counts and the search filter.
	b.pressAt("[data-action=diff-dtype]")
	if got := b.diffRows(); strings.Count(got, "\n") != 0 || !strings.HasPrefix(got, "module.fc.weight ") {
		t.Errorf("dtype alone\n%s", got)
	}
	b.pressAt("[data-action=diff-dtype]")
	b.set("[data-field=diff-filter]", "BN")
	if got := b.diffRows(); strings.Count(got, "\n") != 1 {
		t.Errorf("bn alone\n%s", got)
	}
	b.set("[data-field=diff-filter]", "")
	// A row leads to the tree.
	b.do(chromedp.Focus(chromedp.CSS("[data-role=diff-rows] tr:last-child .diff-key")))
	b.pressAt("[data-role=diff-rows] tr:last-child .diff-key")
	b.until("document.querySelector('.row.current')?.dataset.path === 'state_dict.module.fc.weight'")
	b.inspected("state_dict.module.fc.weight")
	// The tree and the table go together: the line of the row with the cursor is marked, of a group those below it.
	marked := func() string {
		return b.str("[...document.querySelectorAll('[data-role=diff-rows] tr.marked')].map(r => r.querySelector('bdi').innerText).join()")
	}
	if got := marked(); got != "module.fc.weight" {
		t.Errorf("marked after a press in the table: %q", got)
	}
	b.keys(kb.ArrowUp)
	b.until("document.querySelector('.row.current')?.dataset.path === 'state_dict.module.bn.bias'")
	if got := marked(); got != "module.bn.bias" {
		t.Errorf("marked after an arrow over what only the other file has: %q", got)
	}
	b.selectRow("state_dict.module.bn.weight")
	if got := marked(); got != "" {
		t.Errorf("%q is marked for a key without differences", got)
	}
	b.do(chromedp.Focus(chromedp.CSS("#tree")))
	b.keys(kb.ArrowLeft)
	b.until("document.querySelector('.row.current')?.dataset.path === 'state_dict.module.bn'")
	if got := marked(); got != "module.bn.bias,module.bn.beta" {
		t.Errorf("marked for a group: %q", got)
	}
	b.shot("diff-marked")
	b.size(390, 844)
	if got := b.str("document.documentElement.scrollWidth + ' ' + document.querySelector('.diff-scroll').scrollWidth"); got != "390 390" {
		t.Errorf("on a phone the page and the table are %s pixels wide", got)
	}
	b.shot("diff-phone")
	b.size(1280, 800)
	// An edit compares anew.
	b.edit("rename", "from", "module.bn.bias", "to", "module.bn.beta")
	b.until("document.querySelectorAll('[data-role=diff-rows] tr').length === 1")
	b.pressAt("[data-action=diff-close]")
	if b.str("document.querySelector('[data-role=diff]').hidden") != "true" {
		t.Error("the table is still there")
	}
	b.clean()
}

// A comparison of large files shows how far it is and can be stopped.
func TestDiffCancel(t *testing.T) {
	b := newTab(t)
	dir := t.TempDir()
	src := largeHeader(t)
	var files []string
	for _, name := range []string{"a.safetensors", "b.safetensors"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, src.head, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, src.size); err != nil {
			t.Skip("the file system has no sparse files of this size: ", err)
		}
		files = append(files, path)
	}
	b.choose(files[0])
	b.wait("ready")
	b.other(files[1])
	b.pressAt("[data-action=differences]")
	b.wait("ready")
	b.pressAt("[data-action=compare-values]")
	b.until("/ of 12.0 GB · .+\\/s · .+ left/.test(document.querySelector('[data-role=diff-progress-text]').innerText)")
	b.shot("diff-progress")
	b.pressAt("[data-action=diff-stop]")
	b.wait("ready")
	if b.str("document.querySelector('.diff-progress').hidden") != "true" || b.str("document.querySelector('[data-action=compare-values]').hidden") != "false" {
		t.Error("stopping left the progress on show")
	}
	b.edit("strip-prefix", "prefix", "module.")
	b.clean()
}

// A job without a place of its own says how far it is, how fast it goes and how long still, and can be stopped there.
func TestLongJob(t *testing.T) {
	b := newTab(t)
	b.choose(large(t))
	b.wait("ready")
	b.more()
	b.click("cast")
	b.fill("to", "float16")
	b.pressAt("[data-action=loss]")
	b.until("!document.querySelector('[data-role=job]').hidden")
	b.until("/ of [0-9.]+ GB · .+\\/s · .+ left/.test(document.querySelector('[data-role=job-text]').innerText)")
	b.shot("job")
	b.pressAt("[data-role=job] [data-action=cancel]")
	b.wait("ready")
	if b.str("document.querySelector('[data-role=job]').hidden") != "true" {
		t.Error("the progress is still there")
	}
	b.clean()
}
