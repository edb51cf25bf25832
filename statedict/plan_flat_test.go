package statedict_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// TestBoolsAreZeroOrOne: torch keeps any byte in a bool and takes all but zero for true. Formats that know 0 and 1 only get
// these, from whole storages and from strided views; a torch file keeps the bytes. None of that is a cast.
func TestBoolsAreZeroOrOne(t *testing.T) {
	_, data := fixtureRow(t, "dtypes.pth")
	cp := mustOpen(t, data)
	find := func(cp *statedict.Checkpoint) *statedict.Entry {
		i := slices.IndexFunc(cp.Entries, func(e statedict.Entry) bool { return e.Key == "bool" })
		return &cp.Entries[i]
	}
	records := unzip(t, data)
	at := slices.IndexFunc(records, func(r zipRecord) bool {
		return strings.HasSuffix(r.name, "/data/"+cp.Storages[find(cp).Storage].Key)
	})
	records[at].body, records[at].crc = []byte{0, 2, 255}, 0
	read := func(cp *statedict.Checkpoint) []byte {
		got, err := io.ReadAll(cp.Reader(find(cp).View))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	cp = mustOpen(t, makeZip(t, records...))
	apply := func(doc string) *statedict.Checkpoint {
		r, err := statedict.ParseRecipe([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := r.Apply(cp, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	only := apply("recipe: 1\nsteps: [{keep: bool}]")
	for f, want := range map[statedict.Format][]byte{statedict.TorchZip: {0, 2, 255}, statedict.Safetensors: {0, 1, 1}, statedict.NPZ: {0, 1, 1}} {
		_, back, err := export(t, only, f, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(back); !bytes.Equal(got, want) {
			t.Errorf("%s: %v, want %v", f, got, want)
		}
	}
	p, err := only.PlanArray(find(only), "bool.npy")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.Files[0].Write(context.Background(), &b, nil); err != nil {
		t.Fatal(err)
	}
	if got := b.Bytes(); !bytes.HasSuffix(got, []byte{'\n', 0, 1, 1}) {
		t.Errorf("npy: %q", got)
	}
	if p, err := statedict.NewPlan(only, statedict.Safetensors, nil); err != nil || p.CastBytes() != 0 {
		t.Errorf("%v, or it counts as a cast", err)
	}
}

// TestLeftOutOfStateDict: what a module holds beside the tensors that state_dict() saves is named when it is left out.
func TestLeftOutOfStateDict(t *testing.T) {
	cp, _ := fixtureRow(t, "module.pth")
	p, err := statedict.NewPlan(cp, statedict.Safetensors, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := statedict.ParseRecipe([]byte("recipe: 1\nsteps: [{add_prefix: net}]"))
	if err != nil {
		t.Fatal(err)
	}
	_, report, err := r.Apply(cp, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, warnings := range [][]string{p.Report.Warnings, report.Warnings} {
		if got := strings.Join(warnings, "\n"); !strings.HasPrefix(got, "1 tensors of modules are in no ") || !strings.HasSuffix(got, `left out: "_buffers.scratch"`) {
			t.Errorf("warnings %q", got)
		}
	}
}
