package convert

import (
	"fmt"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// swap reverses the bytes of every unit of 2, 4 or 8 bytes in place; other units are left alone.
func swap(b []byte, unit int64) {
	switch unit {
	case 2:
		for ; len(b) >= 2; b = b[2:] {
			b[0], b[1] = b[1], b[0]
		}
	case 4:
		for ; len(b) >= 4; b = b[4:] {
			b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
		}
	case 8:
		for ; len(b) >= 8; b = b[8:] {
			b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7] = b[7], b[6], b[5], b[4], b[3], b[2], b[1], b[0]
		}
	}
}

// flipSigns flips the top bit of every number of width bytes, from the first one at from and then every step bytes.
// NaN changes its sign too, as in torch.
func flipSigns(b []byte, from, width, step int64) {
	for i := from + width - 1; i < int64(len(b)); i += step {
		b[i] ^= 0x80
	}
}

// negate applies torch's neg bit in place. Floats change their sign bit, integers become their two's complement.
func negate(b []byte, d dtype.DType) {
	w := d.SwapUnit()
	if !d.IsInteger() {
		flipSigns(b, 0, w, w)
		return
	}
	var stage [blockLen]uint64
	for len(b) > 0 {
		n := min(blockLen, len(b)/int(w))
		decodeInt(stage[:n], b, d)
		for i := range stage[:n] {
			stage[i] = -stage[i]
		}
		storeInt(b, stage[:n], int(w))
		b = b[n*int(w):]
	}
}

// checkFixes refuses a conj or neg bit on a dtype that torch gives none.
func checkFixes(d dtype.DType, o Options) error {
	if o.Conj && !d.IsComplex() {
		return fmt.Errorf("conj bit on %s", d)
	}
	signed := d.IsComplex() || d.IsInteger() || d >= dtype.Float64 && d <= dtype.BFloat16
	if o.Neg && !signed {
		return fmt.Errorf("neg bit on %s", d)
	}
	return nil
}

// fix turns gathered bytes into the little-endian values that the view means.
func fix(b []byte, d dtype.DType, o Options) {
	if o.BigEndian {
		swap(b, d.SwapUnit())
	}
	if o.Conj {
		flipSigns(b, d.Size()/2, d.Size()/2, d.Size())
	}
	if o.Neg {
		negate(b, d)
	}
	if o.NormalizeBool && d == dtype.Bool {
		for i, c := range b {
			if c > 1 {
				b[i] = 1
			}
		}
	}
}
