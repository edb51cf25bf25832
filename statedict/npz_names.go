package statedict

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/torchfile"
)

const (
	// maxStem is the longest name of a file that a key becomes, in bytes, without room for a number and an ending.
	maxStem = 180
	// npzIndexBytes bounds the index of names that is read, in bytes.
	npzIndexBytes = 64 << 20
)

// fileStems gives every key a name that is safe as that of a file on any system, without an ending: of letters, digits, '.', '_' and
// '-', in its folder, at most 200 bytes with an ending, and no two alike where case does not count. Keys that are such names keep
// them, the first of two that differ in case only; all others get a new name, with a number where that is taken.
//
// Memory: the names and some 60 bytes a key.
func fileStems(keys []string) []string {
	out := make([]string, len(keys))
	taken := make(map[string]int, len(keys)) // by lower case; the last number that was given out for it
	for i, key := range keys {
		if low := strings.ToLower(key); fileStem(key) == key {
			if _, ok := taken[low]; !ok {
				out[i], taken[low] = key, 1
			}
		}
	}
	for i, key := range keys {
		if out[i] != "" {
			continue
		}
		stem := fileStem(key)
		low := strings.ToLower(stem)
		name := stem
		if n, ok := taken[low]; ok {
			for ok {
				n++
				name = fmt.Sprintf("%s-%d", stem, n)
				_, ok = taken[strings.ToLower(name)]
			}
			taken[low] = n
		}
		out[i] = name
		if _, ok := taken[strings.ToLower(name)]; !ok {
			taken[strings.ToLower(name)] = 1
		}
	}
	return out
}

// fileStem is a key as the name of a file: bytes outside [A-Za-z0-9._-] as _ and two hexadecimal digits.
func fileStem(key string) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, min(len(key), maxStem))
	for i := 0; i < len(key) && len(b) < maxStem; i++ {
		c := key[i]
		dot := c == '.' && (i == 0 || i == len(key)-1 || len(b) == maxStem-1)
		switch {
		case dot, !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'):
			b = append(b, '_', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	first, _, _ := strings.Cut(string(b), ".")
	if len(b) == 0 || deviceName(first) {
		return "_" + string(b)
	}
	return string(b)
}

// deviceName tells the names that Windows keeps for devices, whatever follows their first dot.
func deviceName(name string) bool {
	switch name = strings.ToUpper(name); name {
	case "CON", "PRN", "AUX", "NUL":
		return true
	}
	return len(name) == 4 && (name[:3] == "COM" || name[:3] == "LPT") && '0' <= name[3] && name[3] <= '9'
}

// npzIndex is the member of an npz that says which keys its arrays have, where those are no names of files.
type npzIndex struct {
	Names map[string]string `json:"names"` // by member
}

// npzKeys are the keys of the members that the index of an npz names; nil where it has none, or one that is not to be believed:
// then the finding says why, and the members' own names count.
func (op *opener) npzKeys(a *torchfile.Archive) map[string]string {
	i, ok := a.Lookup(torchfile.NPZIndex)
	if !ok {
		return nil
	}
	doc, err := a.ReadSmall(i, npzIndexBytes)
	var index npzIndex
	if err == nil {
		err = json.Unmarshal(doc, &index)
	}
	if err != nil {
		op.finding("F_NAME", torchfile.NPZIndex, "is no index of names; the members' own names are shown")
		return nil
	}
	keys := make(map[string]bool, len(a.Records))
	for i := range a.Records {
		member := a.FullName(i)
		key, listed := index.Names[member]
		if !listed {
			key = strings.TrimSuffix(member, ".npy")
		}
		if keys[key] {
			op.finding("F_NAME", torchfile.NPZIndex, "gives two members the key %q; the members' own names are shown", key)
			return nil
		}
		keys[key] = true
	}
	return index.Names
}
