package pagetest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/weightroom/weightroom/statedict"
)

// breaker destroys the device at a submission, counted from when a test says so.
const breaker = `window.prelude = "let left = 0, device; addEventListener('message', e => { if (!e.data?.lose) return; e.stopImmediatePropagation(); left = e.data.lose });" +
	"const ask = GPUAdapter.prototype.requestDevice; GPUAdapter.prototype.requestDevice = async function (...a) { return device = await ask.apply(this, a) };" +
	"const submit = GPUQueue.prototype.submit; GPUQueue.prototype.submit = function (...a) { if (left > 0 && --left === 0) device.destroy(); return submit.apply(this, a) };\n"`

// floats is a file of one tensor of n random float32 patterns, NaNs and all.
func floats(t *testing.T, n int) string {
	t.Helper()
	head := fmt.Sprintf(`{"w":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}`, n, 4*n)
	head += strings.Repeat(" ", (8-len(head)%8)%8)
	data := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
	data = append(data, head...)
	r := rand.New(rand.NewPCG(1, 2))
	for range n {
		data = binary.LittleEndian.AppendUint32(data, r.Uint32())
	}
	return write(t, "floats.safetensors", data)
}

// road chooses where the next export casts.
func (b *tab) cast(road, format, name string) []byte {
	b.Helper()
	b.click("export")
	b.pick(format)
	js[bool](b, `(() => { document.querySelector('[data-field=road]').value = $1; return true })()`, road)
	b.fill("name", name)
	b.apply()
	return b.saved(name)
}

func (b *tab) taken(where string) int {
	b.Helper()
	n, err := strconv.Atoi(b.str("document.querySelector('.road-taken').dataset." + where))
	if err != nil {
		b.Fatalf("the export says %q", b.str("document.querySelector('.panel')?.innerText"))
	}
	return n
}

// The GPU, the processor and the command write the same file, also when the device is lost at the first chunk, between
// two and at the last.
func TestCastRoads(t *testing.T) {
	b := emptyTab(t)
	command(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: breaker})
	b.do(chromedp.Navigate(server.URL + "/some/where/"))
	b.wait("ready")
	const n = 6 << 20 // three chunks
	file := floats(t, n)
	b.choose(file)
	b.wait("ready")
	b.more()
	b.click("cast")
	b.fill("to", "bfloat16")
	b.shot("cast")
	b.click("loss")
	b.wait("ready")
	t.Log(b.str("document.querySelector('.loss').innerText"))
	if got := b.str("document.querySelector('.loss').innerText"); !strings.HasPrefix(got, "Of 6,291,456 values ") {
		t.Errorf("the loss is told as %q", got)
	}
	b.apply()
	told := ""
	for _, format := range []string{"safetensors", "torch"} {
		kind := map[string]statedict.Format{"safetensors": statedict.Safetensors, "torch": statedict.TorchZip}[format]
		ending := map[string]string{"safetensors": ".safetensors", "torch": ".pth"}[format]
		same := func(road, name string, lose int) {
			t.Helper()
			if lose > 0 {
				js[bool](b, "(workers.at(-1).postMessage({lose: $1, id: 0, method: ''}), true)", lose)
			}
			name += ending
			got := b.cast(road, format, name)
			want := nativeAs(t, file, `{"recipe":1,"steps":[{"cast":"bfloat16"}]}`, kind, name)
			if !bytes.Equal(got, want) {
				t.Errorf("%s: the page saved %d bytes, the codec writes %d others", name, len(got), len(want))
			}
			device, processor := b.taken("device"), b.taken("processor")
			t.Log(name, b.str("document.querySelector('.road-taken').innerText"))
			switch {
			case device+processor != 2*n:
				t.Errorf("%s: %d and %d bytes cast", name, device, processor)
			case road == "processor" && device > 0, road == "gpu" && lose == 0 && processor > 0, lose > 0 && processor == 0:
				t.Errorf("%s: %d bytes on the device, %d on the processor", name, device, processor)
			}
			// The losses are told, and are the same on every road.
			losses := b.str("document.querySelector('.panel .findings').innerText")
			if told == "" {
				told = losses
			}
			if losses != told || !strings.Contains(losses, "109 values became infinite, 100 became zero and 24,319 NaN changed") {
				t.Errorf("%s: the export tells of %q, another of %q", name, losses, told)
			}
			if name == "gpu.pth" {
				b.shot("cast-saved")
				b.dark(true)
				b.size(390, 844)
				b.shot("cast-saved-phone-dark")
				b.size(1280, 800)
				b.dark(false)
			}
			b.click("close-panel")
		}
		same("processor", "cpu", 0)
		same("gpu", "gpu", 0)
		if format == "safetensors" {
			for lose := 1; lose <= 3; lose++ {
				same("gpu", fmt.Sprint("lost", lose), lose)
				same("gpu", fmt.Sprint("again", lose), 0)
			}
		}
	}
	b.clean()
}
