package convert

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"os"
	"strings"
	"testing"

	x448 "github.com/x448/float16"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// oracle reads the hashes that testdata/gen.py took from torch.
func oracle(t testing.TB) map[[2]string]string {
	t.Helper()
	f, err := os.Open("testdata/oracle.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := map[[2]string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		p := strings.Split(s.Text(), "\t")
		m[[2]string{p[0], p[1]}] = p[2]
	}
	return m
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func mix(k uint64) uint64 {
	z := (k + 1) * 0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// boundaries32 lists every float16 and bfloat16 value and the midpoints between them, with their neighbours.
func boundaries32() []uint32 {
	half := make([]uint32, 1<<16)
	for i := range half {
		half[i] = math.Float32bits(x448.Frombits(uint16(i)).Float32())
		if half[i]&0x7f800000 == 0x7f800000 && half[i]&0x7fffff != 0 {
			half[i] |= 0x400000
		}
	}
	var b []uint32
	for _, d := range []uint32{math.MaxUint32, 0, 1} {
		for _, u := range half {
			b = append(b, u+d)
		}
	}
	for _, sign := range []uint32{0, 1 << 31} {
		for _, d := range []uint32{math.MaxUint32, 0, 1} {
			for i := range 0x7c00 {
				next := 65536.0
				if i < 0x7bff {
					next = float64(math.Float32frombits(half[i+1]))
				}
				mid := (float64(math.Float32frombits(half[i])) + next) / 2
				b = append(b, (math.Float32bits(float32(mid))+d)|sign)
			}
		}
	}
	for _, d := range []uint32{math.MaxUint32, 0, 1, 0x7fff, 0x8000, 0x8001} {
		for i := range uint32(1 << 16) {
			b = append(b, i<<16+d)
		}
	}
	return b
}

func bytes16() []byte {
	var b []byte
	for i := range 1 << 16 {
		b = binary.LittleEndian.AppendUint16(b, uint16(i))
	}
	return b
}

func bytes32(us []uint32) []byte {
	b := make([]byte, 0, 4*len(us))
	for _, u := range us {
		b = binary.LittleEndian.AppendUint32(b, u)
	}
	return b
}

func bytes64(us []uint64) []byte {
	b := make([]byte, 0, 8*len(us))
	for _, u := range us {
		b = binary.LittleEndian.AppendUint64(b, u)
	}
	return b
}

// inputs makes what gen.py's inputs() makes, by dtype name.
func inputs() map[string][]byte {
	b32 := boundaries32()
	var mixed, ints, wide []uint64
	for k := range uint64(1 << 20) {
		m := mix(k)
		mixed = append(mixed, m)
		i := m >> (k % 64)
		if m&1 == 1 {
			i = -i
		}
		ints = append(ints, i)
	}
	for j := range 64 {
		for d := -3; d <= 3; d++ {
			ints = append(ints, uint64(1)<<j+uint64(d), -(uint64(1)<<j)+uint64(d))
		}
	}
	for _, u := range b32 {
		w := math.Float64bits(float64(math.Float32frombits(u)))
		if u&0x7fffffff > 0x7f800000 {
			w = uint64(u>>31)<<63 | 0x7ff8<<48 | uint64(u&0x7fffff)<<29
		}
		wide = append(wide, w)
	}
	var low []uint32
	for _, i := range ints {
		low = append(low, uint32(i))
	}
	f64 := append([]uint64(nil), mixed...)
	for _, d := range []uint64{math.MaxUint64, 0, 1} {
		for _, w := range wide {
			f64 = append(f64, w+d)
		}
	}
	codes := make([]byte, 256)
	for i := range codes {
		codes[i] = byte(i)
	}
	src := map[string][]byte{
		"float64": bytes64(f64), "float32": bytes32(b32), "int64": bytes64(ints), "uint64": bytes64(ints), "int32": bytes32(low),
		"uint32": bytes32(low), "bool": {0, 1}, "complex128": bytes64(append(append([]uint64(nil), mixed...), wide...)),
		"complex64": bytes32(b32), "complex32": bytes16(),
	}
	for _, d := range dtype.All() {
		if _, done := src[d.String()]; !done && isReal(d) {
			if d.Size() == 1 {
				src[d.String()] = codes
			} else {
				src[d.String()] = bytes16()
			}
		}
	}
	return src
}

func dense32(n int) []byte {
	b := make([]byte, 4*n)
	for i := range n {
		binary.LittleEndian.PutUint32(b[4*i:], uint32(uint64(i)*0x9E3779B1))
	}
	return b
}

func dtypeOf(t testing.TB, name string) dtype.DType {
	d, ok := dtype.Parse(strings.TrimSuffix(name, "-dense"))
	if !ok {
		t.Fatalf("unknown dtype %q", name)
	}
	return d
}

// TestOracle casts every pattern of the 8- and 16-bit types, and the samples and boundaries of the others, to every
// dtype and compares with torch.
func TestOracle(t *testing.T) {
	want := oracle(t)
	src := inputs()
	if !testing.Short() {
		src["float32-dense"] = dense32(1 << 24)
	}
	pairs := 0
	for name, b := range src {
		if got := sum(b); got != want[[2]string{"input", name}] {
			t.Fatalf("%s: the test's input differs from the generator's", name)
		}
		from := dtypeOf(t, name)
		for _, to := range dtype.All() {
			hash, ok := want[[2]string{name, to.String()}]
			if !ok {
				if Supported(from, to) && !strings.HasSuffix(name, "-dense") {
					t.Errorf("%s -> %s: supported and without an oracle", name, to)
				}
				continue
			}
			pairs++
			dst := make([]byte, int64(len(b))/from.Size()*to.Size())
			if err := Cast(dst, b, to, from, nil); err != nil {
				t.Error(err)
			} else if sum(dst) != hash {
				t.Errorf("%s -> %s: differs from torch", name, to)
			}
			if testing.Short() {
				continue
			}
			plain := make([]byte, len(dst))
			if !from.IsComplex() && !to.IsComplex() && from != to {
				plainKernel(to, from)(plain, b)
				if sum(plain) != hash {
					t.Errorf("%s -> %s: the plain kernel differs from torch", name, to)
				}
			}
		}
	}
	if pairs < 380 {
		t.Errorf("only %d pairs compared", pairs)
	}
}

// TestVectorTails runs the vector kernels on every short length at odd addresses and compares with the plain ones.
func TestVectorTails(t *testing.T) {
	src := append(dense32(4096), bytes32([]uint32{0x7f800000, 0x7fc00001, 0xff800001, 0x00000001, 0x80000000, 0x477fefff, 0x477ff000, 0x33000000, 0x33000001})...)
	tested := 0
	for _, from := range dtype.All() {
		for _, to := range dtype.All() {
			if !Supported(from, to) || from == to || from.IsComplex() || to.IsComplex() || fastKernel(to, from) == nil {
				continue
			}
			tested++
			for n := range 70 {
				for _, at := range []int{1, len(src) - 300} {
					in := src[at:][:n*int(from.Size())]
					got, want := make([]byte, n*int(to.Size())+1), make([]byte, n*int(to.Size()))
					got[len(want)] = 0x55
					fastKernel(to, from)(got[:len(want)], in)
					plainKernel(to, from)(want, in)
					if string(got[:len(want)]) != string(want) || got[len(want)] != 0x55 {
						t.Fatalf("%s -> %s: %d elements differ from the plain kernel", from, to, n)
					}
				}
			}
		}
	}
	if hasVectors() && tested != 18 {
		t.Errorf("%d vector kernels tested", tested)
	}
}

// TestVectorCounts compares the counting by vectors with the plain one, and both with the one through float64.
func TestVectorCounts(t *testing.T) {
	src := append(bytes32(boundaries32()), dense32(1<<16)...)
	for _, to := range []dtype.DType{dtype.Float16, dtype.BFloat16, dtype.Float8E4M3FN, dtype.Float8E5M2, dtype.Float8E4M3FNUZ, dtype.Float8E8M0FNU} {
		dst := make([]byte, int64(len(src))/4*to.Size())
		var fast, plain, wide Counts
		if err := Cast(dst, src, to, dtype.Float32, &fast); err != nil {
			t.Fatal(err)
		}
		var x, y [blockLen]uint32
		var x64, y64 [blockLen]uint64
		for i := 0; i+blockLen*4 <= len(src); i += blockLen * 4 {
			d := dst[i/4*int(to.Size()):][:blockLen*int(to.Size())]
			decodeFloat32(x[:], src[i:], dtype.Float32)
			decodeFloat32(y[:], d, to)
			countFloat32s(x[:], y[:], &plain)
			widen(x64[:], src[i:i+blockLen*4], dtype.Float32)
			widen(y64[:], d, to)
			countFloats(x64[:], y64[:], &wide)
		}
		var tail Counts
		cut := len(src) &^ (blockLen*4 - 1)
		if err := Cast(make([]byte, int64(len(src)-cut)/4*to.Size()), src[cut:], to, dtype.Float32, &tail); err != nil {
			t.Fatal(err)
		}
		plain.Add(tail)
		wide.Add(tail)
		plain.Elements, wide.Elements = fast.Elements, fast.Elements
		if fast != plain || fast != wide {
			t.Errorf("%s: vectors %+v, plain %+v, through float64 %+v", to, fast, plain, wide)
		}
	}
}
