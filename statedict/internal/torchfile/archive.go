package torchfile

import (
	"strings"
	"sync"
)

// Methods of storing a record that are understood here.
const (
	Stored   = 0
	Deflated = 8
)

// Bits of a record's flags.
const (
	flagEncrypted  = 1 << 0
	flagDescriptor = 1 << 3 // checksum and sizes follow the payload
	flagPatched    = 1 << 5 // the payload is a patch to another file
	flagStrong     = 1 << 6 // strong encryption
	flagUTF8       = 1 << 11
	flagMasked     = 1 << 13 // an encrypted directory: the local header is blanked
)

// Record is one entry of an archive. All offsets and sizes are in bytes, offsets from the start of the file.
type Record struct {
	Name           string // without the archive's prefix, unless Foreign
	CRC            uint32 // of the inflated bytes, as the directory states it; 0 can mean "not computed"
	Method         uint16 // Stored, Deflated, or something that cannot be read
	Flags          uint16
	CompressedSize int64 // bytes in the file
	Size           int64 // bytes once inflated
	HeaderOff      int64 // of the local header
	Foreign        bool  // lies outside the prefix; Name is the full name
	dataOff        int64 // of the payload; -1 until the local header was checked
	limit          int64 // where the next record or the directory starts
}

// HasDescriptor tells whether checksum and sizes follow the payload, as torch writes them.
func (rec *Record) HasDescriptor() bool { return rec.Flags&flagDescriptor != 0 }

// IsDir tells a folder's entry, which holds nothing.
func (rec *Record) IsDir() bool { return strings.HasSuffix(rec.Name, "/") }

// HeaderCheck says when local headers are compared with the directory.
type HeaderCheck uint8

const (
	// AtOpen checks every local header while opening; neighbours share reads.
	AtOpen HeaderCheck = iota
	// Lazy checks a local header when the record is first used: for sources where each read is a round trip.
	Lazy
)

// Options of ReadDirectory; the zero value is right for a local file.
type Options struct {
	Limits       Limits
	LocalHeaders HeaderCheck
	// Lenient turns E_AMBIGUOUS into findings where the directory alone still gives one reading, and sets
	// Archive.Ambiguous. Such an archive may be looked at, never edited or exported.
	Lenient bool
}

// Archive is the directory of a zip, checked. Its fields do not change once ReadDirectory has returned, and its
// methods may be used by several goroutines at once. It keeps about 80 bytes and the name for each record.
type Archive struct {
	Kind    ArchiveKind
	Prefix  string   // folder of the records, without the final slash; empty for an archive that has none
	Records []Record // in directory order
	Pickle  int      // index of data.pkl, -1 if there is none

	Version       int    // of the container, 1 to 10; 0 if the archive does not say
	ByteOrder     string // "little", "big", or empty before torch 2.1
	FormatVersion string // content of .format_version, torch 2.7 and later
	// Alignment of the payloads in bytes: as .storage_alignment states, else the largest power of two up to 64 that all
	// payloads of storages keep. 0 when local headers have not been looked at.
	Alignment       int64
	SerializationID string
	Profile         Profile // which torch writes this set of records; empty if none does

	Comment   []byte
	Leading   int64 // bytes in front of the first record
	Unowned   int64 // bytes between records that belong to none; known only with AtOpen
	Trailing  int64 // bytes behind the end record
	Ambiguous bool  // opened only because of Options.Lenient
	Findings  []Finding

	src     source
	lenient bool
	limits  Limits
	names   nameTable
	order   []uint32 // indices of Records by header offset; nil if that is directory order
	mu      sync.Mutex
}

// Len is the number of records.
func (a *Archive) Len() int { return len(a.Records) }

// FullName is the name of record i as the directory has it.
func (a *Archive) FullName(i int) string {
	rec := &a.Records[i]
	if rec.Foreign || a.Prefix == "" {
		return rec.Name
	}
	return a.Prefix + "/" + rec.Name
}

// fullLen is the length of FullName.
func (a *Archive) fullLen(i int) int {
	rec := &a.Records[i]
	if rec.Foreign || a.Prefix == "" {
		return len(rec.Name)
	}
	return len(a.Prefix) + 1 + len(rec.Name)
}

// isFullName tells whether name is FullName.
func (a *Archive) isFullName(i int, name []byte) bool {
	rec := &a.Records[i]
	if len(name) != a.fullLen(i) {
		return false
	}
	if n := len(name) - len(rec.Name); n > 0 {
		if string(name[:n-1]) != a.Prefix || name[n-1] != '/' {
			return false
		}
		name = name[n:]
	}
	return string(name) == rec.Name
}

// Order returns the index of the k-th record as they lie in the file.
func (a *Archive) Order(k int) int {
	if a.order == nil {
		return k
	}
	return int(a.order[k])
}
