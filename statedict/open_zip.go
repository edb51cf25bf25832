package statedict

import (
	"errors"
	"fmt"
	"math"
	"path"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
	"github.com/weightroom/weightroom/statedict/internal/torchfile"
)

// zip opens a zip archive: torch.save since 1.6, TorchScript or npz.
func (op *opener) zip(src *Source) (*Checkpoint, error) {
	opt := torchfile.Options{Lenient: op.opt.Lenient, Limits: torchfile.Limits{Entries: op.opt.Records, Pickle: op.opt.PickleBytes}}
	if op.opt.LazyHeaders {
		opt.LocalHeaders = torchfile.Lazy
	}
	a, err := torchfile.ReadDirectory(src.R, src.Size, opt)
	if err != nil {
		return nil, torchfileError(src, "zip archive", err)
	}
	if op.archives != nil {
		op.archives[src] = a
	}
	for _, f := range a.Findings {
		op.finding(f.Code, f.Record, "%s", f.Msg)
	}
	switch a.Kind {
	case torchfile.TorchSave:
		return op.torchZip(src, a, opt)
	case torchfile.TorchScript, torchfile.TorchScriptLite:
		return op.torchScript(src, a)
	case torchfile.NPZ:
		return op.npz(src, a)
	}
	msg := "this is a " + a.Kind.String() + ", which is not read here"
	if a.Kind == torchfile.ZipWrapper {
		if inside := checkpointNames(a); len(inside) > 0 {
			msg += "; inside are" + quotedList(inside)
		}
	}
	return nil, &FormatError{Code: "E_FORMAT", Offset: -1, Msg: msg, Hint: archiveHint(a.Kind), Err: ErrNotCheckpoint}
}

// checkpointNames are the first records that are named like checkpoints.
func checkpointNames(a *torchfile.Archive) (names []string) {
	const most = 20
	for i := range a.Records {
		switch path.Ext(a.Records[i].Name) {
		case ".pt", ".pth", ".bin", ".ckpt", ".th", ".safetensors", ".gguf", ".npz", ".npy":
			if len(names) < most {
				names = append(names, a.FullName(i))
			}
		}
	}
	return names
}

func (op *opener) torchZip(src *Source, a *torchfile.Archive, opt torchfile.Options) (*Checkpoint, error) {
	pk, err := op.recordPickle(src, a, a.Pickle)
	if err != nil {
		return nil, err
	}
	r := &records{src: src, a: a}
	op.reserve(len(pk.Storages))
	for _, node := range pk.Storages {
		op.add(node, r.storage(op, "data/", node))
	}
	from := &origin{prefix: a.Prefix, profile: string(a.Profile), alignment: a.Alignment, source: src, directory: opt}
	if op.opt.LazyHeaders {
		from.archive = a
	}
	return &Checkpoint{Format: TorchZip, root: pk.Root, lenient: a.Ambiguous, origin: from}, nil
}

// recordPickle loads the pickle in record i. A checksum that does not match is a finding: torch never looks at it.
func (op *opener) recordPickle(src *Source, a *torchfile.Archive, i int) (*pickle.Pickle, error) {
	data, err := a.ReadSmall(i, op.opt.pickleBytes())
	var te *torchfile.Error
	if errors.As(err, &te) && te.Code == torchfile.CodeChecksum {
		op.finding("F_CHECKSUM", a.FullName(i), "%s", te.Msg)
	} else if err != nil {
		return nil, torchfileError(src, "zip archive", err)
	}
	pk, err := op.loadPickle(data, a.FullName(i), pickleAt{src, i, 0})
	if err != nil {
		return nil, err
	}
	if rest := len(data) - pk.Len; rest > 0 && pk.Root != nil {
		op.finding("F_TRAILING", a.FullName(i), "%d bytes follow the end of the pickle", rest)
	}
	return pk, nil
}

// storageOf is a storage as its persistent id describes it, still without bytes. A count that no storage has makes it Missing.
func storageOf(node *pickle.Storage) Storage {
	st := Storage{Key: node.Key, Location: node.Location, DType: node.DType}
	if size := node.DType.Size(); node.Numel < 0 || size > 0 && node.Numel > math.MaxInt64/size {
		st.Missing = fmt.Sprintf("a storage of %d elements of %s is impossible", node.Numel, node.DType)
		return st
	}
	st.NBytes = node.NBytes()
	return st
}

// records finds storages among the records of an archive.
type records struct {
	src *Source
	a   *torchfile.Archive
}

// storage describes the record folder+key, or says why there is none.
func (r *records) storage(op *opener, folder string, node *pickle.Storage) Storage {
	st := storageOf(node)
	if st.Missing != "" {
		return st
	}
	st.BigEndian = r.a.ByteOrder == "big"
	i, ok := r.a.LookupFold(folder + node.Key) // as torch finds it
	if !ok {
		if st.NBytes > 0 {
			st.Missing = fmt.Sprintf("record %q is not in the archive", folder+node.Key)
		}
		return st
	}
	rec := &r.a.Records[i]
	st.rec = int32(i)
	st.Data = Extent{Source: r.src, Len: rec.CompressedSize, CRC: rec.CRC, HasCRC: rec.CRC != 0 || rec.Size == 0}
	if rec.Method == torchfile.Deflated {
		st.Data.Method = Deflated
	}
	switch bad := r.a.Readable(i); {
	case bad != nil:
		st.Missing = bad.Error()
	case rec.Size < st.NBytes:
		st.Missing = fmt.Sprintf("record %q has %d bytes, its storage needs %d", folder+node.Key, rec.Size, st.NBytes)
	case rec.Size > st.NBytes:
		op.finding("F_SIZE_MISMATCH", folder+node.Key, "has %d bytes, its storage needs %d; the rest is not used", rec.Size, st.NBytes)
		st.Data.HasCRC = false
		if st.Data.Method == Stored {
			st.Data.Len = st.NBytes
		}
	}
	at := recordAt{r, i}
	if op.opt.LazyHeaders {
		st.Data.more = &extentMore{at: at}
		return st
	}
	off, err := at.DataOffset()
	if err != nil {
		st.Missing = err.Error()
	}
	st.Data.Off = off
	return st
}

// recordAt is a record whose payload offset is asked for.
type recordAt struct {
	r *records
	i int
}

// DataOffset reads and checks the record's local header if nobody has.
func (at recordAt) DataOffset() (int64, error) {
	off, err := at.r.a.DataOff(at.i)
	if err != nil {
		return 0, torchfileError(at.r.src, "zip archive", err)
	}
	return off, nil
}

// archiveHint says what to do with a zip that holds no checkpoint.
func archiveHint(k torchfile.ArchiveKind) string {
	switch k {
	case torchfile.ZipWrapper:
		return "unpack it and open one of the files inside"
	case torchfile.PT2, torchfile.ExportedProgram, torchfile.TorchPackage, torchfile.TorchScriptJSON:
		return "load it with PyTorch and save the state_dict with torch.save"
	}
	return "open the .pth, .bin, .ckpt or .safetensors file itself"
}
