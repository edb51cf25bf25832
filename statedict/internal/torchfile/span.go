package torchfile

import "bytes"

// SerializationIDName is the record that holds the serialization id, the last one of an archive.
const SerializationIDName = ".data/serialization_id"

// Run tells whether record i stands in the source, local header and descriptor included, byte for byte as record j of l
// will stand in the output, and where: then the whole of it can be copied in one piece. Header and descriptor are read
// to compare them; a source that cannot be read answers no.
func (a *Archive) Run(i int, l *Layout, j int) (Extent, bool) {
	rec := &a.Records[i]
	shift := rec.HeaderOff - l.HeaderOff(j)
	if rec.Method != Stored || rec.Size == 0 || rec.Size != l.Records[j].Size || shift%l.Alignment != 0 || a.FullName(i) != l.fullName(j) {
		return Extent{}, false
	}
	header, descriptor := l.Header(j), l.Descriptor(j, rec.CRC)
	off, err := a.DataOff(i)
	if err != nil || off != rec.HeaderOff+int64(len(header)) || off+rec.Size+int64(len(descriptor)) > rec.limit {
		return Extent{}, false
	}
	if got, err := a.src.read(rec.HeaderOff, int64(len(header))); err != nil || !bytes.Equal(got, header) {
		return Extent{}, false
	}
	if got, err := a.src.read(off+rec.Size, int64(len(descriptor))); err != nil || !bytes.Equal(got, descriptor) {
		return Extent{}, false
	}
	return Extent{Off: rec.HeaderOff, Len: int64(len(header)) + rec.Size + int64(len(descriptor))}, true
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
