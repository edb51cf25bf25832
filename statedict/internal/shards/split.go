package shards

import "slices"

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
