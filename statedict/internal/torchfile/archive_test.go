package torchfile

import (
	stdzip "archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
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
		{"a/data.pkl a/version a/data.pkl\x00.txt", 0, "", CodeAmbiguous},
		{"a/data.pkl a/version a/other\x00.txt", TorchSave, "a", FoundName},
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

// A name in an extra field, which some readers prefer, has to be the name.
func TestUnicodePath(t *testing.T) {
	for _, c := range []struct{ name, other, code string }{
		{"a/other", "a/data.pkl", CodeAmbiguous}, {"a/other", "a/other", ""}, {"a/#U6a21", "a/模", ""},
	} {
		var buf bytes.Buffer
		w := stdzip.NewWriter(&buf)
		for _, name := range []string{"a/data.pkl", c.name, "a/version"} {
			h := &stdzip.FileHeader{Name: name}
			if name == c.name {
				h.Extra = append(le.AppendUint16([]byte("up"), uint16(5+len(c.other))), "\x01\x00\x00\x00\x00"+c.other...)
			}
			f, err := w.CreateHeader(h)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(f, "3")
		}
		w.Close()
		if _, err := openBytes(buf.Bytes(), Options{}); c.code != "" {
			wantCode(t, err, c.code)
		} else if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Leniency shows what the directory describes, and says that others may see something else.
func TestLenient(t *testing.T) {
	for what, change := range map[string]func(data []byte, local int){
		"name":   func(data []byte, local int) { data[local+localLen+len("x/data/")] = '1' },
		"flags":  func(data []byte, local int) { data[local+7] ^= 8 },
		"method": func(data []byte, local int) { data[local+8] = 0 },
		"sizes":  func(data []byte, local int) { data[local+18] = 1 },
	} {
		data := small(t)
		change(data, bytes.Index(data, []byte("x/data/0"))-localLen)
		_, err := openBytes(data, Options{})
		wantCode(t, err, CodeAmbiguous)
		for _, check := range []HeaderCheck{AtOpen, Lazy} {
			a, err := openBytes(data, Options{Lenient: true, LocalHeaders: check})
			if err != nil || a.Ambiguous != (check == AtOpen) {
				t.Errorf("%s: %v", what, err)
				continue
			}
			if got, err := a.ReadSmall(1, 100); err != nil || string(got) != "12345678" {
				t.Errorf("%s: got %q, %v", what, got, err)
			}
		}
	}
	a, err := openBytes(makeZip(t, member{name: "a/data.pkl", data: "N."}, member{name: "a/data.pkl", data: "I1\n."}), Options{Lenient: true})
	if err != nil || !a.Ambiguous || a.Findings[0].Code != CodeAmbiguous {
		t.Errorf("duplicate: %v", err)
	}
}

// An archive with bytes in front opens with a finding when its offsets were left alone, zip64 records included.
func TestPrefixBytes(t *testing.T) {
	for _, base := range [][]byte{small(t), torchMade(t)} {
		data := append([]byte("GIF89a in front"), base...)
		a, err := openBytes(data, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.ReadSmall(1, 100); err != nil || string(got) != "12345678" || a.Leading != 15 {
			t.Errorf("got %q, %v, %d bytes in front", got, err, a.Leading)
		}
		if !slices.ContainsFunc(a.Findings, func(f Finding) bool { return f.Code == FoundPrefix }) {
			t.Errorf("findings %v", a.Findings)
		}
		_, err = openBytes(append(bytes.Clone(base), base...), Options{})
		wantCode(t, err, CodeAmbiguous)
	}
	// Every field of the zip64 records that can contradict the others.
	base := torchMade(t)
	end64 := len(base) - endLen - locatorLen - end64Len
	for at, code := range map[int]string{
		end64: CodeZip, end64 + 4: CodeZip, end64 + 16: CodeZip, end64 + 24: CodeAmbiguous, end64 + 32: CodeAmbiguous,
		end64 + 40: CodeAmbiguous, end64 + 48: CodeAmbiguous, end64 + 55: CodeZip, end64 + end64Len + 4: CodeZip,
		end64 + end64Len + 8: CodeAmbiguous, end64 + end64Len + 15: CodeZip, end64 + end64Len + 16: CodeZip,
	} {
		data := bytes.Clone(base)
		data[at] ^= 2
		_, err := openBytes(data, Options{})
		var e *Error
		if !errors.As(err, &e) || e.Code != code {
			t.Errorf("byte %d of the zip64 records: got %v, want %s", at-end64, err, code)
		}
	}
}

// A million bad names cost no more to report than sixteen, and none is shown raw.
func TestManyFindings(t *testing.T) {
	members := []member{{name: "a/data.pkl", data: "N."}, {name: "a/version", data: "3"}}
	for i := range 100 {
		members = append(members, member{name: fmt.Sprintf("a/\x1b[31m%d%s", i, strings.Repeat("x", 1000))})
	}
	a, err := openBytes(makeZip(t, members...), Options{})
	if err != nil || len(a.Findings) != perCode+1 || !strings.Contains(a.Findings[perCode].Msg, "84 more") {
		t.Errorf("%d findings, %v", len(a.Findings), err)
	}
	e := recordError(CodeZip, a.FullName(2), 7, "broken")
	if text := e.Error(); !strings.HasPrefix(text, `record "a/\x1b[31m0xxx`) || !strings.HasSuffix(text, `x"…: broken (byte 7)`) || len(text) > 400 {
		t.Errorf("error text %s", text)
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
