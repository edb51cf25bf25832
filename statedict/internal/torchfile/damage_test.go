package torchfile

import (
	stdzip "archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"testing"
)

// Every truncation and every byte set to each of four values: an archive or a typed error, never a panic.
func TestDamage(t *testing.T) {
	for _, base := range [][]byte{small(t), torchMade(t)} {
		damage(t, base)
	}
}

// torchMade is the same archive as torch lays it out, with zip64 records at its end.
func torchMade(t testing.TB) []byte {
	texts := []string{"\x80\x02N.", "12345678", "little", "3\n"}
	l, err := NewLayout("x", 0, []LayoutRecord{{"data.pkl", 4}, {"data/0", 8}, {"byteorder", 6}, {"version", 2}})
	if err != nil {
		t.Fatal(err)
	}
	return write(l, func(i int) []byte { return []byte(texts[i]) })
}

func damage(t *testing.T, base []byte) {
	try := func(data []byte) error {
		a, err := openBytes(data, Options{})
		if err == nil {
			for i := range a.Records {
				if _, err := a.ReadSmall(i, 1<<20); err != nil {
					var e *Error
					if !errors.As(err, &e) {
						return err
					}
				}
			}
			return nil
		}
		var e *Error
		if !errors.As(err, &e) || e.Code == "" || e.Msg == "" {
			return err
		}
		return nil
	}
	for n := range base {
		if err := try(base[:n]); err != nil {
			t.Errorf("cut at %d: %v", n, err)
		}
		if _, err := openBytes(base[:n], Options{}); err == nil {
			t.Errorf("cut at %d opens", n)
		}
		for _, c := range []byte{0, 0x7F, 0x80, 0xFF} {
			data := bytes.Clone(base)
			data[n] = c
			if err := try(data); err != nil {
				t.Errorf("byte %d to %02x: %v", n, c, err)
			}
		}
	}
}

func salvaged(r io.ReaderAt, size int64) ([]Record, error) {
	records, _, err := salvage(r, size, noLimit, Limits{}.withDefaults())
	return records, err
}

// A cut archive says how many records are whole, with and without descriptors.
func TestTruncated(t *testing.T) {
	data := small(t)
	second := bytes.Index(data, []byte("x/byteorder")) - localLen
	_, err := openBytes(data[:second+10], Options{})
	wantCode(t, err, CodeTruncated)
	if want := fmt.Sprintf("cut off after %d bytes: the directory at the end is missing, 2 records are whole", second+10); err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	records, err := salvaged(bytes.NewReader(data), int64(len(data)))
	if err != nil || len(records) != 4 || records[1].Name != "x/data/0" || records[1].Size != 8 || records[1].CRC != crc32.ChecksumIEEE([]byte("12345678")) {
		t.Errorf("salvaged %+v, %v", records, err)
	}
	// The same where the local header already gives the sizes that the descriptor repeats.
	local := bytes.Index(data, []byte("x/data/0")) - localLen
	copy(data[local+18:], []byte{byte(records[1].CompressedSize), 0, 0, 0, 8})
	if records, err = salvaged(bytes.NewReader(data), int64(len(data))); err != nil || len(records) != 4 || records[1].Size != 8 {
		t.Errorf("salvaged %+v, %v", records, err)
	}
	// A payload that holds a descriptor's signature is not cut there.
	data = makeZip(t, member{name: "x/data.pkl", data: "PK\x07\x08 and PK\x07\x08\x00\x00\x00\x00\x01\x00\x00\x00 and so on"})
	if records, err = salvaged(bytes.NewReader(data), int64(len(data))); err != nil || len(records) != 1 || records[0].Size != 31 {
		t.Errorf("salvaged %+v, %v", records, err)
	}
}

// counter counts what is read.
type counter struct {
	r           io.ReaderAt
	reads, read int64
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	c.read += int64(len(p))
	return c.r.ReadAt(p, off)
}

// fewBytes answers at most three bytes at once, as a careless source may.
type fewBytes struct{ r io.ReaderAt }

func (f fewBytes) ReadAt(p []byte, off int64) (int, error) {
	return f.r.ReadAt(p[:min(3, len(p))], off)
}

func TestShortReads(t *testing.T) {
	data := small(t)
	a, err := ReadDirectory(fewBytes{bytes.NewReader(data)}, int64(len(data)), Options{})
	if err != nil || a.Len() != 4 {
		t.Fatalf("%v", err)
	}
	if got, err := a.ReadSmall(1, 100); err != nil || string(got) != "12345678" {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzDirectory(f *testing.F) {
	f.Add(small(f))
	f.Add(torchMade(f))
	f.Add(makeZip(f, member{name: "data.pkl", data: "N."}, member{name: "data/0", data: "PK\x05\x06"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, opt := range []Options{{}, {LocalHeaders: Lazy}, {Lenient: true}} {
			a, err := openBytes(data, opt)
			if err != nil {
				if e, ok := err.(*Error); !ok || e.Code == "" {
					t.Fatalf("untyped error %v", err)
				}
				continue
			}
			if len(a.Findings) == 0 && opt == (Options{}) {
				// Nothing to say about it: then Go's reader has to see the same records.
				std, err := stdzip.NewReader(bytes.NewReader(data), int64(len(data)))
				if err != nil || len(std.File) != a.Len() {
					t.Fatalf("archive/zip: %v", err)
				}
				for i, file := range std.File {
					off, _ := file.DataOffset()
					if mine, _ := a.DataOff(i); file.Name != a.FullName(i) || off != mine || file.UncompressedSize64 != uint64(a.Records[i].Size) {
						t.Fatalf("record %d: %+v, archive/zip has %+v", i, a.Records[i], file.FileHeader)
					}
				}
			}
			for i, rec := range a.Records {
				if rec.Size > 1<<20 {
					continue
				}
				a.ReadSmall(i, 1<<20)
				if off, err := a.DataOff(i); err == nil && (off < 0 || off+rec.CompressedSize > int64(len(data))) {
					t.Fatalf("record %d lies at %d, %d bytes, outside the file", i, off, rec.CompressedSize)
				}
			}
		}
		salvaged(bytes.NewReader(data), int64(len(data)))
	})
}
