package worker

import (
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
)

func TestPresetEffects(t *testing.T) {
	for file, want := range map[string]map[string]message.PresetEffect{
		// 9 keys of the model begin with module.; optimizer and lr_scheduler stand beside them.
		"dataparallel_sgd.pth": {"dataparallel": {Keys: 9}, "compile": {Keys: 9}, "ema": {}, "submodule": {}},
		"state_dict.pth":       {"dataparallel": {}, "inference-only": {}, "lightning": {}},
	} {
		s := NewSession()
		got, _ := openFixture(t, s, file)
		out, err := s.Presets(&message.ApplyRequest{Handle: got.Handle, Recipe: []byte(empty)})
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range statedict.Presets() {
			if w, ok := want[p.Name]; ok && out.Effects[i] != w {
				t.Errorf("%s, %s: %+v, want %+v", file, p.Name, out.Effects[i], w)
			}
			t.Logf("%s %s %+v", file, p.Name, out.Effects[i])
		}
	}
}

// What the menu counts is what the recipe then does.
func TestPresetEffectsAreWhatHappens(t *testing.T) {
	s := NewSession()
	got, _ := openFixture(t, s, "lightning_like.ckpt")
	out, err := s.Presets(&message.ApplyRequest{Handle: got.Handle, Recipe: []byte(empty)})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range statedict.Presets() {
		doc, err := p.Recipe.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		st, _, err := s.Apply(&message.ApplyRequest{Handle: got.Handle, Recipe: doc})
		did := err == nil && p.Ask == "" && len(st.Steps) > 0
		most := 0
		if did {
			for _, step := range st.Steps {
				most = max(most, step.Renamed+step.Touched)
			}
		}
		if e := out.Effects[i]; (e.Keys+e.Objects > 0) != (most > 0) {
			t.Errorf("%s: counted %+v, the steps touch %d at most, %v", p.Name, e, most, err)
		}
	}
}

func TestPythonOfSession(t *testing.T) {
	s := NewSession()
	got, _ := openFixture(t, s, "dataparallel_sgd.pth")
	out, err := s.Python(&message.PythonRequest{Handle: got.Handle, Recipe: []byte(`{"recipe":1,"steps":[{"strip_prefix":"module."}]}`), In: "a.pth", Out: "b.pth"})
	if err != nil || !strings.Contains(out.Text, "checkpoint['state_dict']") || !strings.Contains(out.Text, "'a.pth'") {
		t.Errorf("%v\n%+v", err, out)
	}
}
