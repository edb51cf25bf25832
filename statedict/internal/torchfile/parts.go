package torchfile

// PartKind is what a run of an archive's bytes is.
type PartKind uint8

const (
	PartHeader    PartKind = iota // of a record, or its descriptor
	PartPadding                   // the extra field of a local header: torch aligns payloads with it
	PartPayload                   // of a record
	PartDirectory                 // and the end records
	PartUnowned                   // in front of the archive, behind it, or between its records
)

// Part is a run of an archive's bytes.
type Part struct {
	Off, Len int64
	Kind     PartKind
	Record   int // -1 for the directory and what belongs to no record
}

// Parts covers the archive from the first byte of its file to the last, each byte once, without empty parts. It reads nothing:
// where a local header has not been looked at, the payload is taken to end where the record's descriptor begins, as torch lays
// records out. Then a gap behind a payload counts as padding in front of it.
func (a *Archive) Parts() []Part {
	parts := make([]Part, 0, 4*len(a.Records)+3)
	at := int64(0)
	add := func(end int64, kind PartKind, record int) {
		if end > at {
			parts = append(parts, Part{Off: at, Len: end - at, Kind: kind, Record: record})
			at = end
		}
	}
	add(a.Leading, PartUnowned, -1)
	for k := range a.Records {
		i := a.Order(k)
		rec := &a.Records[i]
		add(rec.HeaderOff, PartUnowned, -1)
		payload := a.payloadOff(i)
		end := payload + rec.CompressedSize
		add(rec.HeaderOff+localLen+int64(len(a.FullName(i))), PartHeader, i)
		add(payload, PartPadding, i)
		add(end, PartPayload, i)
		if tail := min(rec.descriptorLen(), rec.limit-end); tail > 0 {
			add(end+tail, PartHeader, i)
		}
		add(rec.limit, PartUnowned, -1)
	}
	add(a.src.size-a.Trailing, PartDirectory, -1)
	add(a.src.size, PartUnowned, -1)
	return parts
}

// payloadOff is DataOff without reading: known where the local header has been looked at, else as torch lays records out.
func (a *Archive) payloadOff(i int) int64 {
	rec := &a.Records[i]
	a.mu.Lock()
	off := rec.dataOff
	a.mu.Unlock()
	if off >= 0 {
		return off
	}
	least := rec.HeaderOff + localLen + int64(len(a.FullName(i)))
	return max(least, rec.limit-rec.descriptorLen()-rec.CompressedSize)
}

// descriptorLen is how many bytes torch writes behind the payload.
func (rec *Record) descriptorLen() int64 {
	switch {
	case !rec.HasDescriptor():
		return 0
	case rec.Size >= saturated32 || rec.CompressedSize >= saturated32:
		return 24
	}
	return 16
}
