package pagetest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/weightroom/weightroom/statedict"
)

// A file can be dropped anywhere, also on top of an open one.
func TestDrop(t *testing.T) {
	b := newTab(t)
	for i, name := range []string{"first", "second"} {
		data, err := os.ReadFile(safetensors(t, name+".w"))
		if err != nil {
			t.Fatal(err)
		}
		js[bool](b, `(() => {
			const data = new DataTransfer();
			data.items.add(new File([Uint8Array.from(atob($2), c => c.charCodeAt(0))], $1));
			const at = document.querySelector(["[data-role=target]", "#tree"][$3]);
			for (const type of ["dragenter", "dragover", "drop"]) at.dispatchEvent(new DragEvent(type, {bubbles: true, cancelable: true, dataTransfer: data}));
			return true;
		})()`, name+".safetensors", data, i)
		b.until("document.querySelector('[data-role=file-name]').innerText === $1", name+".safetensors")
		b.wait("ready")
		if got := b.paths("tensor"); strings.Join(got, " ") != name+".w" {
			t.Errorf("rows %q", got)
		}
		if b.str("document.documentElement.hasAttribute('data-dragging')") != "false" {
			t.Error("the page still waits for a drop")
		}
	}
	b.clean()
}

func (b *tab) keys(keys ...string) {
	b.Helper()
	for _, k := range keys {
		b.do(chromedp.KeyEvent(k))
	}
}

func (b *tab) current() string {
	b.Helper()
	return b.str("document.querySelector('.row.current')?.dataset.path")
}

// The whole way by keyboard alone.
func TestKeyboard(t *testing.T) {
	b := newTab(t)
	b.choose(safetensors(t, "a.x", "a.y", "b.x", "b.z.w", "c"))
	b.do(chromedp.Focus(chromedp.CSS("#tree")))
	for _, c := range []struct{ key, want string }{
		{kb.ArrowDown, "a.x"}, {kb.ArrowLeft, "a"}, {kb.ArrowLeft, "a"}, {kb.ArrowDown, "b"}, {kb.ArrowRight, "b.x"},
		{kb.End, "c"}, {kb.ArrowDown, "c"}, {kb.Home, "a"}, {kb.ArrowRight, "a"}, {kb.ArrowRight, "a.x"}, {"c", "c"}, {"1", "c"}, {kb.Home, "a"},
	} {
		if c.key == "1" {
			time.Sleep(700 * time.Millisecond) // else it would continue the word
		}
		b.keys(c.key)
		if got := b.current(); got != c.want {
			t.Fatalf("after %q the cursor is on %q, want %q", c.key, got, c.want)
		}
	}
	if got := b.str("document.getElementById('tree').getAttribute('aria-activedescendant')"); b.str("document.getElementById($1).dataset.path", got) != "a" {
		t.Errorf("the active descendant is %q", got)
	}
	b.keys("*")
	if got := strings.Join(b.paths("tensor"), " "); got != "a.x a.y b.x c" {
		t.Errorf("after *: %q", got)
	}
	// Drop the group under the cursor, from the tree.
	b.keys(kb.Delete)
	if got := b.str("document.querySelector('[data-field=match]').value"); got != "a.**" {
		t.Errorf("Delete proposes %q", got)
	}
	b.keys(kb.Enter)
	b.until("document.querySelector('[data-role=summary]').dataset.keys === '3'")
	b.wait("ready")
	b.do(chromedp.Focus(chromedp.CSS("#tree")))
	command(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeRawKeyDown, Key: "/"})
	b.keys("w")
	b.until("document.querySelector('[data-role=matches]').innerText === '1 match'")
	b.keys(kb.Escape, "?")
	b.until("document.querySelector('[data-role=help]').open")
	b.keys(kb.Escape)
	b.until("!document.querySelector('[data-role=help]').open")
	b.clean()
}

// Where there is a save dialog, the file is streamed to what it gave, and looked at again there.
func TestSaveDialog(t *testing.T) {
	b := newTab(t)
	file := safetensors(t, "a", "b", "c")
	b.choose(file)
	js[bool](b, `(window.showSaveFilePicker = async o => (window.asked = o, (await navigator.storage.getDirectory()).getFileHandle("picked.safetensors", {create: true})), true)`)
	b.click("export")
	b.apply()
	want := native(t, file, `{"recipe":1,"steps":[]}`, statedict.Safetensors)
	if got := b.str("document.querySelector('.saved').innerText"); got != fmt.Sprintf("Saved picked.safetensors · %d B · checked", len(want)) {
		t.Errorf("the end says %q", got)
	}
	if got := b.str("asked.suggestedName"); got != "model.safetensors" {
		t.Errorf("the dialog proposes %q", got)
	}
	text := js[string](b, `(async () => {
		const f = await (await (await navigator.storage.getDirectory()).getFileHandle("picked.safetensors")).getFile();
		return btoa(String.fromCharCode(...new Uint8Array(await f.arrayBuffer())));
	})()`)
	got, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes saved, want %d", len(got), len(want))
	}
	// A dialog that somebody closes is no error.
	js[bool](b, `(window.showSaveFilePicker = () => new Promise((_, no) => setTimeout(() => no(new DOMException("", "AbortError")), 600)), true)`)
	b.apply()
	if b.str("document.querySelector('.saved').hidden") != "true" || b.str("document.querySelector('[data-role=error]').hidden") != "true" {
		t.Errorf("closing the dialog: %q %q", b.str("document.querySelector('.saved').innerText"), b.role("error"))
	}
	// A disk that is full is one, and says so.
	js[bool](b, `(window.showSaveFilePicker = async () => ({name: "x", createWritable: async () => ({write: async () => { throw new DOMException("The disk is full", "QuotaExceededError") }, abort: async () => {}})}), true)`)
	b.click("apply")
	b.wait("error")
	if got := b.str("document.querySelector('.panel .preview-error').innerText"); !strings.Contains(got, "disk is full") {
		t.Errorf("a full disk is told as %q", got)
	}
	b.clean()
}

// A file that changes while it is open is noticed before anything is saved.
func TestChangedFile(t *testing.T) {
	b := newTab(t)
	path := safetensors(t, "a", "b")
	b.choose(path)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(data[:len(data)-8:len(data)-8], "12345678"...), 0o644); err != nil {
		t.Fatal(err)
	}
	b.click("export")
	b.click("apply")
	b.wait("error")
	if got := b.str("document.querySelector('.panel .preview-error').innerText"); !strings.Contains(got, "has changed since") {
		t.Errorf("told as %q", got)
	}
}

// Two builds of one source are the same bytes.
func TestBuildIsReproducible(t *testing.T) {
	if missing != "" {
		t.Skip(missing)
	}
	var sums [2]string
	for i := range sums {
		dir := t.TempDir()
		if out, err := exec.Command("bash", "../../scripts/build-wasm.sh", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		data, err := os.ReadFile(dir + "/build.json")
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = string(data)
	}
	if sums[0] != sums[1] {
		t.Errorf("the manifests differ:\n%s\n%s", sums[0], sums[1])
	}
}
