package torchfile

// SerializationIDName is the record that holds the serialization id, the last one of an archive.
const SerializationIDName = ".data/serialization_id"

// Span is the whole of record i in the file: local header, payload and descriptor. ok tells that it stands there
// exactly as torch's writer makes it, so that its bytes may be copied into another archive of that kind.
func (a *Archive) Span(i int) (off, length int64, ok bool) {
	rec := &a.Records[i]
	data, err := a.DataOff(i)
	if err != nil || a.Profile == "" || rec.Method != Stored || rec.Foreign || rec.Size == 0 || rec.Flags != flagUTF8|flagDescriptor {
		return 0, 0, false
	}
	descriptor := int64(16)
	if rec.Size >= saturated32 || rec.HeaderOff >= saturated32 {
		descriptor = 24
	}
	end := data + rec.Size + descriptor
	return rec.HeaderOff, end - rec.HeaderOff, end == rec.limit
}

// TailCRCOffs is, for each record, where in Tail its CRC-32 stands.
func (l *Layout) TailCRCOffs() []int64 {
	offs := make([]int64, len(l.Records))
	at := int64(0)
	for i := range offs {
		offs[i] = at + 16
		at += centralLen + int64(len(l.fullName(i))) + l.wideLen(i)
	}
	return offs
}
