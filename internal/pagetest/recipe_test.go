package pagetest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/weightroom/weightroom/statedict"
)

// other gives files to the input for a second file and waits until they are open.
func (b *tab) other(paths ...string) {
	b.Helper()
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#other"), paths))
	b.until("document.documentElement.dataset.state === 'ready'")
}

// step presses a button of a step of the recipe, counted from 0.
func (b *tab) step(i int, name string) {
	b.Helper()
	js[bool](b, `(() => { document.querySelector('[data-index="' + $1 + '"] [data-step=' + $2 + ']').click(); return true })()`, string(rune('0'+i)), name)
}

// more opens the operations that have no place on the first row.
func (b *tab) more() {
	b.Helper()
	js[bool](b, `(document.querySelector('.more-operations').open = true)`)
}

func (b *tab) steps() string {
	b.Helper()
	return b.str(`[...document.querySelectorAll('[data-role=steps] .step:not(.undone)')].map(s => s.querySelector('.step-name').innerText + ' ' + s.querySelector('.step-args').innerText).join('; ')`)
}

// with is what the codec makes of a file and others that the recipe names.
func with(t *testing.T, path, recipe string, others ...string) []byte {
	t.Helper()
	r := mustRecipe(t, recipe)
	named := map[string]*statedict.Checkpoint{}
	for _, o := range others {
		named[filepath.Base(o)] = open(t, o)
	}
	cp, _, err := r.Apply(open(t, path), named)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := statedict.NewPlan(cp, statedict.Safetensors, &statedict.PlanOptions{Name: "out.safetensors"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := plan.Files[0].Write(context.Background(), &out, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Strip, keep what the model knows, save: and the model takes it.
func TestKeepKnownStory(t *testing.T) {
	b := newTab(t)
	file := safetensors(t, "module.a.w", "module.a.b", "module.extra.w")
	model := write(t, "model.safetensors", mustRead(t, safetensors(t, "a.w", "a.b")))
	b.choose(file)
	b.other(model)
	b.until("document.querySelector('[data-action=fit-unexpected] b').innerText === '3'")
	if got := b.str("document.querySelector('[data-action=fit-missing] b').innerText"); got != "2" {
		t.Errorf("%s keys missing", got)
	}
	b.edit("strip-prefix", "prefix", "module.")
	b.until("document.querySelector('[data-action=fit-ok] b').innerText === '2'")
	js[bool](b, "(document.querySelector('[data-action=fit-unexpected]').click(), true)")
	b.until("document.querySelectorAll('.row[data-kind=tensor]:not([hidden])').length === 1")
	if got := b.paths("tensor"); strings.Join(got, " ") != "extra.w" {
		t.Errorf("unexpected rows %q", got)
	}
	b.shot("fit")
	js[bool](b, "(document.querySelector('[data-action=fit-unexpected]').click(), true)")
	b.more()
	b.click("keep-known")
	b.until("document.querySelector('.preview-line').innerText.includes('1')")
	b.apply()
	b.until("document.querySelector('[data-role=fit-verdict]').innerText.includes('takes it')")
	got := b.export("safetensors", "out.safetensors")
	want := with(t, file, `{"recipe":1,"steps":[{"strip_prefix":"module."},{"keep_known":"model.safetensors"}]}`, model)
	if !bytes.Equal(got, want) {
		t.Errorf("keys %q, want %q", keys(openBytes(t, got)), keys(openBytes(t, want)))
	}
	b.clean()
}

func TestMergeStory(t *testing.T) {
	b := newTab(t)
	file := safetensors(t, "a.w", "a.b")
	head := write(t, "head.safetensors", mustRead(t, safetensors(t, "fc.w", "fc.b")))
	b.choose(file)
	b.more()
	b.click("merge")
	b.other(head)
	b.until("document.querySelector('.preview-line').innerText.includes('2')")
	b.fill("prefix", "head.")
	b.apply()
	got := b.export("safetensors", "out.safetensors")
	want := with(t, file, `{"recipe":1,"steps":[{"merge":{"from":"head.safetensors","prefix":"head."}}]}`, head)
	if !bytes.Equal(got, want) {
		t.Errorf("keys %q, want %q", keys(openBytes(t, got)), keys(openBytes(t, want)))
	}
	b.clean()
}

// Every change of the list can be undone and done again: a step changed, moved, removed.
func TestRecipeList(t *testing.T) {
	b := newTab(t)
	file := safetensors(t, "module.a.w", "module.b.w", "module.c.w")
	b.choose(file)
	b.edit("strip-prefix", "prefix", "module.")
	b.edit("drop", "match", "c.*")
	b.edit("add-prefix", "prefix", "net.")
	seen := []string{b.steps()}
	b.step(1, "edit")
	b.fill("match", "b.*")
	b.until("document.querySelector('.preview .change')?.innerText.includes('b.w')")
	b.apply()
	seen = append(seen, b.steps())
	b.step(2, "up")
	b.wait("error") // the pattern matches nothing then
	b.click("dismiss")
	if got := b.steps(); got != seen[1] {
		t.Errorf("a move that cannot be done left %q", got)
	}
	b.step(1, "remove")
	b.until("document.querySelectorAll('[data-role=steps] .step').length === 2")
	seen = append(seen, b.steps())
	for i := len(seen) - 2; i >= 0; i-- {
		b.click("undo")
		b.wait("ready")
		if got := b.steps(); got != seen[i] {
			t.Errorf("undone to %q, it was %q", got, seen[i])
		}
	}
	for range 3 {
		b.click("undo")
		b.wait("ready")
	}
	if got := b.steps(); got != "" || b.role("summary") != "3 keys · 24 B" {
		t.Errorf("after all is undone: %q, %q", got, b.role("summary"))
	}
	for range 5 {
		b.click("redo")
		b.wait("ready")
	}
	if got := b.steps(); got != seen[2] {
		t.Errorf("done again to %q, it was %q", got, seen[2])
	}
	// Kept as a document, and applied to the file anew.
	b.click("save-recipe")
	doc := b.saved("-recipe.yaml")
	if _, err := statedict.ParseRecipe(doc); err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	again := newTab(t)
	again.choose(file)
	again.do(chromedp.SetUploadFiles(chromedp.CSS("#recipe"), []string{write(t, "r.yaml", doc)}))
	again.until("document.querySelectorAll('[data-role=steps] .step').length === 2")
	again.wait("ready")
	if got := again.steps(); got != seen[2] {
		t.Errorf("the document says %q, it was %q", got, seen[2])
	}
	got := again.export("safetensors", "out.safetensors")
	if want := native(t, file, string(doc), statedict.Safetensors); !bytes.Equal(got, want) {
		t.Errorf("keys %q, want %q", keys(openBytes(t, got)), keys(openBytes(t, want)))
	}
	b.clean()
	again.clean()
}

// saved is the downloaded file whose name ends so.
func (b *tab) saved(ending string) []byte {
	b.Helper()
	for range 200 {
		if names, _ := filepath.Glob(filepath.Join(b.downloads, "*"+ending)); len(names) == 1 {
			if data, err := os.ReadFile(names[0]); err == nil && len(data) > 0 {
				return data
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.Fatalf("nothing was saved as *%s", ending)
	return nil
}

// The error that torch raised names the prefix that is too much.
func TestPastedError(t *testing.T) {
	b := newTab(t)
	file := safetensors(t, "module.a.w", "module.a.b")
	b.choose(file)
	b.click("paste-error")
	b.set("[data-field=pasted]", "RuntimeError: Error(s) in loading state_dict for Net:\n\tMissing key(s) in state_dict: \"a.w\", \"a.b\". \n\tUnexpected key(s) in state_dict: \"module.a.w\", \"module.a.b\". ")
	b.click("use-pasted")
	b.until("!document.querySelector('[data-role=suggestion]').hidden")
	b.shot("suggestion")
	b.click("take-suggestion")
	b.until("document.querySelector('[data-role=fit-verdict]').innerText.includes('takes it')")
	if got := strings.Join(b.paths("tensor"), " "); got != "a.w a.b" {
		t.Errorf("rows %q", got)
	}
	b.clean()
}
func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
