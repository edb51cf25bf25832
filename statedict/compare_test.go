package statedict

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// loadErrorCase is a pair of models and what real torch said of them; loaderrors.py made them.
type loadErrorCase struct {
	Name, Model string
	Want, Got   keyRows
	Modules     []string
	Versions    map[string]int64 // of the checkpoint
	Error       string
}

// keyRows are [key, shape or null, type or null].
type keyRows []KeyInfo

func (r *keyRows) UnmarshalJSON(b []byte) error {
	var rows [][3]json.RawMessage
	if err := json.Unmarshal(b, &rows); err != nil {
		return err
	}
	for _, row := range rows {
		var k KeyInfo
		for i, to := range []any{&k.Key, &k.Shape, &k.Type} {
			if err := json.Unmarshal(row[i], to); err != nil {
				return err
			}
		}
		*r = append(*r, k)
	}
	return nil
}

func loadErrorCases(t *testing.T) []loadErrorCase {
	t.Helper()
	doc, err := os.ReadFile("../testdata/recipes/loaderrors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []loadErrorCase }
	if err := json.Unmarshal(doc, &file); err != nil {
		t.Fatal(err)
	}
	return file.Cases
}

func TestCompareSaysWhatTorchSays(t *testing.T) {
	cases := loadErrorCases(t)
	for _, c := range cases {
		inc := CompareKeys(&KeyList{Keys: c.Want, Modules: c.Modules}, &KeyList{Keys: c.Got, versions: c.Versions})
		if got := inc.Error(c.Model); got != c.Error {
			t.Errorf("%s: says\n%s\ntorch says\n%s", c.Name, got, c.Error)
		}
		if inc.Compatible() != (c.Error == "") {
			t.Errorf("%s: compatible is %v", c.Name, inc.Compatible())
		}
	}
	t.Logf("%d pairs", len(cases))
}

func TestCompareBeyondModules(t *testing.T) {
	list := func(keys ...string) *KeyList {
		l := &KeyList{}
		for _, k := range keys {
			l.Keys = append(l.Keys, KeyInfo{Key: k, Shape: []int64{1}, DType: 1})
		}
		return l
	}
	// As since torch 2.4; 1.13 is silent about both.
	inc := CompareKeys(list("a.w", "b"), list("a.w", "b", "a", "b.c"))
	if want := []string{"a", "b.c"}; !slices.Equal(inc.UnexpectedKeys, want) {
		t.Errorf("unexpected %q, want %q", inc.UnexpectedKeys, want)
	}
	other := list("a.w", "b")
	other.Keys[0].DType = 2
	inc = CompareKeys(list("a.w", "b"), other)
	if !inc.Compatible() || len(inc.DTypes) != 1 || inc.DTypes[0].WantDType != "float64" || inc.DTypes[0].GotDType != "float32" {
		t.Errorf("another dtype gives %+v", inc)
	}
	other.Keys[1].Shape = nil
	if inc = CompareKeys(list("a.w", "b"), other); !inc.Compatible() {
		t.Errorf("an unknown shape gives %+v", inc)
	}
}

func TestParseLoadError(t *testing.T) {
	for _, c := range loadErrorCases(t) {
		if c.Error == "" || strings.Contains(c.Name, "quotes") {
			continue
		}
		for _, text := range []string{c.Error, "Traceback (most recent call last):\n  File \"x.py\", line 3, in <module>\nRuntimeError: " + c.Error + "\n"} {
			e, err := ParseLoadError(text)
			if strings.Contains(c.Name, "a number in it") && err == nil {
				e.Mismatched = nil
			}
			if err != nil {
				t.Errorf("%s: %v", c.Name, err)
				continue
			}
			inc := CompareKeys(&KeyList{Keys: c.Want, Modules: c.Modules}, &KeyList{Keys: c.Got, versions: c.Versions})
			if e.Model != c.Model || e.MissingCut || e.UnexpectedCut || !slices.Equal(e.Missing, inc.MissingKeys) || !slices.Equal(e.Unexpected, inc.UnexpectedKeys) {
				t.Errorf("%s: read as %+v", c.Name, e)
			}
			for i, m := range e.Mismatched {
				if m.Key != inc.Mismatched[i].Key || !slices.Equal(m.WantShape, inc.Mismatched[i].WantShape) || !slices.Equal(m.GotShape, inc.Mismatched[i].GotShape) {
					t.Errorf("%s: mismatch read as %+v, is %+v", c.Name, m, inc.Mismatched[i])
				}
			}
		}
	}
	for _, c := range []struct {
		text string
		want PastedError
	}{
		{`	Missing key(s) in state_dict: "a", "b", "c.d…`, PastedError{Missing: []string{"a", "b"}, MissingCut: true}},
		{`Missing key(s) in state_dict: "a", "b", ...`, PastedError{Missing: []string{"a", "b"}, MissingCut: true}},
		{`Missing key(s) in state_dict: "a", "b`, PastedError{Missing: []string{"a"}, MissingCut: true}},
		{"Missing key(s) in state_dict: \"a\", \"layer1.con\nv.weight\". \n\tUnexpected key(s) in state_dict: \"x\". ",
			PastedError{Missing: []string{"a", "layer1.conv.weight"}, Unexpected: []string{"x"}}},
		{`KeyError: 'unexpected key "module.a" in state_dict'`, PastedError{Unexpected: []string{"module.a"}}},
		{`_IncompatibleKeys(missing_keys=['a'], unexpected_keys=['module.a'])`, PastedError{Missing: []string{"a"}, Unexpected: []string{"module.a"}}},
		{"size mismatch for fc.weight: copying a param with shape torch.Size([10, 4]) from checkpoint, the shape in current model is torch.Size([2, 4]).",
			PastedError{Mismatched: []Mismatch{{Key: "fc.weight", WantShape: []int64{2, 4}, GotShape: []int64{10, 4}}}}},
		{"size mismatch for s: copying a param with shape torch.Size([]) from checkpoint, the shape in current model is torch.Size([1]).",
			PastedError{Mismatched: []Mismatch{{Key: "s", WantShape: []int64{1}, GotShape: []int64{}}}}},
	} {
		e, err := ParseLoadError(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		} else if diff := cmp.Diff(c.want, *e); diff != "" {
			t.Errorf("%s: %s", c.text, diff)
		}
	}
	for _, text := range []string{"", "hello", "RuntimeError: CUDA out of memory"} {
		if _, err := ParseLoadError(text); err == nil {
			t.Errorf("%q is read as an error of load_state_dict", text)
		}
	}
}

func TestParseKeyList(t *testing.T) {
	for doc, want := range map[string][]KeyInfo{
		`{"b": [10, 4], "a": null, "s": []}`: {{Key: "b", Shape: []int64{10, 4}}, {Key: "a"}, {Key: "s", Shape: []int64{}}},
		`{"__metadata__": {"format": "pt"}, "w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}`: {{Key: "w", Shape: []int64{2}, DType: mustDType("bfloat16")}},
		`{"metadata": {"total_size": 8}, "weight_map": {"b": "1.safetensors", "a": "2.safetensors"}}`:      {{Key: "b"}, {Key: "a"}},
		`["a", ["b", [1]], {"key": "c", "shape": [2, 3], "dtype": "torch.float16"}, {"name": "d"}]`: {{Key: "a"}, {Key: "b", Shape: []int64{1}},
			{Key: "c", Shape: []int64{2, 3}, DType: mustDType("float16")}, {Key: "d"}},
	} {
		list, err := ParseKeyList([]byte(doc))
		if err != nil {
			t.Errorf("%s: %v", doc, err)
		} else if diff := cmp.Diff(want, list.Keys); diff != "" {
			t.Errorf("%s: %s", doc, diff)
		}
	}
	for _, doc := range []string{"", "3", "{", `{"a": 3}`, `{"a": [-1]}`, `{"a": ["x"]}`, `{"a": {"dtype": "F3"}}`, `{"a": [1], "a": [1]}`, `[3]`, `{}`, `{"a": [1]} x`, `[["a"]]`} {
		if list, err := ParseKeyList([]byte(doc)); err == nil {
			t.Errorf("%s is read as %+v", doc, list)
		}
	}
}

func mustDType(name string) DType {
	d, ok := ParseDType(name)
	if !ok {
		panic(name)
	}
	return d
}
