package statedict_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// sources opens the named files of a folder.
func sources(t testing.TB, dir string, names ...string) (srcs []statedict.Source) {
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		srcs = append(srcs, statedict.Source{Name: name, R: bytes.NewReader(data), Size: int64(len(data))})
	}
	return srcs
}

func dirs() []string {
	all := []string{filepath.Join("..", "testdata")}
	if corpus := os.Getenv("WEIGHTROOM_CORPUS"); corpus != "" {
		all = append(all, corpus, filepath.Join(corpus, "synthetic"))
	}
	return all
}

// TestShardedSets opens every set of shards as one checkpoint, with its index and without: the tensors are those that the
// shards' oracles list, and the index names the file of each.
func TestShardedSets(t *testing.T) {
	sets, tensors := 0, 0
	for _, dir := range dirs() {
		indexes, _ := filepath.Glob(filepath.Join(dir, "*.index.json"))
		for _, index := range indexes {
			var doc struct {
				Map map[string]string `json:"weight_map"`
			}
			data, err := os.ReadFile(index)
			if err == nil {
				err = json.Unmarshal(data, &doc)
			}
			if err != nil {
				t.Fatal(err)
			}
			var files []string
			for _, f := range doc.Map {
				if !slices.Contains(files, f) {
					files = append(files, f)
				}
			}
			slices.Sort(files)
			want := map[string]string{}
			shared := map[string]string{} // storage by key
			for _, f := range files {
				o, ok := readOracle(t, filepath.Join(dir, f))
				if !ok {
					t.Fatalf("%s has no oracle", f)
				}
				for i := range o.Tensors {
					w := &o.Tensors[i]
					want[w.path()] = w.DType + fmt.Sprint(w.Shape) + w.SHA256
					if w.Storage != nil {
						shared[w.path()] = f + ":" + *w.Storage
					}
				}
			}
			for _, names := range [][]string{append([]string{filepath.Base(index)}, files...), files} {
				cp, err := statedict.Open(context.Background(), sources(t, dir, names...)...)
				if err != nil {
					t.Fatalf("%v: %v", names, err)
				}
				if len(cp.Entries) != len(want) {
					t.Errorf("%v: %d tensors, want %d", names, len(cp.Entries), len(want))
				}
				for i := range cp.Entries {
					e := &cp.Entries[i]
					if got := e.DType.String() + fmt.Sprint(e.Shape) + hashOf(t, cp, e.View); got != want[e.Path()] {
						t.Errorf("%v: %q is %s, want %s", names, e.Path(), got, want[e.Path()])
					}
					if key := shared[e.Path()]; key != "" && cp.Storages[e.Storage].Key != key {
						t.Errorf("%v: %q lies in storage %q, want %q", names, e.Path(), cp.Storages[e.Storage].Key, key)
					}
					if doc.Map[e.Path()] == "" {
						t.Errorf("%s: the index does not name %q", index, e.Path())
					}
				}
				for _, f := range cp.Findings {
					t.Errorf("%v: finding %v", names, f)
				}
				sets, tensors = sets+1, tensors+len(cp.Entries)
			}
		}
	}
	t.Logf("%d sets, %d tensors", sets, tensors)
}

// TestShardedTorch writes sets of torch files in both containers: everything that a torch file can hold, and no tensors at all.
func TestShardedTorch(t *testing.T) {
	cp, _ := fixtureRow(t, "sparse_quantized.pth")
	none, err := openBytes("none", pickled(t, "\x80\x02}."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []statedict.Format{statedict.TorchZip, statedict.TorchLegacy} {
		out, back, err := export(t, cp, f, &statedict.PlanOptions{Name: "m.bin", MaxShardSize: 100, AllowUnsafe: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(out) < 3 || len(back.Findings) > 0 {
			t.Errorf("%s: %d files, findings %v", f, len(out), back.Findings)
		}
		for i := range cp.Entries {
			e := &cp.Entries[i]
			got := entry(t, back, e.Key)
			want(t, e.Key, fmt.Sprint(got.DType, got.Shape, got.Info.Layout, got.Info.QScheme, partNames(got)), fmt.Sprint(e.DType, e.Shape, e.Info.Layout, e.Info.QScheme, partNames(e)))
			if e.Storage != statedict.NoStorage {
				want(t, e.Key, hashOf(t, back, got.View), hashOf(t, cp, e.View))
			}
		}
		out, back, err = export(t, edited(t, none), f, &statedict.PlanOptions{MaxShardSize: 100})
		if err != nil || len(out) != 1 || len(back.Entries) != 0 {
			t.Errorf("%s without tensors: %d files, %v", f, len(out), err)
		}
	}
}

// TestDistributedFolder puts the tensors of a torch.distributed.checkpoint folder together from their chunks and compares
// them with the chunks in the order of their rows, which the oracle of the data file lists.
func TestDistributedFolder(t *testing.T) {
	corpus := os.Getenv("WEIGHTROOM_CORPUS")
	if corpus == "" {
		t.Skip("WEIGHTROOM_CORPUS is not set")
	}
	dir := filepath.Join(corpus, "synthetic", "dcp")
	found, err := filepath.Glob(filepath.Join(dir, "*.distcp"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no data files: %v", err)
	}
	names := []string{".metadata"}
	type chunk struct {
		row  int64
		data []byte
	}
	chunks := map[string][]chunk{}
	objects := map[string]bool{}
	for _, path := range found {
		names = append(names, filepath.Base(path))
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var o struct {
			Blobs []struct {
				oracle
				FQN            string
				ChunkOffset    []int64 `json:"chunk_offset"`
				Offset, Length int64
			}
		}
		text, err := os.ReadFile(path + ".oracle.json")
		if err == nil {
			err = json.Unmarshal(text, &o)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range o.Blobs {
			if len(b.Tensors) == 0 {
				objects[b.FQN] = true
				continue
			}
			// The records of these archives are stored: the payload is where its bytes are.
			blob := data[b.Offset : b.Offset+b.Length]
			c := chunk{data: find(t, blob, b.Storages[0].SHA256, int(b.Storages[0].NBytes))}
			if len(b.ChunkOffset) > 0 {
				c.row = b.ChunkOffset[0]
			}
			chunks[b.FQN] = append(chunks[b.FQN], c)
		}
	}
	cp, err := statedict.Open(context.Background(), sources(t, dir, names...)...)
	if err != nil {
		t.Fatal(err)
	}
	if len(cp.Entries) != len(chunks) || cp.Format != statedict.DCP {
		t.Fatalf("%s with %d tensors, want %d", cp.Format, len(cp.Entries), len(chunks))
	}
	for i := range cp.Entries {
		e := &cp.Entries[i]
		parts := chunks[e.Path()]
		slices.SortFunc(parts, func(a, b chunk) int { return int(a.row - b.row) })
		h := sha256.New()
		for _, p := range parts {
			h.Write(p.data)
		}
		if got := hashOf(t, cp, e.View); got != fmt.Sprintf("%x", h.Sum(nil)) {
			t.Errorf("%q: other bytes than its %d chunks", e.Path(), len(parts))
		}
	}
	for o := range cp.Objects() {
		maps.DeleteFunc(objects, func(fqn string, _ bool) bool { return strings.HasPrefix(o.Path, fqn) })
	}
	if len(objects) > 0 {
		t.Errorf("objects %v are not listed", objects)
	}
	t.Logf("%d tensors", len(cp.Entries))
	for _, f := range []statedict.Format{statedict.TorchZip, statedict.Safetensors} {
		if _, back, err := export(t, cp, f, nil); err != nil {
			t.Logf("%s refused: %v", f, err)
		} else {
			compareTensors(t, f, cp, back, false)
		}
	}
}

// find is the run of n bytes with this hash.
func find(t *testing.T, data []byte, sum string, n int) []byte {
	for i := 0; i+n <= len(data); i++ {
		if fmt.Sprintf("%x", sha256.Sum256(data[i:i+n])) == sum {
			return data[i : i+n]
		}
	}
	t.Fatal("no such bytes")
	return nil
}
