package model

import (
	"sort"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
)

// Strip is a map of the files, one behind the other.
type Strip struct {
	Regions []message.Region
	Places  []message.Place // by storage
	Files   []message.MappedFile
	Size    int64

	starts []int64 // of each region
	paints []Paint // of each region
}

// NewStrip decodes a map.
func NewStrip(m *message.Mapped) (*Strip, error) {
	s := &Strip{Files: m.Files}
	var err error
	if s.Regions, err = message.DecodeRegions(m.Regions, m.Types); err != nil {
		return nil, err
	}
	if s.Places, err = message.DecodePlaces(m.Places); err != nil {
		return nil, err
	}
	s.starts, s.paints = make([]int64, len(s.Regions)), make([]Paint, len(s.Regions))
	classes := map[string]Paint{}
	for _, t := range m.Types {
		classes[t] = PaintType + Paint(Class(t))
	}
	for i, r := range s.Regions {
		s.starts[i], s.paints[i] = s.Size, paintOf(r, classes)
		s.Size += r.Len
	}
	return s, nil
}

// Start is the offset of region i, counted through all files.
func (s *Strip) Start(i int) int64 { return s.starts[i] }

// At is the region that holds the byte at off, -1 for none.
func (s *Strip) At(off int64) int {
	if off < 0 || off >= s.Size {
		return -1
	}
	return sort.Search(len(s.starts), func(i int) bool { return s.starts[i] > off }) - 1
}

// InFile is which file the byte at off belongs to, and where there it stands.
func (s *Strip) InFile(off int64) (file int, at int64) {
	for file < len(s.Files)-1 && off >= s.Files[file].Size {
		off -= s.Files[file].Size
		file++
	}
	return file, off
}

// Of is where a storage lies; false where it lies in none of the files.
func (s *Strip) Of(storage int32) (message.Place, bool) {
	if storage < 0 || int(storage) >= len(s.Places) || s.Places[storage].Len == 0 {
		return message.Place{}, false
	}
	return s.Places[storage], true
}

// Paint is how a region is painted.
type Paint uint8

const (
	PaintHeader Paint = iota
	PaintPadding
	PaintPickle
	PaintRecord
	PaintUnowned
	PaintUnreached
	PaintType // and the dtype classes behind it
)

// Classes are the dtypes that have one colour each, in the order of the paints from PaintType on.
var Classes = []string{"float32", "float16", "bfloat16", "float64", "float8", "int", "bool", "other"}

// Class is that of a dtype.
func Class(dtype string) int {
	for i, c := range Classes {
		switch {
		case dtype == c, c == "float8" && (hasFoldPrefix(dtype, "float8") || hasFoldPrefix(dtype, "float4")),
			c == "int" && (hasFoldPrefix(dtype, "int") || hasFoldPrefix(dtype, "uint")):
			return i
		}
	}
	return len(Classes) - 1
}

// Paint is that of region i.
func (s *Strip) Paint(i int) Paint { return s.paints[i] }

func paintOf(r message.Region, classes map[string]Paint) Paint {
	switch r.Use {
	case statedict.UseTensor:
		return classes[r.Type]
	case statedict.UseUnreached:
		return PaintUnreached
	case statedict.UsePickle:
		return PaintPickle
	case statedict.UseRecord:
		return PaintRecord
	case statedict.UsePadding:
		return PaintPadding
	case statedict.UseUnowned:
		return PaintUnowned
	}
	return PaintHeader
}

// Paints is how many there are.
var Paints = int(PaintType) + len(Classes)

// Bin is a column of the strip: of its bytes how many have each paint, how many are of storages that several keys share, and whether
// some are marked.
type Bin struct {
	Bytes         []float64 // by Paint
	Total, Shared float64
	Only          int // the region that fills it alone, else -1
	Marked        bool
}

// Bins divides the bytes from from to before to evenly into n columns. shared tells whether several keys share a storage; it may be
// nil. It looks at every region of the window.
func (s *Strip) Bins(from, to int64, n int, shared func(storage int32) bool) []Bin {
	from, to = max(from, 0), min(to, s.Size)
	if n <= 0 || to <= from {
		return nil
	}
	bins, all := make([]Bin, n), make([]float64, n*Paints)
	width := float64(to-from) / float64(n)
	for i := range bins {
		bins[i].Bytes, all = all[:Paints:Paints], all[Paints:]
		bins[i].Only = -1
	}
	for i := s.At(from); i < len(s.Regions) && s.starts[i] < to; i++ {
		r := s.Regions[i]
		lo, hi := float64(max(s.starts[i]-from, 0)), float64(min(s.starts[i]+r.Len, to)-from)
		paint := s.paints[i]
		isShared := r.Storage >= 0 && shared != nil && shared(r.Storage)
		for b := min(int(lo/width), n-1); b < n; b++ {
			part := min(hi, float64(b+1)*width) - max(lo, float64(b)*width)
			if part <= 0 {
				if float64(b)*width >= hi {
					break
				}
				continue
			}
			bin := &bins[b]
			if bin.Only = i; bin.Total > 0 {
				bin.Only = -1
			}
			bin.Bytes[paint] += part
			bin.Total += part
			if isShared {
				bin.Shared += part
			}
		}
	}
	return bins
}

// MarkBins marks the columns of bins, which stand for the bytes from from to before to, that have bytes of places; the others not.
func MarkBins(bins []Bin, from, to int64, places []message.Place) {
	for i := range bins {
		bins[i].Marked = false
	}
	width := float64(to-from) / float64(len(bins))
	for _, p := range places {
		if p.Len <= 0 || p.Off >= to || p.Off+p.Len <= from {
			continue
		}
		first := int(float64(max(p.Off, from)-from) / width)
		last := int(float64(min(p.Off+p.Len, to)-1-from) / width)
		for i := max(first, 0); i <= min(last, len(bins)-1); i++ {
			bins[i].Marked = true
		}
	}
}
