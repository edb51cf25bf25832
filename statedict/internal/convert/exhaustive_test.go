package convert

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// TestExhaustive casts all 2^32 float32 patterns to every smaller float. It takes minutes and runs where
// WEIGHTROOM_EXHAUSTIVE is set; scripts/convert-exhaustive.sh does that.
func TestExhaustive(t *testing.T) {
	if os.Getenv("WEIGHTROOM_EXHAUSTIVE") == "" {
		t.Skip("WEIGHTROOM_EXHAUSTIVE is not set")
	}
	f, err := os.Open("testdata/exhaustive.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	type target struct {
		to   dtype.DType
		want string
		h    hash.Hash
	}
	var targets []*target
	for s := bufio.NewScanner(f); s.Scan(); {
		p := strings.Split(s.Text(), "\t")
		targets = append(targets, &target{dtypeOf(t, p[1]), p[2], sha256.New()})
	}
	if len(targets) != 7 {
		t.Fatalf("%d targets", len(targets))
	}
	const block = 1 << 22
	src, dst := make([]byte, 4*block), make([]byte, len(targets)*2*block)
	for first := uint64(0); first < 1<<32; first += block {
		for i := range block {
			le.PutUint32(src[4*i:], uint32(first)+uint32(i))
		}
		var wg sync.WaitGroup
		for i, x := range targets {
			out := dst[i*2*block:][:block*int(x.to.Size())]
			wg.Go(func() {
				if err := Cast(out, src, x.to, dtype.Float32, nil); err != nil {
					t.Error(err)
				}
				x.h.Write(out)
			})
		}
		wg.Wait()
	}
	for _, x := range targets {
		if got := hex.EncodeToString(x.h.Sum(nil)); got != x.want {
			t.Errorf("float32 -> %s: differs from torch", x.to)
		}
	}
}
