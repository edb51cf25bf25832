package pagetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// pack makes the npm package as `npm pack` in web does after a build, and answers its path.
func pack(t *testing.T) string {
	t.Helper()
	if missing != "" {
		t.Skip(missing)
	}
	if testing.Short() {
		t.Skip("installs packages from npm")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("npm is missing")
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "index.js", "index.d.ts", "embed.js", "copy.js", "README.md"} {
		data, err := os.ReadFile(filepath.Join("..", "..", "web", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "dist"), os.DirFS(dist)); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, npm(t, dir, "pack", "--silent"))
}

// npm runs it in a folder and answers the last line that it writes. Without a registry the test is skipped.
func npm(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("npm", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CI=1", "NO_UPDATE_NOTIFIER=1", "DOCUSAURUS_DISABLE_TELEMETRY=1")
	out, err := cmd.CombinedOutput()
	if err != nil && args[0] == "install" && (strings.Contains(string(out), "ENOTFOUND") || strings.Contains(string(out), "ECONNREFUSED") || strings.Contains(string(out), "EAI_AGAIN")) {
		t.Skipf("no npm registry: %s", out)
	}
	if err != nil {
		t.Fatalf("npm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// project is a fresh copy of testdata/name with the package installed, and built. WEIGHTROOM_NPM names a folder in which
// what was installed is kept for the next run.
func project(t *testing.T, name string) string {
	t.Helper()
	archive := pack(t)
	dir := t.TempDir()
	if keep := os.Getenv("WEIGHTROOM_NPM"); keep != "" {
		dir = filepath.Join(keep, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copyOver(t, filepath.Join("testdata", name), dir)
	for _, name := range []string{"node_modules/.cache", "node_modules/@weightroom", ".docusaurus"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil { // they take a package of the same version for the same
			t.Fatal(err)
		}
	}
	npm(t, dir, "install", "--no-audit", "--no-fund", "--no-save", archive)
	return dir
}

func copyOver(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func copyModel(t *testing.T, to string) {
	t.Helper()
	data, err := os.ReadFile(fixture("dataparallel_sgd.pth"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// A fresh Vite project with the packed package.
func TestVite(t *testing.T) {
	dir := project(t, "vite")
	copyModel(t, filepath.Join(dir, "public", "model.pth"))
	npm(t, dir, "run", "build")
	s := newSite(t, filepath.Join(dir, "dist"), "/")
	b := emptyTab(t)
	b.do(chromedp.Navigate(s.URL))
	b.untilSoon("document.getElementById('told').textContent === 'model.pth: 15 keys, true'")
	b.shot("vite")
	b.clean()
}

// A Docusaurus site: rendered in Node first, then the elements come to life; they follow the site's switch of theme.
func TestDocusaurus(t *testing.T) {
	if os.Getenv("WEIGHTROOM_NPM") == "" {
		t.Skip("installs a thousand packages: set WEIGHTROOM_NPM to a folder to keep them in")
	}
	dir := project(t, "docusaurus")
	copyModel(t, filepath.Join(dir, "static", "model.pth"))
	npm(t, dir, "run", "build")
	s := newSite(t, filepath.Join(dir, "build"), "/zoo/")
	b := emptyTab(t)
	b.size(1280, 1100)
	command(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: record})
	b.do(chromedp.Navigate(s.URL + "/zoo/"))
	b.untilSoon("got.filter(e => e.type === 'open' && e.keys === 15).length === 2")
	b.shot("docusaurus")
	js[bool](b, "(document.documentElement.dataset.theme = 'dark', true)")
	b.untilSoon("document.querySelector('weightroom-viewer').shadowRoot.querySelector('iframe').style.colorScheme === 'dark'")
	time.Sleep(time.Second)
	b.shot("docusaurus-dark")
	b.clean()
}
