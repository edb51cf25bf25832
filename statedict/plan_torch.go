package statedict

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
	"github.com/weightroom/weightroom/statedict/internal/torchfile"
)

// planTorchZip lays cp out as torch.save does: the archive folder, record order and alignment of the source where that
// was such an archive, else those of torch 2.1. Storages keep their bytes; unchanged ones are copied with the checksum
// that the source's directory gives. torch 1.6 and newer load the result, with weights_only=True and mmap=True.
//
// Source: torch/serialization.py, _save.
func planTorchZip(cp *Checkpoint, o *PlanOptions) (*Plan, error) {
	if o.MaxShardSize > 0 {
		return planShardedTorch(cp, o, cp.torchZipFile)
	}
	f, warnings, err := cp.torchZipFile(cp.root, o)
	if err != nil {
		return nil, err
	}
	f.Name = o.Name
	p := &Plan{Files: []File{*f}}
	p.Report.Warnings = warnings
	p.promise(cp)
	p.finish()
	return p, nil
}

// checkGlobals refuses an object tree that torch's weights_only unpickler would refuse, unless the user wants it so.
func checkGlobals(root pickle.Value, o *PlanOptions) (warnings []string, err error) {
	refs, err := pickle.Refused(root, nil)
	if err != nil {
		return nil, emitError(err)
	}
	if len(refs) == 0 {
		return nil, nil
	}
	var names []string
	for _, g := range refs {
		names = append(names, g.String())
	}
	if !o.AllowUnsafe {
		hint := "drop these objects with drop_objects (--drop-objects" + unsafeRoots(root) + "), or carry them through with --allow-unsafe"
		if _, isObject := root.(*pickle.Object); isObject && mappingOf(root) != nil {
			hint = `this is a pickled module: any step on its keys, like keep "**" (--keep '**'), makes it a plain state dict; --allow-unsafe carries it through`
		}
		return nil, &UnsafeError{Globals: names, Hint: hint}
	}
	return []string{"the result loads with weights_only=False only: it carries" + quotedList(names) + " through"}, nil
}

// unsafeRoots names what of the root holds objects outside torch's list, as a flag takes it: " args,config". It is empty
// where that is nothing or too much to say. An object that several of them share is told of the first.
func unsafeRoots(root pickle.Value) string {
	d, ok := root.(*pickle.Dict)
	if !ok {
		return ""
	}
	keys := make(map[pickle.Value]string) // of containers: only their identity is compared
	for _, it := range d.Items {
		switch it.Value.(type) {
		case *pickle.Dict, *pickle.List, *pickle.Tuple, *pickle.Set, *pickle.Object:
			if key, ok := it.Key.(string); ok && keys[it.Value] == "" {
				keys[it.Value] = key
			}
		}
	}
	var roots []string
	key := ""
	eachNode(root, nil, func(v pickle.Value) { // depth first, so that what follows a value of the root is below it
		var class pickle.Value
		switch n := v.(type) {
		case *pickle.Object:
			class = n.Class
		case *pickle.Dict:
			if n.Class != nil {
				class = n.Class
			}
		case *pickle.List, *pickle.Tuple, *pickle.Set:
		default:
			return
		}
		if k, ok := keys[v]; ok {
			key = k
		}
		if g, ok := class.(*pickle.Global); ok && !pickle.Allowed(g.Module, g.Name) && key != "" && !slices.Contains(roots, key) && len(roots) <= maxUnsafeRoots {
			roots = append(roots, key)
		}
	})
	list := strings.Join(roots, ",")
	if len(roots) == 0 || len(roots) > maxUnsafeRoots || strings.Count(list, ",") >= len(roots) {
		return ""
	}
	return " " + shellQuote(list)
}

const maxUnsafeRoots = 24

// torchCannot lists the tensors that no torch file can hold: impossible ones, and those of a dtype that only their own
// format has.
func (cp *Checkpoint) torchCannot() error {
	var bad []string
	for i := range cp.Entries {
		switch e := &cp.Entries[i]; {
		case e.Info == nil:
		case e.Info.Bad != "":
			bad = append(bad, e.Path()+" ("+e.Info.Bad+")")
		case e.Info.Code != "":
			bad = append(bad, e.Path()+" ("+e.Info.Code+")")
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return &UnsupportedError{What: "a torch file cannot hold these:", Keys: bad, Hint: "drop them"}
}

// torchZipFile is the archive of one object tree.
func (cp *Checkpoint) torchZipFile(root pickle.Value, o *PlanOptions) (*File, []string, error) {
	if err := cp.torchCannot(); err != nil {
		return nil, nil, err
	}
	warnings, err := checkGlobals(root, o)
	if err != nil {
		return nil, nil, err
	}
	pkl, nodes, err := pickle.Emit(root, nil)
	if err != nil {
		return nil, nil, emitError(err)
	}
	keys := make([]string, len(nodes))
	for i := range nodes {
		keys[i] = strconv.Itoa(i)
	}
	from := cp.zipOrigin()
	var source *torchfile.Archive
	if cp.Format == TorchZip {
		if source, err = cp.origin.open(); err != nil {
			return nil, nil, err
		}
	}
	names := torchfile.RecordNames(torchfile.Profile(from.profile), keys)
	recs := make([]zipRecord, len(names))
	for i, name := range names {
		if recs[i], err = cp.zipRecord(name, pkl, nodes, from.alignment); err != nil {
			return nil, nil, err
		}
	}
	layout := make([]torchfile.LayoutRecord, len(names))
	for i := range recs {
		layout[i] = torchfile.LayoutRecord{Name: names[i], Size: recs[i].segment.Len()}
		if names[i] == torchfile.SerializationIDName {
			// Records whose checksum is not known before they are converted count as 0; readers only log the id.
			id := []byte(torchfile.SerializationID(names[:i], crcsOf(recs[:i])))
			keepNameHalf(source, id, names)
			recs[i] = literalRecord(id)
			layout[i].Size = int64(len(id))
		}
	}
	l, err := torchfile.NewLayout(from.prefix, from.alignment, layout)
	if err != nil {
		return nil, nil, &UnsupportedError{What: err.Error()}
	}
	return cp.assemble(source, l, recs), warnings, nil
}

// crcsOf are the checksums of the records that are not empty.
func crcsOf(recs []zipRecord) []uint32 {
	var crcs []uint32
	for i := range recs {
		if recs[i].segment.Len() > 0 {
			crcs = append(crcs, recs[i].crc)
		}
	}
	return crcs
}

// keepNameHalf gives a serialization id the first half of the source's where the records have the same names: builds of
// torch with another C++ library hash names in another way.
func keepNameHalf(a *torchfile.Archive, id []byte, names []string) {
	if a == nil || len(a.SerializationID) != len(id) || a.Len() != len(names) {
		return
	}
	for k, name := range names {
		if rec := &a.Records[a.Order(k)]; rec.Foreign || rec.Name != name {
			return
		}
	}
	copy(id[:len(id)/2], a.SerializationID)
}

// zipOrigin is how the source archive was laid out, or what torch 2.1 does where there was none.
func (cp *Checkpoint) zipOrigin() origin {
	from := origin{prefix: "archive", profile: string(torchfile.Torch21), alignment: torchfile.DefaultAlignment}
	if cp.Format != TorchZip || cp.origin == nil {
		return from
	}
	if cp.origin.prefix != "" {
		from.prefix = cp.origin.prefix
	}
	if cp.origin.profile != "" {
		from.profile = cp.origin.profile
	}
	if cp.origin.alignment >= torchfile.DefaultAlignment {
		from.alignment = cp.origin.alignment
	}
	return from
}

// zipRecord is the payload of one record.
type zipRecord struct {
	segment Segment
	crc     uint32
	known   bool
	whole   *Storage // the storage whose bytes these are, where the source gives them as they are
}

func literalRecord(b []byte) zipRecord {
	return zipRecord{segment: Literal(b), crc: crc32.ChecksumIEEE(b), known: true}
}

func (cp *Checkpoint) zipRecord(name string, pkl []byte, nodes []*pickle.Storage, alignment int64) (zipRecord, error) {
	if name == "data.pkl" {
		return literalRecord(pkl), nil
	}
	const folder = "data/"
	if len(name) > len(folder) && name[:len(folder)] == folder {
		i, err := strconv.Atoi(name[len(folder):])
		if err != nil || i >= len(nodes) {
			return zipRecord{}, fmt.Errorf("record %q stands for no storage", name)
		}
		return cp.storageRecord(nodes[i])
	}
	return literalRecord([]byte(torchfile.RecordText(name, alignment))), nil
}

// storageRecord is a whole storage, as torch writes it: elements nobody views included.
func (cp *Checkpoint) storageRecord(node *pickle.Storage) (zipRecord, error) {
	st := &cp.Storages[node.Index]
	if st.Missing != "" {
		return zipRecord{}, &FormatError{Code: "E_LAYOUT", Part: "storage " + st.Key, Offset: -1, Msg: st.Missing,
			Hint: "drop the tensors that use it"}
	}
	dt := st.DType
	switch {
	case st.Cast != 0:
		dt = st.Cast
	case st.swapAs != 0:
		dt = st.swapAs
		if st.mixed || st.NBytes%dt.Size() != 0 {
			return zipRecord{}, &UnsupportedError{What: "big-endian bytes that are viewed as elements of several widths:", Keys: cp.viewers(node.Index),
				Hint: "drop all but one of them, or write safetensors"}
		}
	}
	n := int64(0)
	if size := dt.Size(); size > 0 {
		n = st.byteLen() / size
	}
	// One element of a sub-byte type is a byte here: a storage is bytes.
	whole := View{Storage: StorageID(node.Index), DType: dt, Shape: []int64{n}, Stride: []int64{1}}
	if dt.PerByte() > 1 {
		whole.Shape = []int64{n * dt.PerByte()}
	}
	s, err := cp.segment(&whole)
	if err != nil {
		return zipRecord{}, err
	}
	rec := zipRecord{segment: s}
	switch s := s.(type) {
	case Literal:
		rec.known = true
	case Copy:
		rec.crc, rec.known = s.Extent.CRC, s.Extent.HasCRC
		if rec.known && s.Extent.Len == st.NBytes {
			rec.whole = st
		}
	case Convert:
		same := s.To == s.View.DType && len(s.Via) == 0 && !(s.Src.BigEndian && s.To.SwapUnit() > 1)
		if same && st.Of == nil {
			rec.crc, rec.known = s.Src.Data.CRC, s.Src.Data.HasCRC
		}
	}
	return rec, nil
}

// viewers are the paths of the tensors that view storage i.
func (cp *Checkpoint) viewers(i int) (paths []string) {
	for j := range cp.Entries {
		if cp.Entries[j].Storage == StorageID(i) {
			paths = append(paths, cp.Entries[j].Path())
		}
	}
	return paths
}

// run is where the source has record i of the output, header and descriptor included, byte for byte.
func (cp *Checkpoint) run(a *torchfile.Archive, st *Storage, l *torchfile.Layout, i int) (Extent, bool) {
	if st == nil || a == nil || st.Data.Source != cp.origin.source {
		return Extent{}, false
	}
	e, ok := a.Run(int(st.rec), l, i)
	return Extent{Source: st.Data.Source, Off: e.Off, Len: e.Len}, ok
}

// assemble turns records into the segments of one file.
func (cp *Checkpoint) assemble(source *torchfile.Archive, l *torchfile.Layout, recs []zipRecord) *File {
	f := &File{Size: l.Size()}
	sums := make([]Sum, len(recs))
	for i := range recs {
		r := &recs[i]
		if run, ok := cp.run(source, r.whole, l, i); ok {
			f.add(Copy{run})
			continue
		}
		f.add(Literal(l.Header(i)))
		f.add(r.segment)
		desc := l.Descriptor(i, r.crc)
		if r.known || len(desc) == 0 {
			f.add(Literal(desc))
			continue
		}
		sums[i] = Sum{len(f.Segments) - 1, len(f.Segments)}
		f.add(Literal(desc[:4]))
		f.Segments = append(f.Segments, sums[i])
		f.add(Literal(desc[8:]))
	}
	tail := l.Tail(func(i int) uint32 { return recs[i].crc })
	crcOffs := l.TailCRCOffs()
	done := int64(0)
	for i := range recs {
		if sums[i].To == 0 {
			continue
		}
		at := crcOffs[i]
		f.add(Literal(tail[done:at]))
		f.Segments = append(f.Segments, sums[i])
		done = at + 4
	}
	f.add(Literal(tail[done:]))
	return f
}

// emitError names what a pickle cannot express.
func emitError(err error) error {
	return &UnsupportedError{What: "this object tree cannot be written as a pickle: " + err.Error()}
}
