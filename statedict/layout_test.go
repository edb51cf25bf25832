package statedict_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// layoutOf maps a file, and sees that the regions cover it from its first byte to its last.
func layoutOf(t *testing.T, cp, after *statedict.Checkpoint) *statedict.Layout {
	t.Helper()
	l, err := cp.Layout(after)
	if err != nil {
		t.Fatal(err)
	}
	ends := make([]int64, len(cp.Sources))
	for _, r := range l.Regions {
		if r.Off != ends[r.Source] || r.Len <= 0 {
			t.Fatalf("%+v does not follow byte %d", r, ends[r.Source])
		}
		ends[r.Source] += r.Len
		if held := r.Use == statedict.UseTensor || r.Use == statedict.UseUnreached; held != (r.Storage != statedict.NoStorage) {
			t.Errorf("%+v", r)
		}
	}
	for i, src := range cp.Sources {
		if ends[i] != src.Size {
			t.Errorf("%d of %d bytes of %s are told of", ends[i], src.Size, src.Name)
		}
	}
	return l
}

func uses(l *statedict.Layout) map[statedict.Use]int64 {
	sum := map[statedict.Use]int64{}
	for _, r := range l.Regions {
		sum[r.Use] += r.Len
	}
	return sum
}

// Every file that opens is covered exactly, whatever its format, with the headers looked at or not; and where a tensor lies
// its bytes stand.
func TestLayout(t *testing.T) {
	files, _ := filepath.Glob("../testdata/*.*")
	hostile, _ := filepath.Glob("../testdata/hostile/*.*")
	files = append(files, hostile...)
	if corpus := os.Getenv("WEIGHTROOM_CORPUS"); corpus != "" {
		more, _ := filepath.Glob(filepath.Join(corpus, "synthetic", "*"))
		files = append(files, more...)
	}
	opened := map[statedict.Format]int{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil || strings.HasSuffix(file, ".json") {
			continue
		}
		for _, lazy := range []bool{false, true} {
			opts := statedict.Options{LazyHeaders: lazy}
			cp, err := opts.Open(context.Background(), statedict.Source{Name: filepath.Base(file), R: bytes.NewReader(data), Size: int64(len(data))})
			if err != nil {
				continue
			}
			opened[cp.Format]++
			l := layoutOf(t, cp, cp)
			for i := range cp.Entries {
				e := &cp.Entries[i]
				if e.Storage < 0 || e.Info != nil || e.NBytes() <= 0 || lazy && cp.Format == statedict.TorchZip && !strings.HasPrefix(file, "../testdata/") {
					continue
				}
				p, st := l.Places[e.Storage], &cp.Storages[e.Storage]
				if st.Data.Method != statedict.Stored || !e.Contiguous() || st.BigEndian || e.Conj || e.Neg {
					continue
				}
				want, err := io.ReadAll(cp.Reader(e.View))
				from := p.Off + e.Offset*e.DType.Size()
				if err != nil || from+int64(len(want)) > int64(len(data)) || !bytes.Equal(data[from:from+int64(len(want))], want) {
					t.Errorf("%s, lazy %v: %s does not stand at byte %d; %v", file, lazy, e.Path(), from, err)
				}
			}
		}
	}
	t.Log(opened)
	for _, f := range []statedict.Format{statedict.TorchZip, statedict.TorchLegacy, statedict.Safetensors, statedict.GGUF, statedict.NPZ, statedict.TorchScript} {
		if opened[f] == 0 {
			t.Errorf("no %s file", f)
		}
	}
}

// What no tensor reaches is told apart, before an edit and after one.
func TestLayoutUnreached(t *testing.T) {
	cp, _ := torchRow(t, "row.pt")
	before := uses(layoutOf(t, cp, cp))
	want(t, "bytes of the row", before[statedict.UseTensor], 40)
	want(t, "bytes around it", before[statedict.UseUnreached], 360)
	compact := layoutOf(t, cp, apply(t, cp, "{compact: true}"))
	want(t, "once compacted", uses(compact)[statedict.UseTensor], 40)
	want(t, "place of what compacting made", compact.Places[len(compact.Places)-1].Off, compact.Places[0].Off)

	cp, _ = fixtureRow(t, "dataparallel_sgd.pth")
	whole := uses(layoutOf(t, cp, cp))
	want(t, "dead bytes", whole[statedict.UseUnreached], 0)
	if whole[statedict.UsePickle] == 0 || whole[statedict.UseHeader] == 0 || whole[statedict.UseRecord] == 0 {
		t.Errorf("%v", whole)
	}
	dropped := uses(layoutOf(t, cp, apply(t, cp, "{drop_objects: [optimizer]}")))
	want(t, "bytes of the optimizer", dropped[statedict.UseUnreached], 820)
	want(t, "all storages", dropped[statedict.UseUnreached]+dropped[statedict.UseTensor], whole[statedict.UseTensor])
}
