package pagetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// safetensors is a file with a float32 tensor of two elements for each key.
func safetensors(t *testing.T, keys ...string) string {
	t.Helper()
	var head bytes.Buffer
	head.WriteByte('{')
	for i, k := range keys {
		name, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			head.WriteByte(',')
		}
		fmt.Fprintf(&head, `%s:{"dtype":"F32","shape":[2],"data_offsets":[%d,%d]}`, name, 8*i, 8*i+8)
	}
	head.WriteByte('}')
	for head.Len()%8 != 0 {
		head.WriteByte(' ')
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(head.Len()))
	out = append(out, head.Bytes()...)
	for i := range keys {
		out = binary.LittleEndian.AppendUint32(out, uint32(i))
		out = binary.LittleEndian.AppendUint32(out, uint32(i)<<8)
	}
	return write(t, "model.safetensors", out)
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// large writes the file of largeHeader, all holes behind its header.
func large(t *testing.T) string {
	t.Helper()
	src := largeHeader(t)
	path := write(t, "large.safetensors", src.head)
	if err := os.Truncate(path, src.size); err != nil {
		t.Skip("the file system has no sparse files of this size: ", err)
	}
	return path
}

func fixture(name string) string {
	path, err := filepath.Abs(filepath.Join("..", "..", "testdata", name))
	if err != nil {
		panic(err)
	}
	return path
}

// corpus is a file of the corpus that WEIGHTROOM_CORPUS names.
func corpus(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("WEIGHTROOM_CORPUS")
	if dir == "" {
		t.Skip("WEIGHTROOM_CORPUS names no folder")
	}
	return filepath.Join(dir, name)
}

// native does in Go what the page is asked to do: the recipe on the file, written in a format.
func native(t *testing.T, path, recipe string, format statedict.Format) []byte {
	t.Helper()
	cp := open(t, path)
	r, err := statedict.ParseRecipe([]byte(recipe))
	if err != nil {
		t.Fatal(err)
	}
	cp, _, err = r.Apply(cp, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := statedict.NewPlan(cp, format, &statedict.PlanOptions{Name: "out"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := plan.Files[0].Write(context.Background(), &out, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func open(t *testing.T, path string) *statedict.Checkpoint {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return openBytes(t, data)
}

func openBytes(t *testing.T, data []byte) *statedict.Checkpoint {
	t.Helper()
	cp, err := statedict.Open(context.Background(), statedict.Source{Name: "file", R: bytes.NewReader(data), Size: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

func keys(cp *statedict.Checkpoint) []string {
	var out []string
	for i := range cp.Entries {
		out = append(out, cp.Entries[i].Path())
	}
	return out
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
