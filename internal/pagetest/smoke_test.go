package pagetest

import (
	"os"
	"path/filepath"
	"testing"
)

func corpus(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("WEIGHTROOM_CORPUS")
	if dir == "" {
		t.Skip("WEIGHTROOM_CORPUS names no folder")
	}
	return filepath.Join(dir, name)
}

func TestSmoke(t *testing.T) {
	b := newTab(t)
	b.shot("empty")
	b.choose(corpus(t, "burn__multi_layer.safetensors"))
	t.Log(b.role("summary"), b.paths("tensor"), b.role("error"))
	b.shot("small")
	b.clean()
}
