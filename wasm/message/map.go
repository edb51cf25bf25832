package message

import (
	"encoding/binary"
	"encoding/json"
	"errors"

	"github.com/weightroom/weightroom/statedict"
)

// Map asks where everything lies in the files: MapRequest -> Mapped. No tensor bytes are read.
const Map = "map"

// MapRequest is about the files of a checkpoint; the recipe decides what its tensors reach of them.
type MapRequest struct {
	Handle int
	Recipe json.RawMessage
}

// Mapped is the answer. 100,000 storages take some 3 MB.
type Mapped struct {
	Files   []MappedFile
	Types   []string // dtypes that Regions name
	Regions []byte   // flat, see EncodeRegions
	Places  []byte   // flat, see EncodePlaces
}

// MappedFile is one of the files; they lie one behind the other.
type MappedFile struct {
	Name string
	Size int64
}

// Region is a run of bytes with one use. The regions of a map cover its files without a gap.
type Region struct {
	Use     statedict.Use
	Len     int64
	Storage int32  // as rows number them; -1 for none
	Type    string // dtype of the tensors in it, "" for none
}

// Place is where a storage lies; Off counts through all files. Len is 0 for one that lies in none of them.
type Place struct{ Off, Len int64 }

var errMap = errors.New("the map is damaged")

// EncodeRegions is the flat form: per region its use, length, storage and type, which is an index into types.
func EncodeRegions(regions []Region) (flat []byte, types []string) {
	index := map[string]uint64{}
	for _, r := range regions {
		t, ok := index[r.Type]
		if !ok {
			t = uint64(len(types))
			index[r.Type], types = t, append(types, r.Type)
		}
		flat = append(flat, byte(r.Use))
		for _, n := range []uint64{uint64(r.Len), uint64(r.Storage + 1), t} {
			flat = binary.AppendUvarint(flat, n)
		}
	}
	return flat, types
}

// DecodeRegions is the inverse.
func DecodeRegions(flat []byte, types []string) (out []Region, err error) {
	d := decoder{b: flat}
	for len(d.b) > 0 {
		r := Region{Use: statedict.Use(d.byte()), Len: int64(d.number()), Storage: int32(d.number()) - 1}
		t := d.number()
		if d.bad || t >= uint64(len(types)) || r.Len < 0 {
			return nil, errMap
		}
		r.Type = types[t]
		out = append(out, r)
	}
	return out, nil
}

// EncodePlaces is the flat form: per storage its offset and its length.
func EncodePlaces(places []Place) (flat []byte) {
	for _, p := range places {
		flat = binary.AppendUvarint(binary.AppendUvarint(flat, uint64(p.Off)), uint64(p.Len))
	}
	return flat
}

// DecodePlaces is the inverse.
func DecodePlaces(flat []byte) (out []Place, err error) {
	d := decoder{b: flat}
	for len(d.b) > 0 {
		p := Place{Off: int64(d.number()), Len: int64(d.number())}
		if d.bad || p.Off < 0 || p.Len < 0 {
			return nil, errMap
		}
		out = append(out, p)
	}
	return out, nil
}
