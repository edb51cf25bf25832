package statedict_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// legacyStream puts the front that torch.save writes before an object and what follows it.
func legacyStream(object, tail []byte) []byte {
	const front = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." + "\x80\x02M\xe9\x03." +
		"\x80\x02}(X\x10\x00\x00\x00protocol_versionM\xe9\x03X\x0d\x00\x00\x00little_endian\x88" +
		"X\x0a\x00\x00\x00type_sizes}(X\x05\x00\x00\x00shortK\x02X\x03\x00\x00\x00intK\x04X\x04\x00\x00\x00longK\x04uu."
	return append(append([]byte(front), object...), tail...)
}

// oneTensor pickles {"w": a float32 tensor of this layout over storage "0" of numel elements}.
func oneTensor(numel, offset int64, shape, stride []int64) []byte {
	ints := func(list []int64) string {
		var b strings.Builder
		b.WriteByte('(')
		for _, n := range list {
			fmt.Fprintf(&b, "L%dL\n", n)
		}
		return b.String() + "t"
	}
	return fmt.Appendf(nil, "\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n("+
		"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuL%dL\nNtQ"+
		"L%dL\n%s%s\x89ccollections\nOrderedDict\n)RtRs.", numel, offset, ints(shape), ints(stride))
}

// floats is the list of keys and the storage "0" of numel elements, at most as many as there are bytes.
func floats(numel int64) []byte {
	b := binary.LittleEndian.AppendUint64([]byte("\x80\x02]X\x01\x00\x00\x000a."), uint64(numel))
	return append(b, make([]byte, 4*numel)...)
}

// inside is what a layout has to keep to, in numbers that cannot overflow: no negative size, stride or offset, element counts below
// 2^63, and every element inside the storage.
func inside(numel, offset int64, shape, stride []int64) bool {
	count, last := big.NewInt(1), big.NewInt(offset)
	impossible := offset < 0
	for i, n := range shape {
		impossible = impossible || n < 0 || stride[i] < 0
		count.Mul(count, big.NewInt(n))
		impossible = impossible || !count.IsInt64() // also where a size of 0 follows, as torch counts
		last.Add(last, new(big.Int).Mul(big.NewInt(n-1), big.NewInt(stride[i])))
	}
	return !impossible && (count.Sign() == 0 || last.Cmp(big.NewInt(numel)) < 0)
}

// FuzzLayout: a tensor can be read if and only if its view lies inside its storage.
func FuzzLayout(f *testing.F) {
	f.Add(uint8(2), uint8(24), int64(0), int64(4), int64(6), int64(1), int64(6), int64(1), int64(1))
	f.Add(uint8(2), uint8(24), int64(5), int64(2), int64(3), int64(1), int64(1), int64(2), int64(0))
	f.Add(uint8(3), uint8(1), int64(0), int64(3), int64(3), int64(3), int64(0), int64(0), int64(0))
	f.Add(uint8(2), uint8(8), int64(1<<62), int64(0), int64(7), int64(1), int64(1), int64(1), int64(1))
	f.Add(uint8(3), uint8(8), int64(0), int64(1<<32), int64(1<<32), int64(2), int64(0), int64(0), int64(1))
	f.Add(uint8(1), uint8(8), int64(-1), int64(3), int64(1), int64(1), int64(1), int64(1), int64(1))
	f.Add(uint8(1), uint8(8), int64(7), int64(3), int64(1), int64(1), int64(-1), int64(1), int64(1))
	f.Add(uint8(0), uint8(1), int64(0), int64(0), int64(0), int64(0), int64(0), int64(0), int64(0))
	f.Fuzz(func(t *testing.T, dims, numel uint8, offset, n0, n1, n2, t0, t1, t2 int64) {
		n := int64(numel)
		shape, stride := []int64{n0, n1, n2}[:dims%4], []int64{t0, t1, t2}[:dims%4]
		cp := openAny(t, legacyStream(oneTensor(n, offset, shape, stride), floats(n)))
		can := false
		if cp != nil && len(cp.Entries) == 1 {
			_, err := io.Copy(io.Discard, io.LimitReader(cp.Reader(cp.Entries[0].View), 1<<16))
			can = err == nil
			reread(t, cp)
		}
		if want := inside(n, offset, shape, stride); can != want {
			t.Fatalf("offset %d, shape %d, stride %d over %d elements: read %t, want %t", offset, shape, stride, n, can, want)
		}
	})
}

// FuzzLegacy: any object pickle, and whatever stands behind it, in a stream whose front is in order. FuzzOpen has to find that front
// anew with every change.
func FuzzLegacy(f *testing.F) {
	f.Add(oneTensor(6, 0, []int64{2, 3}, []int64{3, 1}), floats(6))
	f.Add(oneTensor(6, 0, []int64{2, 3}, []int64{3, 1}), floats(5))
	f.Add(oneTensor(6, 0, []int64{2, 3}, []int64{3, 1}), []byte("\x80\x02]."))
	f.Add([]byte("\x80\x02}."), []byte("\x80\x02]."))
	data, err := os.ReadFile("../testdata/state_dict_legacy.pth")
	if err != nil {
		f.Fatal(err)
	}
	if at := strings.Index(string(data), "\x80\x02ccollections\n"); at > 0 {
		f.Add(data[at:], []byte(nil))
	}
	f.Fuzz(func(t *testing.T, object, tail []byte) {
		if len(object)+len(tail) > 1<<16 {
			return
		}
		if cp := openAny(t, legacyStream(object, tail)); cp != nil {
			if cp.Format != statedict.TorchLegacy {
				t.Fatalf("taken for %v", cp.Format)
			}
			reread(t, cp)
		}
	})
}
