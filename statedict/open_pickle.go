package statedict

import (
	"bytes"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
	"github.com/weightroom/weightroom/statedict/internal/torchfile"
)

// barePickle opens a pickle that no torch.save wrote. Its tensors, if any, lie in byte strings inside it, so the pickle is
// read whole, within the limit on pickles. A guess is a file that only starts like a pickle of protocol 0 or 1.
func (op *opener) barePickle(src *Source, guess bool, head []byte) (*Checkpoint, error) {
	if src.Size > op.opt.pickleBytes() {
		if guess {
			return nil, notCheckpoint(torchfile.Unknown, head, src.Size)
		}
		return nil, &LimitError{Limit: "pickle bytes", Got: src.Size, Max: op.opt.pickleBytes(), Offset: -1}
	}
	data := make([]byte, src.Size)
	if _, err := readAt(src, data, 0); err != nil {
		return nil, err
	}
	if guess {
		if _, err := pickle.Scan(data, op.opt.pickleLimits()); err != nil {
			return nil, notCheckpoint(torchfile.Unknown, head, src.Size)
		}
	}
	pk, err := op.loadPickle(data, "", pickleAt{src, -1, 0})
	if err != nil {
		return nil, err
	}
	if rest := len(data) - pk.Len; rest > 0 && pk.Root != nil {
		op.finding("F_TRAILING", "", "%d bytes follow the end of the pickle", rest)
	}
	for _, node := range pk.Storages {
		op.add(node, inlineStorage(node))
	}
	return &Checkpoint{Format: Pickle, root: pk.Root}, nil
}

// inlineStorage is a storage whose bytes were unpickled with it. A persistent id without a container has none.
func inlineStorage(node *pickle.Storage) Storage {
	st := storageOf(node)
	if st.Missing != "" {
		return st
	}
	if node.Inline == nil {
		st.Missing = "a bare pickle holds no storages"
		return st
	}
	b := node.Inline.B
	if int64(len(b))-node.InlineOff < st.NBytes {
		st.Missing = "its inline stream ends early"
		return st
	}
	inner := &Source{Name: "bytes in the pickle", R: bytes.NewReader(b), Size: int64(len(b))}
	st.Data = Extent{Source: inner, Off: node.InlineOff, Len: st.NBytes}
	return st
}
