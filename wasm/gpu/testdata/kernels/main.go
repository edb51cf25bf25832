// Kernels writes, into the folder named, what scripts/bench-gpu.sh times: kernels.json, and for each pair its input and the
// output that statedict.CastBytes gives.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/gpu"
)

type job struct {
	Name, In, Out string
	Code          string
	Constants     map[string]uint32
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string) error {
	rnd := rand.New(rand.NewPCG(5, 6))
	var weights []byte
	for i := range 1 << 22 {
		u := math.Float32bits(float32(rnd.NormFloat64() * 0.02))
		if i%16 == 0 {
			u = rnd.Uint32() // every pattern may come
		}
		weights = binary.LittleEndian.AppendUint32(weights, u)
	}
	single, _ := statedict.ParseDType("float32")
	var jobs []job
	for _, pair := range [][2]string{{"float32", "float16"}, {"float32", "bfloat16"}, {"float32", "float8_e4m3fn"}, {"float32", "float8_e5m2"},
		{"float16", "float32"}, {"bfloat16", "float32"}, {"bfloat16", "float16"}, {"float8_e4m3fn", "float32"}, {"float64", "float32"}} {
		from, _ := statedict.ParseDType(pair[0])
		to, _ := statedict.ParseDType(pair[1])
		in := weights
		if from != single {
			in = make([]byte, int64(len(weights))/4*from.Size())
			if err := statedict.CastBytes(in, weights, from, single, nil); err != nil {
				return err
			}
		}
		out := make([]byte, int64(len(in))/from.Size()*to.Size())
		if err := statedict.CastBytes(out, in, to, from, nil); err != nil {
			return err
		}
		k := gpu.NewKernel(from, to)
		j := job{pair[0] + "-" + pair[1], pair[0] + ".in", pair[0] + "-" + pair[1] + ".out", k.Code, k.Constants}
		if err := os.WriteFile(filepath.Join(dir, j.In), in, 0o666); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, j.Out), out, 0o666); err != nil {
			return err
		}
		jobs = append(jobs, j)
	}
	doc, err := json.Marshal(jobs)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "kernels.json"), doc, 0o666)
}
