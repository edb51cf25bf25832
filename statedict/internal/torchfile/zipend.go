package torchfile

import "bytes"

const (
	localLen   = 30
	centralLen = 46
	endLen     = 22
	locatorLen = 20
	end64Len   = 56

	saturated16 = 0xFFFF
	saturated32 = 0xFFFFFFFF

	headLen    = 4 << 10
	tailLen    = 128 << 10
	commentMax = saturated16
)

const (
	sigLocal      = "PK\x03\x04"
	sigDescriptor = "PK\x07\x08"
	sigCentral    = "PK\x01\x02"
	sigEnd        = "PK\x05\x06"
	sigEnd64      = "PK\x06\x06"
	sigLocator    = "PK\x06\x07"
)

// zipEnd is what the end records say once they agree with each other and with the file.
type zipEnd struct {
	entries  int64
	dirOff   int64 // of the first directory entry, in the file
	dirLen   int64
	base     int64 // what to add to the offsets of the directory: bytes in front of an archive that was moved
	trailing int64 // bytes behind the comment
	comment  []byte
}

// findEnd reads head and tail and returns the archive's one end.
//
// The last end record counts, as for every reader that starts from the end of the file. A second one that also reaches
// exactly to the end of the file, or a whole archive in front of the one described, makes two readings: E_AMBIGUOUS.
func findEnd(src *source) (zipEnd, error) {
	head, err := src.keep(0, min(headLen, src.size))
	if err != nil {
		return zipEnd{}, err
	}
	tailOff := max(0, src.size-tailLen)
	tail, err := src.keep(tailOff, src.size-tailOff)
	if err != nil {
		return zipEnd{}, err
	}
	window := tail[max(0, len(tail)-commentMax-endLen):]
	windowOff := src.size - int64(len(window))

	at := lastEnd(window)
	if at < 0 {
		if !bytes.HasPrefix(head, []byte(sigLocal)) {
			return zipEnd{}, errorAt(CodeFormat, -1, "not a zip: no record at the start and no end record")
		}
		return zipEnd{}, truncated(src)
	}
	end, err := readEnd(src, window[at:], windowOff+int64(at))
	if err != nil {
		return zipEnd{}, err
	}
	for i := at - 1; i >= 0; i-- {
		i = bytes.LastIndex(window[:i+len(sigEnd)], []byte(sigEnd))
		if i < 0 || windowOff+int64(i) < end.dirOff {
			break
		}
		if i+endLen+int(le.Uint16(window[i+20:])) == len(window) {
			return zipEnd{}, errorAt(CodeAmbiguous, windowOff+int64(i), "two end records, each reaches to the end of the file")
		}
	}
	if end.base > 0 && bytes.HasPrefix(head, []byte(sigLocal)) {
		return zipEnd{}, errorAt(CodeAmbiguous, 0, "the end record describes an archive that starts at byte %d, and another starts at byte 0", end.base)
	}
	return end, nil
}

// lastEnd is the position of the last end record that is whole, -1 if there is none.
func lastEnd(window []byte) int {
	if len(window) < endLen {
		return -1
	}
	return bytes.LastIndex(window[:len(window)-endLen+len(sigEnd)], []byte(sigEnd))
}

// readEnd checks the end record that starts b, at off, with its zip64 companions.
func readEnd(src *source, b []byte, off int64) (zipEnd, error) {
	var end zipEnd
	commentLen := int64(le.Uint16(b[20:]))
	if endLen+commentLen > int64(len(b)) {
		return end, errorAt(CodeZip, off, "end record: comment of %d bytes, %d left in the file", commentLen, len(b)-endLen)
	}
	end.comment = bytes.Clone(b[endLen : endLen+commentLen])
	end.trailing = int64(len(b)) - endLen - commentLen

	disk, dirDisk := le.Uint16(b[4:]), le.Uint16(b[6:])
	here, entries := uint64(le.Uint16(b[8:])), uint64(le.Uint16(b[10:]))
	dirLen, dirOff := uint64(le.Uint32(b[12:])), uint64(le.Uint32(b[16:]))
	dirEnd := off

	wide, wideOff, moved, err := readEnd64(src, off)
	if err != nil {
		return end, err
	}
	if wide != nil {
		if disk == saturated16 {
			disk = 0
		}
		if dirDisk == saturated16 {
			dirDisk = 0
		}
		dirEnd = wideOff
		for _, f := range []struct {
			name   string
			narrow *uint64
			full   uint64
			wide   uint64
		}{
			{"records on this disk", &here, saturated16, le.Uint64(wide[24:])},
			{"records", &entries, saturated16, le.Uint64(wide[32:])},
			{"directory bytes", &dirLen, saturated32, le.Uint64(wide[40:])},
			{"directory offset", &dirOff, saturated32, le.Uint64(wide[48:])},
		} {
			if f.wide > uint64(src.size) {
				return end, errorAt(CodeZip, wideOff, "zip64 end record: %s is %d in a file of %d bytes", f.name, f.wide, src.size)
			}
			if *f.narrow != f.full && *f.narrow != f.wide {
				return end, errorAt(CodeAmbiguous, off, "%s: end record says %d, zip64 end record %d", f.name, *f.narrow, f.wide)
			}
			*f.narrow = f.wide
		}
	}
	if disk != 0 || dirDisk != 0 {
		return end, errorAt(CodeZip, off, "end record: part of an archive on several disks")
	}
	if here != entries {
		return end, errorAt(CodeZip, off, "end record: %d records on this disk, %d in all", here, entries)
	}
	if dirLen > uint64(dirEnd) || dirOff > uint64(dirEnd)-dirLen {
		return end, errorAt(CodeZip, off, "end record: directory of %d bytes at %d does not end in front of byte %d", dirLen, dirOff, dirEnd)
	}
	if entries > dirLen/centralLen {
		return end, errorAt(CodeZip, off, "end record: %d records do not fit in a directory of %d bytes", entries, dirLen)
	}
	end.entries, end.dirLen = int64(entries), int64(dirLen)
	end.dirOff = dirEnd - end.dirLen
	end.base = end.dirOff - int64(dirOff)
	if wide != nil && moved != end.base {
		return end, errorAt(CodeAmbiguous, wideOff, "locator and directory offset disagree: %d and %d bytes stand in front of the archive", moved, end.base)
	}
	return end, nil
}

// readEnd64 returns the zip64 end record that belongs to the end record at off, its offset, and by how much that is
// later than the locator states; nil if there is none. It has to stand directly in front of its locator: then nothing
// that a reader could take for it hides in between.
func readEnd64(src *source, off int64) (record []byte, at, moved int64, err error) {
	if off < locatorLen {
		return nil, 0, 0, nil
	}
	locator, err := src.read(off-locatorLen, locatorLen)
	if err != nil || string(locator[:4]) != sigLocator {
		return nil, 0, 0, err
	}
	if le.Uint32(locator[4:]) != 0 || le.Uint32(locator[16:]) > 1 {
		return nil, 0, 0, errorAt(CodeZip, off-locatorLen, "zip64 locator: part of an archive on several disks")
	}
	stated := le.Uint64(locator[8:])
	if stated > uint64(off-locatorLen) {
		return nil, 0, 0, errorAt(CodeZip, off-locatorLen, "zip64 locator: end record at %d lies behind the locator", stated)
	}
	// A moved archive keeps its offsets, so the record is looked for by its place first. One with more fields than those
	// of today starts earlier, where the locator says.
	for _, at = range []int64{off - locatorLen - end64Len, int64(stated)} {
		if at < 0 || at > off-locatorLen-end64Len {
			continue
		}
		if record, err = src.read(at, end64Len); err != nil {
			return nil, 0, 0, err
		}
		if string(record[:4]) == sigEnd64 {
			break
		}
		record = nil
	}
	if record == nil {
		return nil, 0, 0, errorAt(CodeZip, off-locatorLen, "zip64 locator without an end record")
	}
	if n := le.Uint64(record[4:]); n < end64Len-12 || n != uint64(off-locatorLen-at-12) {
		return nil, 0, 0, errorAt(CodeZip, at, "zip64 end record: states %d bytes, %d follow", n, off-locatorLen-at-12)
	}
	if le.Uint32(record[16:]) != 0 || le.Uint32(record[20:]) != 0 {
		return nil, 0, 0, errorAt(CodeZip, at, "zip64 end record: part of an archive on several disks")
	}
	return record, at, at - int64(stated), nil
}
