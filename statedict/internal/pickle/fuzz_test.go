package pickle

import (
	"bytes"
	"testing"
)

func seeds(f *testing.F) {
	for name := range storms {
		if p := storm(name, 60); len(p) < 2000 {
			f.Add(p)
		}
	}
	for _, c := range opcodeCases {
		f.Add([]byte(c.stream))
	}
	f.Add(flat(3))
	if dir := osCorpus(); dir != "" {
		for _, s := range samples(f, dir) {
			if len(s.data) < 2000 {
				f.Add(s.data)
			}
		}
	}
}

// Whatever Scan accepts, Load takes without a panic and within the limits; what Scan refuses, Load refuses with the same
// error, and both list the same globals.
func FuzzScan(f *testing.F) {
	seeds(f)
	lim := &Limits{Bytes: 1 << 16, Memory: 8 << 20}
	f.Fuzz(func(t *testing.T, p []byte) {
		r, err := Scan(p, lim)
		if r.Len > len(p) {
			t.Fatalf("%d bytes consumed of %d", r.Len, len(p))
		}
		pk, loadErr := Load(p, &Options{Limits: lim})
		if err != nil && (loadErr == nil || loadErr.Error() != err.Error()) {
			t.Fatalf("scan says %v, load %v", err, loadErr)
		}
		if loadErr != nil {
			if _, ok := loadErr.(*Error); !ok {
				t.Fatalf("an error of type %T", loadErr)
			}
			if bytes.Contains([]byte(loadErr.Error()), []byte("gave up")) {
				t.Fatalf("the unpickler panicked on %q", p)
			}
		}
		if pk.Len != r.Len || len(pk.Globals) < len(r.Globals) {
			t.Fatalf("load saw %d bytes and %d globals, scan %d and %d", pk.Len, len(pk.Globals), r.Len, len(r.Globals))
		}
	})
}

// What is emitted loads again, and is then emitted as the same bytes.
func FuzzEmit(f *testing.F) {
	seeds(f)
	lim := &Limits{Bytes: 1 << 16, Memory: 8 << 20}
	f.Fuzz(func(t *testing.T, p []byte) {
		first, err := Load(p, &Options{Limits: lim})
		if err != nil {
			return
		}
		out, _, err := Emit(first.Root, nil)
		if err != nil {
			if _, ok := err.(*Error); !ok {
				t.Fatalf("an error of type %T", err)
			}
			return
		}
		second, err := Load(out, nil)
		if err != nil {
			t.Fatalf("%q came out as %q: %v", p, out, err)
		}
		again, _, err := Emit(second.Root, nil)
		if err != nil {
			t.Fatalf("%q came out as %q, and not again: %v", p, out, err)
		}
		if !bytes.Equal(out, again) {
			t.Fatalf("%q came out as %q, then as %q", p, out, again)
		}
	})
}
