package statedict

import (
	"bytes"
	"encoding/binary"
	"io"
	"path"
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
		if rep := s.op.walked[pickleAt{s.src, i, 0}]; rep != nil && int64(rep.Len) == rec.Size {
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
	var body []byte
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(r, s.op.opt.pickleBytes()-int64(n)))
	}
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		if err := fail(err); err != nil {
			return err
		}
	}
	// What was read before a fault is scanned all the same.
	body = append(head, body...)
	if from > int64(len(body)) {
		return nil
	}
	return s.streams(torchfile.NewCursor(bytes.NewReader(body), from, int64(len(body))), a.FullName(i), maxStreams)
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
