package convert

import "github.com/weightroom/weightroom/statedict/internal/dtype"

// fastKernel is a vector kernel with plainKernel's results, for float types of at most 32 bits; nil where there is none.
func fastKernel(to, from dtype.DType) kernel {
	if !hasAVX2 || !from.IsFloat() || from == dtype.Float64 || from.Size() == 1 {
		return nil
	}
	switch to {
	case dtype.Float32, dtype.Float16, dtype.BFloat16, dtype.Float8E4M3FN, dtype.Float8E5M2, dtype.Float8E4M3FNUZ, dtype.Float8E5M2FNUZ:
		return func(dst, src []byte) { viaVectors(dst, src, to, from) }
	}
	return nil
}

func viaVectors(dst, src []byte, to, from dtype.DType) {
	n, done := len(src)/int(from.Size()), 0
	switch {
	case from == dtype.Float32:
		done = encodeFast(dst, src, n, to, bfloatNaN(from))
	case to == dtype.Float32:
		done = decodeFast(dst, src, n, from)
	default:
		var stage [blockLen]uint32
		ts := int(to.Size())
		for done+16 <= n {
			k := decodeFast(stageBytes(stage[:]), src[2*done:], min(blockLen, n-done), from)
			encodeFast(dst[ts*done:], stageBytes(stage[:k]), k, to, bfloatNaN(from))
			done += k
		}
	}
	plainKernel(to, from)(dst[done*int(to.Size()):], src[done*int(from.Size()):])
}
