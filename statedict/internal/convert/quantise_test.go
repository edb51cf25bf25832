package convert

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// TestQuantizeOracle repeats the quantisations of testdata/gen.py and compares with torch.
func TestQuantizeOracle(t *testing.T) {
	const rows, cols, inner = 7, 33, 5
	x := make([]float32, rows*cols*inner)
	for i := range x {
		x[i] = float32(mix(uint64(i))>>40)/(1<<20) - 8
	}
	inf := float32(math.Inf(1))
	copy(x, []float32{inf, -inf, float32(math.NaN()), 1e30, -1e30, 0.5, 1.5, 2.5, -0.5, -1.5, 3e9, float32(math.Copysign(0, -1))})
	var src []byte
	for i, f := range x {
		u := math.Float32bits(f)
		if i == 2 {
			u = 0x7fc00000
		}
		src = le.AppendUint32(src, u)
	}
	want := oracle(t)
	if sum(src) != want[[2]string{"input", "quantise"}] {
		t.Fatal("the test's input differs from the generator's")
	}
	cases := 0
	for key, hash := range want {
		name, ok := strings.CutPrefix(key[0], "q")
		if !ok || key[1] != "q" {
			continue
		}
		cases++
		part := strings.Split(name, "/")
		q := Quantizer{DType: dtype.QInt8}
		if part[0] == "uint8" {
			q.DType = dtype.QUInt8
		}
		if part[1] == "tensor" {
			scale, _ := strconv.ParseFloat(part[2], 64)
			zero, _ := strconv.ParseInt(part[3], 10, 64)
			q.Scales, q.ZeroPoints = []float64{scale}, []int64{zero}
		} else {
			axis, _ := strconv.Atoi(part[2])
			n := []int{rows, cols, inner}[axis]
			q.Inner = []int64{cols * inner, inner, 1}[axis]
			for i := range n {
				q.Scales = append(q.Scales, 0.01*float64(i+1)/3)
				q.ZeroPoints = append(q.ZeroPoints, int64(i%11))
			}
		}
		dst, back := make([]byte, len(x)), make([]byte, len(src))
		// In two calls, so that the running index counts.
		const cut = 101
		for _, err := range []error{
			q.Quantize(dst[:cut], src[:4*cut], 0), q.Quantize(dst[cut:], src[4*cut:], cut),
			q.Dequantize(back[:4*cut], dst[:cut], 0), q.Dequantize(back[4*cut:], dst[cut:], cut),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if sum(dst) != hash {
			t.Errorf("%s: differs from torch: %v", key[0], dst[:14])
		}
		if sum(back) != want[[2]string{key[0], "back"}] {
			t.Errorf("%s back: differs from torch", key[0])
		}
	}
	if cases != 18 {
		t.Errorf("%d cases", cases)
	}
}

func TestQuantizeErrors(t *testing.T) {
	for _, q := range []Quantizer{
		{DType: dtype.QInt32, Scales: []float64{1}, ZeroPoints: []int64{0}},
		{DType: dtype.QInt8},
		{DType: dtype.QInt8, Scales: []float64{1, 2}, ZeroPoints: []int64{0, 0}},
		{DType: dtype.QInt8, Scales: []float64{1}, ZeroPoints: []int64{128}},
		{DType: dtype.QUInt8, Scales: []float64{1}, ZeroPoints: []int64{-1}},
	} {
		if q.Quantize(make([]byte, 1), make([]byte, 4), 0) == nil {
			t.Error(fmt.Sprintf("%+v accepted", q))
		}
	}
}
