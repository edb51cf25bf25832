package pagetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// block is the first code block of a language in a page of docs/embedding.
func block(t *testing.T, name, lang string) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(mustRead(t, filepath.Join("..", "..", "docs", "embedding", name))), "\n```"+lang+"\n")
	text, _, closed := strings.Cut(rest, "\n```")
	if !ok || !closed {
		t.Fatalf("%s has no block of %s", name, lang)
	}
	return text
}

// The pages that MkDocs and Sphinx make of what docs/embedding tells to write, put together by hand after their output: neither is run
// here. The lines are those of the docs themselves.
func TestDocsPages(t *testing.T) {
	if missing != "" {
		t.Skip(missing)
	}
	const model = "resnet18.pth"
	element := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(block(t, "sphinx.md", "rst")), ".. raw:: html"))
	script := strings.SplitN(block(t, "mkdocs.md", "yaml"), "- ", 2)[1]
	for name, c := range map[string]struct {
		files map[string]string // page and what belongs to it
		page  string
		model string
		dark  string // how the theme's switch makes it dark
	}{
		// mkdocs: a folder for each page, the script at the end of the body, Markdown's paragraph around an element that it doesn't know.
		"mkdocs": {map[string]string{"zoo/index.html": `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Zoo</title><link rel="icon" href="data:,">
			<style>body { background: #fff } [data-md-color-scheme=slate] { background: #1e2129 }</style></head><body data-md-color-scheme="default"><main><p>` +
			block(t, "mkdocs.md", "html") + `</p></main><script src="../` + script + `"></script></body></html>`},
			"zoo/", "models/" + model, `document.body.setAttribute("data-md-color-scheme", "slate")`},
		// sphinx: scripts in the head, with a version behind their name.
		"sphinx": {map[string]string{"_static/weightroom-here.js": block(t, "sphinx.md", "js"), "zoo.html": `<!DOCTYPE html><html lang="en" data-content_root="./"><head><meta charset="utf-8">
			<title>Zoo</title><link rel="icon" href="data:,"><style>body { background: #fff } body[data-theme=dark] { background: #131416 }</style>
			<script src="_static/weightroom-here.js?v=5fa4622c"></script></head><body><article>` + element + `</article></body></html>`},
			"zoo.html", "_static/" + model, `document.body.dataset.theme = "dark"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(filepath.Join(dir, "weightroom"), os.DirFS(dist)); err != nil {
				t.Fatal(err)
			}
			c.files[c.model] = string(mustRead(t, fixture("dataparallel_sgd.pth")))
			for name, text := range c.files {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			s := newSite(t, dir, "/project/")
			b := emptyTab(t)
			command(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: record})
			b.do(chromedp.Navigate(s.URL + "/project/" + c.page))
			b.until("got.some(e => e.type === 'open')")
			if got := js[string](b, "got.map(e => e.type + ' ' + e.name + ' ' + e.keys).join()"); got != "open "+model+" 15" {
				t.Errorf("events %s", got)
			}
			const scheme = "document.querySelector('weightroom-viewer').shadowRoot.querySelector('iframe').style.colorScheme === $1"
			b.until(scheme, "light")
			js[bool](b, "("+c.dark+", true)")
			b.until(scheme, "dark")
			b.shot("docs-" + name)
			b.clean()
		})
	}
}
