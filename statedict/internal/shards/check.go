package shards

import (
	"fmt"
	"slices"
)

// Contents is what one of the files that could be opened holds.
type Contents struct {
	File string
	Keys []string
}

// Check returns how x and its files disagree: files that are missing, keys that are missing, not mentioned or in two files,
// and a wrong total size. totals are the numbers of tensor bytes in all files, as one may count them: writers differ in what
// they do with views of one storage.
func (x *Index) Check(contents []Contents, totals ...int64) []Finding {
	var found []Finding
	where := make(map[string]string)
	opened := make(map[string]bool)
	for _, c := range contents {
		opened[c.File] = true
		for _, key := range c.Keys {
			if first, twice := where[key]; twice {
				found = append(found, Finding{FindingTwice, key, c.File, fmt.Sprintf("key %s is in file %s and in file %s", quote(key), quote(first), quote(c.File))})
				continue
			}
			where[key] = c.File
		}
	}
	for _, file := range x.Files {
		if !opened[file] {
			found = append(found, Finding{FindingShard, "", file, fmt.Sprintf("file %s is missing", quote(file))})
		}
	}
	listed := make(map[string]struct{}, len(x.Entries))
	for _, e := range x.Entries {
		listed[e.Key] = struct{}{}
		file := x.Files[e.File]
		switch in, ok := where[e.Key]; {
		case !opened[file] || in == file:
		case ok:
			found = append(found, Finding{FindingShard, e.Key, file, fmt.Sprintf("key %s is said to be in file %s and is in file %s", quote(e.Key), quote(file), quote(in))})
		default:
			found = append(found, Finding{FindingShard, e.Key, file, fmt.Sprintf("key %s is said to be in file %s and is not", quote(e.Key), quote(file))})
		}
	}
	for _, c := range contents {
		for _, key := range c.Keys {
			if _, ok := listed[key]; !ok {
				found = append(found, Finding{FindingShard, key, c.File, fmt.Sprintf("key %s is in file %s and not in the index", quote(key), quote(c.File))})
			}
		}
	}
	if len(totals) > 0 && x.TotalSize >= 0 && !slices.Contains(totals, x.TotalSize) {
		found = append(found, Finding{FindingTotals, "", "", fmt.Sprintf("total_size is %d, the files hold %d bytes of tensors", x.TotalSize, totals[0])})
	}
	return found
}
