package torchfile

import (
	"fmt"
)

// SerializationID is the content of .data/serialization_id as torch 2.1 and later write it on Linux: a hash of the names
// of all records in front of it, in file order, without prefix, and one of the CRC-32s of those that are not empty.
// Other platforms' libraries hash names differently, and no reader compares; equal input shall give equal bytes.
//
// Source: PyTorchStreamWriter::writeSerializationId; the order of names is that of a libstdc++ unordered_set.
func SerializationID(names []string, crcs []uint32) string {
	var nameHash, content uint64
	for _, h := range unorderedSet(names) {
		nameHash = mix(nameHash, h)
	}
	for _, crc := range crcs {
		content = mix(content, uint64(crc))
	}
	return fmt.Sprintf("%020d%020d", nameHash, content)
}

func mix(seed, value uint64) uint64 {
	return seed ^ (value + 0x9E3779B9 + seed<<6 + seed>>2)
}

// bucketCounts are the sizes that libstdc++ gives a set that grows one by one.
var bucketCounts = []uint64{
	13, 29, 59, 127, 257, 541, 1109, 2357, 5087, 10273, 20753, 42043, 85229, 172933, 351061, 712697, 1447153, 2938679, 5967347,
}

// unorderedSet returns the hashes of names in the order in which a libstdc++ unordered_set<string> iterates: one list
// for all buckets; a new member goes to the front of the list, or in front of its bucket's first member.
func unorderedSet(names []string) []uint64 {
	hashes := make([]uint64, len(names))
	for i, name := range names {
		hashes[i] = hashName(name)
	}
	const none = -1
	next := make([]int, len(names)) // next[i] follows i in the list
	head, size := none, 0
	var before []int // for each bucket the member in front of its first; none for the front of the list, absent below
	const absent = -2

	insert := func(i int, buckets uint64) {
		b := hashes[i] % buckets
		switch {
		case before[b] == absent:
			next[i], before[b] = head, none
			if head != none {
				before[hashes[head]%buckets] = i
			}
			head = i
		case before[b] == none:
			next[i], head = head, i
		default:
			next[i], next[before[b]] = next[before[b]], i
		}
	}
	grow := func(buckets uint64) {
		before = make([]int, buckets)
		for b := range before {
			before[b] = absent
		}
		at := head
		head = none
		for at != none {
			following := next[at]
			insert(at, buckets)
			at = following
		}
	}
	sizes := bucketCounts
	for i := range names {
		if size == 0 || uint64(size) >= sizes[0] {
			if size > 0 && len(sizes) > 1 {
				sizes = sizes[1:]
			}
			grow(sizes[0])
		}
		insert(i, sizes[0])
		size++
	}
	order := make([]uint64, 0, len(names))
	for at := head; at != none; at = next[at] {
		order = append(order, hashes[at])
	}
	return order
}

// hashName is libstdc++'s std::hash<std::string> of 64 bits: MurmurHash64A with its seed.
func hashName(s string) uint64 {
	const m = 0xC6A4A7935BD1E995
	h := 0xC70F6907 ^ uint64(len(s))*m
	for ; len(s) >= 8; s = s[8:] {
		d := le.Uint64([]byte(s[:8])) * m
		d ^= d >> 47
		h = (h ^ d*m) * m
	}
	if len(s) > 0 {
		var tail uint64
		for i := len(s) - 1; i >= 0; i-- {
			tail = tail<<8 | uint64(s[i])
		}
		h = (h ^ tail) * m
	}
	h = (h ^ h>>47) * m
	return h ^ h>>47
}
