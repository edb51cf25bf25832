package message

import (
	"encoding/binary"
	"errors"
)

// Kind tells the rows apart.
type Kind uint8

const (
	Tensor Kind = iota
	Object      // a leaf of the object tree that is no tensor
)

// Flags of a row.
const (
	Parameter    = 1 << iota // a torch.nn.Parameter
	RequiresGrad             // takes a gradient
	Tied                     // another row has bytes of the same storage
	Bad                      // its description is impossible; Value says why
)

// Row is a line of the list: a tensor or an object.
type Row struct {
	Kind  Kind
	Flags uint8
	Path  string
	// KeyAt is where in Path, in bytes, the key inside its state dict begins.
	KeyAt int
	// Type is the dtype of a tensor, the Python type of an object.
	Type    string
	Shape   []int64
	NBytes  int64
	Storage int32  // rows with the same number share bytes; -1 for none
	Value   string // of an object, as one line of text
}

var errRows = errors.New("the list of rows is damaged")

// EncodeRows is the flat form: a count, a table of types, per row its numbers as varints, and all text at the end.
//
// 100,000 rows take some 3 MB.
func EncodeRows(rows []Row) []byte {
	types := map[string]uint64{}
	var table, body []byte
	text := 0
	for i := range rows {
		r := &rows[i]
		t, ok := types[r.Type]
		if !ok {
			t = uint64(len(types))
			types[r.Type] = t
			table = appendText(table, r.Type)
		}
		body = append(body, byte(r.Kind), r.Flags)
		for _, n := range []uint64{uint64(len(r.Path)), uint64(r.KeyAt), t, uint64(r.NBytes), uint64(r.Storage + 1), uint64(len(r.Value)), uint64(len(r.Shape))} {
			body = binary.AppendUvarint(body, n)
		}
		for _, d := range r.Shape {
			body = binary.AppendUvarint(body, uint64(d))
		}
		text += len(r.Path) + len(r.Value)
	}
	out := make([]byte, 0, len(table)+len(body)+text+20)
	out = binary.AppendUvarint(out, uint64(len(rows)))
	out = binary.AppendUvarint(out, uint64(len(types)))
	out = append(out, table...)
	out = binary.AppendUvarint(out, uint64(len(body)))
	out = append(out, body...)
	for i := range rows {
		out = append(append(out, rows[i].Path...), rows[i].Value...)
	}
	return out
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// DecodeRows is the inverse. The rows share one copy of the text and one slice of dimensions. breathe is called every now and
// then: it may let others act.
func DecodeRows(b []byte, breathe func()) ([]Row, error) {
	d := decoder{b: b}
	n, m := d.count(), d.count()
	types := make([]string, 0, m)
	for range m {
		types = append(types, string(d.bytes(d.count())))
	}
	body := decoder{b: d.bytes(d.count())}
	text := string(d.b)
	if d.bad {
		return nil, errRows
	}
	rows := make([]Row, 0, n)
	dims := make([]int64, 0, 2*n)
	for i := range n {
		if i%2048 == 0 {
			breathe()
		}
		var r Row
		r.Kind, r.Flags = Kind(body.byte()), body.byte()
		path, keyAt, t := body.number(), body.number(), body.number()
		r.NBytes, r.Storage = int64(body.number()), int32(body.number())-1
		value, rank := body.number(), body.count()
		at := len(dims)
		for range rank {
			dims = append(dims, int64(body.number()))
		}
		if body.bad || t >= uint64(len(types)) || path > uint64(len(text)) || value > uint64(len(text))-path || keyAt > path {
			return nil, errRows
		}
		r.Path, r.Value, text = text[:path], text[path:path+value], text[path+value:]
		r.KeyAt, r.Type, r.Shape = int(keyAt), types[t], dims[at:len(dims):len(dims)]
		rows = append(rows, r)
	}
	if len(body.b) != 0 || text != "" {
		return nil, errRows
	}
	return rows, nil
}

// decoder takes numbers and bytes off the front of b; bad is set, and stays set, once b was too short.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) number() uint64 {
	n, w := binary.Uvarint(d.b)
	if w <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[w:]
	return n
}

// count is a number that cannot be more than the bytes left, since each thing counted takes at least one.
func (d *decoder) count() int {
	n := d.number()
	if n > uint64(len(d.b)) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.b) {
		d.bad, d.b = true, nil
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}
