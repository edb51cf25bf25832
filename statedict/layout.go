package statedict

import (
	"cmp"
	"slices"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/torchfile"
)

// Use says what a run of a file's bytes is for.
type Use uint8

const (
	UseTensor    Use = iota // of a storage, as far as tensors reach
	UseUnreached            // of a storage, and no tensor reaches it
	UsePickle               // the object tree
	UseRecord               // a record that holds no tensors: version, code
	UseHeader               // the container's own: headers, counts, directory
	UsePadding              // aligns what follows
	UseUnowned              // belongs to nothing
)

// Region is a run of bytes of one source with one use.
type Region struct {
	Source   int // index into Checkpoint.Sources
	Off, Len int64
	Use      Use
	Storage  StorageID // of UseTensor and UseUnreached, else NoStorage
}

// Layout is where everything lies in the files of a checkpoint.
type Layout struct {
	// Regions cover every byte of the sources once: source after source, each from its first byte to its last, none empty.
	Regions []Region
	// Places are, by storage, where its bytes lie. A storage that an operation made lies where that lies which it was made of; one
	// of another file, or one that is missing, has Len 0. Of a deflated record it is the compressed bytes. Storages may overlap.
	Places []Region
}

// Layout maps the sources of cp, a checkpoint as opened. after is what an edit made of it, or cp itself: it decides what tensors
// reach, and Places are of its storages. Elements between the first and the last one of a strided view count as reached.
//
// No tensor bytes are read: of a zip archive the directory at most, where opening did not keep it. Where its local headers have
// not been looked at, a payload may lie up to the alignment (64 bytes) beside the place that is told. Memory: 40 bytes a region,
// four regions for a record.
func (cp *Checkpoint) Layout(after *Checkpoint) (*Layout, error) {
	files := make([]fileMap, len(cp.Sources))
	for i, src := range cp.Sources {
		if err := files[i].frame(cp, src); err != nil {
			return nil, err
		}
	}
	out := &Layout{Places: make([]Region, len(after.Storages))}
	for id := range cp.Storages {
		if i, x, ok := cp.extentOf(files, StorageID(id)); ok && x.Len > 0 {
			files[i].storages = append(files[i].storages, piece{x.Off, x.Off + x.Len, StorageID(id)})
		}
	}
	for i := range after.Entries {
		e := &after.Entries[i]
		cp.markReached(files, after, &e.View)
		if e.Info != nil {
			for k := range e.Info.Parts {
				cp.markReached(files, after, &e.Info.Parts[k].View)
			}
		}
	}
	for i := range files {
		out.Regions = files[i].regions(out.Regions, i, cp.Format)
	}
	for id := range after.Storages {
		out.Places[id] = Region{Storage: StorageID(id)}
		if base := after.madeOf(&View{Storage: StorageID(id)}).Storage; base != NoStorage && int(base) < len(cp.Storages) {
			if i, x, ok := cp.extentOf(files, base); ok {
				out.Places[id] = Region{Source: i, Off: x.Off, Len: x.Len, Storage: StorageID(id)}
			}
		}
	}
	return out, nil
}

// madeOf is the view that v was made of, or v itself if its storage lies in a file.
func (cp *Checkpoint) madeOf(v *View) *View {
	for n := 0; v.Storage != NoStorage && cp.Storages[v.Storage].Of != nil && n < maxMade; n++ {
		v = cp.Storages[v.Storage].Of
	}
	return v
}

// maxMade bounds how often a storage is made of another.
const maxMade = 1 << 10

// piece is bytes from start to before end.
type piece struct {
	start, end int64
	storage    StorageID
}

// fileMap is what is known of the bytes of one source.
type fileMap struct {
	src      *Source
	archive  *torchfile.Archive
	parts    []torchfile.Part
	payload  []int // by record, its part
	storages []piece
	reached  []piece
}

// frame finds the parts of src if it is a zip archive.
func (f *fileMap) frame(cp *Checkpoint, src *Source) error {
	f.src = src
	head := make([]byte, min(src.Size, torchfile.HeadLen))
	if _, err := readAt(src, head, 0); err != nil {
		return err
	}
	if torchfile.Sniff(head, src.Size) != torchfile.Zip {
		return nil
	}
	if o := cp.origin; o != nil && o.source == src {
		f.archive = o.archive
	}
	if f.archive == nil {
		var err error
		opt := torchfile.Options{Lenient: true, LocalHeaders: torchfile.Lazy}
		if f.archive, err = torchfile.ReadDirectory(src.R, src.Size, opt); err != nil {
			return torchfileError(src, "zip archive", err)
		}
	}
	f.parts = f.archive.Parts()
	f.payload = make([]int, len(f.archive.Records))
	for i, p := range f.parts {
		if p.Kind == torchfile.PartPayload {
			f.payload[p.Record] = i
		}
	}
	return nil
}

// extentOf is where storage id of cp lies: in which source, and where there.
func (cp *Checkpoint) extentOf(files []fileMap, id StorageID) (i int, x Extent, ok bool) {
	st := &cp.Storages[id]
	i = slices.IndexFunc(files, func(f fileMap) bool { return f.src == st.Data.Source })
	if st.Missing != "" || st.Data.Source == nil || i < 0 {
		return 0, x, false
	}
	x = st.Data
	if x.more != nil && x.more.at != nil {
		at, lazy := x.more.at.(recordAt)
		if f := &files[i]; lazy && at.i < len(f.payload) {
			x.Off = f.parts[f.payload[at.i]].Off
		}
	}
	x.Len = min(x.Len, files[i].src.Size-x.Off)
	return i, x, x.Len >= 0
}

// markReached notes the bytes behind a view of after.
func (cp *Checkpoint) markReached(files []fileMap, after *Checkpoint, v *View) {
	v = after.madeOf(v)
	if v.Storage == NoStorage || int(v.Storage) >= len(cp.Storages) {
		return
	}
	i, x, ok := cp.extentOf(files, v.Storage)
	if !ok {
		return
	}
	reach := piece{x.Off, x.Off + x.Len, v.Storage}
	st := &after.Storages[v.Storage]
	size := v.DType.Size()
	if st.Cast != 0 {
		size = st.DType.Size() // elements are counted in the dtype after the cast, bytes as they lie in the file
	}
	if end, inside := v.span(); inside && size > 0 && v.DType.PerByte() == 1 && x.Method == Stored && end <= x.Len/size {
		if end == 0 {
			return
		}
		reach.start, reach.end = x.Off+v.Offset*size, x.Off+end*size
	}
	files[i].reached = append(files[i].reached, reach)
}

// regions appends those of the file, which is source number i.
func (f *fileMap) regions(out []Region, i int, format Format) []Region {
	byPlace := func(a, b piece) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end)) // the longer one first: legacy files have windows of storages
	}
	slices.SortFunc(f.storages, byPlace)
	slices.SortFunc(f.reached, byPlace)
	at := int64(0)
	add := func(end int64, use Use, id StorageID) {
		if end <= at {
			return
		}
		if n := len(out) - 1; n >= 0 && out[n].Source == i && out[n].Use == use && out[n].Storage == id && use != UsePadding {
			out[n].Len += end - at
		} else {
			out = append(out, Region{Source: i, Off: at, Len: end - at, Use: use, Storage: id})
		}
		at = end
	}
	next := 0 // of the parts
	gap := func(end int64) {
		if f.archive == nil {
			use := gapUse(format, at, f.src, end)
			if use == UseHeader && format == Safetensors && at == 0 {
				add(end-spaces(f.src, end), UseHeader, NoStorage)
				use = UsePadding
			}
			add(end, use, NoStorage)
			return
		}
		for at < end && next < len(f.parts) {
			p := f.parts[next]
			if p.Off+p.Len <= at {
				next++
				continue
			}
			add(min(end, p.Off+p.Len), f.use(p), NoStorage)
		}
		add(end, UseUnowned, NoStorage)
	}
	reached := 0
	for _, s := range f.storages {
		if s.end <= at {
			continue
		}
		gap(s.start)
		for at < s.end {
			for reached < len(f.reached) && f.reached[reached].end <= at {
				reached++
			}
			switch {
			case reached == len(f.reached) || f.reached[reached].start >= s.end:
				add(s.end, UseUnreached, s.storage)
			case f.reached[reached].start > at:
				add(f.reached[reached].start, UseUnreached, s.storage)
			default:
				add(min(s.end, f.reached[reached].end), UseTensor, s.storage)
			}
		}
	}
	gap(f.src.Size)
	return out
}

// use is that of a part of an archive in which no storage lies.
func (f *fileMap) use(p torchfile.Part) Use {
	switch p.Kind {
	case torchfile.PartPadding:
		return UsePadding
	case torchfile.PartUnowned:
		return UseUnowned
	case torchfile.PartPayload:
		switch rec := &f.archive.Records[p.Record]; {
		case p.Record == f.archive.Pickle:
			return UsePickle
		case rec.Foreign || f.archive.Pickle >= 0 && strings.HasPrefix(rec.Name, "data/"):
			return UseUnowned // a storage that the pickle does not name
		}
		return UseRecord
	}
	return UseHeader
}

// gapUse is what lies between the storages of a format without records, from at to end.
func gapUse(format Format, at int64, src *Source, end int64) Use {
	pickled := format == TorchLegacy || format == Pickle
	switch {
	case at == 0 && pickled:
		return UsePickle
	case end < src.Size || at == 0:
		if format == GGUF && at > 0 {
			return UsePadding
		}
		return UseHeader
	case format == Pickle:
		return UsePickle
	case format == TorchTar:
		return UseHeader // the pickle of the tensors and the archive's end
	case format == GGUF && end-at < 64:
		return UsePadding
	}
	return UseUnowned
}

// spaces is how many blanks end the header of a safetensors file, which ends at end: they align the data.
func spaces(src *Source, end int64) (n int64) {
	tail := make([]byte, min(64, end))
	if _, err := readAt(src, tail, end-int64(len(tail))); err != nil {
		return 0
	}
	for n < int64(len(tail)) && tail[int64(len(tail))-1-n] == ' ' {
		n++
	}
	return n
}
