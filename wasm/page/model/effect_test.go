package model

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/web/texts"
)

// What the scan says about the hostile files has a text in the page.
func TestEffects(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/hostile/*-exec-*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	seen := map[string]bool{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		r, err := statedict.Scan(context.Background(), statedict.Source{Name: f, R: bytes.NewReader(data), Size: int64(len(data))})
		if err != nil {
			continue
		}
		for _, g := range r.Globals {
			if g.Effect != "" && Effects[g.Effect] == "" {
				t.Errorf("%s: %s: no text for %q", f, g.String(), g.Effect)
			}
			seen[Effects[g.Effect]] = true
		}
	}
	if len(seen) < 4 {
		t.Errorf("only %v were seen", seen)
	}
	c, err := texts.Load("en")
	if err != nil {
		t.Fatal(err)
	}
	for english, slug := range Effects {
		if !c.Has("effect." + slug) {
			t.Errorf("no text for %q", english)
		}
	}
}

func TestASCII(t *testing.T) {
	for s, want := range map[string]string{
		"torch.Size": "torch.Size", "c\u043ellections.x": `c\u043ellections.x`, "torch.Size\x00": `torch.Size\x00`, "é": `\xe9`, "\U0001d4ae": `\U0001d4ae`,
	} {
		if got := ASCII(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}
