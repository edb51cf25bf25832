package statedict

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/torchfile"
)

// zip scans every record that holds a pickle, in directory order. An archive that two readers could understand differently is
// scanned by its directory, which is what Python goes by.
func (s *pickleScan) zip() error {
	a := s.op.archives[s.src]
	if a == nil {
		var err error
		a, err = torchfile.ReadDirectory(s.src.R, s.src.Size, torchfile.Options{Lenient: true, LocalHeaders: torchfile.Lazy,
			Limits: torchfile.Limits{Entries: s.op.opt.Records, Pickle: s.op.opt.PickleBytes}})
		if err != nil {
			return nil // opening has said so
		}
	}
	for i := range a.Records {
		rec := &a.Records[i]
		if rec.IsDir() || !rec.Foreign && elements(rec.Name) {
			continue
		}
		if err := s.op.ctx.Err(); err != nil {
			return err
		}
		if rep := s.op.walked[pickleAt{s.src, i, 0}]; rep != nil && (rep.Failed || int64(rep.Len) == rec.Size) {
			s.pickle(nil, rep, a.FullName(i), 0, 0)
			continue
		}
		if err := s.record(a, i); err != nil {
			return err
		}
	}
	return nil
}

// elements tells records that hold the raw elements of tensors: of a checkpoint, and of TorchScript's constants.
func elements(name string) bool {
	return strings.HasPrefix(name, "data/") || strings.HasPrefix(name, "constants/") && !pickleEndings[path.Ext(name)]
}

// pickleEndings are names of files that libraries unpickle.
var pickleEndings = map[string]bool{".pkl": true, ".pickle": true, ".p": true, ".pk": true, ".joblib": true, ".dill": true, ".dat": true}

// record scans record i if its name or its first bytes say that it is a pickle, or an array of pickled objects.
func (s *pickleScan) record(a *torchfile.Archive, i int) error {
	named := pickleEndings[path.Ext(a.Records[i].Name)]
	fail := func(err error) error {
		if err = torchfileError(s.src, "zip archive", err); Code(err) == "E_READ" || Code(err) == "E_CHANGED" {
			return err
		}
		if named {
			s.fault(err, a.FullName(i))
		}
		return nil
	}
	r, err := a.Open(i)
	if err != nil {
		return fail(err)
	}
	defer r.Close()
	head := make([]byte, 128)
	n, err := io.ReadFull(r, head)
	head = head[:n]
	from := int64(0)
	switch {
	case bytes.HasPrefix(head, []byte("\x93NUMPY")):
		if from = npyEnd(head); !bytes.Contains(head, []byte("O'")) {
			return nil
		}
	case n > 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5 || named:
	default:
		return nil
	}
	if err == io.ErrUnexpectedEOF || err == io.EOF {
		err = nil // a short record
	}
	f := &forward{r: r, buf: head, err: err}
	c := torchfile.NewCursor(f, from, max(a.Records[i].Size, from))
	err = s.streams(c, a.FullName(i), maxStreams)
	if f.err == nil || f.err == io.EOF {
		return err
	}
	if err := fail(f.err); err != nil {
		return err
	}
	// What was read before a fault is scanned all the same.
	have := int64(len(f.buf))
	return s.streams(torchfile.NewCursor(bytes.NewReader(f.buf), min(c.Off(), have), have), a.FullName(i), maxStreams)
}

// forward is a record as far as somebody has asked for it: most of one that is no pickle is never inflated.
type forward struct {
	r   io.Reader
	buf []byte
	err error
}

func (f *forward) ReadAt(p []byte, off int64) (int, error) {
	if need := off + int64(len(p)) - int64(len(f.buf)); need > 0 && f.err == nil {
		at := len(f.buf)
		f.buf = slices.Grow(f.buf, int(need))[:at+int(need)]
		var n int
		n, f.err = io.ReadFull(f.r, f.buf[at:])
		f.buf = f.buf[:at+n]
		if f.err == io.ErrUnexpectedEOF {
			f.err = io.EOF
		}
	}
	if off >= int64(len(f.buf)) {
		return 0, cmp.Or(f.err, io.EOF)
	}
	n := copy(p, f.buf[off:])
	if n < len(p) {
		return n, cmp.Or(f.err, io.EOF)
	}
	return n, nil
}

// npyEnd is where the data of a .npy file starts, 0 if head is too short to say.
//
// Source: numpy/lib/format.py.
func npyEnd(head []byte) int64 {
	switch {
	case len(head) < 12:
		return 0
	case head[6] == 1:
		return 10 + int64(binary.LittleEndian.Uint16(head[8:]))
	}
	return 12 + int64(binary.LittleEndian.Uint32(head[8:]))
}
