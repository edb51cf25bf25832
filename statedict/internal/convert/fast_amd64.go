package convert

import "github.com/weightroom/weightroom/statedict/internal/dtype"

//go:noescape
func float16AVX2(dst, src *byte, n int)

//go:noescape
func bfloat16AVX2(dst, src *byte, n int, nan uint32)

//go:noescape
func fromFloat16AVX2(dst, src *byte, n int)

//go:noescape
func fromBFloat16AVX2(dst, src *byte, n int)

//go:noescape
func float8AVX2(dst, src *byte, n int, c *Narrowing)

//go:noescape
func countAVX2(x, y *byte, n int, sums *[5][8]uint32)

func cpuFeatures() (ecx1, ebx7, xcr0 uint32)

// hasAVX2 tells whether the processor has AVX2 and F16C and the system saves their registers.
var hasAVX2 = func() bool {
	ecx1, ebx7, xcr0 := cpuFeatures()
	const osxsave, avx, f16c = 1 << 27, 1 << 28, 1 << 29
	return ecx1&(osxsave|avx|f16c) == osxsave|avx|f16c && xcr0&6 == 6 && ebx7&(1<<5) != 0
}()

func hasVectors() bool { return hasAVX2 }

// encodeFast casts a multiple of 16 elements from float32 and returns their number; 0 where there is no vector code.
func encodeFast(dst, src []byte, n int, to dtype.DType, nan uint16) int {
	n &^= 15
	if !hasAVX2 || n == 0 {
		return 0
	}
	switch to {
	case dtype.Float16:
		float16AVX2(&dst[:2*n][0], &src[:4*n][0], n)
	case dtype.BFloat16:
		bfloat16AVX2(&dst[:2*n][0], &src[:4*n][0], n, uint32(nan))
	case dtype.Float8E4M3FN, dtype.Float8E5M2, dtype.Float8E4M3FNUZ, dtype.Float8E5M2FNUZ:
		float8AVX2(&dst[:n][0], &src[:4*n][0], n, narrowing(float8(to)))
	default:
		return 0
	}
	return n
}

// decodeFast is encodeFast's counterpart to float32.
func decodeFast(dst, src []byte, n int, from dtype.DType) int {
	n &^= 15
	if !hasAVX2 || n == 0 {
		return 0
	}
	switch from {
	case dtype.Float16:
		fromFloat16AVX2(&dst[:4*n][0], &src[:2*n][0], n)
	case dtype.BFloat16:
		fromBFloat16AVX2(&dst[:4*n][0], &src[:2*n][0], n)
	default:
		return 0
	}
	return n
}

// countFast compares a multiple of 16 of at most blockLen elements, both sides as float32, and returns their number.
func countFast(x, y []byte, n int, c *Counts) int {
	n &^= 15
	if !hasAVX2 || n == 0 {
		return 0
	}
	var sums [5][8]uint32
	countAVX2(&x[:4*n][0], &y[:4*n][0], n, &sums)
	for i, total := range []*int64{&c.Overflowed, &c.Flushed, &c.Rounded, &c.NaN, &c.LostNaN} {
		for _, s := range sums[i] {
			*total += int64(s)
		}
	}
	return n
}
