package convert

import (
	"math"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// count compares a finished cast with its source.
func count(dst, src []byte, to, from dtype.DType, c *Counts) {
	n := len(src) / int(from.Size())
	c.Elements += int64(n)
	if from == to {
		return
	}
	if from.IsComplex() {
		from, to = part(from), part(to)
	}
	step, width := int(from.Size()), int(to.Size())
	stride := width
	if to.IsComplex() {
		to = part(to)
		width = int(to.Size()) // only the real part holds anything
	}
	if narrowFloat(from) && narrowFloat(to) && stride == width {
		countNarrow(dst, src, to, from, c)
		return
	}
	var x, y [blockLen]uint64
	var real [blockLen * 8]byte
	for len(src) > 0 {
		n := min(blockLen, len(src)/step)
		out := dst[:n*stride]
		if stride != width {
			for i := range n {
				copy(real[i*width:(i+1)*width], dst[i*stride:])
			}
			out = real[:n*width]
		}
		widen(x[:n], src[:n*step], from)
		widen(y[:n], out, to)
		countBlock(x[:n], y[:n], to, from, c)
		src, dst = src[n*step:], dst[n*stride:]
	}
}

// narrowFloat tells the floats that fit into float32.
func narrowFloat(d dtype.DType) bool { return isReal(d) && d.IsFloat() && d != dtype.Float64 }

// countNarrow compares floats as float32, the widest that either side is.
func countNarrow(dst, src []byte, to, from dtype.DType, c *Counts) {
	var x, y [blockLen]uint32
	fs, ts := int(from.Size()), int(to.Size())
	for len(src) > 0 {
		n := min(blockLen, len(src)/fs)
		done := 0
		if hasVectors() {
			done = countFast(asFloat32(x[:n], src, from), asFloat32(y[:n], dst, to), n, c)
		}
		decodeFloat32(x[done:n], src[done*fs:], from)
		decodeFloat32(y[done:n], dst[done*ts:], to)
		countFloat32s(x[done:n], y[done:n], c)
		src, dst = src[n*fs:], dst[n*ts:]
	}
}

// asFloat32 gives the bytes of the elements as float32, staging them unless they are that already. Only called where
// vectors are.
func asFloat32(stage []uint32, b []byte, d dtype.DType) []byte {
	switch {
	case d == dtype.Float32:
		return b[:4*len(stage)]
	case d.Size() == 1:
		t := (*[1024]byte)(table(dtype.Float32, d))
		for i, c := range b[:len(stage)] {
			stage[i] = le.Uint32(t[4*int(c):])
		}
	default:
		done := decodeFast(stageBytes(stage), b, len(stage), d)
		decodeFloat32(stage[done:], b[done*int(d.Size()):], d)
	}
	return stageBytes(stage)
}

func countFloat32s(xs, ys []uint32, c *Counts) {
	const payload = quiet32 - 1
	for i, xb := range xs {
		yb := ys[i]
		x, y := xb&^signBit32, yb&^signBit32
		switch {
		case x > inf32:
			c.NaN++
			if p := x & payload; p != 0 && p != y&payload {
				c.LostNaN++
			}
		case xb == yb || x|y == 0:
		case y >= inf32 || x == inf32:
			c.Overflowed++
		case y == 0:
			c.Flushed++
		default:
			c.Rounded++
		}
	}
}

// widen stages float64 bits of floats, and 64-bit integers of the rest.
func widen(stage []uint64, src []byte, d dtype.DType) {
	switch {
	case d == dtype.Float64:
		load64(stage, src)
	case d.IsFloat():
		var narrow [blockLen]uint32
		decodeFloat32(narrow[:len(stage)], src, d)
		for i, u := range narrow[:len(stage)] {
			stage[i] = float64FromFloat32(u)
		}
	default:
		decodeInt(stage, src, d)
	}
}

func countBlock(x, y []uint64, to, from dtype.DType, c *Counts) {
	switch {
	case from.IsFloat() && to.IsFloat():
		countFloats(x, y, c)
	case from.IsFloat():
		countTruncation(x, to, c)
	case to.IsFloat():
		countIntToFloat(x, y, from == dtype.UInt64, c)
	case to != dtype.Bool:
		countWrapped(x, to, from, c)
	}
}

func countFloats(xs, ys []uint64, c *Counts) {
	for i, xb := range xs {
		yb := ys[i]
		if xb == yb && xb&inf64 != inf64 {
			continue
		}
		x, y := math.Float64frombits(xb), math.Float64frombits(yb)
		switch {
		case x != x:
			c.NaN++
			if payload := xb & (quiet64 - 1); payload != 0 && yb&(quiet64-1) != payload {
				c.LostNaN++
			}
		case x == y:
		case math.IsInf(x, 0) || math.IsInf(y, 0) || y != y:
			c.Overflowed++
		case y == 0:
			c.Flushed++
		default:
			c.Rounded++
		}
	}
}

// intRange gives an integer dtype's limits as the first float64 below and the first above.
func intRange(d dtype.DType) (below, above float64) {
	bits := int(d.Size()) * 8
	switch {
	case unsigned(d):
		return -1, math.Ldexp(1, bits)
	case d == dtype.Int64:
		return math.Nextafter(-1<<63, math.Inf(-1)), 1 << 63
	}
	return -math.Ldexp(1, bits-1) - 1, math.Ldexp(1, bits-1)
}

func countTruncation(xs []uint64, to dtype.DType, c *Counts) {
	below, above := intRange(to)
	for _, xb := range xs {
		x := math.Float64frombits(xb)
		switch {
		case x != x:
			c.NaN++
			c.LostNaN++
		case to == dtype.Bool:
			if x != 0 && x != 1 {
				c.Rounded++
			}
		case x <= below || x >= above:
			c.Overflowed++
		case x != 0 && math.Abs(x) < 1:
			c.Flushed++
		case x != math.Trunc(x):
			c.Rounded++
		}
	}
}

func countIntToFloat(xs, ys []uint64, noSign bool, c *Counts) {
	for i, x := range xs {
		y := math.Float64frombits(ys[i])
		switch {
		case math.IsInf(y, 0) || y != y:
			c.Overflowed++
		case noSign && (y >= 1<<64 || y < 0 || uint64(y) != x):
			c.Rounded++
		case !noSign && (y >= 1<<63 || y < -1<<63 || int64(y) != int64(x)):
			c.Rounded++
		}
	}
}

// countWrapped finds integers outside the target's range.
func countWrapped(xs []uint64, to, from dtype.DType, c *Counts) {
	bits := 8 * uint(to.Size())
	signed := !unsigned(to)
	for _, x := range xs {
		negative := !unsigned(from) && int64(x) < 0
		switch {
		case negative && signed:
			if int64(x) < -1<<(bits-1) {
				c.Overflowed++
			}
		case negative, signed && x>>(bits-1) != 0, x>>(bits-1)>>1 != 0:
			c.Overflowed++
		}
	}
}

// unsigned tells the unsigned integers and bool.
func unsigned(d dtype.DType) bool {
	switch d {
	case dtype.UInt8, dtype.UInt16, dtype.UInt32, dtype.UInt64, dtype.Bool:
		return true
	}
	return false
}
