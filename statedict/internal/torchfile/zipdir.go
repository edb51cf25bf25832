package torchfile

import (
	"bytes"
	"io"
	"iter"
	"slices"
	"strings"
)

// ReadDirectory opens the zip of size bytes in r: it checks the end records, every directory entry, names, ranges and
// (unless opt says Lazy) local headers, and reads the few records that describe the container. No storage is read.
//
// It reads the first 4 KiB, the last 128 KiB, the directory in pieces of 1 MiB and some 100 bytes per local header;
// peak memory is the directory's names twice and 72 bytes a record. Errors are *Error and *ReadError.
func ReadDirectory(r io.ReaderAt, size int64, opt Options) (*Archive, error) {
	a := &Archive{Pickle: -1, limits: opt.Limits.withDefaults(), src: source{r: r, size: size}, lenient: opt.Lenient}
	o := &opener{Archive: a, opt: opt}
	if err := o.open(); err != nil {
		return nil, err
	}
	a.Findings = o.found.all()
	a.src.blocks = nil
	return a, nil
}

// opener is the state of one ReadDirectory.
type opener struct {
	*Archive
	opt   Options
	end   zipEnd
	found findings
}

func (o *opener) open() (err error) {
	if o.end, err = findEnd(&o.src); err != nil {
		return err
	}
	o.Comment, o.Trailing = o.end.comment, o.end.trailing
	steps := []func() error{o.walk, o.chooseRoot, o.checkNames, o.checkRanges, o.checkReadable}
	if o.opt.LocalHeaders == AtOpen {
		steps = append(steps, o.checkLocals)
	}
	for _, step := range append(steps, o.readFacts) {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// ambiguous refuses, or notes the finding when the caller asked for leniency.
func (o *opener) ambiguous(e *Error) error {
	if !o.opt.Lenient {
		return e
	}
	o.Ambiguous = true
	o.found.add(CodeAmbiguous, e.Record, "%s", e.Msg)
	return nil
}

// walk reads the directory. Names are full until chooseRoot has looked at them.
func (o *opener) walk() error {
	end := o.end
	if end.dirLen > o.limits.DirectoryBytes {
		return errorAt(CodeLimit, end.dirOff, "directory of %d bytes, limit %d", end.dirLen, o.limits.DirectoryBytes)
	}
	if end.entries > o.limits.Entries {
		return errorAt(CodeLimit, end.dirOff, "%d records, limit %d", end.entries, o.limits.Entries)
	}
	var names strings.Builder
	names.Grow(int(min(end.dirLen-end.entries*centralLen, o.limits.NameBytes))) // the rest of those bytes
	lengths := make([]uint16, 0, end.entries)                                   // at most dirLen/46: those bytes exist
	o.Records = make([]Record, 0, end.entries)

	run := pieces{source: &o.src}
	at, stop := end.dirOff, end.dirOff+end.dirLen
	var b []byte
	for at < stop {
		if int64(len(b)) < min(stop-at, centralLen+3*saturated16) { // no entry is longer
			var err error
			if b, err = run.read(at, min(stop-at, piece)); err != nil {
				return err
			}
		}
		rec, name, n, err := readEntry(b, at, end.base, o.limits.EntryName)
		if err != nil {
			return err
		}
		if int64(len(o.Records)) == end.entries {
			return errorAt(CodeZip, at, "directory goes on after the %d records that the end record counts", end.entries)
		}
		if int64(names.Len()+len(name)) > o.limits.NameBytes {
			return errorAt(CodeLimit, at, "record names of more than %d bytes", o.limits.NameBytes)
		}
		names.Write(name)
		lengths = append(lengths, uint16(len(name)))
		o.Records = append(o.Records, rec)
		b, at = b[n:], at+n
	}
	if int64(len(o.Records)) != end.entries {
		return errorAt(CodeZip, stop, "directory holds %d records, the end record counts %d", len(o.Records), end.entries)
	}
	all, from := names.String(), 0
	for i := range o.Records {
		o.Records[i].Name = all[from : from+int(lengths[i])]
		from += int(lengths[i])
	}
	return nil
}

// readEntry parses the directory entry that starts b, at off in the file, and returns its length.
func readEntry(b []byte, off, base, nameLimit int64) (rec Record, name []byte, n int64, err error) {
	if len(b) < centralLen {
		return rec, nil, 0, errorAt(CodeZip, off, "directory ends inside an entry")
	}
	if string(b[:4]) != sigCentral {
		return rec, nil, 0, errorAt(CodeZip, off, "no directory entry where one has to be")
	}
	nameLen, extraLen, commentLen := int64(le.Uint16(b[28:])), int64(le.Uint16(b[30:])), int64(le.Uint16(b[32:]))
	if n = centralLen + nameLen + extraLen + commentLen; n > int64(len(b)) {
		return rec, nil, 0, errorAt(CodeZip, off, "directory ends inside an entry")
	}
	if nameLen > nameLimit {
		return rec, nil, 0, errorAt(CodeLimit, off, "record name of %d bytes, limit %d", nameLen, nameLimit)
	}
	name = b[centralLen : centralLen+nameLen]
	rec = Record{Method: le.Uint16(b[10:]), Flags: le.Uint16(b[8:]), CRC: le.Uint32(b[16:]), dataOff: -1}

	size, packed, header := uint64(le.Uint32(b[24:])), uint64(le.Uint32(b[20:])), uint64(le.Uint32(b[42:]))
	disk := uint32(le.Uint16(b[34:]))
	extra := b[centralLen+nameLen : centralLen+nameLen+extraLen]
	wide, count := zip64Field(extra)
	if count > 1 {
		return rec, nil, 0, recordError(CodeAmbiguous, string(name), off, "two zip64 fields in one directory entry")
	}
	if other := unicodeName(extra); other != nil && string(other) != string(name) && plainASCII(name) {
		return rec, nil, 0, recordError(CodeAmbiguous, string(name), off, "an extra field gives it the name %s", quote(string(other)))
	}
	// Only the fields that are saturated are in the zip64 field, in this order.
	for _, f := range []*uint64{&size, &packed, &header} {
		if *f != saturated32 {
			continue
		}
		if len(wide) < 8 {
			return rec, nil, 0, recordError(CodeZip, string(name), off, "directory entry: zip64 field missing or too short")
		}
		*f, wide = le.Uint64(wide), wide[8:]
	}
	if disk == saturated16 && len(wide) >= 4 {
		disk = le.Uint32(wide)
	}
	if disk != 0 {
		return rec, nil, 0, recordError(CodeZip, string(name), off, "directory entry: lies on disk %d of several", disk)
	}
	if size > noLimit || packed > noLimit || header > noLimit-uint64(base) {
		return rec, nil, 0, recordError(CodeZip, string(name), off, "directory entry: size or offset past 2^63")
	}
	rec.Size, rec.CompressedSize, rec.HeaderOff = int64(size), int64(packed), int64(header)+base
	return rec, name, n, nil
}

// zip64Field finds the zip64 block among extra fields, and how many there are.
func zip64Field(extra []byte) (field []byte, count int) {
	for id, data := range fields(extra) {
		if id == 1 {
			if count == 0 {
				field = data
			}
			count++
		}
	}
	return field, count
}

// unicodeName is the name in a Unicode Path field, nil if there is none. Python 3.12 and Info-ZIP prefer it, torch and
// Go do not look.
func unicodeName(extra []byte) []byte {
	for id, data := range fields(extra) {
		if id == 0x7075 && len(data) >= 5 {
			return data[5:]
		}
	}
	return nil
}

// plainASCII tells names that have no need of a Unicode Path field. Info-ZIP writes #U for what it cannot encode.
func plainASCII(name []byte) bool {
	for _, c := range name {
		if c < 0x20 || c >= 0x7F || c == '?' {
			return false
		}
	}
	return !bytes.Contains(name, []byte("#U"))
}

// fields walks extra fields. A malformed rest is left alone: torch's padding and other tools' fields are nobody's business.
func fields(extra []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(extra) >= 4 {
			n := 4 + int(le.Uint16(extra[2:]))
			if n > len(extra) || !yield(le.Uint16(extra), extra[4:n]) {
				return
			}
			extra = extra[n:]
		}
	}
}

// checkRanges sorts the records by place and sees that each has room for its header, name and payload in front of the
// next one, the last one in front of the directory.
func (o *opener) checkRanges() error {
	sorted := true
	for i := 1; i < len(o.Records) && sorted; i++ {
		sorted = o.Records[i-1].HeaderOff <= o.Records[i].HeaderOff
	}
	if !sorted {
		o.order = make([]uint32, len(o.Records))
		for i := range o.order {
			o.order[i] = uint32(i)
		}
		slices.SortStableFunc(o.order, func(i, j uint32) int {
			x, y := o.Records[i].HeaderOff, o.Records[j].HeaderOff
			switch {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		})
	}
	limit := o.end.dirOff
	for k := len(o.Records) - 1; k >= 0; k-- {
		i := o.Order(k)
		rec := &o.Records[i]
		rec.limit = limit
		if rec.Method == Stored && rec.Size != rec.CompressedSize {
			return recordError(CodeZip, o.FullName(i), rec.HeaderOff, "stored, but %d bytes in the file and %d in all", rec.CompressedSize, rec.Size)
		}
		need := localLen + int64(o.fullLen(i)) // bytes between the header's start and the payload at least
		if rec.HeaderOff > o.end.dirOff-need || rec.CompressedSize > o.end.dirOff-need-rec.HeaderOff {
			return recordError(CodeZip, o.FullName(i), rec.HeaderOff, "%d bytes do not fit in front of the directory at byte %d", rec.CompressedSize, o.end.dirOff)
		}
		if rec.HeaderOff > limit-need || rec.CompressedSize > limit-need-rec.HeaderOff {
			return recordError(CodeAmbiguous, o.FullName(i), rec.HeaderOff, "%d bytes overlap the next record at byte %d", rec.CompressedSize, limit)
		}
		limit = rec.HeaderOff
	}
	o.Leading = limit
	if o.Leading > 0 {
		if head := o.src.blocks[0].data; bytes.HasPrefix(head, []byte(sigLocal)) {
			e := errorAt(CodeAmbiguous, 0, "a record at byte 0 that the directory does not list; the first listed is at byte %d", o.Leading)
			if err := o.ambiguous(e); err != nil {
				return err
			}
		}
		o.found.add(FoundPrefix, "", "%d bytes in front of the first record belong to nobody; torch refuses such a file", o.Leading)
	}
	if o.Trailing > 0 {
		o.found.add(FoundTrailing, "", "%d bytes behind the end record belong to nobody", o.Trailing)
	}
	return nil
}
