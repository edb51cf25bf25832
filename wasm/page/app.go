//go:build js

// Package page is the page: it draws what package model says and turns events into requests to the worker.
//
// Markup lives in web/index.html, whose templates are cloned and filled; names from files become text nodes, never markup.
// Every job (opening, an edit, an export) waits for the one before it, so what is on show always belongs together.
package page

import (
	"context"
	"errors"
	"strconv"
	"syscall/js"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
	"github.com/weightroom/weightroom/web/texts"
)

// app is the page and what is open in it.
type app struct {
	text    texts.Catalog
	worker  *client
	open    *workspace // on show; nil before the first file
	tabs    []*workspace
	tree    *treeView
	bar     *selectionBar
	columns *columns
	tidy    tidier
	panel   panel // the open operation or export; nil for none
	place   place
	shrink  shrink
	inspect inspector
	maps    *maps

	others    []*attachment // beside the open file
	reference reference
	diff      differ
	offered   struct{ to, with *workspace }
	answer    func() // what the open question does

	told    func() // writes the error and the notice on show, in the language of the page
	noted   func()
	meter   meter
	jobs    chan job
	waiting int // jobs not done
	cancel  context.CancelFunc
	asked   bool // the running job was asked to stop

	rebuilding bool // after a crash
}

// workspace is an open checkpoint and its recipe. All that is on show follows from it.
type workspace struct {
	files   []js.Value
	names   []string
	handles []js.Value // of the files, where the browser gives them, or promises of them
	about   message.Opened
	rows    []message.Row
	base    []message.Row // of the file as it is
	state   message.State
	recipe  model.Recipe
	effects []message.Step // of recipe.Steps, as far as they were ever done
	saved   string         // the recipe's document at the last export
	url     string         // of a file on a server, which has no files here
	shown   *shown         // nil while it is on show for the first time
	linked  bool           // the recipe came with the address and may not fit this file
}

// job is a piece of work, and what to do with its error; nil shows it on top of the page.
type job struct {
	work func(ctx context.Context) error
	fail func(error)
	own  bool // it shows its progress itself
}

// panel is a form in the side panel.
type panel interface {
	submit()
	close() bool    // false: it is busy
	action() string // the data-action that opened it
	speak()         // writes it in the language of the page, which is another now
}

// Run draws the page and never returns.
func Run() {
	findPage()
	a := &app{jobs: make(chan job, 64)}
	var err error
	var lang string
	if a.text, lang, err = language(); err != nil {
		panic(err)
	}
	setNumerals(a.text)
	root.SetAttribute("lang", lang)
	a.findPlace()
	a.labelAll()
	a.startWorker()
	turn = newTurns()
	a.tree = newTreeView(a)
	a.maps = newMaps(a)
	a.listen()
	a.listenKeys()
	a.listenDrop()
	a.listenSteps()
	a.listenPresets()
	a.listenOthers()
	a.listenReference()
	a.listenDiff()
	a.listenAddress()
	a.listenTheme()
	a.listenShrink()
	a.listenDanger()
	a.listenSelection()
	a.listenColumns()
	a.tidy.listen(a)
	a.listenLeave()
	a.listenLanguage(lang)
	a.drawStatus("")
	go a.work()
	go func() {
		<-a.worker.ready
		a.begin()
	}()
	select {}
}

// labelAll fills in the texts of the page and of its templates.
func (a *app) labelAll() {
	a.label(root)
	for _, t := range list(document.Call("querySelectorAll", "template")) {
		a.label(wrap(t.Get("content")))
	}
}

// label fills in the texts that the markup names.
func (a *app) label(from element) {
	for attr, set := range map[string]func(e element, s string){
		"data-text":             setText,
		"data-text-label":       func(e element, s string) { e.SetAttribute("aria-label", s); e.SetAttribute("title", s) },
		"data-text-placeholder": func(e element, s string) { e.SetAttribute("placeholder", s) },
	} {
		list := from.Call("querySelectorAll", "["+attr+"]")
		for i := range list.Length() {
			e := wrap(list.Index(i))
			set(e, a.text.Text(e.GetAttribute(attr)))
		}
	}
}

func (a *app) startWorker() { a.worker = startWorker(a.crashed) }

// crashed is called when the worker died by itself. All files are opened again in another one, with their steps, unless
// that is what it died of.
func (a *app) crashed() {
	if !a.worker.started {
		show(role("boot-error"), true) // another one would fail as well
		a.setState("error")
		return
	}
	again := a.rebuilding
	a.startWorker()
	hint := "error.crash.hint"
	if len(a.tabs) > 0 && !again {
		hint = "error.crash.rebuilt"
	}
	a.showError(&message.Error{Message: a.text.Text("error.crash.message"), Hint: a.text.Text(hint)}, "error.crash.title")
	show(find(role("error"), "[data-action=reopen]"), len(a.tabs) > 0 && again)
	a.setState("error")
	if len(a.tabs) > 0 && !again {
		a.reopen()
	}
}

func (a *app) setState(s string) { root.SetAttribute("data-state", s) }

// run puts a job at the end of the line. The page is busy from this moment on.
func (a *app) run(j job) {
	a.waiting++
	a.setState("busy")
	a.jobs <- j
}

// work does the jobs, one after the other.
func (a *app) work() {
	for j := range a.jobs {
		ctx, cancel := context.WithCancel(context.Background())
		a.cancel, a.asked = cancel, false
		a.beginMeter(j.own)
		err := j.work(ctx)
		a.endMeter()
		cancel()
		a.cancel = nil
		a.waiting--
		if err != nil && !isCancelled(err) && !errors.Is(err, errCrashed) { // crashed told that itself
			if j.fail != nil {
				j.fail(err)
			} else {
				a.showError(err, "error.failed")
			}
		}
		a.drawStatus("")
		switch {
		case a.waiting > 0:
		case err != nil && !isCancelled(err):
			a.setState("error")
		default:
			a.setState("ready")
		}
	}
}

// stop asks the running job to end; the second time it ends the worker, which cannot refuse.
func (a *app) stop() {
	if a.cancel == nil {
		return
	}
	if !a.asked {
		a.asked = true
		a.cancel()
		return
	}
	a.worker.end(errCancelled)
	a.startWorker()
	if len(a.tabs) > 0 {
		a.hideError()
		a.reopen()
	}
}

func isCancelled(err error) bool {
	var e *message.Error
	return errors.As(err, &e) && e.Code == message.Cancelled || errors.Is(err, context.Canceled)
}

// openFiles opens what was dropped or chosen as one checkpoint. handles, if there is one for each file, are what the page
// remembers them by.
func (a *app) openFiles(files []js.Value, handles ...js.Value) {
	if len(files) == 0 {
		return
	}
	if isRecipe(files) {
		a.openRecipe(files[0])
		return
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Get("name").String())
	}
	a.hideError()
	a.run(job{
		work: func(ctx context.Context) error {
			return a.load(ctx, a.linked(&workspace{files: files, names: names, handles: handles}))
		},
		fail: func(err error) { a.showError(err, "error.open", "name", model.Visible(names[0])) },
	})
}

// reopen opens all files again in a new worker, and applies their recipes.
func (a *app) reopen() {
	a.rebuilding = true
	a.run(job{
		work: func(ctx context.Context) error {
			if err := a.attachAgain(ctx); err != nil {
				return err
			}
			err := a.rebuild(ctx)
			if err == nil || !errors.Is(err, errCrashed) {
				a.rebuilding = false
			}
			return err
		},
		fail: func(error) {}, // rebuild told
	})
}

// load opens the files of w, applies its recipe, and shows it as a tab.
func (a *app) load(ctx context.Context, w *workspace) error {
	defer a.tidy.opening()()
	if err := a.fetch(ctx, w); err != nil {
		return err
	}
	if !a.closePanel() {
		return errCancelled
	}
	a.placeTab(w)
	go a.keepRecent(w)
	return nil
}

// fetch opens the files of w in the worker and applies its recipe. Nothing of the page changes.
func (a *app) fetch(ctx context.Context, w *workspace) error {
	a.drawOpening(w.names[0], message.Progress{})
	defer a.drawOpened()
	method, open := message.Open, any(message.OpenRequest{Names: w.names})
	if w.url != "" {
		method, open = message.OpenURL, message.OpenURLRequest{URL: w.url}
	}
	got, err := a.worker.do(ctx, method, open, &w.about, w.files, func(p message.Progress) { a.drawOpening(w.names[0], p) })
	if err != nil {
		return err
	}
	w.state = w.about.State
	unedited := got.rows
	if w.recipe.Done > 0 || w.recipe.HasAt {
		req := message.ApplyRequest{Handle: w.about.Handle, Recipe: w.recipe.Document()}
		w.state = message.State{}
		edited, err := a.worker.do(ctx, message.Apply, req, &w.state, nil, nil)
		switch {
		case err == nil:
			got = edited
			if w.linked {
				w.effects = w.state.Steps
			}
		case w.linked && !isCancelled(err):
			w.recipe.Done, w.recipe.HasAt, w.state = 0, false, w.about.State
			defer a.showError(err, "link.unfit")
		default:
			return err
		}
	}
	if w.rows, err = message.DecodeRows(got.rows, breathing()); err != nil {
		return err
	}
	w.base = w.rows
	if w.recipe.Done > 0 || w.recipe.HasAt {
		if w.base, err = message.DecodeRows(unedited, breathing()); err != nil {
			return err
		}
	}
	return nil
}

// edit changes the recipe, asks for the result and shows it. If that fails the recipe stays as it was.
func (a *app) edit(change func(r *model.Recipe) bool, fail func(error), done func()) {
	if a.open == nil || a.place.readonly {
		return
	}
	w := a.open
	a.run(job{fail: fail, work: func(ctx context.Context) error {
		if w != a.open {
			return nil // another file was opened in the meantime
		}
		a.drawStatus(a.text.Text("status.applying"))
		next := w.recipe
		if !change(&next) {
			return nil
		}
		var st message.State
		got, err := a.worker.do(ctx, message.Apply, message.ApplyRequest{Handle: w.about.Handle, Recipe: next.Document()}, &st, nil, nil)
		if err != nil {
			return err
		}
		rows, err := message.DecodeRows(got.rows, breathing())
		if err != nil {
			return err
		}
		w.recipe, w.rows, w.state = next, rows, st
		w.effects = append(append([]message.Step(nil), st.Steps...), w.effects[min(len(st.Steps), len(w.effects)):]...)
		w.effects = w.effects[:min(len(w.effects), len(next.Steps))]
		pause()
		a.inspect.forget()
		a.tree.set(rows)
		a.draw()
		if done != nil {
			done()
		}
		return nil
	}})
}

func (a *app) undo() {
	if !a.closePanel() {
		return
	}
	a.edit(func(r *model.Recipe) bool { return r.Undo() }, nil, nil)
}

func (a *app) redo() {
	if !a.closePanel() {
		return
	}
	a.edit(func(r *model.Recipe) bool { return r.Redo() }, nil, nil)
}

func (a *app) setAt(path string) {
	if !a.closePanel() {
		return
	}
	a.edit(func(r *model.Recipe) bool { r.SetAt(path); return true }, nil, nil)
}

func count(n int) string { return model.Number(int64(n)) }

func (a *app) keys(n int) string { return a.text.Count("keys", int64(n), count(n)) }

func itoa(n int) string { return strconv.Itoa(n) }
