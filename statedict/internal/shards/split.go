package shards

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// Item is one key to be placed.
type Item struct {
	NBytes int64 // bytes that the key adds to a file
	Group  int   // keys that share a storage have the same number, 0 or more; -1 stands alone
}

// Shard is the contents of one file.
type Shard struct {
	Items  []int // positions in the given items, ascending
	NBytes int64
}

// Split distributes items, in order, over files of at most most bytes: a file is closed when the next item does not fit, an
// item that is larger than a file gets one of its own, and no item is split. Of a group the first item decides place and
// size; the others follow it and count nothing, for their storage is in the file already.
//
// Source: huggingface_hub, split_state_dict_into_shards_factory, which also puts the file of an outsized item in front of the
// one that is still being filled.
func Split(items []Item, most int64) []Shard {
	var done []Shard
	var open Shard
	at := make([]int, len(items)) // shard of each item; -1 is the open one
	first := make(map[int]int)    // item that leads each group
	for i, item := range items {
		if item.Group >= 0 {
			if _, follows := first[item.Group]; follows {
				continue
			}
			first[item.Group] = i
		}
		if item.NBytes > most {
			at[i] = len(done)
			done = append(done, Shard{[]int{i}, item.NBytes})
			continue
		}
		if len(open.Items) > 0 && item.NBytes > most-open.NBytes {
			done = closeShard(done, open, at)
			open = Shard{}
		}
		open.Items = append(open.Items, i)
		open.NBytes += item.NBytes
	}
	if len(open.Items) > 0 {
		done = closeShard(done, open, at)
	}
	for i, item := range items {
		if item.Group >= 0 && first[item.Group] != i {
			s := &done[at[first[item.Group]]]
			s.Items = append(s.Items, i)
		}
	}
	for i := range done {
		slices.Sort(done[i].Items)
	}
	return done
}

func closeShard(done []Shard, s Shard, at []int) []Shard {
	for _, i := range s.Items {
		at[i] = len(done)
	}
	return append(done, s)
}

// units are the size suffixes in lower case, with the b that may follow each left out.
var units = map[string]uint64{
	"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12,
	"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40,
}

// ParseSize reads a size in bytes: "5GB" is 5*10^9, "5GiB" is 5*2^30, "1.5 MB", "4096". Case does not matter; bits do not
// exist. The result is at least 1.
func ParseSize(text string) (int64, error) {
	bad := fmt.Errorf("size %s: expected a number and B, KB, MB, GB, TB, KiB, MiB, GiB or TiB", quote(text))
	rest := strings.TrimSpace(text)
	digits, scale, point := uint64(0), uint64(1), false
	n := 0
	for ; n < len(rest); n++ {
		c := rest[n]
		if c == '.' && !point && n > 0 {
			point = true
			continue
		}
		if c-'0' > 9 {
			break
		}
		if digits > (math.MaxUint64-9)/10 || point && scale > 1e9 {
			return 0, fmt.Errorf("size %s: too many digits", quote(text))
		}
		digits = digits*10 + uint64(c-'0')
		if point {
			scale *= 10
		}
	}
	if n == 0 || rest[n-1] == '.' {
		return 0, bad
	}
	unit, ok := units[strings.TrimSuffix(strings.ToLower(strings.TrimSpace(rest[n:])), "b")]
	if !ok {
		return 0, bad
	}
	hi, lo := bits.Mul64(digits, unit)
	if hi >= scale {
		return 0, fmt.Errorf("size %s: above 2^63-1 bytes", quote(text))
	}
	size, _ := bits.Div64(hi, lo, scale)
	if size > math.MaxInt64 {
		return 0, fmt.Errorf("size %s: above 2^63-1 bytes", quote(text))
	}
	if size == 0 {
		return 0, fmt.Errorf("size %s: less than one byte", quote(text))
	}
	return int64(size), nil
}
