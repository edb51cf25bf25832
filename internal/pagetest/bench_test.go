package pagetest

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/weightroom/weightroom/statedict"
)

// weights writes a torch file of so many GiB of float32 in tensors of 64 MiB and gives its path.
func weights(t *testing.T, gib float64) string {
	t.Helper()
	const side = 4096
	n := max(1, int(gib*16))
	head := map[string]any{}
	for i := range n {
		head[fmt.Sprintf("layers.%d.weight", i)] = map[string]any{"dtype": "F32", "shape": []int{side, side}, "data_offsets": []int{i * side * side * 4, (i + 1) * side * side * 4}}
	}
	text, err := json.Marshal(head)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	flat := filepath.Join(dir, "flat.safetensors")
	f, err := os.Create(flat)
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(flat)
	defer f.Close()
	out := bufio.NewWriter(f)
	out.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text))))
	out.Write(text)
	rnd := rand.New(rand.NewPCG(5, 6))
	values := make([]byte, 0, side*side*4)
	for range side * side {
		values = binary.LittleEndian.AppendUint32(values, math.Float32bits(float32(rnd.NormFloat64()*0.02)))
	}
	for range n {
		out.Write(values)
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	cp, err := statedict.Open(ctx, statedict.Source{Name: "flat.safetensors", R: f, Size: info.Size()})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := statedict.NewPlan(cp, statedict.TorchZip, &statedict.PlanOptions{Name: "weights.pth"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "weights.pth")
	torch, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer torch.Close()
	if err := plan.Files[0].Write(ctx, torch, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestExportSpeed times whole exports, from the click to the last byte of the download: copied, and cast to float16.
// WEIGHTROOM_BENCH_EXPORT is the size of the file in GiB; scripts/bench-convert.sh sets it.
func TestExportSpeed(t *testing.T) {
	gib, err := strconv.ParseFloat(os.Getenv("WEIGHTROOM_BENCH_EXPORT"), 64)
	if err != nil {
		t.Skip("WEIGHTROOM_BENCH_EXPORT names no size in GiB")
	}
	file := weights(t, gib)
	b := longTab(t, 20*time.Minute)
	b.do(chromedp.Navigate(server.URL + "/some/where/"))
	b.wait("ready")
	export := func(what, road string) time.Duration {
		t.Helper()
		b.click("export")
		b.fill("name", what+".pth")
		js[bool](b, `(() => { document.querySelector('[data-field=road]').value = $1; return true })()`, road)
		b.until("!document.querySelector('[data-action=apply]').disabled")
		path := filepath.Join(b.downloads, what+".pth")
		start := time.Now()
		js[bool](b, "(document.querySelector('[data-action=apply]').click(), true)")
		for b.str("document.querySelector('.saved').hidden") == "true" {
			if p := b.str("document.querySelector('.preview-error')?.innerText"); p != "" || time.Since(start) > 10*time.Minute {
				t.Fatalf("after %v: %s", time.Since(start), p)
			}
			time.Sleep(20 * time.Millisecond)
		}
		composed := time.Since(start)
		for {
			partial, _ := filepath.Glob(filepath.Join(b.downloads, "*.crdownload"))
			if info, err := os.Stat(path); err == nil && info.Size() > 0 && len(partial) == 0 {
				break
			}
			if time.Since(start) > 10*time.Minute {
				t.Fatalf("%s was not downloaded", path)
			}
			time.Sleep(20 * time.Millisecond)
		}
		took := time.Since(start)
		t.Logf("%-10s %6.2f s (%.2f s until the download), %.0f MB/s of input; %s", what, took.Seconds(), composed.Seconds(), gib*(1<<30)/1e6/took.Seconds(), b.str("document.querySelector('.road-taken').innerText"))
		os.Remove(path)
		b.click("close-panel")
		return took
	}
	b.choose(file)
	copied := export("copied", "processor")
	b.more()
	b.edit("cast", "to", "float16")
	cast := export("cast", "processor")
	t.Logf("ratio of the cast export to the copied one: %.2f", cast.Seconds()/copied.Seconds())
}
