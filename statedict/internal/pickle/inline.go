package pickle

import (
	"encoding/binary"
	"fmt"
)

// maxNesting bounds pickles inside pickles.
const maxNesting = 4

// loadFromBytes is torch.storage._load_from_bytes: its bytes are a legacy stream of one storage, the form that
// pickle.dump gives to tensors without torch.save.
func loadFromBytes(l *loader, _ *classNode, args []any, _ How) any {
	if len(args) != 1 {
		return nil
	}
	var b *Bytes
	switch v := args[0].(type) {
	case []byte:
		b = &Bytes{B: v}
	case *valueNode:
		b, _ = v.v.(*Bytes)
	}
	if b == nil {
		return nil
	}
	n := l.newStorage(Storage{Inline: b})
	s, off, bad := l.inlineStorage(b.B)
	if bad == "" {
		n.s.Tag, n.s.Location, n.s.DType, n.s.Untyped, n.s.Class, n.s.Numel = s.Tag, s.Location, s.DType, s.Untyped, s.Class, s.Numel
		n.s.InlineOff = off
	}
	n.s.Key = fmt.Sprintf("inline %d", n.s.Index)
	n.bad = bad
	return n
}

// inlineStorage reads the five pickles of a legacy stream and finds where the elements start.
func (l *loader) inlineStorage(b []byte) (s *Storage, off int64, bad string) {
	if l.opt.nesting >= maxNesting {
		return nil, 0, "pickles inside pickles, too many deep"
	}
	opt := &Options{Limits: l.opt.Limits, nesting: l.opt.nesting + 1, budget: l.budget}
	var parts [5]*Pickle
	for i := range parts {
		p, err := Load(b[off:], opt)
		l.spend(8 * (p.Len + 1000))
		l.nested(p)
		if err != nil {
			return nil, 0, "its inline stream is malformed"
		}
		parts[i] = p
		off += int64(p.Len)
	}
	s, ok := parts[3].Root.(*Storage)
	if !ok || s.Inline != nil || s.Root != nil {
		return nil, 0, "its inline stream holds no storage"
	}
	if int64(len(b))-off < 8 {
		return nil, 0, "its inline stream ends early"
	}
	count := int64(binary.LittleEndian.Uint64(b[off:]))
	off += 8
	if count != s.Numel || s.Numel < 0 || s.Numel > (int64(len(b))-off)/s.DType.Size() {
		return nil, 0, "its inline stream ends early"
	}
	return s, off, ""
}

// nested adds the names that an inner pickle resolves to those of the outer one.
func (l *loader) nested(p *Pickle) {
	for _, g := range p.Globals {
		key := [2]string{g.Module, g.Name}
		if _, ok := l.scan.names[key]; !ok {
			l.scan.names[key] = -1
			l.inner = append(l.inner, g)
		}
	}
}
