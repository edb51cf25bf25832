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

// What a file holds beside tensors is listed too, and the mappings that hold tensors are summed up.
func ExampleCheckpoint_Objects() {
	cp, err := statedict.Open(context.Background(), fixture("dataparallel_sgd.pth"))
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range cp.StateDicts()[:1] {
		fmt.Printf("%q: %d tensors, %d bytes\n", d.Path, d.Keys, d.NBytes)
	}
	for o := range cp.Objects() {
		fmt.Println(o.Path, o.Type, o.Value)
		if o.Path == "arch" {
			break
		}
	}
	// Output:
	// "state_dict": 9 tensors, 860 bytes
	// epoch int 12
	// best_acc1 float 71.5
	// arch str block
}

// Compare says what load_state_dict(strict=True) would say; Suggest looks for the recipe that makes it succeed.
func ExampleCompare() {
	model, err := statedict.Open(context.Background(), fixture("state_dict.pth"))
	if err != nil {
		log.Fatal(err)
	}
	got, err := statedict.Open(context.Background(), fixture("dataparallel_sgd.pth"))
	if err != nil {
		log.Fatal(err)
	}
	inc, err := statedict.Compare(model, got)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(inc.Compatible(), inc.MissingKeys[0], inc.UnexpectedKeys[0])
	want, err := model.KeyList("", false)
	if err != nil {
		log.Fatal(err)
	}
	s, err := statedict.Suggest(want, got)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", s.Recipe.YAML())
	// Output:
	// false conv.weight module.conv.weight
	// recipe: 1
	// steps:
	//   - strip_prefix: module.
}

// A recipe is data in Go as well: the same steps as types.
func ExampleRecipe_YAML() {
	r := &statedict.Recipe{
		Steps: []statedict.Op{
			&statedict.StripPrefix{Prefix: []string{"module.", "_orig_mod."}, Repeat: true},
			&statedict.Drop{Match: statedict.Patterns{"**.num_batches_tracked"}},
			&statedict.Cast{To: "float16", Match: statedict.Patterns{"**.weight"}},
		},
		Output: statedict.Output{Format: "safetensors"},
	}
	fmt.Printf("%s", r.YAML())
	// Output:
	// recipe: 1
	// steps:
	//   - strip_prefix: [module., _orig_mod.]
	//   - drop: '**.num_batches_tracked'
	//   - cast: {to: float16, match: '**.weight'}
	// output: {format: safetensors}
}

// Scan lists what unpickling a file would import. Nothing is imported.
func ExampleScan() {
	r, err := statedict.Scan(context.Background(), fixture("numpy_namespace.pth"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Safe(), r.Globals[0].String(), r.Globals[0].Verdict())
	// Output: false argparse.Namespace unknown
}
