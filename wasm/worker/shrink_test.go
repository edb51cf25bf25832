package worker

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
)

// heavy is a checkpoint that holds all that a shrink report knows: an optimizer, averaged copies, twins, a part that carries its
// whole, a record that nothing names.
const heavy = `import sys, torch, zipfile
mask, big = torch.tril(torch.ones(64, 64)), torch.randn(100, 100)
sd = {"model.w": torch.randn(50, 50), "model.part": big[3], **{f"model.{i}.mask": mask.clone() for i in range(4)}, "model_ema.w": torch.randn(50, 50), "steps": torch.tensor(3)}
torch.save({"state_dict": sd, "optimizer": {"state": {0: {"exp_avg": torch.zeros(50, 50)}}}, "ema": {"w": torch.ones(50, 50)}}, sys.argv[1])
with zipfile.ZipFile(sys.argv[1], "a") as z: z.writestr(z.namelist()[0].split("/")[0] + "/data/99", bytes(5000))`

// Every saving is what the export saves, to the byte, written for real; and what became a step is not offered again.
func TestShrink(t *testing.T) {
	file := filepath.Join(t.TempDir(), "heavy.pth")
	cases := map[string]string{"../../testdata/dataparallel_sgd.pth": "optimizer half", "../../testdata/tied_strided_views.pth": "views half", "../../testdata/canonical.safetensors": "half"}
	if exec.Command("/usr/bin/python3", "-c", heavy, file).Run() == nil {
		cases[file] = "optimizer ema:ema ema:model_ema same:model.0.mask views half unreached"
	}
	for name, want := range cases {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s := NewSession()
		got, _, err := s.Open(context.Background(), []statedict.Source{{Name: "a", R: bytes.NewReader(data), Size: int64(len(data))}})
		if err != nil {
			t.Fatal(name, err)
		}
		report, err := s.Shrink(&message.ShrinkRequest{Handle: got.Handle, Recipe: []byte(empty)})
		if err != nil {
			t.Fatal(name, err)
		}
		if n := written(t, s, got.Handle, report.Format, empty); n != report.Size {
			t.Errorf("%s: an export takes %d bytes, %d are predicted", name, n, report.Size)
		}
		var kinds, steps []string
		for _, l := range report.Lines {
			kind := l.Kind
			if l.What != "" && l.Kind != "optimizer" {
				kind += ":" + l.What
			}
			kinds, steps = append(kinds, kind), append(steps, string(l.Step))
			recipe := string(document(got.At, l.Step))
			after, err := s.Shrink(&message.ShrinkRequest{Handle: got.Handle, Recipe: []byte(recipe)})
			if err != nil || after.Size != report.Size-l.Bytes || l.Bytes <= 0 {
				t.Errorf("%s: %s saves %d of %d, then it is %+v, %v", name, l.Kind, l.Bytes, report.Size, after, err)
				continue
			}
			if n := written(t, s, got.Handle, report.Format, recipe); n != after.Size {
				t.Errorf("%s: with %s an export takes %d bytes, %d are predicted", name, l.Kind, n, after.Size)
			}
			for _, again := range after.Lines {
				if again.Kind == l.Kind && again.What == l.What {
					t.Errorf("%s: %s is offered once more", name, l.Kind)
				}
			}
		}
		if strings.Join(kinds, " ") != want {
			t.Errorf("%s offers %q, want %q", name, kinds, want)
		}
		// All of them at once.
		all := `{"recipe":1,"at":"` + got.At + `","steps":[` + strings.Join(steps, ",") + `]}`
		after, err := s.Shrink(&message.ShrinkRequest{Handle: got.Handle, Recipe: []byte(all)})
		if err != nil || len(after.Lines) > 0 {
			t.Errorf("%s: after all steps %+v, %v", name, after, err)
			continue
		}
		if n := written(t, s, got.Handle, report.Format, all); n != after.Size {
			t.Errorf("%s: with all steps an export takes %d bytes, %d are predicted", name, n, after.Size)
		}
	}
}

// written is how many bytes an export really has.
func written(t *testing.T, s *Session, handle int, format, recipe string) (n int64) {
	t.Helper()
	format = map[bool]string{true: "safetensors", false: "torch"}[format == "safetensors"]
	plan, _, err := s.Plan(&message.PlanRequest{Handle: handle, Recipe: []byte(recipe), Format: format, Name: "export", AllowUnsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range plan.Files {
		var out bytes.Buffer
		if err := plan.Files[i].Write(context.Background(), &out, nil); err != nil {
			t.Fatal(err)
		}
		n += int64(out.Len())
	}
	return n
}
