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

func openFixture(t *testing.T, s *Session, name string) (*message.Opened, []message.Row) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	out, rows, err := s.Open(context.Background(), []statedict.Source{{Name: name, R: bytes.NewReader(data), Size: int64(len(data))}})
	if err != nil {
		t.Fatal(err)
	}
	return out, rows
}

func paths(rows []message.Row, kind message.Kind) string {
	var out []string
	for _, r := range rows {
		if r.Kind == kind {
			out = append(out, r.Path)
		}
	}
	return strings.Join(out, " ")
}

const empty = `{"recipe":1,"steps":[]}`

func TestSession(t *testing.T) {
	s := NewSession()
	got, rows := openFixture(t, s, "dataparallel_sgd.pth")
	if got.At != "state_dict" || got.Keys != 15 || len(got.Dicts) != 7 || got.Format != "torch-zip" || len(got.Scan.Globals) == 0 || got.Scan.Globals[0].Verdict != "safe" {
		t.Errorf("opened %+v", got)
	}
	if !strings.HasPrefix(paths(rows, message.Tensor), "state_dict.module.conv.weight ") || !strings.Contains(paths(rows, message.Object), "epoch") {
		t.Errorf("tensors %s; objects %s", paths(rows, message.Tensor), paths(rows, message.Object))
	}
	if r := rows[0]; r.Path[r.KeyAt:] != "module.conv.weight" {
		t.Errorf("the key of the first row is %q", r.Path[r.KeyAt:])
	}
	strip := `{"recipe":1,"steps":[{"strip_prefix":"module."}]}`
	st, rows, err := s.Apply(&message.ApplyRequest{Handle: got.Handle, Recipe: []byte(strip)})
	if err != nil || len(st.Steps) != 1 || st.Steps[0].Renamed != 9 || !strings.HasPrefix(rows[0].Path, "state_dict.conv.") {
		t.Errorf("applied %+v, first row %+v, %v", st, rows[0], err)
	}
	if c := st.Steps[0].Changes[0]; c.From != "module.conv.weight" || c.To != "conv.weight" {
		t.Errorf("change %+v", c)
	}
	p, err := s.Preview(&message.PreviewRequest{Handle: got.Handle, Recipe: []byte(strip), Step: []byte(`{"recipe":1,"at":"state_dict","steps":[{"drop":"bn.**"}]}`), Limit: 2})
	if err != nil || p.Error != nil || p.Step.Before-p.Step.After != 5 || len(p.Step.Changes) != 2 || p.Step.Changes[0].To != "" {
		t.Errorf("preview %+v, %v", p, err)
	}
	p, err = s.Preview(&message.PreviewRequest{Handle: got.Handle, Recipe: []byte(empty), Step: []byte(`{"recipe":1,"at":"state_dict","steps":[{"drop":"nothing"}]}`)})
	if err != nil || p.Error == nil || !p.Error.Nothing || strings.Contains(p.Error.Message, "touches") {
		t.Errorf("a step that touches nothing: %+v, %v", p, err)
	}
	if _, _, err = s.Plan(&message.PlanRequest{Handle: got.Handle, Recipe: []byte(strip), Format: "safetensors", Name: "a"}); err == nil {
		t.Error("objects went into safetensors")
	} else if e := message.FromError(err); e.Code != "E_UNSUPPORTED" || strings.Join(e.Roots, " ") != "epoch best_acc1 arch optimizer history" {
		t.Errorf("refused with %+v", e)
	}
	plan, planned, err := s.Plan(&message.PlanRequest{Handle: got.Handle, Recipe: []byte(strip), Format: "torch", Name: "a.pth"})
	if err != nil || len(planned.Files) != 1 || planned.Files[0].Name != "a.pth" || planned.Files[0].Size != plan.Files[0].Size || planned.Copied == 0 || planned.Converted != 0 {
		t.Errorf("planned %+v, %v", planned, err)
	}
	if n := readBytes(&plan.Files[0]); n != 0 {
		t.Errorf("an export without conversions reads %d bytes of tensors", n)
	}
	s.Close(got.Handle)
	if _, _, err := s.Apply(&message.ApplyRequest{Handle: got.Handle, Recipe: []byte(empty)}); err == nil {
		t.Error("a closed checkpoint answers")
	}
}

func TestOpenFails(t *testing.T) {
	data := []byte("<html>")
	_, _, err := NewSession().Open(context.Background(), []statedict.Source{{Name: "a.pth", R: bytes.NewReader(data), Size: int64(len(data))}})
	if e := message.FromError(err); e == nil || e.Code != "E_FORMAT" || e.Hint == "" {
		t.Errorf("got %+v", e)
	}
}
