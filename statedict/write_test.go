package statedict_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/weightroom/weightroom/statedict"
)

// watched tells of reads that begin behind a place.
type watched struct {
	io.ReaderAt
	behind int64
	seen   chan struct{}
}

func (w *watched) ReadAt(p []byte, off int64) (int, error) {
	if off > w.behind {
		select {
		case w.seen <- struct{}{}:
		default:
		}
	}
	return w.ReaderAt.ReadAt(p, off)
}

// waiting does not finish its first write of converted bytes before such a read.
type waiting struct {
	io.Writer
	seen   chan struct{}
	writes int
}

func (w *waiting) Write(p []byte) (int, error) {
	if w.writes++; w.writes == 2 { // behind the header
		select {
		case <-w.seen:
		case <-time.After(20 * time.Second):
			return 0, fmt.Errorf("nothing is read while a cast's first bytes are written")
		}
	}
	return w.Writer.Write(p)
}

// A cast is read, made and written at the same time: the next chunk is read while one is still being written.
func TestCastOverlaps(t *testing.T) {
	const n = 64 << 20
	head := fmt.Sprintf(`{"w":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}`, n/4, n)
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
	file = append(append(file, head...), make([]byte, n)...)
	// The workers, of 1 MiB each, may all have read once before the first one's bytes are written; then one has to read again.
	seen := make(chan struct{}, 1)
	src := &watched{bytes.NewReader(file), int64(min(8, runtime.GOMAXPROCS(0))) << 20, seen}
	cp, err := statedict.Open(context.Background(), statedict.Source{Name: "w.safetensors", R: src, Size: int64(len(file))})
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := statedict.ParseRecipe([]byte(`{"recipe":1,"steps":[{"cast":"float16"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	cp, _, err = recipe.Apply(cp, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := statedict.NewPlan(cp, statedict.Safetensors, nil)
	if err != nil {
		t.Fatal(err)
	}
	for len(seen) > 0 {
		<-seen
	}
	var out bytes.Buffer
	if err := plan.Files[0].Write(context.Background(), &waiting{Writer: &out, seen: seen}, nil); err != nil {
		t.Fatal(err)
	}
	if int64(out.Len()) != plan.Files[0].Size {
		t.Errorf("%d bytes, %d planned", out.Len(), plan.Files[0].Size)
	}
}
