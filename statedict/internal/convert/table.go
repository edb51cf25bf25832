package convert

import (
	"sync"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// halfTable holds the float32 bits of every float16, 256 KiB: four times as quick as computing them.
var halfTable = sync.OnceValue(func() *[1 << 16]uint32 {
	t := new([1 << 16]uint32)
	for i := range t {
		t[i] = float16.widen(uint32(i))
	}
	return t
})

// tables holds, for every pair with a source of one byte, the target bytes of all 256 codes; at most 2 KiB each.
var tables sync.Map // [2]dtype.DType{to, from} -> []byte

func table(to, from dtype.DType) []byte {
	key := [2]dtype.DType{to, from}
	if t, ok := tables.Load(key); ok {
		return t.([]byte)
	}
	var codes [256]byte
	for i := range codes {
		codes[i] = byte(i)
	}
	t := make([]byte, 256*to.Size())
	stagedKernel(to, from)(t, codes[:])
	tables.Store(key, t)
	return t
}

// byTable casts from a type of one byte.
func byTable(dst, src []byte, to, from dtype.DType) {
	t := table(to, from)
	switch to.Size() {
	case 1:
		t := (*[256]byte)(t)
		dst = dst[:len(src)]
		for i, b := range src {
			dst[i] = t[b]
		}
	case 2:
		t := (*[512]byte)(t)
		dst = dst[:2*len(src)]
		for i, b := range src {
			le.PutUint16(dst[2*i:], le.Uint16(t[2*int(b):]))
		}
	case 4:
		t := (*[1024]byte)(t)
		dst = dst[:4*len(src)]
		for i, b := range src {
			le.PutUint32(dst[4*i:], le.Uint32(t[4*int(b):]))
		}
	default:
		t := (*[2048]byte)(t)
		dst = dst[:8*len(src)]
		for i, b := range src {
			le.PutUint64(dst[8*i:], le.Uint64(t[8*int(b):]))
		}
	}
}
