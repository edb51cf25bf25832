package torchfile

import (
	"bytes"
	"testing"
)

// A record may be copied with its header only if the output has the same bytes there.
func TestRun(t *testing.T) {
	data := torchMade(t)
	layout := func(prefix, name string, front int64) *Layout {
		l, err := NewLayout(prefix, 0, []LayoutRecord{{"data.pkl", front}, {name, 8}})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	a, err := openBytes(data, Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := a.Records[1].HeaderOff
	off, _ := a.DataOff(1)
	for _, c := range []struct {
		what   string
		l      *Layout
		change int64 // byte of the source to change, 0 for none
		same   bool
	}{
		{"same place", layout("x", "data/0", 4), 0, true},
		{"64 bytes later", layout("x", "data/0", 68), 0, true},
		{"another distance to the alignment", layout("x", "data/0", 20), 0, false},
		{"another key", layout("x", "data/1", 4), 0, false},
		{"another folder", layout("y", "data/0", 4), 0, false},
		{"a time in the header", layout("x", "data/0", 4), at + 10, false},
		{"a checksum in the header", layout("x", "data/0", 4), at + 14, false},
		{"another padding", layout("x", "data/0", 4), off - 1, false},
		{"a wrong checksum in the descriptor", layout("x", "data/0", 4), off + 8 + 4, false},
	} {
		changed := bytes.Clone(data)
		if c.change > 0 {
			changed[c.change] ^= 1
		}
		a, err := openBytes(changed, Options{})
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		e, same := a.Run(1, c.l, 1)
		if same != c.same || same && (e.Off != at || e.Len != off-at+8+16) {
			t.Errorf("%s: %v, %v", c.what, e, same)
		}
	}
}
