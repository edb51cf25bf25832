package statedict

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/weightroom/weightroom/statedict/internal/npy"
	"github.com/weightroom/weightroom/statedict/internal/torchfile"
)

// planNPZ lays cp out as numpy.savez does: a zip of stored .npy members. Types that numpy lacks are written as unsigned
// integers of their width, and the warnings name them. An npz is unpacked into files, so keys that are no safe names of files
// get members named otherwise, and an index in the archive has the keys.
//
// Source: numpy/lib/format.py; APPNOTE.TXT of PKWARE, sections 4.3.7 to 4.3.16 and 4.5.3.
func planNPZ(cp *Checkpoint, o *PlanOptions) (*Plan, error) {
	if o.MaxShardSize > 0 {
		return nil, &UnsupportedError{What: "npz has no sharded form", Hint: "write one file, or shards of safetensors"}
	}
	ts, err := cp.flatten(NPZ)
	if err != nil {
		return nil, err
	}
	if len(ts) == 0 {
		return nil, &UnsupportedError{What: "the result holds no tensors, and an npz file is its arrays", Hint: "write a torch or a safetensors file"}
	}
	p := &Plan{}
	p.Report.Warnings = cp.grown(ts)
	f := File{Name: o.Name}
	z := npzWriter{f: &f}
	keys := make([]string, len(ts))
	for i := range ts {
		keys[i] = ts[i].name
	}
	stems := fileStems(keys)
	index := npzIndex{Names: map[string]string{}}
	var renamed []string
	for i, t := range ts {
		if stems[i] != t.name {
			index.Names[stems[i]+".npy"] = t.name
			renamed = append(renamed, t.name)
		}
		descr, exact, _ := npy.DescrOf(t.entry.DType)
		if info := t.entry.Info; info != nil && info.Code != "" {
			descr = info.Code // text or dates of a numpy source
		} else if !exact {
			p.Report.Warnings = append(p.Report.Warnings, fmt.Sprintf("%q: numpy has no %s; its bytes are written as unsigned integers", t.name, t.entry.DType))
		}
		header, err := npy.Emit(descr, t.entry.Shape)
		if err != nil {
			return nil, headerError(nil, t.name, err)
		}
		data, err := cp.flatSegment(t.entry)
		if err != nil {
			return nil, err
		}
		z.member(stems[i]+".npy", header, data)
	}
	if len(renamed) > 0 {
		doc, err := json.MarshalIndent(index, "", " ")
		if err != nil {
			return nil, err
		}
		z.member(torchfile.NPZIndex, nil, Literal(doc))
		some, more := renamed[:min(len(renamed), 8)], ""
		if n := len(renamed) - len(some); n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		p.Report.Warnings = append(p.Report.Warnings, fmt.Sprintf("keys that are no names of files on every system: their members are named otherwise, and %s in the archive tells the keys:%s%s",
			torchfile.NPZIndex, quotedList(some), more))
	}
	z.finish()
	p.Files = []File{f}
	p.promiseFlat(ts)
	for i := range p.want {
		p.want[i].dtype = 0 // numpy's own name of a type may be another one
	}
	p.finish()
	return p, nil
}

// npzWriter lays out a zip whose members are stored, each followed by a descriptor.
type npzWriter struct {
	f       *File
	central []Segment
	count   uint64
}

const zip32 = math.MaxUint32

// member appends a file of two parts.
func (z *npzWriter) member(name string, header []byte, data Segment) {
	size := uint64(len(header)) + uint64(data.Len())
	off := uint64(z.f.Size)
	wide := size >= zip32 || off >= zip32
	le := binary.LittleEndian
	// Version 2.0 or 4.5, flags: descriptor and UTF-8, stored, 1980-01-01.
	common := func(b []byte) []byte {
		b = le.AppendUint16(b, map[bool]uint16{false: 20, true: 45}[wide])
		b = le.AppendUint16(b, 1<<3|1<<11)
		b = le.AppendUint16(b, 0)
		b = le.AppendUint16(b, 0)
		return le.AppendUint16(b, 1<<5|1)
	}
	local := common([]byte("PK\x03\x04"))
	local = le.AppendUint32(local, 0)
	extra := []byte{}
	if wide {
		local = le.AppendUint32(local, zip32)
		local = le.AppendUint32(local, zip32)
		extra = append(extra, 1, 0, 16, 0)
		extra = le.AppendUint64(extra, 0)
		extra = le.AppendUint64(extra, 0)
	} else {
		local = le.AppendUint64(local, 0)
	}
	local = le.AppendUint16(local, uint16(len(name)))
	local = le.AppendUint16(local, uint16(len(extra)))
	local = append(append(local, name...), extra...)
	z.put(Literal(local))

	first := len(z.f.Segments)
	z.put(Literal(header))
	z.put(data)
	crc, known := knownCRC(header, data)
	sum := Segment(Literal(le.AppendUint32(nil, crc)))
	if !known {
		sum = Sum{first, len(z.f.Segments)}
	}
	z.put(Literal("PK\x07\x08"))
	z.put(sum)
	sizes := le.AppendUint32(nil, uint32(size))
	sizes = le.AppendUint32(sizes, uint32(size))
	if wide {
		sizes = le.AppendUint64(le.AppendUint64(nil, size), size)
	}
	z.put(Literal(sizes))

	entry := common([]byte("PK\x01\x02\x2d\x00"))
	z.central = append(z.central, Literal(entry), sum)
	extra = nil
	rest := le.AppendUint32(nil, uint32(min(size, zip32)))
	rest = le.AppendUint32(rest, uint32(min(size, zip32)))
	if size >= zip32 {
		extra = le.AppendUint64(le.AppendUint64(extra, size), size)
	}
	if off >= zip32 {
		extra = le.AppendUint64(extra, off)
	}
	if len(extra) > 0 {
		extra = append(le.AppendUint16([]byte{1, 0}, uint16(len(extra))), extra...)
	}
	rest = le.AppendUint16(rest, uint16(len(name)))
	rest = le.AppendUint16(rest, uint16(len(extra)))
	rest = append(rest, make([]byte, 2+2+2+4)...)
	rest = le.AppendUint32(rest, uint32(min(off, zip32)))
	rest = append(append(rest, name...), extra...)
	z.central = append(z.central, Literal(rest))
	z.count++
}

// put appends a segment as it is: sums count segments, so none may be joined or left out.
func (z *npzWriter) put(s Segment) {
	z.f.Segments = append(z.f.Segments, s)
	z.f.Size += s.Len()
}

// knownCRC is the checksum of header and data where the source's directory gives that of the data.
func knownCRC(header []byte, data Segment) (uint32, bool) {
	crc := crc32.ChecksumIEEE(header)
	switch d := data.(type) {
	case Literal:
		return crc32.Update(crc, crc32.IEEETable, d), true
	case Copy:
		if d.Extent.HasCRC {
			return torchfile.CombineCRC(crc, d.Extent.CRC, d.Extent.Len), true
		}
	}
	return 0, false
}

// finish writes the directory, with the zip64 records that archives past 4 GiB or 65,535 members need.
func (z *npzWriter) finish() {
	le := binary.LittleEndian
	off := uint64(z.f.Size)
	for _, s := range z.central {
		z.put(s)
	}
	size := uint64(z.f.Size) - off
	var b []byte
	if z.count >= math.MaxUint16 || off >= zip32 || size >= zip32 {
		at := uint64(z.f.Size)
		b = append(b, "PK\x06\x06"...)
		b = le.AppendUint64(b, 44)
		b = append(b, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		b = le.AppendUint64(le.AppendUint64(b, z.count), z.count)
		b = le.AppendUint64(le.AppendUint64(b, size), off)
		b = append(b, "PK\x06\x07\x00\x00\x00\x00"...)
		b = le.AppendUint64(b, at)
		b = le.AppendUint32(b, 1)
	}
	b = append(b, "PK\x05\x06\x00\x00\x00\x00"...)
	n := uint16(min(z.count, math.MaxUint16))
	b = le.AppendUint16(le.AppendUint16(b, n), n)
	b = le.AppendUint32(b, uint32(min(size, zip32)))
	b = le.AppendUint32(b, uint32(min(off, zip32)))
	b = le.AppendUint16(b, 0)
	z.put(Literal(b))
}
