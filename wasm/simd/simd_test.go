//go:build !js

package simd

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestHelper runs testdata/check in Node with the helper attached and without.
func TestHelper(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not there")
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "check.wasm")
	build := exec.Command("go", "build", "-o", program, "./testdata/check")
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	exec := func(helper ...string) string {
		args := append([]string{"testdata/run.cjs", filepath.Join(strings.TrimSpace(string(root)), "lib/wasm/wasm_exec.js"), program}, helper...)
		out, err := exec.Command(node, args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "pairs 18 differ 0") {
			t.Errorf("helper %q: %v\n%s", helper, err, out)
		}
		return string(out)
	}
	out := exec("simd.wasm")
	t.Log(out)
	// Only with the helper is the first figure far above the second: it did not silently fall back.
	if !strings.Contains(out, "float32 -> float16: helper") || ratioBelow(out, "float32 -> float16", 2) {
		t.Error("float32 -> float16: the helper is not twice as quick as Go's loops")
	}
	exec()
}

// ratioBelow finds the pair's line and compares the ratio in it.
func ratioBelow(out, pair string, least float64) bool {
	for _, line := range strings.Split(out, "\n") {
		if strings.Contains(line, pair+":") {
			_, ratio, _ := strings.Cut(line, "ratio ")
			ratio, _, _ = strings.Cut(ratio, ";")
			whole, _, _ := strings.Cut(ratio, ".")
			return len(whole) == 1 && float64(whole[0]-'0') < least
		}
	}
	return true
}

// TestRebuild assembles simd.wat again and compares.
func TestRebuild(t *testing.T) {
	if testing.Short() {
		t.Skip("asks the npm registry for the assembler")
	}
	out, err := exec.Command("../../scripts/build-simd.sh", "--check").CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.As(err, &exit) && exit.ExitCode() == 75:
		t.Skipf("no assembler: %s", out)
	case err != nil:
		t.Errorf("simd.wasm is not what simd.wat gives: %v\n%s", err, out)
	}
}
