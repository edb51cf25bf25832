package pickle

import "strings"

// Inside is a string of a stream that is a pickle too, as far as one can tell without running anything.
type Inside struct {
	// Offset is where its bytes start in the stream; of a text that stands for bytes, where the text starts.
	Offset int64
	// By is the function that it is given to, "" where only its first bytes speak for it.
	By       string
	from, to int
	op       byte
}

// Bytes are the bytes that the function would read, of the stream p that Scan was given. mapped tells whether they are a run of p,
// so that offsets in them plus Offset are offsets in p.
func (in *Inside) Bytes(p []byte) (b []byte, mapped bool) {
	b = p[in.from:in.to]
	switch in.op {
	case opBinBytes, opShortBinBytes, opBinBytes8, opByteArray8:
		return b, true
	}
	// Protocol 2 has no bytes: they are the latin1 of a text, or the text of Python 2 itself.
	text := decodeString(in.op, b)
	if latin, ok := toLatin1(text); ok {
		return latin, false
	}
	return []byte(text), false
}

// maxInside bounds the strings that are noted.
const maxInside = 10_000

// readers are the functions that read a pickle from a string.
var readers = func() map[symbol]bool {
	m := make(map[symbol]bool)
	for _, module := range strings.Fields("pickle _pickle cPickle dill dill._dill cloudpickle pickle5 zodbpickle ray.cloudpickle") {
		for _, name := range []string{"loads", "_loads", "load", "_load"} {
			m[symbol{module, name}] = true
		}
	}
	for _, s := range []symbol{{"torch.storage", "_load_from_bytes"}, {"pandas.io.pickle", "loads"}, {"numpy", "loads"},
		{"torch.multiprocessing.reductions", "loads"}, {"multiprocessing.reduction", "loads"}} {
		m[s] = true
	}
	return m
}()

// bytes pushes a byte string. One that starts like a pickle is noted, whoever reads it.
func (s *scanner) bytes(from, to int) *Error {
	if to-from > 3 && s.p[from] == opProto && s.p[from+1] >= 2 && s.p[from+1] <= 5 {
		s.note(uint32(s.pos)+1, "")
	}
	return s.make(kAtom, s.pos+1, costString+2*int64(to-from), 0)
}

// data is the first string among entries: the offset of its opcode plus one, 0 for none. It follows strings into tuples, which
// are what functions are called with, and through the call that turns a text into bytes.
func (s *scanner) data(items []slot) uint32 {
	for i := range items {
		switch e := &items[i]; {
		case e.kind == kStr:
			return e.ref + 1
		case e.kind != kGlobal && e.ref != 0:
			return e.ref
		}
	}
	return 0
}

// called notes that class is called with the string ref, and answers which string the result stands for.
func (s *scanner) called(class slot, ref uint32) uint32 {
	if class.kind != kGlobal {
		return 0
	}
	g := &s.report.Globals[class.ref]
	g.Called = true
	switch t := &s.traits[class.ref]; {
	case ref == 0:
	case t.reads:
		s.note(ref, g.String())
	case t.recodes:
		return ref
	}
	return 0
}

// note adds the string ref to the report, once.
func (s *scanner) note(ref uint32, by string) {
	if i, ok := s.inside[ref]; ok {
		if s.report.Inside[i].By == "" {
			s.report.Inside[i].By = by
		}
		return
	}
	if len(s.report.Inside) >= maxInside {
		s.report.InsideOver = true
		return
	}
	pos := int(ref) - 1
	from, to, _, err := argument(s.p, pos, len(s.p), &s.lim)
	if err != nil {
		return
	}
	if s.inside == nil {
		s.inside = make(map[uint32]int)
	}
	s.inside[ref] = len(s.report.Inside)
	s.report.Inside = append(s.report.Inside, Inside{Offset: int64(from), By: by, from: from, to: to, op: s.p[pos]})
}
