package statedict

import (
	"fmt"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// KeyList is one side of a comparison: the keys of a state dict, or what is known of them.
type KeyList struct {
	Keys []KeyInfo
	// Modules are the module paths of the model in its order, parameterless ones included, where `_metadata` gives them.
	Modules []string
	Model   string // class name, where a pasted error gives it
	// Partial: a pasted error lists the keys that differ, not those that agree; see ParseLoadError.
	Partial bool
	// versions are the module versions of `_metadata`. A batch norm of a version below 2, or of none, fills in a
	// num_batches_tracked that the checkpoint lacks.
	versions map[string]int64
	// strange are the keys that a pasted error calls unexpected. Of a Partial list nothing else is known to be.
	strange map[string]bool
}

// KeyInfo is a key and what is known of its value.
type KeyInfo struct {
	Key   string
	Shape []int64 // nil where it is not known or there is none; []int64{} for 0-dimensional
	DType DType   // Invalid where it is not known
	Type  string  // Python's type of a value that is no tensor: "int"; "" for a tensor
}

// Incompatible is what load_state_dict(strict=True) would say. Its JSON form is that of `weightroom check --json`.
type Incompatible struct {
	MissingKeys    []string   `json:"missing_keys"`
	UnexpectedKeys []string   `json:"unexpected_keys"`
	Mismatched     []Mismatch `json:"mismatched"`
	// DTypes are keys whose dtypes differ. Loading converts them, so they make nothing incompatible.
	DTypes []Mismatch `json:"dtypes,omitempty"`
}

// Mismatch is a key that both sides have with another shape, or with a value that is no tensor.
type Mismatch struct {
	Key       string  `json:"key"`
	WantShape []int64 `json:"want_shape"`
	GotShape  []int64 `json:"got_shape"`
	WantDType string  `json:"want_dtype"` // "" where it is not known
	GotDType  string  `json:"got_dtype"`
	GotType   string  `json:"got_type,omitempty"` // Python's type where the checkpoint has no tensor there
}

// Compatible tells whether load_state_dict(strict=True) would succeed.
func (inc *Incompatible) Compatible() bool {
	return len(inc.MissingKeys) == 0 && len(inc.UnexpectedKeys) == 0 && len(inc.Mismatched) == 0
}

// KeyList lists the keys of the mapping at path at, or, when given is false, of the mapping that recipes would work on. The
// error is a *KeyError.
func (cp *Checkpoint) KeyList(at string, given bool) (*KeyList, error) {
	_, _, d, err := findDict(cp, at, given)
	if err != nil {
		return nil, err
	}
	list := &KeyList{Keys: make([]KeyInfo, 0, len(d.Items))}
	for _, it := range d.Items {
		key, ok := it.Key.(string)
		if !ok || key == "_metadata" && isVersions(it.Value) {
			continue
		}
		k := KeyInfo{Key: key}
		if t := tensorOf(it.Value); t != nil {
			k.DType, k.Shape = t.DType, t.Shape
			if k.Shape == nil {
				k.Shape = []int64{}
			}
		} else {
			k.Type = pickle.TypeName(it.Value)
		}
		list.Keys = append(list.Keys, k)
	}
	if meta := metadataOf(d); meta != nil {
		list.versions = make(map[string]int64, len(meta.Items))
		for _, it := range meta.Items {
			path, ok := it.Key.(string)
			if !ok {
				continue
			}
			list.Modules = append(list.Modules, path)
			if fields, ok := it.Value.(*pickle.Dict); ok {
				if n, ok := lookup(fields, "version").(int64); ok {
					list.versions[path] = n
				}
			}
		}
	}
	return list, nil
}

// Compare says what load_state_dict(strict=True) would say when a model whose state dict is want loads got. Both
// mappings are found by the rule of recipes.
func Compare(want, got *Checkpoint) (*Incompatible, error) {
	w, err := want.KeyList("", false)
	if err != nil {
		return nil, err
	}
	g, err := got.KeyList("", false)
	if err != nil {
		return nil, err
	}
	return CompareKeys(w, g), nil
}

// CompareKeys compares two lists, in torch's order: modules from the top, each with its own keys before its children;
// unexpected keys with the module where they lead nowhere. A shape that is not known agrees with everything.
//
// A key that goes on below a parameter, or ends at a module, is unexpected, as since torch 2.4 (older ones stay silent).
//
// Source: torch/nn/modules/module.py, load_state_dict and _load_from_state_dict.
func CompareKeys(want, got *KeyList) *Incompatible {
	inc := &Incompatible{MissingKeys: []string{}, UnexpectedKeys: []string{}, Mismatched: []Mismatch{}}
	have := make(map[string]*KeyInfo, len(got.Keys))
	for i := range got.Keys {
		have[got.Keys[i].Key] = &got.Keys[i]
	}
	tree := newModuleTree(want)
	for i := range got.Keys {
		if !want.Partial || want.strange[got.Keys[i].Key] {
			tree.unexpected(got.Keys[i].Key)
		}
	}
	tree.each(func(m *treeModule) {
		for _, k := range m.keys {
			if g, ok := have[k.Key]; ok {
				inc.compare(k, g)
			} else if !got.fillsIn(k.Key) {
				inc.MissingKeys = append(inc.MissingKeys, k.Key)
			}
		}
		inc.UnexpectedKeys = append(inc.UnexpectedKeys, m.extra...)
		inc.UnexpectedKeys = append(inc.UnexpectedKeys, m.strange...)
	})
	return inc
}

const tracked = "num_batches_tracked"

// fillsIn tells a key that load_state_dict makes up when a checkpoint of before torch 0.4.1, or without `_metadata`, lacks it.
//
// Source: torch/nn/modules/batchnorm.py, _NormBase._load_from_state_dict.
func (l *KeyList) fillsIn(key string) bool {
	return lastPart(key) == tracked && l.versions[parentPath(key)] < 2
}

func (inc *Incompatible) compare(want, got *KeyInfo) {
	if want.Type != "" || strings.HasSuffix(want.Key, extraState) {
		return // extra state is for the module itself to understand
	}
	m := Mismatch{Key: want.Key, WantShape: want.Shape, GotShape: got.Shape, WantDType: dtypeName(want.DType), GotDType: dtypeName(got.DType), GotType: got.Type}
	switch {
	case got.Type != "":
		inc.Mismatched = append(inc.Mismatched, m)
	case want.Shape != nil && got.Shape != nil && !fits(want.Shape, got.Shape):
		inc.Mismatched = append(inc.Mismatched, m)
	case want.DType != 0 && got.DType != 0 && want.DType != got.DType:
		inc.DTypes = append(inc.DTypes, m)
	}
}

// dtypeName is "" for a dtype that is not known.
func dtypeName(d DType) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// fits compares shapes as load_state_dict does: a 1-dimensional tensor loads into a 0-dimensional one, as torch 0.3 saved
// those.
func fits(want, got []int64) bool {
	if len(want) == 0 && len(got) == 1 {
		return true
	}
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] {
			return false
		}
	}
	return true
}

// Error is the text of the RuntimeError that torch would raise for a model of that class; "" when nothing is wrong.
func (inc *Incompatible) Error(model string) string {
	if inc.Compatible() {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Error(s) in loading state_dict for %s:", model)
	list := func(what string, keys []string) {
		if len(keys) > 0 {
			fmt.Fprintf(&b, "\n\t%s key(s) in state_dict: \"%s\". ", what, strings.Join(keys, `", "`))
		}
	}
	list("Missing", inc.MissingKeys)
	list("Unexpected", inc.UnexpectedKeys)
	for _, m := range inc.Mismatched {
		if m.GotType != "" {
			fmt.Fprintf(&b, "\n\tWhile copying the parameter named \"%s\", expected torch.Tensor or Tensor-like object from checkpoint but received <class '%s'>", m.Key, m.GotType)
			continue
		}
		fmt.Fprintf(&b, "\n\tsize mismatch for %s: copying a param with shape %s from checkpoint, the shape in current model is %s.",
			m.Key, torchSize(m.GotShape), torchSize(m.WantShape))
	}
	return b.String()
}

func torchSize(shape []int64) string {
	return "torch.Size([" + strings.Trim(strings.ReplaceAll(fmt.Sprint(shape), " ", ", "), "[]") + "])"
}

const extraState = "_extra_state"

// moduleTree is the model that a list of keys describes.
type moduleTree struct{ root *treeModule }

type treeModule struct {
	prefix   string // with its final dot
	keys     []*KeyInfo
	own      map[string]bool
	children map[string]*treeModule
	order    []*treeModule
	extra    []string // an extra state that the model does not know
	strange  []string // unexpected keys, in the checkpoint's order
}

func newTreeModule(prefix string) *treeModule {
	return &treeModule{prefix: prefix, own: map[string]bool{}, children: map[string]*treeModule{}}
}

func newModuleTree(want *KeyList) *moduleTree {
	t := &moduleTree{newTreeModule("")}
	for _, path := range want.Modules {
		t.module(path)
	}
	last, at := "", t.root
	for i := range want.Keys {
		k := &want.Keys[i]
		if m := parentPath(k.Key); m != last {
			last, at = m, t.module(m)
		}
		at.keys = append(at.keys, k)
		at.own[lastPart(k.Key)] = true
	}
	return t
}

// module finds a module by path and makes it, below its parents, where it is new.
func (t *moduleTree) module(path string) *treeModule {
	at := t.root
	for from := 0; path != "" && from <= len(path); {
		end := strings.IndexByte(path[from:], '.')
		if end < 0 {
			end = len(path)
		} else {
			end += from
		}
		next := at.children[path[from:end]]
		if next == nil {
			next = newTreeModule(dottedPath(path[:end]))
			at.children[path[from:end]] = next
			at.order = append(at.order, next)
		}
		at, from = next, end+1
	}
	return at
}

func dottedPath(path string) string { return path + "." }

// unexpected files a key of the checkpoint that leads nowhere under the module where it does so.
func (t *moduleTree) unexpected(key string) {
	at := t.root
	for {
		rest := key[len(at.prefix):]
		name, _, deeper := strings.Cut(rest, ".")
		if !deeper {
			switch {
			case at.own[name]:
			case name == extraState:
				at.extra = append(at.extra, key)
			default:
				at.strange = append(at.strange, key)
			}
			return
		}
		next := at.children[name]
		if next == nil {
			at.strange = append(at.strange, key)
			return
		}
		at = next
	}
}

// each visits the modules, parents first.
func (t *moduleTree) each(f func(*treeModule)) {
	todo := []*treeModule{t.root}
	for len(todo) > 0 {
		m := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		f(m)
		for i := len(m.order) - 1; i >= 0; i-- {
			todo = append(todo, m.order[i])
		}
	}
}
