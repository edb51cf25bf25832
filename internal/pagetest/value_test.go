package pagetest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weightroom/weightroom/statedict"
)

// python runs a script with real PyTorch and NumPy; the test is skipped without them.
func python(t *testing.T, script string, args ...string) string {
	t.Helper()
	if exec.Command("/usr/bin/python3", "-c", "import torch, numpy").Run() != nil {
		t.Skip("no PyTorch")
	}
	out, err := exec.Command("/usr/bin/python3", append([]string{"-c", script}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// downloaded waits for a file of the browser's downloads.
func (b *tab) downloaded(name string) string {
	b.Helper()
	path := filepath.Join(b.downloads, name)
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			return path
		}
		if time.Since(start) > patience {
			b.Fatalf("%s was not downloaded; error %q", name, b.role("error"))
		}
	}
}

// values are the elements of a tensor of a file, as the codec reads them.
func values(t *testing.T, file, path string) []float64 {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cp := openBytes(t, data)
	for i := range cp.Entries {
		if e := &cp.Entries[i]; e.Path() == path {
			got, err := cp.Inspect(context.Background(), e.View, statedict.InspectOptions{NoHash: true, NoStats: true, Values: int(e.Numel())})
			if err != nil {
				t.Fatal(err)
			}
			var out []float64
			for _, x := range got.Values {
				out = append(out, x.(float64))
			}
			return out
		}
	}
	t.Fatalf("no %s in %s", path, file)
	return nil
}

// A tensor saved as .npy is what NumPy loads: a strided one gathered, one of a type that NumPy lacks with a note.
func TestSaveArray(t *testing.T) {
	b := newTab(t)
	b.choose(fixture("tied_strided_views.pth"))
	b.selectRow("transposed")
	b.str("document.querySelector('[data-action=save-array]').click()")
	file := b.downloaded("transposed.npy")
	b.wait("ready")
	got := python(t, `import sys, torch, numpy
a, d = numpy.load(sys.argv[1], allow_pickle=False), torch.load(sys.argv[2])
print(a.dtype, a.shape, numpy.array_equal(a, d["transposed"].numpy()))`, file, fixture("tied_strided_views.pth"))
	if got != "float32 (3, 4) True" {
		t.Errorf("NumPy has %s", got)
	}
	b.choose(fixture("bf16_half.pth"))
	path := b.str("[...document.querySelectorAll('[role=row][data-type=bfloat16]')].find(r => !r.hidden && r.dataset.kind === 'tensor').dataset.path")
	b.selectRow(path)
	if note := b.str("document.querySelector('.array-note').innerText"); !strings.Contains(note, "umpy has no bfloat16") {
		t.Errorf("the note is %q", note)
	}
	b.str("document.querySelector('[data-action=save-array]').click()")
	file = b.downloaded(path + ".npy")
	got = python(t, `import sys, torch, numpy
a, d = numpy.load(sys.argv[1], allow_pickle=False), torch.load(sys.argv[2])[sys.argv[3]]
print(a.dtype, numpy.array_equal(a, d.view(torch.int16).numpy().view(numpy.uint16)))`, file, fixture("bf16_half.pth"), path)
	if got != "uint16 True" {
		t.Errorf("NumPy has %s", got)
	}
	b.choose(fixture("sparse_quantized.pth"))
	b.selectRow("coo")
	if got := b.str("document.querySelector('[data-action=save-array]').disabled + document.querySelector('.array-note').innerText"); !strings.Contains(got, "true") || !strings.Contains(got, "sparse_coo") {
		t.Errorf("a sparse tensor: %q", got)
	}
	b.clean()
}

// The filters of a convolution on colours: the pixels are the values, stretched to what is on show.
func TestFilterImages(t *testing.T) {
	b := newTab(t)
	b.choose(fixture("dataparallel_sgd.pth"))
	b.selectRow("state_dict.module.conv.weight")
	x := values(t, fixture("dataparallel_sgd.pth"), "state_dict.module.conv.weight")
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range x {
		low, high = min(low, v), max(high, v)
	}
	cols := (js[int](b, "document.querySelector('.filter-canvas').width") + 1) / 4
	for _, at := range [][3]int{{0, 0, 0}, {1, 2, 1}, {3, 1, 2}} { // filter, line, column
		var want []string
		for c := range 3 {
			want = append(want, fmt.Sprint(math.Round(255*(x[at[0]*27+c*9+at[1]*3+at[2]]-low)/(high-low))))
		}
		px, py := at[0]%cols*4+at[2], at[0]/cols*4+at[1]
		if got := b.str("[...document.querySelector('.filter-canvas').getContext('2d').getImageData($1, $2, 1, 1).data]", px, py); got != strings.Join(want, ",")+",255" {
			t.Errorf("filter %d at %d,%d is %s, want %v", at[0], at[1], at[2], got, want)
		}
	}
	b.str("document.querySelector('.array').scrollIntoView()")
	b.shot("filters-light")
	b.dark(true)
	b.shot("filters-dark")
	b.dark(false)
	// A click on a filter shows its numbers.
	b.str(`(c => { const r = c.getBoundingClientRect(); c.dispatchEvent(new MouseEvent('click', {clientX: r.right - 3, clientY: r.top + 3, bubbles: true})) })(document.querySelector('.filter-canvas'))`)
	first := fmt.Sprintf("%g", float32(x[(cols-1)*27]))
	b.until("document.querySelector('.cells td:not(:empty)').innerText.slice(0, 5) === $1 && document.querySelector('.heat-reads').innerText.startsWith('[2, 0, ')", first[:5])
	b.clean()
}

// Pixels of the map of values at chosen places have the colours of their values, also of a slice that is not the first, and NaN and
// infinities have their own.
func TestHeatPixels(t *testing.T) {
	file := filepath.Join(t.TempDir(), "heat.pth")
	python(t, `import sys, torch
x = torch.arange(-60., 60.).reshape(2, 3, 4, 5); x[1, 2, 0, 1] = float("nan"); x[1, 2, 0, 2] = float("inf")
torch.save({"x": x, "scalar": torch.tensor(-2.5), "five": torch.ones(2, 1, 2, 3, 2), "none": torch.zeros(0, 3)}, sys.argv[1])`, file)
	b := newTab(t)
	b.choose(file)
	b.selectRow("x")
	for i, at := range []string{"1", "2"} {
		b.str("(e => { e.value = $2; e.dispatchEvent(new Event('change', {bubbles: true})) })(document.querySelectorAll('.axes input:not([hidden])')[$1])", i, at)
		b.until("document.querySelectorAll('.axes input:not([hidden])')[$1].value === $2 && document.querySelector('[data-role=inspector]').ariaBusy === 'false'", i, at)
	}
	b.until("document.querySelector('.heat-marks').innerText.includes('1 NaN')")
	for _, c := range []struct {
		row, col int
		want     string
	}{{0, 0, heatColour(40, 59)}, {0, 1, "255,213,0,255"}, {0, 2, "156,39,176,255"}, {3, 4, heatColour(59, 59)}, {2, 3, heatColour(53, 59)}} {
		if got := b.str("[...document.querySelector('.heat-canvas').getContext('2d').getImageData($1, $2, 1, 1).data]", c.col, c.row); got != c.want {
			t.Errorf("row %d, column %d is %s, want %s", c.row, c.col, got, c.want)
		}
	}
	for _, path := range []string{"scalar", "five", "none"} {
		b.selectRow(path)
		if got := b.str("document.querySelector('.preview-error').hidden"); got != "true" {
			t.Errorf("%s cannot be shown", path)
		}
		if got := b.str("document.querySelector('.heat').hidden"); got != fmt.Sprint(path == "none") {
			t.Errorf("%s: the map of values is hidden: %s", path, got)
		}
	}
	b.clean()
}

func heatColour(x, reach float64) string {
	var c [3]float64
	for i, end := range []float64{178, 24, 43} {
		c[i] = math.Round(247 + x/reach*(end-247))
	}
	return fmt.Sprintf("%g,%g,%g,255", c[0], c[1], c[2])
}

// Quantised values are shown as PyTorch dequantises them, and as they are stored.
func TestStored(t *testing.T) {
	b := newTab(t)
	b.choose(fixture("sparse_quantized.pth"))
	b.selectRow("per_channel")
	cells := "[...document.querySelectorAll('.cells td:not(:empty)')].map(e => e.innerText).join()"
	values := b.str(cells)
	if b.str("document.querySelector('.heat-stored').hidden") != "false" || values == "" {
		t.Fatalf("no values as stored; %q", values)
	}
	b.str("document.querySelector('[data-field=stored]').click()")
	b.until(cells+" !== $1", values)
	for _, c := range strings.Split(b.str(cells), ",") {
		if strings.Contains(c, ".") {
			t.Errorf("%s is stored", c)
		}
	}
	b.clean()
}

// An object's value is a tree of what it is, and a class that is not known is named, not made. Hostile names and values stay text.
func TestOutline(t *testing.T) {
	file := filepath.Join(t.TempDir(), "objects.pth")
	python(t, `import sys, torch, argparse
evil = "<img src=x onerror=\"window.hacked=1\">"
shared = [1, 2]
d = {"config": {"lr": 0.1, "betas": (0.9, 0.999), "opt": argparse.Namespace(depth=3, name=evil, deep={evil: [evil, None, True], "\u202egnp": "a\nb", "__proto__": 1, "long" * 20000: "x" * 100000}),
    "again": shared, "first": shared, "t": torch.zeros(2, 3), "many": list(range(2000)), "bytes": b"\x00\xff"}, evil: {"a": {"b": evil}}, "w": torch.zeros(2)}
torch.save(d, sys.argv[1])`, file)
	b := newTab(t)
	b.choose(file)
	b.str("document.querySelector('[data-action=expand-all]').click()")
	show := func(path string) string {
		b.str("[...document.querySelectorAll('[role=row][data-path]')].find(r => !r.hidden && r.dataset.path === $1).click()", path)
		b.inspected(path)
		return b.str("document.querySelector('.outline')?.innerText")
	}
	got := show("config")
	for _, want := range []string{"dict · 8 items", "many list · 2,000 items", "lr float 0.1", "betas tuple · 2 items", "opt argparse.Namespace", "depth int 3", "the same object as config.again", "t float32 [2, 3]", "<img src=x", "more"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got[:min(1500, len(got))])
		}
	}
	if n := js[int](b, "document.querySelectorAll('.outline li').length"); n > 500 {
		t.Errorf("%d lines", n)
	}
	b.str("document.querySelector('.outline').scrollIntoView()")
	b.shot("outline-light")
	check := func() {
		t.Helper()
		if b.str("window.hacked") != "undefined" || b.str("document.querySelectorAll('.outline img, .inspect-path img').length") != "0" {
			t.Error("a name ran or became markup")
		}
		if wide := b.str("document.documentElement.scrollWidth > innerWidth || document.querySelector('.side').scrollWidth > document.querySelector('.side').clientWidth"); wide != "false" {
			t.Error("the layout breaks")
		}
	}
	check()
	b.dark(true)
	b.shot("outline-dark")
	b.size(390, 844)
	b.str("document.querySelector('[data-action=tab-edit]').click()")
	b.str("document.querySelector('.outline').scrollIntoView()")
	b.shot("outline-phone")
	check()
	b.clean()
}

// A tensor of more than 4 GB is shown at once: of the file little is read.
func TestHugeTensor(t *testing.T) {
	const side = 33000
	head := fmt.Sprintf(`{"huge":{"dtype":"F32","shape":[%d,%d],"data_offsets":[0,%d]}}`, side, side, 4*side*side)
	for len(head)%8 != 0 {
		head += " "
	}
	path := write(t, "huge.safetensors", append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...))
	if err := os.Truncate(path, int64(8+len(head)+4*side*side)); err != nil {
		t.Fatal(err)
	}
	b := newTab(t)
	b.choose(path)
	start := time.Now()
	b.selectRow("huge")
	b.openMap()
	read := js[int](b, "Number(document.documentElement.dataset.bytesRead)")
	t.Logf("shown in %v, %d bytes of %d read", time.Since(start), read, 4*side*side)
	if read > 64<<20 {
		t.Errorf("%d bytes read", read)
	}
	if b.str("document.querySelector('[data-action=measure]').hidden") != "false" {
		t.Error("statistics of 4 GB are not asked for")
	}
	b.clean()
}

// What the grid copies is what it shows, as text, as NumPy code that runs, and as JSON.
func TestCopyValues(t *testing.T) {
	b := newTab(t)
	b.choose(fixture("dataparallel_sgd.pth"))
	b.selectRow("state_dict.module.fc.bias")
	b.str("(window.copied = [], navigator.clipboard.writeText = async s => { copied.push(s) })")
	for _, as := range []string{"text", "numpy", "json"} {
		b.str("document.querySelector('[data-action=copy-' + $1 + ']').click()", as)
	}
	b.until("copied.length === 3")
	got := js[[]string](b, "copied")
	x := values(t, fixture("dataparallel_sgd.pth"), "state_dict.module.fc.bias")
	var list [][]float64
	if err := json.Unmarshal([]byte(got[2]), &list); err != nil || len(list) != 1 || len(list[0]) != 5 || float32(list[0][4]) != float32(x[4]) {
		t.Errorf("JSON %q, %v", got[2], err)
	}
	if n := strings.Count(got[0], "\t"); n != 4 {
		t.Errorf("text %q", got[0])
	}
	if out := python(t, "import sys, numpy as np\nprint(eval(sys.argv[1]).shape)", got[1]); out != "(1, 5)" {
		t.Errorf("NumPy makes %s of %q", out, got[1])
	}
	b.clean()
}

// Everything that the shrink report knows, each with a switch that becomes a step; the size that it names is that of the file.
func TestShrinkAll(t *testing.T) {
	file := filepath.Join(t.TempDir(), "heavy.pth")
	python(t, `import sys, torch, zipfile
mask, big = torch.tril(torch.ones(64, 64)), torch.randn(100, 100)
sd = {"model.w": torch.randn(50, 50), "model.part": big[3], **{f"model.{i}.mask": mask.clone() for i in range(4)}, "model_ema.w": torch.randn(50, 50)}
torch.save({"state_dict": sd, "optimizer": {"state": {0: {"exp_avg": torch.zeros(50, 50)}}}}, sys.argv[1])
with zipfile.ZipFile(sys.argv[1], "a") as z: z.writestr("heavy/data/99", bytes(5000))`, file)
	b := newTab(t)
	b.choose(file)
	b.str("document.querySelector('.shrink summary').click()")
	b.until("document.querySelectorAll('.saving-line').length === 6")
	b.str("document.querySelector('.shrink').scrollIntoView()")
	b.shot("shrink-all-light")
	for i := range 5 { // then nothing unreached is left: any edit leaves it out
		b.until("document.querySelector($1) && !document.querySelector($1).checked", fmt.Sprintf("[data-saving='%d']", i))
		b.str("document.querySelector($1).click()", fmt.Sprintf("[data-saving='%d']", i))
		b.until("document.querySelectorAll('[data-role=steps] > .step').length === $1 && document.documentElement.dataset.state === 'ready' && document.querySelectorAll('.saving-line input:checked').length === $1", i+1)
	}
	b.dark(true)
	b.str("document.querySelector('.shrink').scrollIntoView()")
	b.shot("shrink-all-dark")
	total := strings.ReplaceAll(b.role("shrink-total"), ",", "")
	out := b.export("torch", "small.pth")
	if want := fmt.Sprintf("(%d bytes)", len(out)); !strings.Contains(total, want) {
		t.Errorf("the report says %q, the file has %d bytes", total, len(out))
	}
	b.size(390, 844)
	b.str("document.querySelector('[data-action=tab-edit]').click()")
	b.str("document.querySelector('.shrink').scrollIntoView()")
	b.shot("shrink-all-phone")
	b.clean()
}
