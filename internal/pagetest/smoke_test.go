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
	b.choose(corpus(t, "pytorch_resnet_cifar10__resnet20-12fca82f.th"))
	t.Log(b.role("summary"), b.role("error"))
	b.shot("resnet")
	b.click("strip-prefix")
	b.fill("prefix", "module.")
	b.shot("strip")
	b.apply()
	b.shot("stripped")
	b.clean()
}
