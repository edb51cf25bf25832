package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// What the inspector says of every tensor equals what PyTorch says, or the codec where there is no oracle.
func TestDescribe(t *testing.T) {
	s := NewSession()
	got, rows := openFixture(t, s, "shapes.pth")
	for i, r := range rows {
		if r.Kind != message.Tensor {
			continue
		}
		req := message.ItemRequest{Handle: got.Handle, Recipe: []byte(empty), Index: i}
		d, err := s.Describe(&req)
		if err != nil || d.Path != r.Path || len(d.Stride) != len(r.Shape) {
			t.Fatalf("%s: %+v, %v", r.Path, d, err)
		}
		if d.Readable && r.NBytes > 0 && (d.File != "shapes.pth" || d.Off <= 0 || d.Contiguous && d.Len != r.NBytes) {
			t.Errorf("%s of %d bytes lies at %d+%d of %q", r.Path, r.NBytes, d.Off, d.Len, d.File)
		}
	}
	if _, err := s.Describe(&message.ItemRequest{Handle: got.Handle, Recipe: []byte(empty), Index: 1 << 20}); err == nil {
		t.Error("a row that is not there is described")
	}
}

func TestObject(t *testing.T) {
	s := NewSession()
	got, rows := openFixture(t, s, "dataparallel_sgd.pth")
	i := 0
	for _, r := range rows {
		if r.Kind != message.Object {
			continue
		}
		d, err := s.Describe(&message.ItemRequest{Handle: got.Handle, Recipe: []byte(empty), Kind: message.Object, Index: i})
		if err != nil || d.Path != r.Path {
			t.Errorf("object %d is %q, the row says %q; %v", i, d.Path, r.Path, err)
		}
		i++
	}
	if i == 0 {
		t.Error("no objects")
	}
}

// The windows of a tensor, put together, are the values that Measure saw.
func TestWindow(t *testing.T) {
	s := NewSession()
	got, rows := openFixture(t, s, "dataparallel_sgd.pth")
	for i, r := range rows {
		if r.Kind != message.Tensor || len(r.Shape) != 4 {
			continue
		}
		item := message.ItemRequest{Handle: got.Handle, Recipe: []byte(empty), Index: i}
		m, err := s.Measure(context.Background(), &message.MeasureRequest{ItemRequest: item, Bins: 64}, nil)
		if err != nil || !m.Known || m.SHA256 == "" {
			t.Fatalf("%+v, %v", m, err)
		}
		low, high, n := math.Inf(1), math.Inf(-1), int64(0)
		for a := range r.Shape[0] {
			for b := range r.Shape[1] {
				w, err := s.Window(context.Background(), &message.WindowRequest{ItemRequest: item, Down: 2, Across: 3, At: []int64{a, b, 0, 0}, Step: 1, Rows: 64, Cols: 64})
				if err != nil || w.Height != r.Shape[2] || w.Width != r.Shape[3] {
					t.Fatalf("%+v, %v", w, err)
				}
				for _, x := range model.NewHeat(w.Rows, w.Cols, w.Values).Values {
					low, high, n = min(low, x), max(high, x), n+1
				}
			}
		}
		if n != m.Numel || low != m.Low || high != m.High {
			t.Errorf("%s: windows have %d values from %g to %g, measured are %d from %g to %g", r.Path, n, low, high, m.Numel, m.Low, m.High)
		}
		if sum := total(m.Counts); sum != m.Numel-m.NaN-m.Inf {
			t.Errorf("%s: the histogram counts %d", r.Path, sum)
		}
		return
	}
	t.Error("no tensor with four dimensions")
}

func total(counts []int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// The values that the inspector measures are those that PyTorch saw: their hash equals the oracle's.
func TestMeasureOracle(t *testing.T) {
	files, _ := filepath.Glob("../../testdata/*.pth.oracle.json")
	if corpus := os.Getenv("WEIGHTROOM_CORPUS"); corpus != "" {
		more, _ := filepath.Glob(filepath.Join(corpus, "synthetic", "*.pt*.oracle.json"))
		files = append(files, more...)
		more, _ = filepath.Glob(filepath.Join(corpus, "*.oracle.json"))
		files = append(files, more...)
	}
	seen, compared := 0, 0
	whole := 0 // files with many tensors of which every float tensor was compared
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var oracle struct {
			Tensors []struct {
				Path           [][]any
				SHA256, DType  string
				Inf            int64
				NaN            int64
				Min, Max, Mean any // a number, or "nan" or "inf"
			}
		}
		if err := json.Unmarshal(data, &oracle); err != nil {
			t.Fatal(f, err)
		}
		want, stats := map[string]string{}, map[string]int{}
		for i, o := range oracle.Tensors {
			var parts []string
			for _, p := range o.Path {
				parts = append(parts, fmt.Sprint(p[len(p)-1]))
			}
			path := strings.Join(parts, ".")
			if _, twice := want[path]; twice { // 1 and "1"
				want[path] = ""
				continue
			}
			want[path], stats[path] = o.SHA256, i
		}
		s := NewSession()
		data, err = os.ReadFile(strings.TrimSuffix(f, ".oracle.json"))
		if err != nil {
			continue
		}
		got, rows, err := s.Open(context.Background(), []statedict.Source{{Name: "a", R: bytes.NewReader(data), Size: int64(len(data))}})
		if err != nil {
			continue
		}
		before := compared
		for i, r := range rows {
			sum := want[r.Path]
			if r.Kind != message.Tensor || sum == "" {
				continue
			}
			item := message.ItemRequest{Handle: got.Handle, Recipe: []byte(empty), Index: i}
			m, err := s.Measure(context.Background(), &message.MeasureRequest{ItemRequest: item, Bins: 64}, nil)
			if err != nil {
				continue // composites have no bytes of their own
			}
			seen++
			o := oracle.Tensors[stats[r.Path]]
			if wantMean, ok := o.Mean.(float64); ok && o.Inf == 0 && m.Known {
				compared++
				mean, _ := strconv.ParseFloat(m.Mean, 64)
				if m.Low != o.Min.(float64) || m.High != o.Max.(float64) || m.NaN != o.NaN || m.Inf != o.Inf || math.Abs(mean-wantMean) > 1e-6*max(1e-3, math.Abs(wantMean)) {
					t.Errorf("%s %s: %+v, oracle from %v to %v, mean %v", f, r.Path, m, o.Min, o.Max, o.Mean)
				}
			}
			if m.SHA256 != sum {
				t.Errorf("%s %s: hash %s, oracle %s", f, r.Path, m.SHA256, sum)
			}
		}
		floats := 0
		for _, o := range oracle.Tensors {
			if _, ok := o.Mean.(float64); ok && o.Inf == 0 && strings.Contains(o.DType, "float") {
				floats++
			}
		}
		if floats >= 10 && compared-before >= floats {
			whole++
		}
	}
	t.Logf("%d tensors measured, the statistics of %d compared; every float tensor of %d larger files", seen, compared, whole)
	if seen < 50 {
		t.Errorf("only %d tensors", seen)
	}
	if whole < 5 && os.Getenv("WEIGHTROOM_CORPUS") != "" {
		t.Errorf("only %d files of the corpus were compared whole", whole)
	}
}

// eachTensor calls f with every tensor of a file, or of a fixture of that name.
func eachTensor(t *testing.T, name string, f func(s *Session, item message.ItemRequest, r message.Row, d *message.Description)) {
	t.Helper()
	s := NewSession()
	if !filepath.IsAbs(name) {
		name = filepath.Join("../../testdata", name)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	got, rows, err := s.Open(context.Background(), []statedict.Source{{Name: "a", R: bytes.NewReader(data), Size: int64(len(data))}})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rows {
		if r.Kind != message.Tensor {
			continue
		}
		item := message.ItemRequest{Handle: got.Handle, Recipe: []byte(empty), Index: i}
		d, err := s.Describe(&item)
		if err != nil {
			t.Fatal(err)
		}
		f(s, item, r, d)
	}
}

// cells is the first window of a tensor as text.
func cells(t *testing.T, s *Session, item message.ItemRequest, r message.Row, stored bool) []string {
	t.Helper()
	req := message.WindowRequest{ItemRequest: item, At: make([]int64, len(r.Shape)), Step: 1, Rows: 8, Cols: 8, Text: true, Stored: stored}
	if n := len(r.Shape); n >= 2 {
		req.Down, req.Across = n-2, n-1
	}
	w, err := s.Window(context.Background(), &req)
	if err != nil {
		t.Fatal(r.Path, err)
	}
	return w.Cells
}

// Quantised tensors show what PyTorch dequantises, and what is stored; so do 8-bit floats.
func TestWindowTranslated(t *testing.T) {
	script := `
import sys, json, torch
x, per = torch.linspace(-2, 3, 48), lambda n: (torch.linspace(0.03, 0.2, n, dtype=torch.float64), torch.arange(n) - 2)
channels = lambda shape, axis: torch.quantize_per_channel(x[:torch.Size(shape).numel()].reshape(shape), *per(shape[axis]), axis, torch.qint8)
d = {"per_tensor": torch.quantize_per_tensor(x.reshape(6, 8), 0.05, 7, torch.quint8), "wide": torch.quantize_per_tensor(x, 0.001, -3, torch.qint32), "rows": channels([6, 8], 0),
    "columns": channels([6, 8], 1), "filters": channels([3, 2, 2, 4], 0), "line": channels([8], 0)}
torch.save(d, sys.argv[1])
json.dump({k: [v.dequantize().flatten().tolist(), v.int_repr().flatten().tolist()] for k, v in d.items()}, sys.stdout)`
	file := filepath.Join(t.TempDir(), "quantised.pth")
	out, err := exec.Command("/usr/bin/python3", "-c", script, file).Output()
	if err != nil {
		t.Skip("no PyTorch")
	}
	want := map[string][2][]float64{}
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	seen := 0
	eachTensor(t, file, func(s *Session, item message.ItemRequest, r message.Row, d *message.Description) {
		w, ok := want[r.Path]
		if !ok || !d.Readable {
			return
		}
		if !d.Translated {
			t.Errorf("%s: its values are said to be what is stored", r.Path)
		}
		for k, stored := range []bool{false, true} {
			for i, cell := range cells(t, s, item, r, stored) { // of a tensor of four dimensions the first kernel
				if x, _ := strconv.ParseFloat(cell, 64); float32(x) != float32(w[k][i]) {
					t.Errorf("%s, stored %v, element %d: %s, PyTorch has %g", r.Path, stored, i, cell, w[k][i])
				}
			}
		}
		seen++
	})
	if seen != len(want) {
		t.Errorf("%d of %d quantised tensors", seen, len(want))
	}
	eachTensor(t, "dtypes.pth", func(s *Session, item message.ItemRequest, r message.Row, d *message.Description) {
		if d.Translated {
			t.Errorf("%s: %s is not translated", r.Path, r.Type)
		}
	})
	bytes := 0
	eachTensor(t, "v3_fp8_unsigned.pth", func(s *Session, item message.ItemRequest, r message.Row, d *message.Description) {
		if !strings.HasPrefix(r.Type, "float8") || !d.Translated {
			return
		}
		values, stored := cells(t, s, item, r, false), cells(t, s, item, r, true)
		for i := range stored {
			if n, err := strconv.ParseUint(stored[i], 10, 8); err != nil || r.Type == "float8_e5m2" && n == 0x3c && values[i] != "1" || n == 0 && r.Type != "float8_e8m0fnu" && values[i] != "0" {
				t.Errorf("%s: %s is stored as %s, %v", r.Path, values[i], stored[i], err)
			}
			bytes++
		}
	})
	if bytes == 0 {
		t.Error("no 8-bit floats")
	}
}

// The windows of tensors of every rank have the values that are there: of scalars, of lines, of five dimensions, of none.
func TestWindowRanks(t *testing.T) {
	ranks := map[int]int{}
	for _, name := range []string{"shapes.pth", "tied_strided_views.pth"} {
		eachTensor(t, name, func(s *Session, item message.ItemRequest, r message.Row, d *message.Description) {
			if !d.Readable {
				return
			}
			got := cells(t, s, item, r, false)
			n := int64(1)
			for i := range r.Shape {
				if i < len(r.Shape)-2 {
					n *= min(r.Shape[i], 1)
				} else {
					n *= min(r.Shape[i], 8)
				}
			}
			if int64(len(got)) != n {
				t.Errorf("%s %v: %d cells, want %d", r.Path, r.Shape, len(got), n)
			}
			ranks[len(r.Shape)]++
		})
	}
	if ranks[0] == 0 || ranks[1] == 0 || ranks[2] == 0 {
		t.Errorf("ranks %v", ranks)
	}
}

// After an operation that makes storages, parts of them are still read alone, and are the same values.
func TestWindowMade(t *testing.T) {
	s := NewSession()
	got, rows := openFixture(t, s, "tied_strided_views.pth")
	made := []byte(`{"recipe":1,"steps":[{"compact":true}]}`)
	for i, r := range rows {
		if r.Kind != message.Tensor || len(r.Shape) != 2 {
			continue
		}
		var texts []string
		for _, recipe := range [][]byte{[]byte(empty), made} {
			w, err := s.Window(context.Background(), &message.WindowRequest{ItemRequest: message.ItemRequest{Handle: got.Handle, Recipe: recipe, Index: i}, Across: 1, At: []int64{0, 0}, Row: 1, Col: 1, Step: 1, Rows: 2, Cols: 2, Text: true})
			if err != nil {
				t.Fatal(r.Path, err)
			}
			texts = append(texts, fmt.Sprint(w.Cells))
		}
		if texts[0] != texts[1] {
			t.Errorf("%s: %s, once compacted %s", r.Path, texts[0], texts[1])
		}
	}
}

// The kernels of a convolution are read as they lie in the tensor.
func TestFilters(t *testing.T) {
	seen := 0
	eachTensor(t, "dataparallel_sgd.pth", func(s *Session, item message.ItemRequest, r message.Row, d *message.Description) {
		if !message.IsKernel(r.Shape) {
			return
		}
		f, err := s.Filters(context.Background(), &message.FiltersRequest{ItemRequest: item, From: 1})
		if err != nil || f.N != int(r.Shape[0])-1 || f.C != 3 {
			t.Fatalf("%s: %+v, %v", r.Path, f, err)
		}
		w, err := s.Window(context.Background(), &message.WindowRequest{ItemRequest: item, Down: 2, Across: 3, At: []int64{1, 0, 0, 0}, Step: 1, Rows: 16, Cols: 16})
		if err != nil || !bytes.Equal(f.Values[:len(w.Values)], w.Values) {
			t.Errorf("%s: other values than those of the window, %v", r.Path, err)
		}
		seen++
	})
	if seen == 0 {
		t.Error("no convolution")
	}
}
