package model

import "testing"

func TestNumerals(t *testing.T) {
	defer SetNumerals(numerals)
	for _, c := range []struct {
		n                     Numerals
		bytes, number, counts [2]string
	}{
		{numerals, [2]string{"46.8 MB", "999 B"}, [2]string{"46,830,571", "-1,234"}, [2]string{"11.7 M", "999"}},
		{Numerals{Group: "\u202f", Point: ",", Short: []string{"k", "M"}, Step: 3}, [2]string{"46,8 MB", "999 B"}, [2]string{"46\u202f830\u202f571", "-1\u202f234"}, [2]string{"11,7 M", "999"}},
		{Numerals{Group: ",", Point: ".", Short: []string{"萬", "億", "兆"}, Step: 4}, [2]string{"46.8 MB", "999 B"}, [2]string{"46,830,571", "-1,234"}, [2]string{"1,169 萬", "999"}},
	} {
		SetNumerals(c.n)
		for _, g := range [][2]string{{Bytes(46830571), c.bytes[0]}, {Bytes(999), c.bytes[1]}, {Number(46830571), c.number[0]}, {Number(-1234), c.number[1]}, {Count(11689512), c.counts[0]}, {Count(999), c.counts[1]}} {
			if g[0] != g[1] {
				t.Errorf("%q, want %q", g[0], g[1])
			}
		}
	}
	for text, want := range map[string]int{"3 k M": 2, "4 萬 億 兆": 3, "": 0, "x": 0, "0 a": 0} {
		if _, units := ParseShort(text); len(units) != want {
			t.Errorf("%q gives %q", text, units)
		}
	}
}
