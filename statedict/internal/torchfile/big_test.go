package torchfile

import (
	stdzip "archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// zeros is a file of zeros with a few pieces in it: a huge archive in little memory.
type zeros struct {
	pieces []block
	size   int64
}

func (z *zeros) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), z.size-off))
	clear(p[:max(0, n)])
	for _, b := range z.pieces {
		if from, to := max(off, b.off), min(off+int64(n), b.off+int64(len(b.data))); from < to {
			copy(p[from-off:to-off], b.data[from-b.off:])
		}
	}
	if n < len(p) {
		return max(0, n), io.EOF
	}
	return n, nil
}

func sparse(l *Layout, crc func(i int) uint32) *zeros {
	z := &zeros{size: l.Size()}
	for i, rec := range l.Records {
		z.pieces = append(z.pieces, block{l.HeaderOff(i), l.Header(i)}, block{l.DataOff(i) + rec.Size, l.Descriptor(i, crc(i))})
	}
	z.pieces = append(z.pieces, block{l.TailOff(), l.Tail(crc)})
	return z
}

// Sizes and offsets around and past 4 GiB: our reader, Go's and, through the fields they share, the documented layout.
func TestZip64(t *testing.T) {
	const thr = 1<<32 - 1
	records := []LayoutRecord{
		{"data.pkl", 4}, {"data/0", thr}, {"data/1", thr - 1}, {"data/2", 5 << 30}, {"data/3", 16}, {"data/4", 0}, {"version", 2},
	}
	l, err := NewLayout("big", 0, records)
	if err != nil {
		t.Fatal(err)
	}
	crc := func(i int) uint32 { return uint32(i + 1) }
	file := sparse(l, crc)
	file.pieces = append(file.pieces, block{l.DataOff(6), []byte("3\n")})
	a, err := ReadDirectory(file, l.Size(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	std, err := stdzip.NewReader(file, l.Size())
	if err != nil {
		t.Fatal(err)
	}
	for i, rec := range records {
		got := a.Records[i]
		off, err := a.DataOff(i)
		want, _ := std.File[i].DataOffset()
		if err != nil || got.Name != rec.Name || got.Size != rec.Size || got.HeaderOff != l.HeaderOff(i) || off != l.DataOff(i) || off != want ||
			off%64 != 0 || std.File[i].UncompressedSize64 != uint64(rec.Size) {
			t.Errorf("record %d: %+v at %d, want size %d at %d; archive/zip: %d", i, got, off, rec.Size, l.DataOff(i), want)
		}
	}
	// data/0 overflows in size, data/1 and data/3 in offset, data/2 in both.
	for i, want := range []int{16, 24, 24, 24, 24, 0, 24} {
		if got := len(l.Descriptor(i, 0)); got != want {
			t.Errorf("descriptor of record %d has %d bytes, want %d", i, got, want)
		}
	}
	for i, want := range []string{"", "\x01\x00\x10\x00\xff\xff\xff\xff" + strings.Repeat("\x00", 12) + "FB", "\x01\x00\x08\x00", "\x01\x00\x18\x00", "\x01\x00\x08\x00"} {
		extra := string(l.Header(i)[localLen+len("big/")+len(records[i].Name):])
		if want == "" {
			want = "FB"
		}
		if !strings.HasPrefix(extra, want) {
			t.Errorf("record %d: local extra % x, want % x…", i, extra[:min(24, len(extra))], want)
		}
	}
	below, err := NewLayout("big", 0, []LayoutRecord{{"data/0", thr - 1}})
	if err != nil || len(below.Descriptor(0, 0)) != 16 {
		t.Errorf("one byte less than zip64 asks for: descriptor of %d bytes, %v", len(below.Descriptor(0, 0)), err)
	}
	if size := le.Uint32(l.Header(1)[18:]); size != 0 {
		t.Errorf("local size of a record past 4 GiB is %x, torch writes 0", size)
	}
	// The invented checksum of version is the one thing wrong with the file.
	if len(a.Findings) != 1 || a.Findings[0].Code != FoundChecksum {
		t.Errorf("findings %v", a.Findings)
	}
	// Written to a sparse file where asked for, so that other programs can look at it.
	if path := os.Getenv("WEIGHTROOM_ZIP64_FILE"); path != "" {
		writeSparse(t, path, file)
	}
}

func writeSparse(t *testing.T, path string, file *zeros) {
	f, err := os.Create(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(file.size); err != nil {
		t.Fatal(err)
	}
	for _, b := range file.pieces {
		if _, err := f.WriteAt(b.data, b.off); err != nil {
			t.Fatal(err)
		}
	}
}

// A file past 4 GiB that torch wrote, where one is given: every byte that is no payload is the layout's.
func TestBigFile(t *testing.T) {
	path := os.Getenv("WEIGHTROOM_BIG_ZIP")
	if path == "" {
		t.Skip("WEIGHTROOM_BIG_ZIP is not set")
	}
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	a, err := ReadDirectory(f, info.Size(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	records := make([]LayoutRecord, a.Len())
	for i, rec := range a.Records {
		records[i] = LayoutRecord{Name: rec.Name, Size: rec.Size}
	}
	l, err := NewLayout(a.Prefix, a.Alignment, records)
	if err != nil || l.Size() != info.Size() {
		t.Fatalf("layout of %d bytes, the file has %d: %v", l.Size(), info.Size(), err)
	}
	for _, b := range sparse(l, func(i int) uint32 { return a.Records[i].CRC }).pieces {
		if got, err := readAt(f, b.off, int64(len(b.data))); err != nil || !bytes.Equal(got, b.data) {
			t.Errorf("%d bytes at %d differ: % x, want % x", len(b.data), b.off, got[:min(len(got), 80)], b.data[:min(len(b.data), 80)])
		}
	}
}

// A hundred thousand records: opened in bounded time and little live memory, read in few pieces.
func TestManyRecords(t *testing.T) {
	const count = 100_000
	records := make([]LayoutRecord, 0, count+2)
	records = append(records, LayoutRecord{"data.pkl", 4})
	for i := range count {
		records = append(records, LayoutRecord{"data/" + strconv.Itoa(i), 100})
	}
	l, err := NewLayout("m", 0, append(records, LayoutRecord{"version", 2}))
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, l.Size())
	for i := range l.Records {
		copy(data[l.HeaderOff(i):], l.Header(i))
		copy(data[l.DataOff(i)+l.Records[i].Size:], l.Descriptor(i, 0))
	}
	copy(data[l.DataOff(count+1):], "3\n")
	copy(data[l.TailOff():], l.Tail(func(int) uint32 { return 0 }))
	for _, check := range []HeaderCheck{AtOpen, Lazy} {
		c := &counter{r: bytes.NewReader(data)}
		a, err := ReadDirectory(c, int64(len(data)), Options{LocalHeaders: check})
		if err != nil {
			t.Fatal(err)
		}
		if a.Len() != count+2 || a.Version != 3 {
			t.Errorf("%d records, version %d", a.Len(), a.Version)
		}
		if i, ok := a.Lookup("data/77777"); !ok || a.Records[i].HeaderOff != l.HeaderOff(i) {
			t.Errorf("Lookup gives %d, %v", i, ok)
		}
		if c.reads > 60 {
			t.Errorf("%d reads, %d bytes of %d", c.reads, c.read, len(data))
		}
	}
}

// Opening twelve gigabytes in three hundred records reads less than one megabyte.
func TestBytesRead(t *testing.T) {
	records := []LayoutRecord{{"data.pkl", 100_000}}
	for i := range 150 {
		records = append(records, LayoutRecord{"data/" + strconv.Itoa(2*i), 80 << 20}, LayoutRecord{"data/" + strconv.Itoa(2*i+1), 1000})
	}
	records = append(records, LayoutRecord{"version", 2})
	l, err := NewLayout("big", 0, records)
	if err != nil {
		t.Fatal(err)
	}
	file := sparse(l, func(int) uint32 { return 0 })
	file.pieces = append(file.pieces, block{l.DataOff(len(records) - 1), []byte("3\n")})
	for _, c := range []struct {
		check       HeaderCheck
		read, reads int64
	}{{AtOpen, 1 << 20, 320}, {Lazy, 140 << 10, 6}} {
		count := &counter{r: file}
		a, err := ReadDirectory(count, l.Size(), Options{LocalHeaders: c.check})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d bytes of %d in %d reads", count.read, l.Size(), count.reads)
		if count.read > c.read || count.reads > c.reads {
			t.Errorf("%d bytes in %d reads, want at most %d in %d", count.read, count.reads, c.read, c.reads)
		}
		if off, err := a.DataOff(7); err != nil || off != l.DataOff(7) {
			t.Errorf("record 7 at %d (%v), want %d", off, err, l.DataOff(7))
		}
	}
}
