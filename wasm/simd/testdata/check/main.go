//go:build js && wasm

// Check compares casts with and without the SIMD helper, bit for bit, and times both. It is run by simd_test.go in Node.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"time"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/simd"
)

func main() {
	names := []string{"float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"}
	pairs, differ := 0, 0
	for _, f := range names[:3] {
		from, _ := statedict.ParseDType(f)
		src := patterns(from)
		for _, t := range names {
			to, _ := statedict.ParseDType(t)
			if from == to {
				continue
			}
			pairs++
			var got, want [2][]byte
			var lost [2]statedict.CastReport
			for i, on := range []bool{true, false} {
				simd.Use(on)
				got[i], lost[i] = cast(src, to, from)
			}
			want[0] = got[1]
			if !bytes.Equal(got[0], want[0]) || lost[0] != lost[1] {
				differ++
				fmt.Printf("%s -> %s differs: %+v\n", f, t, lost)
			}
		}
	}
	fmt.Printf("pairs %d differ %d\n", pairs, differ)
	speed(names)
	if differ > 0 {
		os.Exit(1)
	}
}

// patterns are all of 16 bits, and of float32 a dense sample with every bfloat16 and its neighbours.
func patterns(d statedict.DType) []byte {
	var b []byte
	if d.Size() == 2 {
		for i := range 1 << 16 {
			b = binary.LittleEndian.AppendUint16(b, uint16(i))
		}
		return b
	}
	for i := range uint64(1 << 22) {
		b = binary.LittleEndian.AppendUint32(b, uint32(i*0x9E3779B1))
	}
	for i := range uint32(1 << 16) {
		for _, d := range []uint32{math.MaxUint32, 0, 1, 0x7fff, 0x8000, 0x8001, 0x0fff, 0x1000, 0x1001} {
			b = binary.LittleEndian.AppendUint32(b, i<<16+d)
		}
	}
	return b
}

func cast(src []byte, to, from statedict.DType) ([]byte, statedict.CastReport) {
	dst := make([]byte, int64(len(src))/from.Size()*to.Size())
	var lost statedict.CastReport
	if err := statedict.CastBytes(dst, src, to, from, &lost); err != nil {
		panic(err)
	}
	return dst, lost
}

// speed prints GB/s of input in blocks of 1 MiB: with the helper, with Go's loops, and with the helper while losses are counted.
func speed(names []string) {
	rnd := rand.New(rand.NewPCG(5, 6))
	f32 := make([]byte, 0, 1<<20)
	for range 1 << 18 {
		f32 = binary.LittleEndian.AppendUint32(f32, math.Float32bits(float32(rnd.NormFloat64()*0.02)))
	}
	single, _ := statedict.ParseDType("float32")
	for _, f := range names[:3] {
		from, _ := statedict.ParseDType(f)
		src, _ := cast(f32, from, single)
		for _, t := range names {
			to, _ := statedict.ParseDType(t)
			if from == to {
				continue
			}
			dst := make([]byte, int64(len(src))/from.Size()*to.Size())
			var rate [3]float64
			for i := range rate {
				simd.Use(i != 1)
				var lost *statedict.CastReport
				if i == 2 {
					lost = new(statedict.CastReport)
				}
				best := math.Inf(1)
				for range 3 {
					start := time.Now()
					for range 4 {
						if err := statedict.CastBytes(dst, src, to, from, lost); err != nil {
							panic(err)
						}
					}
					best = min(best, time.Since(start).Seconds())
				}
				rate[i] = float64(4*len(src)) / best / 1e9
			}
			fmt.Printf("speed %s -> %s: helper %.2f GB/s, Go %.2f GB/s, ratio %.1f; helper and counting %.2f GB/s\n", f, t, rate[0], rate[1], rate[0]/rate[1], rate[2])
		}
	}
}
