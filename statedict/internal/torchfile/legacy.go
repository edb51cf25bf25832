package torchfile

import "io"

// The stream of torch 0.1.10 to 1.5, still written with _use_new_zipfile_serialization=False: five pickles (magic,
// protocol, sys_info, the object, the list of storage keys), then for each key its element count as int64 and the raw
// bytes. Nothing is padded and there is no index. The data is little-endian whatever sys_info says.
//
// Source: torch/serialization.py, _legacy_save and _legacy_load.

const (
	legacyMagic     = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." // LONG1 of 0x1950a86a20f9469cfc6c, STOP
	legacyMagicText = "119547037146038801333356"                          // the same number, as protocols 0 and 1 write it
)

// LegacyStorage is a storage of a legacy stream, in the order of the key list.
type LegacyStorage struct {
	Key      string
	Numel    int64 // elements, as the persistent id states
	ElemSize int64 // bytes of one; 0 for a key that no persistent id names
}

// LegacyData says where the storages of a legacy stream lie.
type LegacyData struct {
	Extents []Extent // one per storage; past the end of the file where that is cut
	// Bad holds for a storage why it cannot be read, nil if it can: E_LAYOUT where the count in front of the data is not
	// the one that the persistent id states, E_TRUNCATED where the file ends before the data does.
	Bad      []*Error
	End      int64 // where the data ends, or would
	Missing  int64 // bytes that the file is too short, 0 if it is whole
	Trailing int64 // bytes behind the data
	Findings []Finding
}

// Truncated is the error for a stream that is cut, nil for a whole one.
func (d *LegacyData) Truncated() *Error {
	if d.Missing == 0 {
		return nil
	}
	return errorAt(CodeTruncated, -1, "cut off: the storages end at byte %d, the file %d bytes before", d.End, d.Missing)
}

// LocateStorages finds the data behind the key list, which ends at off, in a file of size bytes. It reads the count in
// front of each storage, neighbours together, and no data. An error means that places cannot be computed at all: a
// storage of unknown element size, or sizes past 2^63.
func LocateStorages(r io.ReaderAt, size, off int64, storages []LegacyStorage) (*LegacyData, error) {
	d := &LegacyData{Extents: make([]Extent, len(storages)), Bad: make([]*Error, len(storages))}
	at, whole := off, 0 // whole: storages whose count lies inside the file
	for i, s := range storages {
		if s.ElemSize < 1 {
			return nil, recordError(CodeLayout, s.Key, at, "nothing in the pickle says how large this storage is, so those behind it cannot be found")
		}
		n, ok := nbytes(s.Numel, s.ElemSize)
		if !ok || n > noLimit-8-at {
			return nil, recordError(CodeLayout, s.Key, at, "%d elements of %d bytes are impossible", s.Numel, s.ElemSize)
		}
		d.Extents[i] = Extent{Off: at + 8, Len: n}
		if at+8 <= size {
			whole = i + 1
		}
		if at += 8 + n; at > size {
			d.Bad[i] = recordError(CodeTruncated, s.Key, d.Extents[i].Off, "%d bytes declared, the file ends after %d", n, max(0, size-d.Extents[i].Off))
		}
	}
	d.End = at
	d.Missing, d.Trailing = max(0, at-size), max(0, size-at)
	if d.Trailing > 0 {
		d.Findings = append(d.Findings, Finding{Code: FoundTrailing, Msg: itoa(d.Trailing) + " bytes behind the last storage belong to nobody"})
	}
	src := source{r: r, size: size}
	err := src.headerSpans(whole,
		func(i int) int64 { return d.Extents[i].Off - 8 },
		func(int) int64 { return 8 },
		func(i int, count []byte) error {
			if numel := int64(le.Uint64(count)); numel != storages[i].Numel {
				d.Bad[i] = recordError(CodeLayout, storages[i].Key, d.Extents[i].Off-8, "%d elements stand in front of the data, the pickle says %d", numel, storages[i].Numel)
			}
			return nil
		})
	return d, err
}

// legacyFront is what torch writes before the object: the pickles of magic, protocol and sys_info, by CPython's pickler.
const legacyFront = "\x80\x02" + legacyMagic +
	"\x80\x02M\xe9\x03." +
	"\x80\x02}q\x00(X\x10\x00\x00\x00protocol_versionq\x01M\xe9\x03X\x0d\x00\x00\x00little_endianq\x02\x88" +
	"X\x0a\x00\x00\x00type_sizesq\x03}q\x04(X\x05\x00\x00\x00shortq\x05K\x02X\x03\x00\x00\x00intq\x06K\x04X\x04\x00\x00\x00longq\x07K\x04uu."

// LegacyLayout is a legacy stream of which every byte but pickles and payloads is known. In the file come Front, the
// object's pickle, the pickle of the key list, then for each storage Count(i) and its payload.
type LegacyLayout struct {
	storages []LegacyStorage
	starts   []int64 // offset of each count, and of the end
}

// NewLegacyLayout places the storages behind pickles of the given lengths. Keys have to ascend, as torch sorts them.
func NewLegacyLayout(objectLen, keysLen int64, storages []LegacyStorage) (*LegacyLayout, error) {
	l := &LegacyLayout{storages: storages, starts: make([]int64, len(storages)+1)}
	at := int64(len(legacyFront)) + objectLen + keysLen
	for i, s := range storages {
		if i > 0 && storages[i-1].Key >= s.Key {
			return nil, recordError(CodeLayout, s.Key, -1, "storage keys have to ascend")
		}
		n, ok := nbytes(s.Numel, s.ElemSize)
		if !ok || n > noLimit-8-at {
			return nil, recordError(CodeLayout, s.Key, -1, "%d elements of %d bytes are impossible", s.Numel, s.ElemSize)
		}
		l.starts[i] = at
		at += 8 + n
	}
	l.starts[len(storages)] = at
	return l, nil
}

// Front is what stands before the object's pickle.
func (l *LegacyLayout) Front() []byte { return []byte(legacyFront) }

// Count is the element count of storage i, which stands in front of its payload.
func (l *LegacyLayout) Count(i int) []byte {
	return le.AppendUint64(nil, uint64(l.storages[i].Numel))
}

// Size is the length of the whole file in bytes.
func (l *LegacyLayout) Size() int64 { return l.starts[len(l.storages)] }
