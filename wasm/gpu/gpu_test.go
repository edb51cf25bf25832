//go:build !js

package gpu

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

const page = `<!doctype html><meta charset="utf-8"><title>check</title>
<script src="wasm_exec.js"></script><script src="simd.js"></script>
<script>
globalThis.lines = [];
const create = GPUDevice.prototype.createBuffer;
globalThis.broken = {
	"out of memory"() { throw new RangeError("createBuffer failed, size is too large for the implementation"); },
	"invalid"(options) { return create.call(this, { ...options, size: 2 ** 40 }); },
};
globalThis.dense = %d;
(async () => {
	const go = new Go();
	const simd = weightroomSIMD(go);
	const program = await WebAssembly.instantiateStreaming(fetch("check.wasm"), go.importObject);
	simd.attach(program.instance, await WebAssembly.compileStreaming(fetch("simd.wasm")));
	await go.run(program.instance);
})().catch((e) => lines.push("FAIL: " + e, "done"));
</script>`

// TestChromium runs testdata/check in headless Chromium on its software adapter.
func TestChromium(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Skip("no Chromium here")
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "check.wasm"), "./testdata/check")
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dense, limit := 1<<24, 10*time.Minute
	if testing.Short() {
		dense, limit = 1<<16, 2*time.Minute
	}
	files := map[string]string{
		"/wasm_exec.js": filepath.Join(strings.TrimSpace(string(root)), "lib/wasm/wasm_exec.js"),
		"/check.wasm":   filepath.Join(dir, "check.wasm"),
		"/simd.js":      "../simd/simd.js", "/simd.wasm": "../simd/simd.wasm",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := files[r.URL.Path]; ok {
			if strings.HasSuffix(name, ".wasm") {
				w.Header().Set("Content-Type", "application/wasm")
			}
			http.ServeFile(w, r, name)
			return
		}
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, page, dense)
	}))
	defer server.Close()

	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser), chromedp.UserDataDir(filepath.Join(dir, "profile")), chromedp.Flag("headless", "new"), chromedp.NoSandbox,
		chromedp.Flag("enable-unsafe-webgpu", true), chromedp.Flag("use-webgpu-adapter", "swiftshader"), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, limit)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Navigate(server.URL)); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for len(lines) == 0 || lines[len(lines)-1] != "done" {
		time.Sleep(200 * time.Millisecond)
		got, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`lines`))
		if err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
		}
		lines = got
	}
	t.Log(strings.Join(lines, "\n"))
	all := strings.Join(lines, "\n")
	if strings.Contains(all, "FAIL") {
		t.Error("see above")
	}
	for _, want := range []string{"software true", "pairs 72 differ 0", "broken before the first chunk", "broken between two chunks", "broken while a chunk is on its way", "interrupted and used again", "broken out of memory: WebGPU: out of device memory", "broken invalid: WebGPU: validation failed", "forced: device"} {
		if !strings.Contains(all, want) {
			t.Errorf("no line with %q", want)
		}
	}
}
