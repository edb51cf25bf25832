//go:build js

package page

import (
	"errors"
	"syscall/js"
	"time"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// maxRecent is how many files the page remembers.
const maxRecent = 6

// The browser's own database keeps the handles; nothing of a file's content is in it.
const (
	recentBase  = "weightroom"
	recentStore = "recent"
)

// recentFile is a file, or the shards of one, that was opened here before.
type recentFile struct {
	record  js.Value // as the database keeps it
	id      js.Value
	name    string
	size    int64
	handles []js.Value
}

// request waits for a request of the database.
func request(req js.Value) (js.Value, error) {
	type result struct {
		v   js.Value
		err error
	}
	done := make(chan result, 1)
	good := js.FuncOf(func(js.Value, []js.Value) any {
		done <- result{v: req.Get("result")}
		return nil
	})
	bad := js.FuncOf(func(js.Value, []js.Value) any {
		done <- result{err: js.Error{Value: req.Get("error")}}
		return nil
	})
	defer good.Release()
	defer bad.Release()
	req.Set("onsuccess", good)
	req.Set("onerror", bad)
	r := <-done
	return r.v, r.err
}

// recentDatabase opens it. Frames of other sites and private windows may have none.
func recentDatabase() (db js.Value, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errNoDatabase
		}
	}()
	indexed := js.Global().Get("indexedDB")
	if !indexed.Truthy() {
		return js.Value{}, errNoDatabase
	}
	req := indexed.Call("open", recentBase, 1)
	upgrade := js.FuncOf(func(js.Value, []js.Value) any {
		req.Get("result").Call("createObjectStore", recentStore, map[string]any{"keyPath": "id", "autoIncrement": true})
		return nil
	})
	defer upgrade.Release()
	req.Set("onupgradeneeded", upgrade)
	return request(req)
}

var errNoDatabase = errors.New("the browser keeps nothing here")

func recentObjects(db js.Value, mode string) js.Value {
	return db.Call("transaction", recentStore, mode).Call("objectStore", recentStore)
}

// readRecent lists the remembered files, the last one first.
func readRecent(db js.Value) (out []recentFile, err error) {
	defer func() { // a store that is gone throws at once, and what is in it may be anything
		if p := recover(); p != nil {
			err = errNoDatabase
		}
	}()
	all, err := request(recentObjects(db, "readonly").Call("getAll"))
	if err != nil {
		return nil, err
	}
	for _, r := range list(all) {
		out = append([]recentFile{{record: r, id: r.Get("id"), name: r.Get("name").String(), size: int64(r.Get("size").Float()), handles: list(r.Get("handles"))}}, out...)
	}
	return out, nil
}

// keepRecent remembers the files of w by their handles, which the browser may or may not have given. The same files are
// remembered once.
func (a *app) keepRecent(w *workspace) {
	if len(w.handles) != len(w.files) || len(w.files) == 0 || a.place.page != "app" {
		return
	}
	defer func() { _ = recover() }() // not every browser's database takes handles
	var handles []any
	for _, h := range w.handles {
		h, err := await(js.Global().Get("Promise").Call("resolve", h))
		if err != nil || !h.Truthy() || h.Get("kind").String() != "file" {
			return
		}
		handles = append(handles, h)
	}
	defer func() { // what a database throws at once: a handle that it cannot keep, a store that is gone
		if p := recover(); p != nil {
			if _, ok := p.(js.Error); !ok {
				panic(p)
			}
		}
	}()
	db, err := recentDatabase()
	if err != nil {
		return
	}
	defer db.Call("close")
	old, err := readRecent(db)
	if err != nil {
		return
	}
	for i, r := range old {
		same := len(r.handles) == len(handles) && r.name == w.names[0]
		if same {
			is, err := await(r.handles[0].Call("isSameEntry", handles[0]))
			same = err == nil && is.Bool()
		}
		if same || i >= maxRecent-1 {
			if _, err := request(recentObjects(db, "readwrite").Call("delete", r.id)); err != nil {
				return
			}
		}
	}
	record := map[string]any{"name": w.names[0], "size": float64(w.about.Size), "handles": handles}
	_, _ = request(recentObjects(db, "readwrite").Call("add", record)) // a browser that keeps nothing is no error
}

// drawRecent lists the remembered files where nothing is open.
func (a *app) drawRecent() {
	if a.place.page != "app" {
		return
	}
	go func() {
		var files []recentFile
		if db, err := recentDatabase(); err == nil {
			files, _ = readRecent(db)
			db.Call("close")
		}
		list := role("recent-list")
		clear(list)
		for _, r := range files {
			li := clone("t-recent")
			name := model.Visible(r.name)
			setText(find(li, "bdi"), name)
			setText(find(li, ".recent-size"), model.Bytes(r.size))
			label := a.text.Text("recent.forget", "name", name)
			end := find(li, ".tab-close")
			end.SetAttribute("aria-label", label)
			end.SetAttribute("title", label)
			on(find(li, ".recent-open"), "click", func(js.Value) { a.openRecent(r) })
			on(end, "click", func(js.Value) { a.forgetRecent(r) })
			list.AppendChild(li)
		}
		show(role("recent"), len(files) > 0)
	}()
}

// openRecent opens a remembered file. The browser asks for permission while the click is fresh.
func (a *app) openRecent(r recentFile) {
	fail := func(err error) {
		a.showError(err, "error.open", "name", model.Visible(r.name))
	}
	go func() {
		var files []js.Value
		for _, h := range r.handles {
			if h.Get("requestPermission").Type() == js.TypeFunction {
				answer, err := await(h.Call("requestPermission", map[string]any{"mode": "read"}))
				if err != nil || answer.String() != "granted" {
					fail(&message.Error{Code: "E_PERMISSION", Message: a.text.Text("recent.denied")})
					return
				}
			}
			file, err := await(h.Call("getFile"))
			if err != nil {
				if errorName(err) == "NotFoundError" {
					a.forgetRecent(r)
					err = &message.Error{Code: "E_GONE", Message: a.text.Text("recent.gone")}
				}
				fail(err)
				return
			}
			files = append(files, file)
		}
		a.openFiles(files, r.handles...)
	}()
}

func (a *app) forgetRecent(r recentFile) {
	go func() {
		db, err := recentDatabase()
		if err != nil {
			return
		}
		_, _ = request(recentObjects(db, "readwrite").Call("delete", r.id))
		db.Call("close")
		a.drawRecent()
	}()
}

// choose opens the browser's file dialog: the one that gives handles, which can be remembered, or else that of the file
// input. A dialog that was dismissed sooner than a person can was never shown.
func (a *app) choose() {
	input := find(root, "#open")
	if js.Global().Get("showOpenFilePicker").Type() != js.TypeFunction || a.place.page != "app" {
		input.Click()
		return
	}
	asked := time.Now()
	var pick js.Value
	func() {
		defer func() { _ = recover() }() // frames of other sites may not
		pick = js.Global().Call("showOpenFilePicker", map[string]any{"multiple": true})
	}()
	if pick.IsUndefined() {
		input.Click()
		return
	}
	go func() {
		picked, err := await(pick)
		switch {
		case err == nil:
			a.openHandles(list(picked))
		case errorName(err) != "AbortError" || time.Since(asked) < reflex:
			input.Click()
		}
	}()
}

// openHandles opens files that the browser gave handles of.
func (a *app) openHandles(handles []js.Value) {
	var files []js.Value
	for _, h := range handles {
		file, err := await(h.Call("getFile"))
		if err != nil {
			a.showError(err, "error.failed")
			return
		}
		files = append(files, file)
	}
	a.openFiles(files, handles...)
}

// droppedHandles asks for the handles of dropped files, as promises: the browser forgets the drop when its event ends.
func droppedHandles(transfer js.Value) (out []js.Value) {
	for _, item := range list(transfer.Get("items")) {
		if item.Get("kind").String() == "file" && item.Get("getAsFileSystemHandle").Type() == js.TypeFunction {
			out = append(out, item.Call("getAsFileSystemHandle"))
		}
	}
	return out
}
