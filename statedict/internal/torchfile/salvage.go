package torchfile

import (
	"bytes"
	"io"
)

// salvage walks the local headers of a zip from its start and returns the records that are whole, with full names; it
// needs no directory. torch leaves the sizes in the local header 0 and writes them behind the payload, so such a
// payload is searched for the descriptor that states exactly its length, in pieces of 1 MiB and over at most budget bytes.
// It stops without an error at the first byte that continues no record; all is false where the budget ended it.
func salvage(r io.ReaderAt, size, budget int64, limits Limits) (records []Record, all bool, err error) {
	var names int64
	for at := int64(0); at <= size-localLen; {
		header, err := readAt(r, at, localLen)
		if err != nil {
			return records, false, err
		}
		if string(header[:4]) != sigLocal {
			return records, true, nil
		}
		nameLen, extraLen := int64(le.Uint16(header[26:])), int64(le.Uint16(header[28:]))
		rec := Record{
			Flags: le.Uint16(header[6:]), Method: le.Uint16(header[8:]), CRC: le.Uint32(header[14:]), HeaderOff: at,
			dataOff: at + localLen + nameLen + extraLen,
		}
		if rec.dataOff > size || nameLen > limits.EntryName || names+nameLen > limits.NameBytes || int64(len(records)) >= limits.Entries {
			return records, true, nil
		}
		rest, err := readAt(r, at+localLen, nameLen+extraLen)
		if err != nil {
			return records, false, err
		}
		rec.Name = string(rest[:nameLen])
		names += nameLen
		packed, full := uint64(le.Uint32(header[18:])), uint64(le.Uint32(header[22:]))
		wide, _ := zip64Field(rest[nameLen:])
		for _, f := range []*uint64{&full, &packed} {
			if *f == saturated32 && len(wide) >= 8 {
				*f, wide = le.Uint64(wide), wide[8:]
			}
		}
		end := rec.dataOff
		if rec.HasDescriptor() && packed == 0 {
			if budget <= 0 {
				return records, false, nil
			}
			d, searched, err := findDescriptor(r, rec.dataOff, size, budget)
			if err != nil {
				return records, false, err
			}
			if budget -= searched; d.len == 0 {
				return records, budget > 0, nil
			}
			rec.CRC, packed, full = d.crc, d.packed, d.full
			end += d.len
		}
		if packed > uint64(size-end) || full > noLimit {
			return records, true, nil
		}
		rec.CompressedSize, rec.Size = int64(packed), int64(full)
		records = append(records, rec)
		at = end + rec.CompressedSize
		if rec.HasDescriptor() && end == rec.dataOff {
			if at, err = skipDescriptor(r, at, size); err != nil {
				return records, false, err
			}
		}
	}
	return records, true, nil
}

// descriptor is what follows a payload: signature, CRC-32 and two sizes of 4 or 8 bytes each. len is its length.
type descriptor struct {
	crc          uint32
	packed, full uint64
	len          int64
}

// findDescriptor searches the bytes from start on for the descriptor that states as compressed size its own distance.
func findDescriptor(r io.ReaderAt, start, size, budget int64) (d descriptor, searched int64, err error) {
	const piece, longest = 1 << 20, 24
	for at := start; at < size && searched < budget; at += piece {
		b, err := readAt(r, at, min(piece+longest, size-at))
		if err != nil {
			return descriptor{}, searched, err
		}
		searched += int64(len(b))
		for i := 0; ; i++ {
			next := bytes.Index(b[i:], []byte(sigDescriptor))
			if next < 0 || i+next >= piece || i+next > len(b)-16 {
				break
			}
			i += next
			distance := uint64(at + int64(i) - start)
			if packed := uint64(le.Uint32(b[i+8:])); packed == distance {
				d = descriptor{le.Uint32(b[i+4:]), packed, uint64(le.Uint32(b[i+12:])), 16}
			}
			if i+longest <= len(b) && le.Uint64(b[i+8:]) == distance {
				// A short descriptor of a payload under 4 GiB reads the same up to here when its full size is 0, which it is not.
				d = descriptor{le.Uint32(b[i+4:]), distance, le.Uint64(b[i+16:]), longest}
			}
			if d.len > 0 {
				return d, searched, nil
			}
		}
	}
	return descriptor{}, searched, nil
}

// skipDescriptor returns the offset behind the descriptor at off, or off if no record starts behind one.
func skipDescriptor(r io.ReaderAt, off, size int64) (int64, error) {
	b, err := readAt(r, off, min(28, size-off))
	if err != nil {
		return off, err
	}
	for _, n := range []int{16, 24, 12, 20} {
		if n+4 <= len(b) && (string(b[n:n+4]) == sigLocal || string(b[n:n+4]) == sigCentral) {
			return off + int64(n), nil
		}
	}
	return off, nil
}

// salvageBudget is how much a failing open may search to say how many records are whole.
const salvageBudget = 16 << 20

// truncated is the error for a zip that starts well and has no end record.
func truncated(src *source) error {
	records, all, err := salvage(src.r, src.size, salvageBudget, Limits{}.withDefaults())
	if err != nil {
		return err
	}
	more := ""
	if !all {
		more = "at least "
	}
	return errorAt(CodeTruncated, -1, "cut off after %d bytes: the directory at the end is missing, %s%d records are whole", src.size, more, len(records))
}
