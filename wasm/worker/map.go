package worker

import (
	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
)

// Map tells where everything lies in the files. No tensor bytes are read.
func (s *Session) Map(req *message.MapRequest) (*message.Mapped, error) {
	o, err := s.handle(req.Handle)
	if err != nil {
		return nil, err
	}
	cp, _, err := s.after(o, req.Recipe)
	if err != nil {
		return nil, err
	}
	layout, err := o.base.Layout(cp)
	if err != nil {
		return nil, err
	}
	out := &message.Mapped{}
	starts, at := make([]int64, len(o.base.Sources)), int64(0)
	for i, src := range o.base.Sources {
		out.Files = append(out.Files, message.MappedFile{Name: src.Name, Size: src.Size})
		starts[i] = at
		at += src.Size
	}
	types := make([]string, len(o.base.Storages))
	for i := range types {
		types[i] = o.base.Storages[i].DType.String()
	}
	for i := range o.base.Entries { // untyped storages have the dtype of their tensors
		if e := &o.base.Entries[i]; e.Storage >= 0 && (e.DType != 0 || e.Info != nil && e.Info.Code != "") {
			types[e.Storage] = e.TypeName()
		}
	}
	regions := make([]message.Region, len(layout.Regions))
	for i, r := range layout.Regions {
		regions[i] = message.Region{Use: r.Use, Len: r.Len, Storage: int32(r.Storage)}
		if r.Storage != statedict.NoStorage {
			regions[i].Type = types[r.Storage]
		}
	}
	out.Regions, out.Types = message.EncodeRegions(regions)
	places := make([]message.Place, len(layout.Places))
	for i, p := range layout.Places {
		if p.Len > 0 {
			places[i] = message.Place{Off: starts[p.Source] + p.Off, Len: p.Len}
		}
	}
	out.Places = message.EncodePlaces(places)
	return out, nil
}
