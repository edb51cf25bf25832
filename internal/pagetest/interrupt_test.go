package pagetest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/weightroom/weightroom/statedict"
)

// picker answers the save dialog with a file of the page's own file system, as the browser would with one of the disk's: a new
// name is an empty file from then on.
const picker = `window.showSaveFilePicker = async () => (await navigator.storage.getDirectory()).getFileHandle("picked.safetensors", {create: true})`

// picked is the size of that file and its beginning, or the name of the error where there is none.
func (b *tab) picked() string {
	b.Helper()
	return js[string](b, `(async () => {
		const dir = await navigator.storage.getDirectory();
		try {
			const file = await (await dir.getFileHandle("picked.safetensors")).getFile();
			return file.size + " " + await file.slice(0, 16).text();
		} catch (e) { return e.name }
	})()`)
}

// place gives that file a content.
func (b *tab) place(text string) {
	b.Helper()
	js[bool](b, `(async () => {
		const w = await (await (await navigator.storage.getDirectory()).getFileHandle("picked.safetensors", {create: true})).createWritable();
		await w.write($1);
		await w.close();
		return true;
	})()`, text)
}

// zeroFile is a safetensors file of zeros that takes no space: one tensor of some bytes.
func zeroFile(t *testing.T, name string, size int64) string {
	t.Helper()
	head := fmt.Sprintf(`{"module.w":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}`, size/4, size)
	head += strings.Repeat(" ", (8-len(head)%8)%8)
	path := write(t, name, append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...))
	if err := os.Truncate(path, int64(8+len(head))+size); err != nil {
		t.Skip("the file system has no sparse files: ", err)
	}
	return path
}

// pressSave presses the button that saves, by script, once it can be pressed and the plan is there.
func (b *tab) pressSave() {
	b.Helper()
	b.until("document.querySelector('.fact') && !document.querySelector('[data-action=apply]').disabled")
	js[bool](b, "(document.querySelector('[data-action=apply]').click(), true)")
}

// goesOn proves that the page is alive after an export that failed: a small file opens and saves.
func (b *tab) goesOn() {
	b.Helper()
	file := safetensors(b.T, "module.a", "module.b")
	b.choose(file)
	b.until("document.querySelector('[data-role=file-name]').textContent === 'model.safetensors'")
	b.wait("ready")
	js[bool](b, "(delete window.showSaveFilePicker, window.showSaveFilePicker = undefined, true)")
	b.edit("strip-prefix", "prefix", "module.")
	got := b.export("safetensors", "after.safetensors")
	if want := native(b.T, file, `{"recipe":1,"steps":[{"strip_prefix":"module."}]}`, statedict.Safetensors); !bytes.Equal(got, want) {
		b.Errorf("afterwards: %d bytes saved, want %d", len(got), len(want))
	}
}

// A quota that is too small: the browser's own, in the middle of the file. The message says so, and nothing is left under the
// name; what stood there before stays.
func TestQuota(t *testing.T) {
	b := newTab(t)
	b.choose(zeroFile(t, "zeros.safetensors", 48<<20))
	js[bool](b, "("+picker+", true)")
	quota := 40e6
	command(b, storage.OverrideQuotaForOrigin, storage.OverrideQuotaForOriginParams{Origin: server.URL, QuotaSize: &quota})
	for _, before := range []string{"", "what was there"} {
		want := "NotFoundError"
		if before != "" {
			b.place(before)
			want = fmt.Sprint(len(before), " ", before)
		}
		b.click("export")
		b.pressSave()
		b.until("!document.querySelector('.panel .preview-error').hidden")
		b.wait("error")
		if got := b.str("document.querySelector('.panel .preview-error').innerText"); !strings.Contains(got, "The disk is full") {
			t.Errorf("told as %q", got)
		}
		if got := b.picked(); got != want {
			t.Errorf("under the chosen name: %q, want %q", got, want)
		}
		b.shot("quota")
		js[bool](b, "(document.querySelector('[data-action=close-panel]').click(), true)")
	}
	command(b, storage.OverrideQuotaForOrigin, storage.OverrideQuotaForOriginParams{Origin: server.URL})
	b.goesOn()
	b.clean()
}

// The worker dies in the middle of an export: the page says so, nothing is left under the name, and the file comes back.
func TestCrashWhileSaving(t *testing.T) {
	b := newTab(t)
	b.choose(large(t))
	b.wait("ready")
	b.edit("strip-prefix", "prefix", "module.")
	js[bool](b, "("+picker+", true)")
	b.click("export")
	b.pick("torch")
	b.pressSave()
	b.until("document.querySelector('.saving-text').innerText.startsWith('Tensors: ')")
	js[bool](b, "(workers.at(-1).postMessage(null), true)")
	b.until("document.querySelector('[data-role=error-title]').innerText === 'The reader stopped'")
	b.until("['ready','error'].includes(document.documentElement.dataset.state)")
	if got := b.str("document.querySelector('.saving').hidden"); got != "true" {
		t.Error("the progress is still shown")
	}
	b.until("(async () => { try { await (await navigator.storage.getDirectory()).getFileHandle('picked.safetensors') } catch { return true } })()")
	b.forgive()
	js[bool](b, "(document.querySelector('[data-role=error] [data-action=reopen]').click(), true)")
	b.until("document.querySelector('[data-role=error]').hidden")
	b.wait("ready")
	if got := b.paths("tensor")[0]; got != "layers.0.weight" {
		t.Errorf("after reopening: %q", got)
	}
	b.goesOn()
	b.clean()
}

// The tab is closed in the middle of an export: the browser asks first, and what the name held before stays as it was.
func TestCloseWhileSaving(t *testing.T) {
	// A second tab of the same profile sees the same files afterwards.
	other := emptyTab(t)
	other.do(chromedp.Navigate(server.URL + "/some/where/none"))
	other.place("what was there")
	ctx, cancel := chromedp.NewContext(other.ctx)
	t.Cleanup(cancel)
	b := &tab{T: t, ctx: ctx}
	b.do(chromedp.Navigate(server.URL + "/some/where/"))
	b.wait("ready")

	asked := make(chan page.DialogType, 4)
	if err := chromedp.Listen(b.ctx, func(ev any) {
		if d, ok := ev.(*page.EventJavascriptDialogOpening); ok {
			asked <- d.Type
		}
	}); err != nil {
		t.Fatal(err)
	}
	command(b, page.Enable, page.EnableParams{})
	b.choose(zeroFile(t, "zeros.safetensors", 80<<20))
	// The first 32 MiB are written for real, the rest never comes.
	js[bool](b, `(`+picker+`, (real => { window.showSaveFilePicker = async () => {
		const handle = await real();
		return {name: handle.name, getFile: () => handle.getFile(), createWritable: async () => {
			const w = await handle.createWritable();
			let n = 0;
			return {abort: () => w.abort(), close: () => w.close(), write: async part => { if (n++) { window.stuck = true; await new Promise(() => {}) } await w.write(part) }};
		}};
	} })(window.showSaveFilePicker), true)`)
	b.click("export")
	b.pressSave()
	b.until("window.stuck")
	if got := other.picked(); got != "14 what was there" {
		t.Errorf("while it is written: %q", got)
	}
	closed := chromedp.FromContext(b.ctx).Target.TargetID
	isOpen := func() bool {
		got, err := chromedp.CallBrowser(other.ctx, target.GetTargets, target.GetTargetsParams{})
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(got.TargetInfos, func(i *target.Info) bool { return i.TargetID == closed })
	}
	go chromedp.Call(b.ctx, page.Close, cdp.Empty{})
	select {
	case typ := <-asked:
		if typ != page.DialogTypeBeforeunload {
			t.Errorf("the browser asks %q", typ)
		}
	case <-b.ctx.Done():
		t.Fatal("the browser does not ask before the tab goes away")
	}
	if _, err := chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true}); err != nil {
		t.Logf("%v: the tab is gone already", err)
	}
	for start := time.Now(); isOpen(); time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatal("the tab stays")
		}
	}
	if got := other.picked(); got != "14 what was there" {
		t.Errorf("after the tab was closed: %q", got)
	}
	// The browser clears its copy away a little after the tab.
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		names := js[[]string](other, `(async () => { const out = []; for await (const n of (await navigator.storage.getDirectory()).keys()) out.push(n); return out })()`)
		if len(names) == 1 {
			break
		}
		if time.Since(start) > 20*time.Second {
			t.Fatalf("files left: %q", names)
		}
	}
}

// A file that is rewritten, cut or deleted after it was opened: its values and its export say so in words, and the page goes on.
func TestChangedInEveryWay(t *testing.T) {
	b := newTab(t)
	for how, change := range map[string]func(path string) error{
		"rewritten": func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("new"), 16<<20), 0o644) },
		"cut":       func(path string) error { return os.Truncate(path, 1<<20) },
		"deleted":   os.Remove,
	} {
		path := zeroFile(t, how+".safetensors", 48<<20)
		b.choose(path)
		b.until("document.querySelector('[data-role=file-name]').textContent === $1", filepath.Base(path))
		b.wait("ready")
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		b.selectRow("module.w")
		b.until("!document.querySelector('[data-action=measure]')?.hidden || document.querySelector('.inspector').innerText.includes('has changed since')")
		js[bool](b, "(document.querySelector('[data-action=measure]:not([hidden])')?.click(), true)")
		b.until("document.querySelector('.inspector').innerText.includes('has changed since')")
		b.click("export")
		b.pressSave()
		b.until("document.querySelector('.panel .preview-error').innerText.includes('has changed since')")
		b.wait("error")
		if how == "cut" {
			b.shot("changed")
		}
		js[bool](b, "(document.querySelector('[data-action=close-panel]').click(), true)")
	}
	b.goesOn()
	b.clean()
}
