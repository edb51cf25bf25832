package convert

// deal copies elements from src to out along dims: element (i0, i1, ...) lies at the sum of i*d.src in src and goes to the
// sum of i*d.dst in out. The dims are sorted by descending src steps.
func deal(out, src []byte, elem int64, dims []dim) {
	if len(dims) == 0 {
		copy(out[:elem], src)
		return
	}
	// The two innermost loops are the one that is dense in the output and the one that is densest in the source; done in
	// tiles, both sides stay in the first cache. Where they are the same loop, it runs alone.
	fast := len(dims) - 1
	slow := 0
	for i, d := range dims {
		if d.dst < dims[slow].dst {
			slow = i
		}
	}
	if dims[fast].src == 0 && fast > 0 && slow == fast {
		fast-- // expanded: each source element is repeated along slow
	}
	var outer []dim
	for i, d := range dims {
		if i != fast && i != slow {
			outer = append(outer, d)
		}
	}
	a, b := dims[fast], dims[slow]
	if fast == slow {
		a = dim{1, 0, 0}
	}
	at := make([]int64, len(outer))
	var from, to int64
	for {
		dealTiles(out[to*elem:], src[from*elem:], elem, a, b)
		k := len(outer) - 1
		for ; k >= 0; k-- {
			d := outer[k]
			from, to = from+d.src, to+d.dst
			if at[k]++; at[k] < d.n {
				break
			}
			from, to, at[k] = from-d.n*d.src, to-d.n*d.dst, 0
		}
		if k < 0 {
			return
		}
	}
}

// tile is the side of a square of elements: 32 lines of 64 bytes on either side at most.
const tile = 32

func dealTiles(out, src []byte, elem int64, a, b dim) {
	if a.n == 1 && b.src == 1 && b.dst == 1 {
		copy(out[:b.n*elem], src[:b.n*elem])
		return
	}
	for i := int64(0); i < a.n; i += tile {
		an := min(tile, a.n-i)
		for j := int64(0); j < b.n; j += tile {
			bn := min(tile, b.n-j)
			for k := range an {
				from, to := (i+k)*a.src+j*b.src, (i+k)*a.dst+j*b.dst
				dealRun(out[to*elem:], src[from*elem:], elem, bn, b)
			}
		}
	}
}

// dealRun copies n elements with the steps of d.
func dealRun(out, src []byte, elem, n int64, d dim) {
	s, t := int(d.src*elem), int(d.dst*elem)
	switch elem {
	case 1:
		for i := range int(n) {
			out[i*t] = src[i*s]
		}
	case 2:
		for i := range int(n) {
			le.PutUint16(out[i*t:], le.Uint16(src[i*s:]))
		}
	case 4:
		for i := range int(n) {
			le.PutUint32(out[i*t:], le.Uint32(src[i*s:]))
		}
	case 8:
		for i := range int(n) {
			le.PutUint64(out[i*t:], le.Uint64(src[i*s:]))
		}
	default:
		for i := range int(n) {
			copy(out[i*t:i*t+int(elem)], src[i*s:i*s+int(elem)])
		}
	}
}
