package convert

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// weights makes normally distributed float32 values, as trained layers hold them.
func weights(n int) []byte {
	rnd := rand.New(rand.NewPCG(5, 6))
	b := make([]byte, 0, 4*n)
	for range n {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(rnd.NormFloat64()*0.02)))
	}
	return b
}

// BenchmarkCast gives GB/s of input for every pair that a checkpoint's cast meets; plain is the portable kernel.
func BenchmarkCast(b *testing.B) {
	const n = 1 << 20
	w := weights(n)
	kinds := []dtype.DType{dtype.Float64, dtype.Float32, dtype.Float16, dtype.BFloat16, dtype.Float8E4M3FN, dtype.Float8E5M2, dtype.Float8E4M3FNUZ, dtype.Float8E5M2FNUZ, dtype.Float8E8M0FNU, dtype.Int64, dtype.Int32, dtype.UInt8}
	for _, from := range kinds {
		src := make([]byte, n*from.Size())
		if err := Cast(src, w, from, dtype.Float32, nil); err != nil {
			b.Fatal(err)
		}
		for _, to := range kinds {
			if from == to || from.IsInteger() && to.IsInteger() {
				continue
			}
			dst := make([]byte, n*to.Size())
			name := from.String() + "-" + to.String()
			run := func(name string, k kernel) {
				b.Run(name, func(b *testing.B) {
					b.SetBytes(int64(len(src)))
					for b.Loop() {
						k(dst, src)
					}
				})
			}
			run(name, kernelFor(to, from))
			if fastKernel(to, from) != nil {
				run(name+"/plain", plainKernel(to, from))
			}
		}
	}
}

func BenchmarkCount(b *testing.B) {
	const n = 1 << 20
	src := weights(n)
	for _, to := range []dtype.DType{dtype.Float16, dtype.BFloat16, dtype.Float8E4M3FN} {
		dst := make([]byte, n*to.Size())
		b.Run("float32-"+to.String(), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			var c Counts
			for b.Loop() {
				Cast(dst, src, to, dtype.Float32, &c)
			}
		})
	}
}

// BenchmarkReader gathers and casts on all cores, 64 MiB of float32.
func BenchmarkReader(b *testing.B) {
	const rows, cols = 4096, 4096
	src := bytes.NewReader(bytes.Repeat(weights(1<<20), 16))
	for _, c := range []struct {
		name string
		v    View
		o    Options
	}{
		{"contiguous-float16", View{DType: dtype.Float32, Shape: []int64{rows, cols}, Stride: []int64{cols, 1}}, Options{To: dtype.Float16}},
		{"contiguous-bfloat16", View{DType: dtype.Float32, Shape: []int64{rows, cols}, Stride: []int64{cols, 1}}, Options{To: dtype.BFloat16}},
		{"contiguous-float16-counted", View{DType: dtype.Float32, Shape: []int64{rows, cols}, Stride: []int64{cols, 1}}, Options{To: dtype.Float16, Counts: new(Counts)}},
		{"transposed", View{DType: dtype.Float32, Shape: []int64{rows, cols}, Stride: []int64{1, cols}}, Options{}},
		{"half-of-rows", View{DType: dtype.Float32, Shape: []int64{rows, cols / 2}, Stride: []int64{cols, 1}}, Options{}},
		{"channels-last", View{DType: dtype.Float32, Shape: []int64{64, 256, 32, 32}, Stride: []int64{256 * 1024, 1, 32 * 256, 256}}, Options{}},
	} {
		b.Run(c.name, func(b *testing.B) {
			n, _ := c.v.Numel()
			b.SetBytes(4 * n)
			for b.Loop() {
				r, err := NewReader(src, 0, src.Size(), c.v, c.o)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGiB casts 1 GiB from memory to memory that is already there; scripts/bench-convert.sh compares it with torch.
func BenchmarkGiB(b *testing.B) {
	if os.Getenv("WEIGHTROOM_BENCH_GIB") == "" {
		b.Skip("WEIGHTROOM_BENCH_GIB is not set")
	}
	for _, pair := range [][2]dtype.DType{{dtype.Float32, dtype.Float16}, {dtype.Float32, dtype.BFloat16}, {dtype.Float16, dtype.Float32}, {dtype.BFloat16, dtype.Float32}} {
		from, to := pair[0], pair[1]
		part := make([]byte, 1<<20*from.Size())
		if err := Cast(part, weights(1<<20), from, dtype.Float32, nil); err != nil {
			b.Fatal(err)
		}
		src := bytes.Repeat(part, 1<<30/len(part))
		dst := make([]byte, int64(len(src))/from.Size()*to.Size())
		for _, workers := range []int{1, runtime.GOMAXPROCS(0)} {
			b.Run(fmt.Sprintf("%s-%s/%d", from, to, workers), func(b *testing.B) {
				b.SetBytes(1 << 30)
				for b.Loop() {
					var wg sync.WaitGroup
					for i := range workers {
						d, s := dst[i*len(dst)/workers:(i+1)*len(dst)/workers], src[i*len(src)/workers:(i+1)*len(src)/workers]
						wg.Go(func() {
							if err := Cast(d, s, to, from, nil); err != nil {
								b.Error(err)
							}
						})
					}
					wg.Wait()
				}
			})
		}
	}
}
