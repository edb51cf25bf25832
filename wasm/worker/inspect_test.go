package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
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
	}
	seen, compared := 0, 0
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var oracle struct {
			Tensors []struct {
				Path           [][]any
				SHA256         string
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
	}
	t.Logf("%d tensors measured, the statistics of %d compared", seen, compared)
	if seen < 50 {
		t.Errorf("only %d tensors", seen)
	}
}
