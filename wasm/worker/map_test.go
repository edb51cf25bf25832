package worker

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// The strip covers its files to the byte: torch of both kinds, safetensors, and shards one behind the other.
func TestMap(t *testing.T) {
	for _, names := range [][]string{{"dataparallel_sgd.pth"}, {"state_dict_legacy.pth"}, {"tied_strided_views.pth"}, {"canonical.safetensors"}, {"arrays.npz"},
		{"sharded.safetensors.index.json", "sharded-00001-of-00002.safetensors", "sharded-00002-of-00002.safetensors"}} {
		s := NewSession()
		var srcs []statedict.Source
		for _, name := range names {
			data, err := os.ReadFile(filepath.Join("../../testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			srcs = append(srcs, statedict.Source{Name: name, R: bytes.NewReader(data), Size: int64(len(data))})
		}
		opened, rows, err := s.Open(context.Background(), srcs)
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.Map(&message.MapRequest{Handle: opened.Handle, Recipe: []byte(empty)})
		if err != nil {
			t.Fatal(names, err)
		}
		strip, err := model.NewStrip(m)
		if err != nil || strip.Size != opened.Size {
			t.Fatalf("%v: %d bytes of %d, %v", names, strip.Size, opened.Size, err)
		}
		for i, r := range rows {
			if r.Kind != message.Tensor || r.NBytes <= 0 || r.Storage < 0 {
				continue
			}
			d, err := s.Describe(&message.ItemRequest{Handle: opened.Handle, Recipe: []byte(empty), Index: i})
			if err != nil || d.File == "" {
				continue
			}
			p, ok := strip.Of(r.Storage)
			file, at := strip.InFile(p.Off)
			if !ok || strip.Files[file].Name != d.File || d.Off < at || d.Off+d.Len > at+p.Len {
				t.Errorf("%v: %s lies at %d+%d of %s, the map has its storage at %d+%d of %s", names, r.Path, d.Off, d.Len, d.File, at, p.Len, strip.Files[file].Name)
			}
			if region := strip.Regions[strip.At(p.Off+d.Off-at)]; region.Use != statedict.UseTensor || region.Type != r.Type {
				t.Errorf("%v: %s begins in %+v", names, r.Path, region)
			}
		}
	}
}
