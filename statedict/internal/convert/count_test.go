package convert

import (
	"math"
	"testing"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

func TestCounts(t *testing.T) {
	f32 := func(fs ...float64) []byte {
		var b []byte
		for _, f := range fs {
			b = le.AppendUint32(b, math.Float32bits(float32(f)))
		}
		return b
	}
	nans := bytes32([]uint32{0x7fc00000, 0xffc00000, 0x7fc12345, 0x7fc02000, 0x7f800001})
	inf := math.Inf(1)
	for _, c := range []struct {
		from, to string
		src      []byte
		want     Counts // Elements left out
	}{
		{"float32", "float16", f32(1, -0.0, 65504, 65519, 65520, -1e6, inf, 1e-8, 3e-8, 0.1), Counts{Overflowed: 2, Flushed: 1, Rounded: 3}},
		{"float32", "float16", nans, Counts{NaN: 5, LostNaN: 3}},
		{"float32", "bfloat16", f32(1, 0.1, inf, 3.4e38, 1e-45), Counts{Overflowed: 1, Flushed: 1, Rounded: 1}},
		{"float32", "float64", nans, Counts{NaN: 5}},
		{"float32", "float8_e4m3fn", f32(448, 464, 465, inf, 0.001, 0.0009, 1.03), Counts{Overflowed: 2, Flushed: 1, Rounded: 3}},
		{"float32", "float8_e5m2", f32(inf, 61440, 1e-9), Counts{Overflowed: 1, Flushed: 1}},
		{"float32", "float8_e4m3fnuz", f32(-inf, 240, 248, 1e-9), Counts{Overflowed: 2, Flushed: 1}},
		{"float32", "float8_e8m0fnu", f32(1, 2, 3, -1, 0), Counts{Rounded: 3}},
		{"float64", "float32", bytes64([]uint64{math.Float64bits(0.1), math.Float64bits(1e40), math.Float64bits(1e-60), 0x7ff8000000000001}),
			Counts{Overflowed: 1, Flushed: 1, Rounded: 1, NaN: 1, LostNaN: 1}},
		{"float32", "int8", f32(127.5, 128, -128.9, -129, 0.3, 0, math.NaN(), inf), Counts{Overflowed: 3, Flushed: 1, Rounded: 2, NaN: 1, LostNaN: 1}},
		{"float32", "uint8", f32(-0.5, -1, 255.5, 256), Counts{Overflowed: 2, Flushed: 1, Rounded: 1}},
		{"float32", "bool", f32(0, 1, 2, math.NaN()), Counts{Rounded: 1, NaN: 1, LostNaN: 1}},
		{"int64", "float32", bytes64([]uint64{1 << 24, 1<<24 + 1, math.MaxUint64, math.MaxInt64}), Counts{Rounded: 2}},
		{"uint64", "float64", bytes64([]uint64{1 << 63, 1<<63 + 1, math.MaxUint64}), Counts{Rounded: 2}},
		{"int64", "float16", bytes64([]uint64{65504, 65520, 2049}), Counts{Overflowed: 1, Rounded: 1}},
		{"int64", "uint64", bytes64([]uint64{1, math.MaxUint64}), Counts{Overflowed: 1}},
		{"uint64", "int64", bytes64([]uint64{1, math.MaxUint64}), Counts{Overflowed: 1}},
		{"int64", "int8", bytes64([]uint64{127, 128, ^uint64(127), ^uint64(128)}), Counts{Overflowed: 2}},
		{"int64", "uint8", bytes64([]uint64{255, 256, math.MaxUint64}), Counts{Overflowed: 2}},
		{"uint64", "int32", bytes64([]uint64{math.MaxInt32, math.MaxInt32 + 1}), Counts{Overflowed: 1}},
		{"int8", "uint8", []byte{1, 0xff}, Counts{Overflowed: 1}},
		{"int8", "bool", []byte{1, 0xff}, Counts{}},
		{"complex64", "complex32", f32(1, 1e6), Counts{Overflowed: 1}},
		{"float32", "complex32", f32(1, 1e6), Counts{Overflowed: 1}},
		{"float32", "float32", nans, Counts{}},
	} {
		from, to := dtypeOf(t, c.from), dtypeOf(t, c.to)
		c.want.Elements = int64(len(c.src)) / from.Size()
		var got Counts
		if err := Cast(make([]byte, c.want.Elements*to.Size()), c.src, to, from, &got); err != nil || got != c.want {
			t.Errorf("%s -> %s: got %+v, want %+v, error %v", c.from, c.to, got, c.want, err)
		}
	}
}

func TestCastRefuses(t *testing.T) {
	for _, c := range []struct{ dst, src, to, from string }{
		{"12345678", "12345678", "float32", "complex64"}, {"1", "1", "qint8", "int8"}, {"1", "1", "int8", "float4_e2m1fn_x2"},
		{"12", "123", "float16", "float32"}, {"123", "1234", "float16", "float32"}, {"1", "1", "float8_e5m2", "invalid"},
	} {
		to, _ := dtype.Parse(c.to)
		from, _ := dtype.Parse(c.from)
		if Cast([]byte(c.dst), []byte(c.src), to, from, nil) == nil {
			t.Errorf("%s -> %s: %d to %d bytes accepted", c.from, c.to, len(c.src), len(c.dst))
		}
	}
}
