package torchfile

import (
	"hash/maphash"
	"strings"
)

// nameTable finds records by name: a hash table with open addressing. Its seed is random, so no directory can be made
// whose names all collide; what it answers does not depend on it. Sorting the names instead takes ten seconds for a
// million of them.
type nameTable struct {
	seed  maphash.Seed
	slots []nameSlot // a power of two of them, at most four in five in use
}

// nameSlot is free where next is 0. The tag saves most looks at records that have another name.
type nameSlot struct {
	tag  uint32 // upper half of the hash
	next uint32 // index of the record plus one
}

// checkNames enters every record under its name, refuses two that a reader could mistake for each other and notes names
// that are unsafe to show or write.
func (o *opener) checkNames() error {
	size := 8
	for size*4 < len(o.Records)*5 {
		size *= 2
	}
	o.names = nameTable{seed: maphash.MakeSeed(), slots: make([]nameSlot, size)}
	for i := range o.Records {
		rec := &o.Records[i]
		root := rec.Name == "" && !rec.Foreign // the entry of the root folder itself
		if why := UnsafeName(rec.Name); why != "" && !root {
			o.found.add(FoundName, o.FullName(i), "name %s", why)
		}
		fold := o.folded(rec.Name, rec.Foreign)
		free, tag, twin := o.probe(rec.Name, rec.Foreign, fold, fold)
		if twin < 0 {
			*free = nameSlot{tag: tag, next: uint32(i) + 1}
			continue
		}
		// Where a lenient open goes on, the first of the two counts, as it does for torch.
		e := recordError(CodeAmbiguous, o.FullName(i), rec.HeaderOff, "two records of this name")
		if o.Records[twin].Name != rec.Name {
			e.Msg = "differs only in case from " + quote(o.FullName(twin)) + ", torch does not tell them apart"
		}
		if err := o.ambiguous(e); err != nil {
			return err
		}
	}
	return o.checkAliases()
}

// folded tells names that torch looks up ignoring case. Arrays of an npz and the sources of TorchScript may well differ
// in nothing else.
func (a *Archive) folded(name string, foreign bool) bool {
	return a.Kind.torch() && !foreign && !strings.HasPrefix(name, "code/")
}

// probe looks for a record; hashFold and equalFold say whether case counts. It returns the record's index, or -1 with
// the free slot where the search ended and the tag of the name.
func (a *Archive) probe(name string, foreign, hashFold, equalFold bool) (free *nameSlot, tag uint32, index int) {
	hash := a.names.hash(name, hashFold)
	tag = uint32(hash >> 32)
	mask := uint64(len(a.names.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		slot := &a.names.slots[at]
		if slot.next == 0 {
			return slot, tag, -1
		}
		if slot.tag != tag {
			continue
		}
		rec := &a.Records[slot.next-1]
		if rec.Foreign == foreign && (rec.Name == name || equalFold && sameFold(rec.Name, name)) {
			return nil, tag, int(slot.next - 1)
		}
	}
}

func (t *nameTable) hash(name string, fold bool) uint64 {
	if !fold {
		return maphash.String(t.seed, name)
	}
	var piece [64]byte
	if len(name) <= len(piece) {
		return maphash.Bytes(t.seed, piece[:lowered(piece[:], name)])
	}
	var h maphash.Hash
	h.SetSeed(t.seed)
	for len(name) > 0 {
		n := lowered(piece[:], name)
		h.Write(piece[:n])
		name = name[n:]
	}
	return h.Sum64()
}

// lowered copies as much of name as fits, in lower case, and answers how much that is.
func lowered(to []byte, name string) int {
	n := min(len(to), len(name))
	for i := range to[:n] {
		to[i] = lower(name[i])
	}
	return n
}

// Lookup returns the index of the record with exactly this name, prefix not included.
func (a *Archive) Lookup(name string) (int, bool) {
	_, _, i := a.probe(name, false, a.folded(name, false), false)
	return i, i >= 0
}

// LookupFold is Lookup for names that torch finds ignoring case.
func (a *Archive) LookupFold(name string) (int, bool) {
	_, _, i := a.probe(name, false, true, true)
	return i, i >= 0
}

// checkAliases refuses records that some reader takes for one of the checkpoint's: names that become one of its names
// without case, or that do when they end at their first NUL, as they do for Python.
func (o *opener) checkAliases() error {
	if !o.Kind.torch() {
		return nil
	}
	folder := o.Prefix + "/"
	for i := range o.Records {
		rec := &o.Records[i]
		name, _, cut := strings.Cut(rec.Name, "\x00")
		switch {
		case !rec.Foreign && !cut:
			continue
		case rec.Foreign:
			if len(name) <= len(folder) || !sameFold(name[:len(folder)], folder) {
				continue
			}
			name = name[len(folder):]
		}
		fold := o.folded(name, false)
		if _, _, twin := o.probe(name, false, fold, fold); twin >= 0 {
			e := recordError(CodeAmbiguous, o.FullName(i), rec.HeaderOff, "some readers take it for record %s of the checkpoint", quote(name))
			if err := o.ambiguous(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// UnsafeName says what is wrong with a record name, nothing for an ordinary one.
func UnsafeName(name string) string {
	switch {
	case name == "":
		return "is empty"
	case name[0] == '/':
		return "starts with a slash"
	case len(name) > 1 && name[1] == ':':
		return "starts with a drive letter"
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; c < 0x20 || c == 0x7F || c == '\\' {
			return "holds a control character or backslash"
		}
	}
	for rest := name; ; {
		part, more, found := strings.Cut(rest, "/")
		if part == ".." {
			return "leaves its folder"
		}
		if !found {
			return ""
		}
		rest = more
	}
}

// sameFold tells names that are equal but for ASCII case: torch's lookup does not tell them apart.
func sameFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
