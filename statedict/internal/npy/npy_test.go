package npy

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// file is a version major file with the given literal and n data bytes.
func file(major byte, text string, n int) []byte {
	b := append([]byte(Magic), major, 0)
	if major == 1 {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	}
	return append(append(b, text...), make([]byte, n)...)
}

func parse(b []byte) (*Header, error) { return Parse(bytes.NewReader(b), int64(len(b))) }

func TestParse(t *testing.T) {
	for _, c := range []struct {
		major byte
		text  string
		data  int
		want  Header
	}{
		{1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n", 24, Header{Descr: "<f4", DType: dtype.Float32, ItemSize: 4, Shape: []int64{2, 3}, NBytes: 24}},
		{2, `{"shape":(3L,),"descr":">c16","fortran_order":True}`, 48, Header{Descr: ">c16", DType: dtype.Complex128, ItemSize: 16, BigEndian: true, Fortran: true, Shape: []int64{3}, NBytes: 48}},
		{3, "{'descr': '|b1', 'fortran_order': False, 'shape': ()}\n", 1, Header{Descr: "|b1", DType: dtype.Bool, ItemSize: 1, Shape: []int64{}, NBytes: 1}},
		{1, "{'descr': '>i1', 'fortran_order': False, 'shape': (0, 9223372036854775807)}", 3, Header{Descr: ">i1", DType: dtype.Int8, ItemSize: 1, Shape: []int64{0, 9223372036854775807}, Trailing: 3}},
		{1, "{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (2,)}", 16, Header{Descr: "<M8[ns]", ItemSize: 8, Shape: []int64{2}, NBytes: 16}},
		{1, "{'descr': '<U5', 'fortran_order': False, 'shape': (2,)}", 40, Header{Descr: "<U5", ItemSize: 20, Shape: []int64{2}, NBytes: 40}},
		{1, "{'descr': '|V2', 'fortran_order': False, 'shape': (2,)}", 4, Header{Descr: "|V2", ItemSize: 2, Shape: []int64{2}, NBytes: 4}},
		{1, "{'descr': '<f16', 'fortran_order': False, 'shape': (1,)}", 16, Header{Descr: "<f16", ItemSize: 16, Shape: []int64{1}, NBytes: 16}},
	} {
		b := file(c.major, c.text, c.data)
		h, err := parse(b)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		c.want.Major, c.want.DataOff = c.major, int64(len(b)-c.data)
		if got := *h; !slices.Equal(got.Shape, c.want.Shape) || got.Descr != c.want.Descr || got.DType != c.want.DType || got.ItemSize != c.want.ItemSize ||
			got.BigEndian != c.want.BigEndian || got.Fortran != c.want.Fortran || got.NBytes != c.want.NBytes || got.DataOff != c.want.DataOff ||
			got.Trailing != c.want.Trailing || got.Major != c.want.Major {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.text, got, c.want)
		}
		if h, err := Parse(iotest.OneByteReader(bytes.NewReader(b)), int64(len(b))); err != nil || h.DataOff != c.want.DataOff {
			t.Errorf("%s: one byte at a time: %v", c.text, err)
		}
	}
}

func TestReject(t *testing.T) {
	const good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
	for _, c := range []struct {
		name, text string
		code       string
		at         int64
		want       string
	}{
		{"objects", "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", CodeFormat, 20, "pickle"},
		{"objects of 8 bytes", "{'descr': '|O8', 'fortran_order': False, 'shape': (2,)}", CodeFormat, 20, "pickle"},
		{"record", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", CodeUnsupported, 20, "structured"},
		{"unknown", "{'descr': '<q9', 'fortran_order': False, 'shape': (2,)}", CodeUnsupported, 20, `"<q9" is not known`},
		{"no number", "{'descr': '<fx', 'fortran_order': False, 'shape': (2,)}", CodeUnsupported, 20, "not known"},
		{"empty type", "{'descr': '', 'fortran_order': False, 'shape': (2,)}", CodeHeader, 20, "empty type"},
		{"type number", "{'descr': 4, 'fortran_order': False, 'shape': (2,)}", CodeHeader, 20, "expected a string"},
		{"call", "{'descr': '<f4', 'fortran_order': print(), 'shape': (2,)}", CodeHeader, 44, "True or False"},
		{"sum", "{'descr': '<f4', 'fortran_order': False, 'shape': (2+2,)}", CodeHeader, 62, "expected ')'"},
		{"minus", "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", CodeHeader, 61, "digits"},
		{"int", "{'descr': '<f4', 'fortran_order': False, 'shape': 2}", CodeHeader, 60, "expected '('"},
		{"no tuple", "{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", CodeHeader, 63, "(n,)"},
		{"octal", "{'descr': '<f4', 'fortran_order': False, 'shape': (02,)}", CodeHeader, 63, "leading zero"},
		{"2^63", "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", CodeHeader, 79, "2^63-1"},
		{"wraps", "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296,4294967296)}", CodeLayout, 10, "overflows"},
		{"rank", "{'descr': '<f4', 'fortran_order': False, 'shape': (" + strings.Repeat("1,", 65) + ")}", CodeLimit, 61 + 128, "64 dimensions"},
		{"twice", "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'descr': '<f4'}", CodeHeader, 66, "twice"},
		{"missing", "{'descr': '<f4', 'shape': (2,)}", CodeHeader, 41, "found 2"},
		{"extra", "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", CodeHeader, 66, `key "x"`},
		{"behind", good + "x", CodeHeader, 10 + 59, "behind"},
		{"nul", good + "\x00", CodeHeader, 10 + 59, "behind"},
		{"escape", `{'d\x65scr': '<f4'}`, CodeHeader, 13, "0x5c inside"},
		{"open", "{'descr': '<f4", CodeHeader, 24, "without end"},
		{"list", "['descr']", CodeHeader, 10, "expected '{'"},
		{"early", good, CodeTruncated, 10 + 59 + 23, "24 bytes needed"},
	} {
		data := 23
		if c.name != "early" {
			data = 200
		}
		h, err := parse(file(1, c.text, data))
		var e *Error
		if !errors.As(err, &e) || e.Code != c.code || e.Off != c.at || !strings.Contains(e.Text, c.want) {
			t.Errorf("%s: got %v, want %s %q at %d", c.name, err, c.code, c.want, c.at)
		}
		if (h != nil) != (c.code == CodeTruncated) {
			t.Errorf("%s: header %v", c.name, h)
		}
	}
	whole := file(2, good, 24)
	var e *Error
	for n := range whole {
		if _, err := parse(whole[:n]); !errors.As(err, &e) || e.Code != CodeTruncated {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
	for text, code := range map[string]string{
		"\x93NUMPX\x01\x00\x02\x00{}":            CodeFormat,
		"\x93NUMPY\x04\x00\x02\x00{}":            CodeUnsupported,
		"\x93NUMPY\x01\x01\x02\x00{}":            CodeUnsupported,
		"\x93NUMPY\x02\x00\xff\xff\xff\xff{}":    CodeTruncated,
		"\x93NUMPY\x03\x00\x02\x00\x00\x00{\xff": CodeHeader,
	} {
		if _, err := parse([]byte(text)); !errors.As(err, &e) || e.Code != code {
			t.Errorf("%q: %v, want %s", text, err, code)
		}
	}
	if _, err := parse(file(2, good+strings.Repeat(" ", maxText), 24)); !errors.As(err, &e) || e.Code != CodeLimit {
		t.Errorf("long header: %v", err)
	}
	if _, err := Parse(iotest.ErrReader(io.ErrClosedPipe), 100); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("failing reader: %v", err)
	}
}

// TestEmit holds against what numpy 1.24.2 saved: length field and text without padding.
func descrOf(d dtype.DType) string {
	descr, _, _ := DescrOf(d)
	return descr
}

func TestEmit(t *testing.T) {
	for _, c := range []struct {
		dtype  dtype.DType
		shape  []int64
		length uint16
		text   string
	}{
		{dtype.Float32, []int64{2, 3}, 0x0076, `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`},
		{dtype.Float64, []int64{}, 0x0076, `{'descr': '<f8', 'fortran_order': False, 'shape': (), }`},
		{dtype.Bool, []int64{3}, 0x0076, `{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }`},
		{dtype.Int64, []int64{0}, 0x0076, `{'descr': '<i8', 'fortran_order': False, 'shape': (0,), }`},
		{dtype.UInt16, []int64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 0x00b6, `{'descr': '<u2', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), }`},
		{dtype.Complex64, []int64{5, 1}, 0x0076, `{'descr': '<c8', 'fortran_order': False, 'shape': (5, 1), }`},
		{dtype.Int8, []int64{7}, 0x0076, `{'descr': '|i1', 'fortran_order': False, 'shape': (7,), }`},
		{dtype.UInt8, []int64{12345, 2}, 0x0076, `{'descr': '|u1', 'fortran_order': False, 'shape': (12345, 2), }`},
		{dtype.Float16, []int64{1, 2, 3, 4}, 0x0076, `{'descr': '<f2', 'fortran_order': False, 'shape': (1, 2, 3, 4), }`},
		{dtype.Complex128, []int64{1}, 0x0076, `{'descr': '<c16', 'fortran_order': False, 'shape': (1,), }`},
		{dtype.UInt64, []int64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 0x0076, `{'descr': '<u8', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), }`},
	} {
		b, err := Emit(descrOf(c.dtype), c.shape)
		if err != nil {
			t.Fatal(err)
		}
		if n := binary.LittleEndian.Uint16(b[8:]); n != c.length || int(n) != len(b)-10 || strings.TrimRight(string(b[10:]), " \n") != c.text || b[len(b)-1] != '\n' {
			t.Errorf("%s %v: wrote %q", c.dtype, c.shape, b)
		}
		nbytes := c.dtype.Size()
		for _, dim := range c.shape {
			nbytes *= dim
		}
		h, err := parse(append(b, make([]byte, nbytes)...))
		if err != nil || h.DType != c.dtype || !slices.Equal(h.Shape, c.shape) || h.NBytes != nbytes || h.DataOff%64 != 0 || h.BigEndian || h.Fortran {
			t.Errorf("%s %v: read back %+v, %v", c.dtype, c.shape, h, err)
		}
	}
	// Bytes in front of the data for uint8 arrays of rank 0 to 32, all dimensions 1, as numpy 1.24.2 saved them.
	lengths := []int{128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 192, 192, 192, 192, 192, 192, 192, 192, 192, 192, 192, 192, 192, 192, 192, 192, 192, 192}
	for rank, want := range lengths {
		b, err := Emit(descrOf(dtype.UInt8), slices.Repeat([]int64{1}, rank))
		if err != nil || len(b) != want {
			t.Errorf("rank %d: %d bytes, want %d (%v)", rank, len(b), want, err)
		}
	}
	var e *Error
	if _, err := Emit(descrOf(dtype.QInt8), nil); !errors.As(err, &e) || e.Code != CodeUnsupported {
		t.Errorf("qint8: %v", err)
	}
	if _, err := Emit("<M8['ns]", nil); !errors.As(err, &e) || e.Code != CodeUnsupported {
		t.Errorf("a type that ends the text: %v", err)
	}
	if b, err := Emit("<U2", []int64{2}); err != nil || !strings.Contains(string(b), "{'descr': '<U2', ") {
		t.Errorf("text: %q, %v", b, err)
	}
	if _, err := Emit(descrOf(dtype.Int8), []int64{-1}); !errors.As(err, &e) || e.Code != CodeLayout {
		t.Errorf("dimension -1: %v", err)
	}
	if _, err := Emit(descrOf(dtype.Int8), make([]int64, 65)); !errors.As(err, &e) || e.Code != CodeLimit {
		t.Errorf("rank 65: %v", err)
	}
}

// TestDescrOf checks that every form has the element's size, and that exact ones read back as themselves.
func TestDescrOf(t *testing.T) {
	for _, d := range dtype.All() {
		descr, exact, ok := DescrOf(d)
		lacking := d.IsQuantized() || d == dtype.Complex32 || d >= dtype.Bits8
		if ok == lacking {
			t.Errorf("%s: %q", d, descr)
		}
		if !ok {
			continue
		}
		h := Header{Descr: descr}
		if err := h.setType(0); err != nil || h.ItemSize != d.Size() || exact != (h.DType == d) || h.BigEndian {
			t.Errorf("%s: %q reads as %+v, %v", d, descr, h, err)
		}
	}
}

// TestFiles reads the members of the npz files of testdata and of the corpus and compares them with what numpy said.
func TestFiles(t *testing.T) {
	files, _ := filepath.Glob("../../../testdata/*.npz")
	if len(files) < 2 {
		t.Errorf("%d files in testdata", len(files))
	}
	dir := os.Getenv("WEIGHTROOM_CORPUS")
	if dir != "" {
		for _, pattern := range []string{"*.npz", "synthetic/*.npz"} {
			more, _ := filepath.Glob(filepath.Join(dir, pattern))
			files = append(files, more...)
		}
	}
	for _, path := range files {
		var oracle struct {
			Tensors []struct {
				Path    [][2]any
				DType   string
				Descr   string `json:"npy_dtype"`
				Shape   []int64
				Fortran bool
				SHA256  string
			}
		}
		text, err := os.ReadFile(path + ".oracle.json")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &oracle); err != nil {
			t.Fatal(err)
		}
		z, err := zip.OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		if len(z.File) != len(oracle.Tensors) {
			t.Errorf("%s: %d members", path, len(z.File))
		}
		for i, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			h, err := Parse(r, int64(f.UncompressedSize64))
			if err != nil {
				t.Fatalf("%s: %s: %v", path, f.Name, err)
			}
			data, err := io.ReadAll(r)
			if err != nil || int64(len(data)) != h.NBytes {
				t.Fatalf("%s: %s: %d bytes behind the header, %v", path, f.Name, len(data), err)
			}
			want := oracle.Tensors[i]
			if f.Name != want.Path[0][1].(string)+".npy" || h.DType.String() != want.DType || h.Descr != want.Descr || !slices.Equal(h.Shape, want.Shape) || h.Fortran != want.Fortran {
				t.Errorf("%s: %s: got %+v, want %+v", path, f.Name, h, want)
			}
			if h.DType == dtype.Invalid {
				continue
			}
			if sum := sha256.Sum256(data); !h.Fortran && !h.BigEndian && hex.EncodeToString(sum[:]) != want.SHA256 {
				t.Errorf("%s: %s: other data", path, f.Name)
			}
			if own, err := Emit(descrOf(h.DType), h.Shape); err != nil || !h.Fortran && !h.BigEndian && len(own) != int(h.DataOff) && h.DataOff%64 == 0 {
				t.Errorf("%s: %s: wrote %d header bytes, file has %d (%v)", path, f.Name, len(own), h.DataOff, err)
			}
		}
	}
	objects := []string{"../../../testdata/broken/object_array.npy"}
	if dir != "" {
		objects = append(objects, filepath.Join(dir, "hostile", "sniff-npy-object.pth"))
	}
	for _, path := range objects {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var e *Error
		if _, err := parse(b); !errors.As(err, &e) || e.Code != CodeFormat {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func FuzzNpy(f *testing.F) {
	f.Add(file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n", 24))
	f.Add(file(2, `{"shape":(3L,),"descr":">c16","fortran_order":True}`, 48))
	f.Add(file(3, "{'descr': '<M8[ns]', 'fortran_order': False, 'shape': ()}", 8))
	f.Add(file(1, "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': ()}", 8))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parse(b)
		if err != nil {
			return
		}
		if h.DataOff+h.NBytes+h.Trailing != int64(len(b)) {
			t.Fatalf("%q: %+v", b, h)
		}
		if h.DType == dtype.Invalid {
			return
		}
		own, err := Emit(descrOf(h.DType), h.Shape)
		if err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		again, err := Parse(bytes.NewReader(own), int64(len(own))+h.NBytes)
		if err != nil || again.DType != h.DType || !slices.Equal(again.Shape, h.Shape) || again.NBytes != h.NBytes {
			t.Fatalf("%q: read back %+v, %v", b, again, err)
		}
	})
}
