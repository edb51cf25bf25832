package statedict

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// CheckBytes reads every byte of every record or storage and compares it with the checksum that the file states. Each
// fault is a finding: F_CHECKSUM, or the code of the error that reading ended in. Records without a checksum are read
// all the same. progress counts bytes; it may be nil. Memory: 1 MiB.
//
// The error is only about ctx; a file whose every byte is right gives no findings beyond those of opening.
func (cp *Checkpoint) CheckBytes(ctx context.Context, progress Progress) (faults []Finding, checked int64, err error) {
	sum := &summer{ctx: ctx, progress: progress, buf: make([]byte, chunk)}
	var shown *shownKeys
	shownBy := func(name string) string {
		if shown == nil {
			shown = cp.shownKeys()
		}
		return shown.by(name)
	}
	check := func(name string, r io.Reader, crc uint32, known bool) error {
		got, err := sum.crc(r)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			faults = append(faults, Finding{Code: Code(err), Path: name, Message: err.Error() + shownBy(name)})
		case known && got != crc:
			faults = append(faults, Finding{Code: "F_CHECKSUM", Path: name, Message: fmt.Sprintf("CRC-32 is %08x, the file states %08x%s", got, crc, shownBy(name))})
		}
		return nil
	}
	if o := cp.origin; o != nil && o.source != nil && !cp.edited {
		a, err := o.open()
		if err != nil {
			return []Finding{{Code: Code(err), Message: err.Error()}}, 0, nil
		}
		for k := range a.Records {
			i := a.Order(k)
			rec := &a.Records[i]
			r, err := a.Open(i)
			if err != nil {
				err = torchfileError(o.source, "zip archive", err)
				faults = append(faults, Finding{Code: Code(err), Path: rec.Name, Message: err.Error()})
				continue
			}
			err = check(rec.Name, archiveReader{r, o.source}, rec.CRC, rec.CRC != 0 || rec.Size == 0)
			r.Close()
			if err != nil {
				return faults, sum.done, err
			}
		}
		return faults, sum.done, nil
	}
	for i := range cp.Storages {
		st := &cp.Storages[i]
		if st.Missing != "" {
			faults = append(faults, Finding{Code: "E_LAYOUT", Path: st.Key, Message: st.Missing})
			continue
		}
		v := View{Storage: StorageID(i), DType: byteType, Shape: []int64{st.NBytes}, Stride: []int64{1}}
		if st.Cast != 0 || st.Of != nil || st.NBytes == 0 {
			continue
		}
		if err := check(st.Key, cp.Reader(v), st.Data.CRC, st.Data.HasCRC); err != nil {
			return faults, sum.done, err
		}
	}
	return faults, sum.done, nil
}

// shownKeys finds the tensors that show a storage by the storage's key.
type shownKeys struct {
	cp      *Checkpoint
	entries map[string][]int32
}

func (cp *Checkpoint) shownKeys() *shownKeys {
	s := &shownKeys{cp, map[string][]int32{}}
	for i := range cp.Entries {
		if id := cp.Entries[i].Storage; id != NoStorage {
			key := cp.Storages[id].Key
			s.entries[key] = append(s.entries[key], int32(i))
		}
	}
	return s
}

// by names the tensors on a storage that is called by its key, or by its record in an archive: `; it holds "a"`, or nothing.
func (s *shownKeys) by(name string) string {
	ids, more := s.entries[strings.TrimPrefix(name, "data/")], ""
	if len(ids) == 0 {
		return ""
	}
	if n := len(ids) - 8; n > 0 {
		ids, more = ids[:8], fmt.Sprintf(" and %d more", n)
	}
	paths := make([]string, len(ids))
	for i, id := range ids {
		paths[i] = s.cp.Entries[id].Path()
	}
	return "; it holds" + quotedList(paths) + more
}

// archiveReader puts the container's errors into this package's types.
type archiveReader struct {
	r   io.Reader
	src *Source
}

func (a archiveReader) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	if err != nil && err != io.EOF {
		err = torchfileError(a.src, "zip archive", err)
	}
	return n, err
}

// summer reads to the end and sums.
type summer struct {
	ctx      context.Context
	progress Progress
	buf      []byte
	done     int64
}

func (s *summer) crc(r io.Reader) (uint32, error) {
	var c uint32
	for {
		if err := s.ctx.Err(); err != nil {
			return c, err
		}
		n, err := r.Read(s.buf)
		c = crc32.Update(c, crc32.IEEETable, s.buf[:n])
		s.done += int64(n)
		if s.progress != nil && n > 0 {
			s.progress(s.done)
		}
		if err == io.EOF {
			return c, nil
		}
		if err != nil {
			return c, err
		}
	}
}
