package statedict_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/weightroom/weightroom/statedict"
)

// fixture is a file of the project as a source. Any io.ReaderAt serves: a file, an HTTP range reader, a browser's File.
func fixture(name string) statedict.Source {
	data, err := os.ReadFile(filepath.Join("..", "testdata", name))
	if err != nil {
		log.Fatal(err)
	}
	return statedict.Source{Name: name, R: bytes.NewReader(data), Size: int64(len(data))}
}

// Opening reads headers only; entries come in file order.
func ExampleOpen() {
	cp, err := statedict.Open(context.Background(), fixture("state_dict.pth"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cp.Format)
	for i := range cp.Entries[:3] {
		e := &cp.Entries[i]
		fmt.Println(e.Path(), e.DType, e.Shape)
	}
	// Output:
	// torch-zip
	// conv.weight float32 [4 3 3 3]
	// conv.bias float32 [4]
	// bn.weight float32 [4]
}

// An edit is data; applying it reads no tensor bytes.
func ExampleRecipe_Apply() {
	cp, err := statedict.Open(context.Background(), fixture("dataparallel_sgd.pth"))
	if err != nil {
		log.Fatal(err)
	}
	recipe, err := statedict.ParseRecipe([]byte("steps: [{strip_prefix: module.}, {cast: {to: float16}}]"))
	if err != nil {
		log.Fatal(err)
	}
	edited, report, err := recipe.Apply(cp, nil)
	if err != nil {
		log.Fatal(err)
	}
	first := report.Ops[0].Renamed[0]
	fmt.Println(first[0], "->", first[1])
	fmt.Println(edited.Entries[0].DType)
	// Output:
	// module.conv.weight -> conv.weight
	// float16
}

// A plan knows every file and size before the first byte is written; Verify opens the result again.
func ExampleNewPlan() {
	cp, err := statedict.Open(context.Background(), fixture("state_dict.pth"))
	if err != nil {
		log.Fatal(err)
	}
	plan, err := statedict.NewPlan(cp, statedict.Safetensors, nil)
	if err != nil {
		log.Fatal(err)
	}
	file := &plan.Files[0]
	var out bytes.Buffer
	if err := file.Write(context.Background(), &out, nil); err != nil {
		log.Fatal(err)
	}
	fmt.Println(file.Name, int64(out.Len()) == file.Size)
	written := statedict.Source{Name: file.Name, R: bytes.NewReader(out.Bytes()), Size: file.Size}
	fmt.Println(statedict.Verify(context.Background(), plan, written))
	// Output:
	// checkpoint.safetensors true
	// <nil>
}

// CheckBytes reads everything and compares it with the checksums that the file states.
func ExampleCheckpoint_CheckBytes() {
	cp, err := statedict.Open(context.Background(), fixture("state_dict.pth"))
	if err != nil {
		log.Fatal(err)
	}
	faults, checked, err := cp.CheckBytes(context.Background(), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(faults), checked > 0)
	// Output: 0 true
}
