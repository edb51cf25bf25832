package torchfile

import (
	stdzip "archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"
)

// member is one record of an archive made for a test.
type member struct {
	name, data string
	method     uint16
}

// makeZip writes the members with Go's own writer: local sizes and checksums in descriptors.
func makeZip(t testing.TB, members ...member) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := stdzip.NewWriter(&buf)
	for _, m := range members {
		f, err := w.CreateHeader(&stdzip.FileHeader{Name: m.name, Method: m.method})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, m.data)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// small is an archive of one storage.
func small(t testing.TB) []byte {
	return makeZip(t, member{name: "x/data.pkl", data: "\x80\x02N."}, member{name: "x/data/0", data: "12345678", method: Deflated},
		member{name: "x/byteorder", data: "little"}, member{name: "x/version", data: "3\n"})
}

func openBytes(data []byte, opt Options) (*Archive, error) {
	return ReadDirectory(bytes.NewReader(data), int64(len(data)), opt)
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func TestFacts(t *testing.T) {
	a, err := openBytes(small(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if a.Kind != TorchSave || a.Prefix != "x" || a.Version != 3 || a.ByteOrder != "little" || a.Profile != Torch21 || a.Records[a.Pickle].Name != "data.pkl" {
		t.Errorf("got %+v", a)
	}
	if len(a.Findings) != 1 || a.Findings[0].Code != FoundContainer {
		t.Errorf("findings %v, want the one on deflated storages", a.Findings)
	}
}

// Which folder counts, and which kinds are told apart by their names.
func TestKinds(t *testing.T) {
	for _, c := range []struct {
		names  string
		kind   ArchiveKind
		prefix string
		code   string // error, or a finding that must be there
	}{
		{"a/data.pkl a/data/0 a/version", TorchSave, "a", ""},
		{"A/DATA.PKL A/version", TorchSave, "A", ""},
		{"data.pkl data/0 version", TorchSave, "", FoundContainer},
		{"out/ out/a/ out/a/data.pkl out/a/version", TorchSave, "out/a", FoundContainer},
		{"__MACOSX/._a a/data.pkl a/version __MACOSX/a/._data.pkl", TorchSave, "a", FoundContainer},
		{"a/data.pkl a/version a/extra/data.pkl", TorchSave, "a", ""},
		{"a/data.pkl b/data.pkl a/version", 0, "", CodeAmbiguous},
		{"data.pkl b/data.pkl version", 0, "", CodeAmbiguous},
		{"a/data.pkl a/version a/version", 0, "", CodeAmbiguous},
		{"a/data.pkl a/version a/data/x a/DATA/x", 0, "", CodeAmbiguous},
		{"a/data.pkl a/version A/data/x a/data/X", 0, "", CodeAmbiguous},
		{"a/data.pkl a/constants.pkl a/version a/code/M.py a/code/m.py", TorchScript, "a", ""},
		{"a/data.pkl a/constants.pkl a/bytecode.pkl a/version", TorchScriptLite, "a", ""},
		{"a/archive_format a/data/weights/weight_0", PT2, "a", ""},
		{"a/serialized_exported_program.json a/serialized_state_dict.pt", ExportedProgram, "a", ""},
		{"a/model.json a/tensors/0", TorchScriptJSON, "a", ""},
		{"a/.data/extern_modules a/m/m.pkl", TorchPackage, "a", ""},
		{"w.npy W.npy", NPZ, "", ""},
		{"data policy.pth", ZipWrapper, "", ""},
		{"MAR-INF/MANIFEST.json model.pt", ZipWrapper, "", ""},
		{"readme.txt", ZipOther, "", ""},
		{"a/data.pkl", TorchSave, "a", FoundContainer},
	} {
		var members []member
		for _, name := range strings.Fields(c.names) {
			data := "1"
			if strings.HasSuffix(name, "/") {
				data = ""
			}
			members = append(members, member{name: name, data: data})
		}
		a, err := openBytes(makeZip(t, members...), Options{})
		if strings.HasPrefix(c.code, "E_") {
			wantCode(t, err, c.code)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.names, err)
			continue
		}
		if a.Kind != c.kind || a.Prefix != c.prefix {
			t.Errorf("%s: %v in %q, want %v in %q", c.names, a.Kind, a.Prefix, c.kind, c.prefix)
		}
		if c.code == "" && len(a.Findings) > 0 || c.code != "" && (len(a.Findings) == 0 || a.Findings[0].Code != c.code) {
			t.Errorf("%s: findings %v, want %q", c.names, a.Findings, c.code)
		}
	}
}

func TestVersionAndByteOrder(t *testing.T) {
	for _, c := range []struct{ name, text, code string }{
		{"version", "10\n", ""}, {"version", "0", CodeFormat}, {"version", "abc", CodeFormat}, {"version", "11\n", CodeUnsupported},
		{"byteorder", "big", ""}, {"byteorder", "middle", CodeFormat}, {"byteorder", strings.Repeat("x", 5000), CodeLimit},
	} {
		members := []member{{name: "a/data.pkl", data: "N."}, {name: "a/" + c.name, data: c.text}}
		if _, err := openBytes(makeZip(t, members...), Options{}); c.code != "" {
			wantCode(t, err, c.code)
		} else if err != nil {
			t.Errorf("%s %q: %v", c.name, c.text, err)
		}
	}
}

// One changed field each, in the directory, in the local header or in the end records.
func TestContradictions(t *testing.T) {
	base := small(t)
	local := bytes.Index(base, []byte("x/data/0")) - localLen
	central := bytes.LastIndex(base, []byte("x/data/0")) - centralLen
	pickle := bytes.LastIndex(base, []byte("x/data.pkl")) - centralLen
	end := len(base) - endLen
	for _, c := range []struct {
		what string
		at   int
		to   string
		code string
	}{
		{"local name", local + localLen + 2, "D", CodeAmbiguous},
		{"local method", local + 8, "\x00", CodeAmbiguous},
		{"local flags", local + 6, "\x00", CodeAmbiguous},
		{"local sizes", local + 18, "\x01\x00\x00\x00", CodeAmbiguous},
		{"local extra reaches into the next record", local + 28, "\xFF\xFF", CodeAmbiguous},
		{"local signature", local, "XX", CodeZip},
		{"offset", central + 42, "\x01\x00\x00\x00", CodeAmbiguous},
		{"offset behind the directory", central + 42, "\xF0\xFF\xFF\x00", CodeZip},
		{"size past the directory", central + 20, "\xF0\xFF\xFF\x00", CodeZip},
		{"stored with two sizes", central + 10, "\x00", CodeZip},
		{"zip64 missing", central + 24, "\xFF\xFF\xFF\xFF", CodeZip},
		{"other disk", central + 34, "\x01", CodeZip},
		{"name runs out", central + 28, "\xFF\x00", CodeZip},
		{"encrypted storage", central + 8, "\x09", CodeEncrypted},
		{"encrypted pickle", pickle + 8, "\x09", CodeEncrypted},
		{"bzip2 pickle", pickle + 10, "\x0C", CodeMethod},
		{"one record fewer", end + 8, "\x03\x00\x03", CodeZip},
		{"one record more", end + 8, "\x05\x00\x05", CodeZip},
		{"records here and in all", end + 8, "\x03", CodeZip},
		{"disk", end + 4, "\x01", CodeZip},
		{"directory too long", end + 12, "\xFF\xFF", CodeZip},
		{"directory too short", end + 12, "\x00", CodeZip},
		{"comment past the end", end + 20, "\x01", CodeZip},
	} {
		data := bytes.Clone(base)
		copy(data[c.at:], c.to)
		for _, check := range []HeaderCheck{AtOpen, Lazy} {
			a, err := openBytes(data, Options{LocalHeaders: check})
			if err == nil && check == Lazy {
				i, _ := a.Lookup("data/0")
				_, err = a.DataOff(i)
			}
			var e *Error
			if !errors.As(err, &e) || e.Code != c.code {
				t.Errorf("%s: got %v, want %s", c.what, err, c.code)
			}
		}
	}
	// A storage that is compressed in another way hides nothing else: it is a finding, and an error when it is read.
	data := bytes.Clone(base)
	data[central+10], data[local+8] = 12, 12
	a, err := openBytes(data, Options{})
	if err != nil || len(a.Findings) != 1 || a.Findings[0].Code != CodeMethod {
		t.Fatalf("bzip2 storage: %v", err)
	}
	i, _ := a.Lookup("data/0")
	_, err = a.Open(i)
	wantCode(t, err, CodeMethod)
}

func TestLenient(t *testing.T) {
	data := small(t)
	copy(data[bytes.Index(data, []byte("x/data/0")):], "x/data/1")
	_, err := openBytes(data, Options{})
	wantCode(t, err, CodeAmbiguous)
	a, err := openBytes(data, Options{Lenient: true})
	if err != nil || !a.Ambiguous {
		t.Fatalf("lenient: %v", err)
	}
}

// A record that says less or more than it inflates to is refused, with nothing past the declared size.
func TestInflateLies(t *testing.T) {
	base := small(t)
	central := bytes.LastIndex(base, []byte("x/data/0")) - centralLen
	for _, declared := range []byte{0, 7, 9} {
		data := bytes.Clone(base)
		data[central+24] = declared
		a, err := openBytes(data, Options{})
		if err != nil {
			t.Fatal(err)
		}
		i, _ := a.Lookup("data/0")
		r, err := a.Open(i)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		wantCode(t, err, CodeZip)
		if len(got) > int(declared) {
			t.Errorf("declared %d, got %d bytes", declared, len(got))
		}
		_, err = a.ReadSmall(i, 100)
		wantCode(t, err, CodeZip)
		_, err = a.ReadSmall(i, int64(declared)-1)
		wantCode(t, err, CodeLimit)
	}
}

// Every truncation and every byte set to each of four values: an archive or a typed error, never a panic.
func TestDamage(t *testing.T) {
	base := small(t)
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

// A cut archive says how many records are whole, with and without descriptors.
func TestTruncated(t *testing.T) {
	data := small(t)
	second := bytes.Index(data, []byte("x/byteorder")) - localLen
	_, err := openBytes(data[:second+10], Options{})
	wantCode(t, err, CodeTruncated)
	if want := fmt.Sprintf("cut off after %d bytes: the directory at the end is missing, 2 records are whole", second+10); err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	records, err := Salvage(bytes.NewReader(data), int64(len(data)))
	if err != nil || len(records) != 4 || records[1].Name != "x/data/0" || records[1].Size != 8 || records[1].CRC != crc32.ChecksumIEEE([]byte("12345678")) {
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
		Salvage(bytes.NewReader(data), int64(len(data)))
	})
}
