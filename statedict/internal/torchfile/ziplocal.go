package torchfile

import "strings"

// checkReadable refuses archives whose contents cannot be decoded. An encryption bit on any record that the checkpoint
// is made of is refused whatever its bytes look like; other records that cannot be read are noted and listed.
func (o *opener) checkReadable() error {
	packed, files, encrypted := 0, 0, 0
	var first *Error // of the encrypted records
	for i := range o.Records {
		rec := &o.Records[i]
		if rec.IsDir() {
			continue
		}
		files++
		e := o.Readable(i)
		if e == nil {
			if rec.Method == Deflated && o.isStorage(rec) {
				packed++
			}
			continue
		}
		if i == o.Pickle || o.isNeeded(rec) && e.Code != CodeMethod {
			return e
		}
		o.found.add(e.Code, e.Record, "%s", e.Msg)
		if e.Code == CodeEncrypted {
			if encrypted++; first == nil {
				first = e
			}
		}
	}
	if files > 0 && encrypted == files {
		return first
	}
	if packed > 0 {
		o.found.add(FoundContainer, "", "%d storages are deflated: torch.load with mmap=True would read garbage", packed)
	}
	return nil
}

// Readable says why the payload of record i cannot be decoded, nil if it can. It reads nothing.
func (a *Archive) Readable(i int) *Error {
	rec := &a.Records[i]
	switch {
	case rec.Flags&(flagEncrypted|flagStrong|flagMasked) != 0:
		return recordError(CodeEncrypted, a.FullName(i), rec.HeaderOff, "is encrypted")
	case rec.Flags&flagPatched != 0:
		return recordError(CodeZip, a.FullName(i), rec.HeaderOff, "is marked as a patch to another file")
	case rec.Method != Stored && rec.Method != Deflated:
		return recordError(CodeMethod, a.FullName(i), rec.HeaderOff, "compressed with %s, only stored and deflate are read", methodName(rec.Method))
	}
	return nil
}

func methodName(method uint16) string {
	switch method {
	case 9:
		return "deflate64 (method 9)"
	case 12:
		return "bzip2 (method 12)"
	case 14:
		return "lzma (method 14)"
	case 20, 93:
		return "zstandard (method 93)"
	case 95:
		return "xz (method 95)"
	case 99:
		return "AES encryption (method 99)"
	}
	return "unknown method " + itoa(int64(method))
}

func (o *opener) isStorage(rec *Record) bool {
	return o.Kind.torch() && !rec.Foreign && (strings.HasPrefix(rec.Name, "data/") || strings.HasPrefix(rec.Name, "constants/"))
}

func (o *opener) isNeeded(rec *Record) bool {
	if !o.Kind.torch() || rec.Foreign {
		return false
	}
	switch rec.Name {
	case "constants.pkl", "byteorder", "version", ".data/version":
		return true
	}
	return o.isStorage(rec)
}

// extraPeek is how much of a local header's extra fields is read with it: room for a zip64 block, which comes first.
const extraPeek = 32

// checkLocals compares every local header with the directory and counts the bytes between records.
func (o *opener) checkLocals() error {
	rec := func(k int) *Record { return &o.Records[o.Order(k)] }
	err := o.src.headerSpans(len(o.Records),
		func(k int) int64 { return rec(k).HeaderOff },
		func(k int) int64 { return o.localSpan(o.Order(k)) },
		func(k int, header []byte) error { return o.resolveLenient(o.Order(k), header) })
	if err != nil {
		return err
	}
	for i := range o.Records {
		rec := &o.Records[i]
		if rec.dataOff < 0 {
			continue
		}
		gap := rec.limit - rec.dataOff - rec.CompressedSize
		if descriptor := gap == 12 || gap == 16 || gap == 20 || gap == 24; gap > 0 && !(descriptor && rec.HasDescriptor()) {
			o.Unowned += gap
		}
	}
	if o.Unowned > 0 {
		o.found.add(FoundTrailing, "", "%d bytes between the records belong to none of them", o.Unowned)
	}
	return nil
}

// resolveLenient is resolve, with ambiguity a finding where the caller asked for that.
func (o *opener) resolveLenient(i int, header []byte) error {
	err := o.resolve(i, header)
	if e, ok := err.(*Error); ok && e.Code == CodeAmbiguous {
		return o.ambiguous(e)
	}
	return err
}

// localSpan is how many bytes to read at record i's header.
func (a *Archive) localSpan(i int) int64 {
	rec := &a.Records[i]
	return min(localLen+int64(a.fullLen(i))+extraPeek, rec.limit-rec.HeaderOff)
}

// resolve compares the local header of record i, the start of which is in header, with the directory and notes where
// the payload starts. A lenient archive notes it, too, where the two differ; the error comes back all the same.
func (a *Archive) resolve(i int, header []byte) error {
	rec := &a.Records[i]
	if string(header[:4]) != sigLocal {
		return recordError(CodeZip, a.FullName(i), rec.HeaderOff, "no local header where the directory points")
	}
	nameLen, extraLen := int64(le.Uint16(header[26:])), int64(le.Uint16(header[28:]))
	dataOff := rec.HeaderOff + localLen + nameLen + extraLen
	differs := ""
	const compared = flagEncrypted | flagDescriptor | flagPatched | flagStrong | flagUTF8 | flagMasked
	switch {
	case nameLen != int64(a.fullLen(i)) || !a.isFullName(i, header[localLen:localLen+nameLen]):
		differs = "the name"
	case (le.Uint16(header[6:])^rec.Flags)&compared != 0:
		differs = "the flags"
	case le.Uint16(header[8:]) != rec.Method:
		differs = "the method"
	case dataOff > rec.limit-rec.CompressedSize: // is refused below
	default:
		same, err := a.sameSizes(rec, header, dataOff-extraLen, extraLen)
		if err != nil {
			return err
		}
		if !same {
			differs = "the sizes"
		}
	}
	if dataOff > rec.limit-rec.CompressedSize {
		return recordError(CodeAmbiguous, a.FullName(i), rec.HeaderOff, "%d bytes at byte %d overlap the next record at byte %d", rec.CompressedSize, dataOff, rec.limit)
	}
	if differs == "" || a.lenient {
		rec.dataOff = dataOff
	}
	if differs != "" {
		return recordError(CodeAmbiguous, a.FullName(i), rec.HeaderOff, "local header and directory differ in %s", differs)
	}
	return nil
}

// sameSizes compares the sizes in the local header with the directory's. torch writes 0 there and a descriptor behind the
// payload; other writers may give the values, or 0xFFFFFFFF and a zip64 block among the extra fields. Without a
// descriptor the sizes have to be there.
func (a *Archive) sameSizes(rec *Record, header []byte, extraOff, extraLen int64) (bool, error) {
	packed, size := uint64(le.Uint32(header[18:])), uint64(le.Uint32(header[22:]))
	if packed == saturated32 || size == saturated32 {
		extra := header[extraOff-rec.HeaderOff:]
		if int64(len(extra)) < extraLen { // the block may stand behind other fields
			var err error
			if extra, err = a.src.read(extraOff, extraLen); err != nil {
				return false, err
			}
		}
		wide, _ := zip64Field(extra[:extraLen])
		for _, f := range []*uint64{&size, &packed} {
			if *f == saturated32 && len(wide) >= 8 {
				*f, wide = le.Uint64(wide), wide[8:]
			}
		}
	}
	for _, f := range []struct{ local, listed uint64 }{{packed, uint64(rec.CompressedSize)}, {size, uint64(rec.Size)}} {
		blank := rec.HasDescriptor() && (f.local == 0 || f.local == saturated32)
		if f.local != f.listed && !blank {
			return false, nil
		}
	}
	return true, nil
}

// DataOff is where the payload of record i starts in the file. With Lazy headers the first call for a record reads
// some 100 bytes and makes the checks that opening left out.
func (a *Archive) DataOff(i int) (int64, error) {
	a.mu.Lock()
	off := a.Records[i].dataOff
	a.mu.Unlock()
	if off >= 0 {
		return off, nil
	}
	// The header is read outside the lock: a slow source must not hold up other records.
	header, err := a.src.read(a.Records[i].HeaderOff, a.localSpan(i))
	if err != nil {
		return 0, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	err = a.resolve(i, header)
	if off = a.Records[i].dataOff; off < 0 {
		return 0, err
	}
	return off, nil
}
