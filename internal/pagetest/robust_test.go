package pagetest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weightroom/weightroom/statedict"
)

// holes reads as zeros behind its head.
type holes struct {
	head []byte
	size int64
}

func (h holes) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), h.size-off))
	for i := range n {
		p[i] = 0
		if at := off + int64(i); at < int64(len(h.head)) {
			p[i] = h.head[at]
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// largeHeader is a safetensors file of 12 GB, all zeros behind the header.
func largeHeader(t *testing.T) holes {
	t.Helper()
	const count, elements = 300, 10_000_000
	header := map[string]any{}
	for i := range count {
		header[fmt.Sprintf("module.layers.%d.weight", i)] = map[string]any{
			"dtype": "F32", "shape": []int{elements}, "data_offsets": []int{i * 4 * elements, (i + 1) * 4 * elements},
		}
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	src := holes{head: append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...)}
	src.size = int64(len(src.head)) + count*4*elements
	return src
}

// sparse is a 12 GB checkpoint whose tensors are holes, as the codec lays it out; only its headers take disk space. The
// records' checksums are left at 0.
func sparse(t *testing.T, dir string) string {
	t.Helper()
	src := largeHeader(t)
	cp, err := statedict.Open(context.Background(), statedict.Source{Name: "a.safetensors", R: src, Size: src.size})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := statedict.NewPlan(cp, statedict.TorchZip, &statedict.PlanOptions{Name: "large.pth"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "large.pth")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	off := int64(0)
	for _, s := range plan.Files[0].Segments {
		if b, ok := s.(statedict.Literal); ok {
			if _, err := f.WriteAt(b, off); err != nil {
				t.Fatal(err)
			}
		}
		off += s.Len()
	}
	if err := f.Truncate(plan.Files[0].Size); err != nil {
		t.Skip("the file system has no sparse files of this size: ", err)
	}
	return path
}

// 12 GB open with a few reads, and an edit of them is planned as copies.
func TestLargeFile(t *testing.T) {
	b := newTab(t)
	path := sparse(t, t.TempDir())
	start := time.Now()
	b.choose(path)
	b.wait("ready")
	t.Logf("opened in %v", time.Since(start))
	if got := b.role("summary"); got != "300 keys · 12.0 GB" {
		t.Errorf("summary %q", got)
	}
	read, err := strconv.Atoi(b.str("document.documentElement.dataset.bytesRead"))
	if err != nil || read == 0 || read >= 4_000_000 {
		t.Errorf("opening read %d bytes, %v", read, err)
	}
	b.edit("strip-prefix", "prefix", "module.")
	b.click("export")
	b.until("document.querySelector('.fact')")
	if got := b.str("document.querySelector('.facts').innerText"); !strings.Contains(got, "Copied as is") || strings.Contains(got, "Rewritten") {
		t.Errorf("the plan says %q", got)
	}
	t.Logf("opening read %d bytes; the plan: %s", read, strings.ReplaceAll(b.str("document.querySelector('.facts').innerText"), "\n", " "))
	b.clean()
}

// A long export can be stopped, and the page goes on. The file gives no checksums, so saving it as a zip reads all of it.
func TestCancel(t *testing.T) {
	b := newTab(t)
	b.choose(large(t))
	b.wait("ready")
	b.click("export")
	b.pick("torch")
	b.until("document.querySelector('.fact')")
	b.click("apply")
	b.until("document.querySelector('.saving-text').innerText.startsWith('Tensors: ')")
	b.shot("saving")
	start := time.Now()
	b.click("close-panel")
	b.wait("ready")
	t.Logf("stopped after %v", time.Since(start))
	if got := b.str("document.querySelector('.saving').hidden"); got != "true" {
		t.Error("the progress is still shown")
	}
	// A worker that does not answer is ended by the second Cancel.
	b.click("apply")
	b.until("document.querySelector('.saving-text').innerText.startsWith('Tensors: ')")
	js[bool](b, `(document.querySelector("[data-action=close-panel]").click(), document.querySelector("[data-action=close-panel]").click(), true)`)
	b.wait("ready")
	if got := js[int](b, "workers.length"); got != 2 {
		t.Errorf("%d workers were started, want 2", got)
	}
	b.edit("strip-prefix", "prefix", "module.")
	if got := b.paths("tensor")[0]; got != "layers.0.weight" {
		t.Errorf("after stopping: %q", got)
	}
	b.clean()
}

// A worker that dies is replaced, and the file with its recipe comes back by itself.
func TestCrash(t *testing.T) {
	b := newTab(t)
	b.choose(safetensors(t, "module.a", "module.b"))
	b.edit("strip-prefix", "prefix", "module.")
	js[bool](b, `(workers.at(-1).postMessage(null), true)`) // no request: the program in the worker ends with a fault
	b.until("document.querySelector('[data-role=error-title]').innerText === 'The reader stopped'")
	b.wait("ready")
	b.shot("crash")
	b.forgive()
	if got := b.paths("tensor"); strings.Join(got, " ") != "a b" {
		t.Errorf("after reopening: %q", got)
	}
	b.edit("add-prefix", "prefix", "net.")
	if got := b.paths("tensor"); strings.Join(got, " ") != "net.a net.b" {
		t.Errorf("after another edit: %q", got)
	}
	b.clean()
}

// Names from a file are text everywhere: nothing in them runs.
func TestHostileNames(t *testing.T) {
	b := newTab(t)
	for _, name := range []string{"hostile/names-hostile.pth", "hostile/names-hostile.safetensors"} {
		b.choose(corpus(t, name))
		b.wait("ready")
		b.set("#filter", "pwned")
		b.set("#filter", "")
		b.click("rename")
		b.set("[data-field=from]", "re:(?s)^(.*)$")
		b.set("[data-field=to]", "x.$1")
		b.until("document.querySelectorAll('.preview .change').length > 10")
		b.apply()
		b.click("undo")
		b.wait("ready")
		text := b.str("document.body.innerText")
		for _, bad := range "\u202e\u200b\u2066\u2028\x1b\x07" {
			if strings.ContainsRune(text, bad) {
				t.Errorf("%s: U+%04X reaches the page", name, bad)
			}
		}
	}
	if got := b.str("window.__pwned"); got != "undefined" {
		t.Errorf("a name ran: %s", got)
	}
	b.clean()
}

// The policy holds for the page and for its worker: neither reaches another origin, and no text becomes markup or code.
func TestPolicy(t *testing.T) {
	b := newTab(t)
	b.choose(safetensors(t, "a"))
	b.clean()
	var hits atomic.Int32
	control := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hits.Add(1) }))
	defer control.Close()
	other := control.URL + "/a.js"
	for name, expr := range map[string]string{
		"fetch":  `fetch($1).then(() => "went out", () => "blocked")`,
		"image":  `new Promise(done => { const i = new Image(); i.onload = () => done("went out"); i.onerror = () => done("blocked"); i.src = $1 })`,
		"markup": `(() => { try { document.body.innerHTML = "<b>x</b>"; return "went in" } catch { return "blocked" } })()`,
		"eval":   `(() => { try { return new Function("return 'ran'")() } catch { return "blocked" } })()`,
		"script": `new Promise(done => { const s = document.createElement("script"); try { s.src = $1 } catch { return done("blocked") } s.onload = () => done("went out"); s.onerror = () => done("blocked"); document.head.append(s) })`,
		"worker": `new Promise(done => { try { const w = new Worker($1); w.onerror = () => done("blocked"); w.onmessage = () => done("went out") } catch { done("blocked") } })`,
	} {
		if got := js[string](b, expr, other); got != "blocked" {
			t.Errorf("%s: %s", name, got)
		}
	}
	got := js[string](b, `new Promise(done => {
		workers[0].addEventListener("message", e => e.data.kind === "test" && done(e.data.got));
		workers[0].postMessage({reach: $1});
	})`, other)
	if got != "blocked" {
		t.Errorf("the page's own worker: %s", got)
	}
	if n := hits.Load(); n > 0 {
		t.Errorf("%d requests reached another origin", n)
	}
}
