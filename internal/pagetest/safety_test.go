package pagetest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/internal/hostiletest"
	"github.com/weightroom/weightroom/statedict"
)

// named is a line of a list of globals.
type named struct{ Name, Verdict, Depth, Effect, Where string }

// named reads the list in the box of a role; nothing where the box is hidden.
func (b *tab) named(box string) []named {
	b.Helper()
	return js[[]named](b, `(box => box.hidden ? [] : [...box.querySelectorAll("li[data-verdict]")].map(li => ({Name: li.querySelector("bdi").textContent,
		Verdict: li.dataset.verdict, Depth: li.dataset.depth, Effect: li.querySelector(".effect").textContent, Where: li.querySelector(".where").textContent || li.title})))(
		document.querySelector("[data-role=" + $1 + "]"))`, box)
}

// verdict opens a file and answers the box that lists its globals: "globals", or "error-globals" where it is refused.
func (b *tab) verdict(path string) string {
	b.Helper()
	b.choose(path)
	b.until(`(state => state === "ready" ? document.querySelector("[data-role=file-name]").textContent === $1 :
		state === "error" && document.querySelector("[data-role=error-title]").textContent.includes($1))(document.documentElement.dataset.state)`, filepath.Base(path))
	if b.str("document.documentElement.dataset.state") == "error" {
		return "error-globals"
	}
	return "globals"
}

// What the page says of every hostile file is what the scan of the codec says: the same names in the same order, also where
// the file does not open.
func TestSafetyPanel(t *testing.T) {
	rows, err := hostiletest.All("../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	rows = slices.DeleteFunc(rows, func(r hostiletest.Row) bool { return len(r.Globals)+len(r.Scan) == 0 && r.Class != "exec" })
	b := newTab(t)
	opened, refused, names := 0, 0, 0
	for _, row := range rows {
		path, err := filepath.Abs(row.Path())
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		scan, _ := statedict.Scan(context.Background(), statedict.Source{Name: row.File, R: bytes.NewReader(data), Size: int64(len(data))})
		box := b.verdict(path)
		if box == "globals" {
			opened++
		} else {
			refused++
		}
		got := b.named(box)
		var want, have []string
		if scan != nil {
			for _, g := range scan.Globals {
				want = append(want, hostiletest.Escape(g.String())+" "+g.Verdict())
			}
		}
		for _, g := range got {
			have = append(have, g.Name+" "+g.Verdict)
			if (g.Verdict == "safe") != (g.Effect == "") || g.Where == "" {
				t.Errorf("%s: %+v", row.File, g)
			}
		}
		if box == "globals" {
			worst := slices.ContainsFunc(got, func(g named) bool { return g.Verdict == "unsafe" })
			if shown := js[bool](b, `!document.querySelector("[data-action=danger]").hidden`); shown != worst {
				t.Errorf("%s: the badge beside the name is shown: %t", row.File, shown)
			}
		}
		names += len(have)
		if !slices.Equal(want, have) {
			t.Errorf("%s: the page lists %q, the scan %q", row.File, have, want)
		}
		for _, wrong := range row.CheckScan(unescaped(scan), box == "error-globals") {
			t.Errorf("%s: %s", row.File, wrong)
		}
	}
	t.Logf("%d files open, %d are refused, %d names", opened, refused, names)
	b.clean()
}

// unescaped is the names of a scan.
func unescaped(scan *statedict.ScanReport) (out []string) {
	if scan != nil {
		for _, g := range scan.Globals {
			out = append(out, g.String())
		}
	}
	return out
}

// The panel in words: pickles in pickles, the old format's five, what was seen in front of a fault, and code that is text.
func TestSafetyWords(t *testing.T) {
	b := newTab(t)
	b.choose(fixture("hostile/12-exec-loads-twice.pth"))
	got := b.named("globals")
	var deep []string
	for _, g := range got {
		if g.Verdict == "unsafe" {
			deep = append(deep, g.Name+" "+g.Depth)
		}
	}
	if want := "pickle.loads 0,dill.loads 1,os.system 2"; strings.Join(deep, ",") != want {
		t.Errorf("nested: %q, want %s", deep, want)
	}
	if last := got[len(got)-1]; !strings.Contains(last.Where, "Called") || !strings.Contains(last.Where, "inside that pickle") || !strings.Contains(last.Effect, "commands of the system") {
		t.Errorf("the last one: %+v", last)
	}
	if title := b.role("globals-title"); title != "3 names outside PyTorch’s safe list" {
		t.Errorf("title %q", title)
	}
	js[bool](b, "(document.querySelector('[data-role=globals]').scrollIntoView(), true)")
	b.shot("safety")
	b.dark(true)
	b.shot("safety-dark")
	b.dark(false)

	box := b.verdict(fixture("hostile/20-exec-legacy-protocol.pth"))
	if got := b.named(box); len(got) == 0 || got[0].Name != "os.system" || !strings.Contains(got[0].Where, "byte ") {
		t.Errorf("the second pickle of the old format: %+v", got)
	}
	b.verdict(fixture("torchscript.pt"))
	b.until("document.querySelector('.code-text')?.textContent.includes('def forward')")
	if got := b.role("finding-list"); !strings.Contains(got, "TorchScript source") {
		t.Errorf("code is a finding: %q", got)
	}

	// A file that is refused says what was seen of it.
	b = newTab(t)
	if box := b.verdict(refused(t)); box != "error-globals" {
		t.Fatalf("in the box %s", box)
	}
	if got := b.named("error-globals"); !slices.ContainsFunc(got, func(g named) bool { return g.Name == "os.system" && g.Verdict == "unsafe" }) {
		t.Errorf("in front of the fault: %+v", got)
	}
	b.shot("safety-refused")
	b.clean()
}

// refused is a file that does not open, and whose pickle names os.system.
func refused(t *testing.T) string {
	t.Helper()
	rows, err := hostiletest.Read("../../testdata/hostile")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if len(row.Scan) > 0 && slices.Equal(row.Expect, []string{"reject"}) {
			return write(t, row.File, mustRead(t, row.Path()))
		}
	}
	t.Skip("no such file")
	return ""
}
