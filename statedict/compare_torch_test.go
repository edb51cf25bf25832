package statedict

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// hopeless are the pairs of load_state_dict.py that no rename can make fit.
var hopeless = []string{"classes", "wider", "deep_wider", "deep_buffers_missing", "deep_buffer_shape", "deep_reversed_wider", "value_is_none", "missing_one",
	"missing_module", "empty", "no_bn_count"}

// errorCuts are ways in which an error reaches a user: whole in a traceback, through a log that prefixes lines, wrapped by a
// terminal, cut off in the first list, in a key, in the second list, before its shapes.
var errorCuts = []struct {
	name string
	of   func(text string) string
}{
	{"whole", func(s string) string {
		return "Traceback (most recent call last):\n  File \"train.py\", line 7, in <module>\n    model.load_state_dict(sd)\nRuntimeError: " + s + "\n"
	}},
	{"logged", func(s string) string {
		return "2024-01-02 10:00:00 ERROR | " + strings.ReplaceAll(s, "\n", "\n2024-01-02 10:00:00 ERROR | ")
	}},
	{"wrapped by a terminal", func(s string) string { return strings.ReplaceAll(s, `", "`, "\",\n\"") }},
	{"cut in the first list", func(s string) string { return cutAfterKeys(s, "Missing key(s)", 7) }},
	{"cut in a key", func(s string) string {
		if s = cutAfterKeys(s, "Missing key(s)", 5); s == "" {
			return ""
		}
		return strings.TrimSuffix(s, "…") + `"lay`
	}},
	{"cut in the second list", func(s string) string { return cutAfterKeys(s, "Unexpected key(s)", 6) }},
}

// cutAfterKeys cuts an error off after n keys of the list that what begins, with an ellipsis; "" where the list is shorter.
func cutAfterKeys(text, what string, n int) string {
	_, list, ok := strings.Cut(text, what)
	if !ok {
		return ""
	}
	list, _, _ = strings.Cut(list, "\n")
	keys := strings.SplitAfterN(list, `", `, n+1)
	if len(keys) <= n {
		return ""
	}
	end := strings.Index(text, what) + len(what)
	for _, k := range keys[:n] {
		end += len(k)
	}
	return text[:end] + "…"
}

// TestLoadStateDict compares check with what real load_state_dict(strict=True) says of the same pairs, word for word; asks for
// recipes, of the model and of the error texts, whole and cut off; and has real torch load strictly what the recipes made, and
// look for the right values in the model.
func TestLoadStateDict(t *testing.T) {
	python := torchPython(t)
	script, err := filepath.Abs("../testdata/recipes/load_state_dict.py")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if out, err := exec.Command(python, script, "build", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	said := readJSON[map[string][2]string](t, filepath.Join(dir, "errors.json"))
	agreed, differ, pasted, fitted := 0, 0, 0, 0
	var fixed [][3]string // case, file, path of the mapping
	how := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		text, class := said[name][0], said[name][1]
		ckpt := openPath(t, filepath.Join(dir, name+".ckpt.pth"))
		want, err := openPath(t, filepath.Join(dir, name+".model.pth")).KeyList("", true)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ckpt.KeyList("", true)
		if err != nil {
			t.Fatal(err)
		}
		if ours := CompareKeys(want, got).Error(class); ours != text {
			t.Errorf("%s: check says\n%s\ntorch says\n%s", name, ours, text)
			continue
		}
		agreed++
		if text == "" {
			continue
		}
		differ++
		s, err := Suggest(want, ckpt)
		if slices.Contains(hopeless, name) {
			if err == nil && s != nil && s.Compatible {
				t.Errorf("%s: claims that %s makes it fit", name, s.Recipe.YAML())
			}
			continue
		}
		fix := func(what string, s *Suggestion, err error) bool {
			if err != nil || s == nil {
				t.Errorf("%s, %s: no recipe (%v)", name, what, err)
				return false
			}
			cp, report, err := s.Recipe.Apply(ckpt, nil)
			if err != nil {
				t.Errorf("%s, %s: %v\n%s", name, what, err, s.Recipe.YAML())
				return false
			}
			file := strings.ReplaceAll(name+" "+what, " ", "_") + ".pth"
			if err := writeTorch(t, cp, filepath.Join(dir, file)); err != nil {
				t.Errorf("%s, %s: %v", name, what, err)
				return false
			}
			fixed = append(fixed, [3]string{name, file, report.At})
			how[file] = string(s.Recipe.YAML())
			return true
		}
		if fix("the model", s, err) {
			fitted++
		}
		for _, cut := range errorCuts {
			paste := cut.of(text)
			if paste == "" {
				continue
			}
			e, err := ParseLoadError(paste)
			if err != nil {
				t.Errorf("%s, %s: %v\n%s", name, cut.name, err, paste)
				continue
			}
			s, err := SuggestForError(e, ckpt)
			if fix(cut.name, s, err) {
				pasted++
			}
		}
	}
	doc, err := json.Marshal(fixed)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "fixed.json"), doc, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, script, "load", dir).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var failures map[string]string
	if err := json.Unmarshal(out, &failures); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for file, why := range failures {
		t.Errorf("%s: torch: %s\nafter\n%s", file, why, how[file])
	}
	if agreed < 20 || pasted < 12 {
		t.Errorf("%d pairs, %d pasted errors are too few", agreed, pasted)
	}
	t.Logf("%d pairs agree word for word, %d of them errors; torch loads strictly after %d recipes of the model, and of %d pasted errors", agreed, differ, fitted, pasted)
}
