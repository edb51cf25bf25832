package pagetest

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Files that the browser gave handles of are remembered and opened again with a click, on the page's next visit.
func TestRecent(t *testing.T) {
	b := newTab(t)
	for _, name := range []string{"first.safetensors", "second.safetensors", "first.safetensors"} {
		data := mustRead(t, safetensors(t, strings.TrimSuffix(name, ".safetensors")+".w"))
		js[bool](b, `(async () => {
			const h = await (await navigator.storage.getDirectory()).getFileHandle($1, {create: true});
			if (!(await h.getFile()).size) { const w = await h.createWritable(); await w.write(Uint8Array.from(atob($2), c => c.charCodeAt(0))); await w.close() }
			window.showOpenFilePicker = async () => [h];
			return true;
		})()`, name, data)
		b.click("open")
		b.until("document.querySelector('[data-role=file-name]').innerText === $1", name)
		b.wait("ready")
	}
	js[bool](b, `new Promise(done => { const look = () => { const r = indexedDB.open("weightroom", 1); r.onsuccess = () => {
		const q = r.result.transaction("recent").objectStore("recent").getAll();
		q.onsuccess = () => { r.result.close(); if (q.result.map(x => x.name).join() === "second.safetensors,first.safetensors") done(true); else setTimeout(look, 20) };
	} }; look() })`)
	b.do(chromedp.Navigate(server.URL + "/some/where/"))
	b.wait("ready")
	b.until("!document.querySelector('[data-role=recent]').hidden")
	if got := b.str(`[...document.querySelectorAll('.recent-open bdi')].map(e => e.innerText).join()`); got != "first.safetensors,second.safetensors" {
		t.Errorf("remembered %q", got)
	}
	b.shot("recent")
	b.pressAt("[data-role=recent-list] li:last-child .recent-open")
	b.until("document.querySelector('[data-role=file-name]').innerText === 'second.safetensors'")
	b.wait("ready")
	if got := strings.Join(b.paths("tensor"), " "); got != "second.w" {
		t.Errorf("rows %q", got)
	}
	// One that was deleted is told and forgotten.
	js[bool](b, `(async () => { await (await navigator.storage.getDirectory()).removeEntry("first.safetensors"); return true })()`)
	b.click("close-file")
	b.until("document.querySelector('.recent-open bdi')?.innerText === 'second.safetensors'")
	b.pressAt("[data-role=recent-list] li:last-child .recent-open")
	b.until("!document.querySelector('[data-role=error]').hidden")
	b.until("document.querySelectorAll('.recent-open').length === 1")
	b.pressAt("[data-role=recent-list] .tab-close")
	b.until("document.querySelector('[data-role=recent]').hidden")
	b.clean()
}

// An address that is pasted leads to the page that may talk to that server; typed, as well.
func TestPastedAddress(t *testing.T) {
	b := newTab(t)
	paste := `(() => { const d = new DataTransfer(); d.setData("text/plain", $1); document.body.dispatchEvent(new ClipboardEvent("paste", {bubbles: true, cancelable: true, clipboardData: d})); return true })()`
	js[bool](b, paste, "layers.0.weight")
	if got := b.str("location.pathname"); got != "/some/where/" {
		t.Errorf("a key leads to %s", got)
	}
	b.click("address")
	b.fill("address", "no address")
	b.click("open-address")
	b.until("!document.querySelector('[data-role=error]').hidden")
	b.shot("address")
	b.click("dismiss")
	file := server.URL + "/some/where/build.json?x=1&y"
	js[bool](b, paste, file)
	b.until("location.pathname === '/some/where/remote.html' && new URLSearchParams(location.search).get('src') === $1", file)
	// With a file open here, that one stays.
	c := newTab(t)
	c.choose(safetensors(t, "w"))
	js[bool](c, "(window.open = (...a) => (window.opened = a.join(' '), null), true)")
	js[bool](c, paste, file)
	c.until("window.opened?.includes('remote.html?src=http')")
	if got := c.str("location.pathname"); got != "/some/where/" {
		t.Errorf("the page went to %s", got)
	}
	c.clean()
}
