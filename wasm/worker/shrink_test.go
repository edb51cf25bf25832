package worker

import (
	"strings"
	"testing"

	"github.com/weightroom/weightroom/wasm/message"
)

// Every saving is what the export saves, to the byte; and the steps together do what they do one by one.
func TestShrink(t *testing.T) {
	for name, want := range map[string]string{"dataparallel_sgd.pth": "optimizer half", "tied_strided_views.pth": "views half", "canonical.safetensors": "half"} {
		s := NewSession()
		got, _ := openFixture(t, s, name)
		report, err := s.Shrink(&message.ShrinkRequest{Handle: got.Handle, Recipe: []byte(empty)})
		if err != nil {
			t.Fatal(name, err)
		}
		var kinds []string
		for _, l := range report.Lines {
			kinds = append(kinds, l.Kind)
			recipe := document(got.At, l.Step)
			after, err := s.Shrink(&message.ShrinkRequest{Handle: got.Handle, Recipe: recipe})
			if err != nil || after.Size != report.Size-l.Bytes || l.Bytes <= 0 {
				t.Errorf("%s: %s saves %d of %d, then it is %+v, %v", name, l.Kind, l.Bytes, report.Size, after, err)
				continue
			}
			format := map[bool]string{true: "safetensors", false: "torch"}[report.Format == "safetensors"]
			plan, _, err := s.Plan(&message.PlanRequest{Handle: got.Handle, Recipe: recipe, Format: format, Name: "export", AllowUnsafe: true})
			if err != nil || plan.Files[0].Size != after.Size {
				t.Errorf("%s: the export would have other sizes than %d; %v", name, after.Size, err)
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
	}
}
