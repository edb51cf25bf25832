package worker

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
)

// edited is a fixture after a recipe, as a file of a format.
func edited(t *testing.T, name, recipe string, format statedict.Format) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	cp, err := statedict.Open(context.Background(), statedict.Source{Name: name, R: bytes.NewReader(data), Size: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	r, err := statedict.ParseRecipe([]byte(recipe))
	if err != nil {
		t.Fatal(err)
	}
	if cp, _, err = r.Apply(cp, nil); err != nil {
		t.Fatal(err)
	}
	plan, err := statedict.NewPlan(cp, format, &statedict.PlanOptions{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := plan.Files[0].Write(context.Background(), &out, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func attachBytes(t *testing.T, s *Session, name string, data []byte) {
	t.Helper()
	if _, err := s.Attach(context.Background(), &message.AttachRequest{Name: name}, []statedict.Source{{Name: name, R: bytes.NewReader(data), Size: int64(len(data))}}); err != nil {
		t.Fatal(err)
	}
}

func diffOf(t *testing.T, s *Session, handle int, values bool) *message.Diffed {
	t.Helper()
	last := message.Progress{}
	d, err := s.Diff(context.Background(), &message.DiffRequest{Handle: handle, Recipe: []byte(empty), Against: "b", Values: values}, func(p message.Progress) { last = p })
	if err != nil {
		t.Fatal(err)
	}
	if values && (last.Done != last.Total || last.Total == 0) {
		t.Errorf("the progress ended at %+v", last)
	}
	return d
}

// A state dict inside a training checkpoint is compared with a plain one of the same model.
func TestDiffOfMappings(t *testing.T) {
	s := NewSession()
	got, _ := openFixture(t, s, "dataparallel_sgd.pth")
	attachBytes(t, s, "b", edited(t, "dataparallel_sgd.pth", `{"recipe":1,"at":"","steps":[{"extract":"state_dict"},{"cast":{"to":"float16","match":"module.fc.weight"}},{"rename":{"from":"module.bn.bias","to":"module.bn.beta"}}]}`, statedict.TorchZip))
	d := diffOf(t, s, got.Handle, false)
	if d.Prefix != "state_dict." || d.Here != 1 || d.There != 1 || d.DType != 1 || d.Shape != 0 || d.Values != 0 || d.Equal != 7 || d.Compared {
		t.Errorf("%+v", d)
	}
	if r := d.Rows[0]; r.Key != "module.bn.bias" || r.Kind != "here" || r.HereDType != "float32" || r.ThereDType != "" {
		t.Errorf("%+v", r)
	}
	if r := d.Rows[2]; r.Key != "module.fc.weight" || r.HereDType != "float32" || r.ThereDType != "float16" {
		t.Errorf("%+v", r)
	}
	// Rounding to half differs in values, a little.
	d = diffOf(t, s, got.Handle, true)
	if r := d.Rows[2]; strings.Join(r.What, " ") != "dtype values" || r.MaxAbs == nil || *r.MaxAbs <= 0 || *r.MaxAbs > 1e-3 || *r.Cosine < 0.999 || r.Differ == 0 || r.Numel != 80 {
		t.Errorf("%+v", r)
	}
}

// One value of one tensor differs.
func TestDiffOfValues(t *testing.T) {
	s := NewSession()
	got, _ := openFixture(t, s, "state_dict.pth")
	data := edited(t, "state_dict.pth", empty, statedict.Safetensors)
	data[len(data)-1] ^= 0x40
	attachBytes(t, s, "b", data)
	if d := diffOf(t, s, got.Handle, false); len(d.Rows) != 0 {
		t.Errorf("without values: %+v", d.Rows)
	}
	d := diffOf(t, s, got.Handle, true)
	if len(d.Rows) != 1 || d.Values != 1 || d.Rows[0].Differ != 1 || !d.Compared {
		t.Errorf("%+v", d)
	}
}

// An error about the whole file, which somebody gave to load_state_dict, is told of the whole file; the recipe takes the
// state dict out, and what torch would say then is told beforehand.
func TestPastedErrorOfWholeFile(t *testing.T) {
	s := NewSession()
	got, _ := openFixture(t, s, "dataparallel_sgd.pth")
	keys := `"conv.weight", "conv.bias", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var", "fc.weight", "fc.bias"`
	text := "RuntimeError: Error(s) in loading state_dict for Net:\n\tMissing key(s) in state_dict: " + keys +
		". \n\tUnexpected key(s) in state_dict: \"epoch\", \"state_dict\", \"optimizer\", \"best_acc1\", \"arch\", \"history\". "
	if _, err := s.Attach(context.Background(), &message.AttachRequest{Name: "b", Text: text}, nil); err != nil {
		t.Fatal(err)
	}
	c, err := s.Check(&message.CheckRequest{Handle: got.Handle, Recipe: []byte(empty), Against: "b"})
	if err != nil {
		t.Fatal(err)
	}
	if c.At != "" || c.Suggestion == nil || c.Suggestion.After == nil || !c.Suggestion.Compatible {
		t.Fatalf("%+v", c)
	}
	f := c.Suggestion.After
	if len(f.Missing)+len(f.Unexpected)+len(f.Mismatched) != 0 || f.OK != 9 || c.Suggestion.AllPairs == 0 || c.Suggestion.Pairs[0].Sure <= 0 {
		t.Errorf("after it %+v, pairs %+v", f, c.Suggestion.Pairs)
	}
	again, err := s.Check(&message.CheckRequest{Handle: got.Handle, Recipe: c.Suggestion.Recipe, Against: "b"})
	if err != nil || len(again.Missing)+len(again.Unexpected) != 0 || again.OK != f.OK {
		t.Errorf("then %+v, %v", again, err)
	}
}
