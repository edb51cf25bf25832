package torchfile

import (
	"bytes"
	"fmt"
	"strings"
)

// LayoutRecord is a record to be written, stored.
type LayoutRecord struct {
	Name string // without prefix
	Size int64  // bytes of the payload
}

// Layout is a torch.save archive whose every byte but the payloads and their checksums is known. In the file, record
// i is Header(i), the payload at DataOff(i), Descriptor(i, crc); behind the last one comes Tail.
//
// The bytes are those of torch's own writer (miniz, never changed): version and time 0, checksum and sizes 0 in the
// local header and in a descriptor behind the payload, an FB field that pads to the alignment, and the zip64 end record
// and locator in every file. 139 archives of all three profiles come out identical.
//
// Source: caffe2/serialize/inline_container.cc, third_party/miniz.
type Layout struct {
	Prefix    string
	Alignment int64
	Records   []LayoutRecord

	headers []int64 // offset of each local header, and of the directory
	dirLen  int64
}

// DefaultAlignment is where torch puts payloads unless told otherwise, in bytes.
const DefaultAlignment = 64

const maxAlignment = 32 << 10 // the padding has to fit in an extra field, beside a zip64 block

// NewLayout places the records, in their order, with each payload on a multiple of alignment; 0 means DefaultAlignment.
// Names must differ, also ignoring ASCII case, because torch's lookup does not tell them apart.
func NewLayout(prefix string, alignment int64, records []LayoutRecord) (*Layout, error) {
	if alignment == 0 {
		alignment = DefaultAlignment
	}
	if alignment < 1 || alignment > maxAlignment {
		return nil, fmt.Errorf("alignment of %d bytes, possible are 1 to %d", alignment, maxAlignment)
	}
	if prefix == "" {
		return nil, fmt.Errorf("an archive without a folder: torch refuses to read it")
	}
	l := &Layout{Prefix: prefix, Alignment: alignment, Records: records, headers: make([]int64, len(records)+1)}
	seen := make(map[string]int, len(records))
	at := int64(0)
	for i, rec := range records {
		folded := strings.ToLower(rec.Name)
		if j, twice := seen[folded]; twice {
			return nil, fmt.Errorf("records %s and %s have one name", quote(records[j].Name), quote(rec.Name))
		}
		seen[folded] = i
		name := l.fullName(i)
		if rec.Name == "" || len(name) > saturated16 {
			return nil, fmt.Errorf("record name of %d bytes, possible are 1 to %d", len(rec.Name), saturated16-len(prefix)-1)
		}
		if rec.Size < 0 || rec.Size > noLimit/2-at {
			return nil, fmt.Errorf("record %s: size of %d bytes is impossible", quote(rec.Name), rec.Size)
		}
		l.headers[i] = at
		l.dirLen += centralLen + int64(len(name)) + l.wideLen(i)
		at = l.DataOff(i) + rec.Size + l.descriptorLen(i)
		l.headers[i+1] = at
	}
	return l, nil
}

func (l *Layout) fullName(i int) string { return l.Prefix + "/" + l.Records[i].Name }

// wideLen is the length of record i's zip64 block, the same in local header and directory: 0 if nothing overflows 32 bits.
func (l *Layout) wideLen(i int) int64 {
	n := int64(0)
	if l.Records[i].Size >= saturated32 {
		n += 16
	}
	if l.headers[i] >= saturated32 {
		n += 8
	}
	if n > 0 {
		n += 4
	}
	return n
}

func (l *Layout) descriptorLen(i int) int64 {
	switch {
	case l.Records[i].Size == 0:
		return 0
	case l.wideLen(i) > 0:
		return 24
	}
	return 16
}

// HeaderOff is where the local header of record i starts in the file.
func (l *Layout) HeaderOff(i int) int64 { return l.headers[i] }

// DataOff is where the payload of record i starts in the file, a multiple of the alignment.
func (l *Layout) DataOff(i int) int64 {
	start := l.headers[i] + localLen + int64(len(l.fullName(i))) + l.wideLen(i) + 4
	return start + l.padding(start)
}

func (l *Layout) padding(start int64) int64 {
	return (l.Alignment - start%l.Alignment) % l.Alignment
}

// Size is the length of the whole file in bytes.
func (l *Layout) Size() int64 { return l.headers[len(l.Records)] + l.TailLen() }

// TailOff is where Tail starts in the file.
func (l *Layout) TailOff() int64 { return l.headers[len(l.Records)] }

// TailLen is the length of Tail in bytes.
func (l *Layout) TailLen() int64 { return l.dirLen + end64Len + locatorLen + endLen }

func (l *Layout) flags(i int) uint16 {
	if l.Records[i].Size == 0 {
		return flagUTF8
	}
	return flagUTF8 | flagDescriptor
}

// Header is the local header of record i with its padding. It does not depend on the payload.
func (l *Layout) Header(i int) []byte {
	name, size, wide := l.fullName(i), l.Records[i].Size, l.wideLen(i)
	start := l.headers[i] + localLen + int64(len(name)) + wide + 4
	pad := l.padding(start)
	b := make([]byte, 0, localLen+int64(len(name))+wide+4+pad)
	b = append(b, sigLocal...)
	b = le.AppendUint16(b, 0) // version needed
	b = le.AppendUint16(b, l.flags(i))
	b = append(b, make([]byte, 2+2+2+4+4+4)...) // method, time, date, CRC, both sizes
	b = le.AppendUint16(b, uint16(len(name)))
	b = le.AppendUint16(b, uint16(wide+4+pad))
	b = append(b, name...)
	if wide > 0 {
		b = le.AppendUint16(b, 1)
		b = le.AppendUint16(b, uint16(wide-4))
		if size >= saturated32 {
			b = le.AppendUint64(b, uint64(size))
			b = le.AppendUint64(b, 0) // miniz does not know the compressed size yet
		}
		if l.headers[i] >= saturated32 {
			b = le.AppendUint64(b, uint64(l.headers[i]))
		}
	}
	b = append(b, 'F', 'B')
	b = le.AppendUint16(b, uint16(pad))
	return append(b, bytes.Repeat([]byte{'Z'}, int(pad))...)
}

// Descriptor is what follows the payload of record i, nothing behind an empty one. The CRC stands at byte 4 of it.
func (l *Layout) Descriptor(i int, crc uint32) []byte {
	size := l.Records[i].Size
	if size == 0 {
		return nil
	}
	b := append(make([]byte, 0, 24), sigDescriptor...)
	b = le.AppendUint32(b, crc)
	if l.wideLen(i) > 0 {
		b = le.AppendUint64(b, uint64(size))
		return le.AppendUint64(b, uint64(size))
	}
	b = le.AppendUint32(b, uint32(size))
	return le.AppendUint32(b, uint32(size))
}

// Tail is the directory, the zip64 end record and locator, and the end record. crc gives the CRC-32 of each payload and
// is not asked for empty ones.
func (l *Layout) Tail(crc func(i int) uint32) []byte {
	b := make([]byte, 0, l.TailLen())
	for i, rec := range l.Records {
		b = l.appendEntry(b, i, rec.Size, crc)
	}
	count, dirOff := uint64(len(l.Records)), uint64(l.TailOff())
	b = append(b, sigEnd64...)
	b = le.AppendUint64(b, end64Len-12)
	b = le.AppendUint16(b, 0x031E) // made by: version 3.0 on Unix
	b = le.AppendUint16(b, 45)     // needed: 4.5, zip64
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint64(b, count)
	b = le.AppendUint64(b, count)
	b = le.AppendUint64(b, uint64(l.dirLen))
	b = le.AppendUint64(b, dirOff)

	b = append(b, sigLocator...)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, dirOff+uint64(l.dirLen))
	b = le.AppendUint32(b, 1)

	b = append(b, sigEnd...)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint16(b, uint16(min(count, saturated16)))
	b = le.AppendUint16(b, uint16(min(count, saturated16)))
	b = le.AppendUint32(b, uint32(min(uint64(l.dirLen), saturated32)))
	b = le.AppendUint32(b, uint32(min(dirOff, saturated32)))
	return le.AppendUint16(b, 0)
}

func (l *Layout) appendEntry(b []byte, i int, size int64, crc func(i int) uint32) []byte {
	name, wide := l.fullName(i), l.wideLen(i)
	sum := uint32(0)
	if size > 0 {
		sum = crc(i)
	}
	b = append(b, sigCentral...)
	b = le.AppendUint32(b, 0) // versions
	b = le.AppendUint16(b, l.flags(i))
	b = append(b, make([]byte, 2+2+2)...) // method, time, date
	b = le.AppendUint32(b, sum)
	b = le.AppendUint32(b, uint32(min(size, saturated32)))
	b = le.AppendUint32(b, uint32(min(size, saturated32)))
	b = le.AppendUint16(b, uint16(len(name)))
	b = le.AppendUint16(b, uint16(wide))
	b = append(b, make([]byte, 2+2+2+4)...) // comment, disk, attributes
	b = le.AppendUint32(b, uint32(min(l.headers[i], saturated32)))
	b = append(b, name...)
	if wide > 0 {
		b = le.AppendUint16(b, 1)
		b = le.AppendUint16(b, uint16(wide-4))
		if size >= saturated32 {
			b = le.AppendUint64(b, uint64(size))
			b = le.AppendUint64(b, uint64(size))
		}
		if l.headers[i] >= saturated32 {
			b = le.AppendUint64(b, uint64(l.headers[i]))
		}
	}
	return b
}
