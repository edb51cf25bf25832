package torchfile

import (
	"archive/tar"
	"errors"
	"io"
	"slices"
)

// TarMember is a file in a tar archive; Off and Len are bytes of the tar.
type TarMember struct {
	Name string
	Extent
}

// TarArchive is the member table of a tar. Torch 0.1.0 to 0.1.9 wrote the members sys_info, pickle, tensors and storages:
//
//	storages  pickle(count); count times: pickle((key, location, class)), int64 numel, data; pickle(list of views)
//	tensors   pickle(count); count times: pickle((key, storage key, class)), what TensorHeader reads
//	pickle    the object; every tensor in it is a persistent id, the tensor's key
//
// A view is (target key, root key, offset, numel), in elements. What a pickle says is the caller's to find out: Cursor
// walks a member, Cursor.Pickle, Int64, Skip and TensorHeader take it apart.
type TarArchive struct {
	Members  []TarMember // in file order, regular files only
	Torch    bool        // holds the members of a torch checkpoint
	Findings []Finding

	r io.ReaderAt
}

// ReadTar lists the members of the tar of size bytes in r. It reads 512 bytes per header and no contents. Two members of
// a torch checkpoint with one name are E_AMBIGUOUS, a tar that ends inside a member is E_TRUNCATED.
func ReadTar(r io.ReaderAt, size int64, limits Limits) (*TarArchive, error) {
	limits = limits.withDefaults()
	watched := &watch{r: r}
	section := io.NewSectionReader(watched, 0, size)
	t, found, names := tar.NewReader(section), findings{}, int64(0)
	a := &TarArchive{r: r}
	for {
		header, err := t.Next()
		if err == io.EOF {
			break
		}
		// The reader of archive/tar does not read ahead: the section stands where the contents start.
		off, _ := section.Seek(0, io.SeekCurrent)
		if watched.err != nil {
			return nil, &ReadError{Offset: off, Len: 512, Err: watched.err}
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // names are looked at below
			return nil, tarError(err, off)
		}
		names += int64(len(header.Name))
		switch {
		case int64(len(a.Members)) == limits.Entries:
			return nil, errorAt(CodeLimit, off, "more than %d members", limits.Entries)
		case int64(len(header.Name)) > limits.EntryName || names > limits.NameBytes:
			return nil, errorAt(CodeLimit, off, "member names of more than %d bytes, or %d in all", limits.EntryName, limits.NameBytes)
		case sparseMember(header):
			found.add(CodeUnsupported, header.Name, "is stored as a sparse file")
			continue
		case header.Typeflag != tar.TypeReg:
			continue
		case header.Size > size-off:
			return nil, recordError(CodeTruncated, header.Name, off, "%d bytes declared, the file ends after %d", header.Size, size-off)
		}
		if why := UnsafeName(header.Name); why != "" {
			found.add(FoundName, header.Name, "name %s", why)
		}
		a.Members = append(a.Members, TarMember{Name: header.Name, Extent: Extent{Off: off, Len: header.Size}})
	}
	a.Findings = found.all()
	count := 0
	for _, name := range []string{"pickle", "storages", "tensors"} {
		if i := a.index(name); i >= 0 {
			count++
			if j := slices.IndexFunc(a.Members[i+1:], func(m TarMember) bool { return m.Name == name }); j >= 0 {
				return nil, recordError(CodeAmbiguous, name, a.Members[i+1+j].Off, "two members of this name")
			}
		}
	}
	a.Torch = count == 3
	return a, nil
}

// sparseMember tells members whose bytes in the file are not their contents.
func sparseMember(header *tar.Header) bool {
	for key := range header.PAXRecords {
		if len(key) > 11 && key[:11] == "GNU.sparse." {
			return true
		}
	}
	return header.Typeflag == tar.TypeGNUSparse
}

func tarError(err error, off int64) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errorAt(CodeTruncated, off, "tar ends inside a member")
	}
	return errorAt(CodeFormat, off, "no tar header where one has to be")
}

// watch remembers a failure of the source, which archive/tar's errors do not tell from faults of the file.
type watch struct {
	r   io.ReaderAt
	err error
}

func (w *watch) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.r.ReadAt(p, off)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

func (a *TarArchive) index(name string) int {
	return slices.IndexFunc(a.Members, func(m TarMember) bool { return m.Name == name })
}

// Cursor reads the first member of this name; false if there is none.
func (a *TarArchive) Cursor(name string) (*Cursor, bool) {
	i := a.index(name)
	if i < 0 {
		return nil, false
	}
	m := a.Members[i]
	return NewCursor(a.r, m.Off, m.Off+m.Len), true
}

// TensorHeader is what follows the pickle of a tensor in the member tensors: rank as int32, four bytes that count for
// nothing, then rank sizes, rank strides and the offset as int64. All count elements.
type TensorHeader struct {
	Shape, Stride []int64
	Offset        int64
}

// TensorHeader reads one; a rank that is negative or over the limit is E_LIMIT. Signs are not looked at.
func (c *Cursor) TensorHeader(limits Limits) (TensorHeader, error) {
	var h TensorHeader
	start := c.Off()
	rank, err := c.Int32()
	if err != nil {
		return h, err
	}
	if rank < 0 || int64(rank) > limits.withDefaults().Rank {
		return h, errorAt(CodeLimit, start, "tensor of %d dimensions, limit %d", rank, limits.withDefaults().Rank)
	}
	if _, err := c.take(4); err != nil {
		return h, err
	}
	numbers := make([]int64, 2*rank+1)
	for i := range numbers {
		if numbers[i], err = c.Int64(); err != nil {
			return h, err
		}
	}
	return TensorHeader{Shape: numbers[:rank], Stride: numbers[rank : 2*rank], Offset: numbers[2*rank]}, nil
}
