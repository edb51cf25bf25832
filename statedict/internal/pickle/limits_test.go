package pickle

import (
	"fmt"
	"strings"
	"testing"
)

// Names cost memory wherever they are listed: a stream that resolves ten thousand different ones is refused, one that resolves
// the same ones again and again is not.
func TestManyGlobals(t *testing.T) {
	stream := func(n, different int) []byte {
		var b strings.Builder
		b.WriteString("\x80\x02N")
		for i := range n {
			fmt.Fprintf(&b, "cm\nn%d\n0", i%different)
		}
		return []byte(b.String() + ".")
	}
	for _, c := range []struct{ n, different, listed int }{{20_000, 10_000, 10_000}, {10_001, 10_001, 10_000}} {
		r, err := Scan(stream(c.n, c.different), nil)
		if refused := c.different > 10_000; refused != (err != nil) || refused && err.(*Error).Code != CodeLimit {
			t.Errorf("%d of %d: %v", c.n, c.different, err)
		}
		if len(r.Globals) != c.listed || r.Failed != (err != nil) {
			t.Errorf("%d of %d: %d listed, failed %v", c.n, c.different, len(r.Globals), r.Failed)
		}
	}
	long := strings.Repeat("m", 2000)
	var b strings.Builder
	for i := range 9000 {
		fmt.Fprintf(&b, "c%s\n%d\n0", long, i)
	}
	if _, err := Scan([]byte("\x80\x02N"+b.String()+"."), nil); err == nil || err.(*Error).Code != CodeLimit {
		t.Errorf("18 MB of names: %v", err)
	}
}

// The digits of an integer take time that grows with its square: many of the longest are refused, some are not.
func TestManyLongIntegers(t *testing.T) {
	one := "\x8b\x00\x04\x00\x00" + strings.Repeat("\x11", 1024)
	for n, ok := range map[int]bool{1000: true, 20_000: false} {
		_, err := Load([]byte("\x80\x02]("+strings.Repeat(one, n)+"e."), nil)
		if ok != (err == nil) || !ok && err.(*Error).Code != CodeLimit {
			t.Errorf("%d: %v", n, err)
		}
	}
}
