package statedict

import (
	"slices"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// Recipe is an edit as data: a list of steps with a YAML and JSON form (see ParseRecipe and Recipe.YAML).
type Recipe struct {
	// At is the path of the mapping that the steps work on; "" with HasAt is the root. Without HasAt it is found: the
	// root if it holds tensors, else the first of the usual names in it (dictNames) that does, else the mapping with the most.
	// A few single numbers and bytes beside a state dict (a best accuracy, the state of a generator) do not make the root one.
	At     string
	HasAt  bool
	Steps  []Op
	Output Output
}

// Output is the recipe's choice of format and shards.
type Output struct {
	Format       string // "torch", "torch-legacy", "safetensors", "npz", "gguf"; "" leaves it open
	MaxShardSize int64  // bytes; 0 for one file
}

// Op is one step of a recipe: *Keep, *Drop, *Rename, *StripPrefix, *AddPrefix, *Extract, *KeepKnown, *Merge, *Cast,
// *SetDevice, *SetRequiresGrad, *Unshare, *Compact, *Tie, *DropObjects or *SetMetadata.
//
// A step that touches nothing is an error, unless its Optional is set; then it leaves everything as it is.
type Op interface {
	// Name is the operation as a recipe spells it: "strip_prefix".
	Name() string
	// apply runs the step. touched counts what the step applied to, changed or not; 0 makes the step an error.
	apply(e *edit, r *OpReport) (touched int, err error)
	optional() bool
}

// dictNames are the top-level keys under which training code keeps a state dict, in the order in which Apply tries them.
var dictNames = []string{"state_dict", "model_state_dict", "model", "module", "net", "params_ema", "params", "ema", "weights"}

// Apply runs the recipe on base, which stays as it is, and answers the edited checkpoint with a report of every step.
// others are the files that keep_known and merge name, by that name.
//
// No tensor bytes are read and none are copied: the result shares base's storages and strings. A *KeyError names the step
// that could not do what it says: it touched nothing, two keys would get one name, a file or path is not there.
func (r *Recipe) Apply(base *Checkpoint, others map[string]*Checkpoint) (*Checkpoint, *Report, error) {
	e, err := newEdit(base, others, r)
	if err != nil {
		return nil, nil, err
	}
	for i, op := range r.Steps {
		e.step, e.op = i+1, op.Name()
		rep := OpReport{Op: e.op, KeysBefore: len(e.rows), Renamed: [][2]string{}}
		touched, err := op.apply(e, &rep)
		if err != nil {
			return nil, nil, err
		}
		if touched == 0 && !op.optional() {
			return nil, nil, e.nothing(op)
		}
		rep.KeysAfter = len(e.rows)
		e.report.Ops = append(e.report.Ops, rep)
	}
	cp, err := e.finish()
	if err != nil {
		return nil, nil, err
	}
	return cp, e.report, nil
}

// findDict resolves the mapping that a recipe or a comparison works on: at when it is given, else by the rule of Recipe.At.
// node is what stands there; d is node itself, or the state dict of a pickled module.
func findDict(cp *Checkpoint, at string, given bool) (path string, node pickle.Value, d *pickle.Dict, err error) {
	if given {
		v, ok := lookupPath(cp.root, at)
		if !ok {
			return "", nil, nil, &KeyError{Op: "at", Keys: []string{at}, Msg: "the file has no such path:", Hint: dictHint(at, cp)}
		}
		if d = mappingOf(v); d == nil {
			return "", nil, nil, &KeyError{Op: "at", Keys: []string{at}, Msg: "this is no mapping:", Hint: dictHint(at, cp)}
		}
		return at, v, d, nil
	}
	if d := mappingOf(cp.root); d != nil {
		own, weights := countTensors(d)
		if weights == 0 {
			for _, name := range dictNames {
				v := lookup(d, name)
				if d := mappingOf(v); d != nil {
					if n, _ := countTensors(d); n > own {
						return name, v, d, nil
					}
				}
			}
		}
		if own > 0 {
			return "", cp.root, d, nil
		}
	}
	most := 0
	for _, c := range dictCandidates(cp) {
		if c.tensors > most {
			path, node, most = c.path, c.node, c.tensors
		}
	}
	if node == nil {
		return "", nil, nil, &KeyError{Op: "at", Msg: "the file holds no mapping with tensors in it"}
	}
	return path, node, mappingOf(node), nil
}

// countTensors is how many values of d are tensors, and how many of those are more than a single number or a run of bytes,
// which is what training code keeps beside a state dict.
func countTensors(d *pickle.Dict) (all, weights int) {
	for i := range d.Items {
		if !isTensor(d.Items[i].Value) {
			continue
		}
		all++
		t := tensorOf(d.Items[i].Value)
		single := !slices.ContainsFunc(t.Shape, func(n int64) bool { return n != 1 })
		if bytes := t.DType == dtype.UInt8 && len(t.Shape) == 1; !single && !bytes {
			weights++
		}
	}
	return all, weights
}

// mappingOf is a value as a mapping of keys: a dict, or the state dict of a pickled module; nil for anything else.
func mappingOf(v pickle.Value) *pickle.Dict {
	switch v := v.(type) {
	case *pickle.Dict:
		return v
	case *pickle.Object:
		if d, ok := moduleStateDict(v); ok {
			return d
		}
	}
	return nil
}

// dictCandidate is a mapping that holds tensors, or a module that has some.
type dictCandidate struct {
	path    string
	node    pickle.Value
	tensors int
}

// dictCandidates lists the mappings of the file in its order; modules count as one mapping and are not looked into.
func dictCandidates(cp *Checkpoint) []dictCandidate {
	var found []dictCandidate
	index := map[string]int{}
	enter := func(at place, n pickle.Value) bool {
		switch n := n.(type) {
		case *pickle.Dict:
			path := at.path()
			if _, ok := index[path]; !ok {
				index[path] = len(found)
				found = append(found, dictCandidate{path: path, node: n})
			}
		case *pickle.Object:
			if d, ok := moduleStateDict(n); ok {
				found = append(found, dictCandidate{at.path(), n, len(d.Items)})
				return false
			}
		}
		return true
	}
	cp.walk(visitor{enter: enter, tensor: func(at place, n pickle.Value) {
		if i, ok := index[at.dict]; ok {
			found[i].tensors++
		}
	}})
	return slices.DeleteFunc(found, func(c dictCandidate) bool { return c.tensors == 0 })
}

// dictHint says what at may have meant: the nearest mapping, or the first few there are.
func dictHint(at string, cp *Checkpoint) string {
	var paths []string
	for _, c := range dictCandidates(cp) {
		paths = append(paths, c.path)
	}
	if near := nearestHint(at, paths); near != "" || len(paths) == 0 {
		return near
	}
	if len(paths) == 1 && paths[0] == "" {
		return "the file has one mapping, its root: leave at out"
	}
	more := ""
	if len(paths) > 5 {
		paths, more = paths[:5], ", …"
	}
	return "mappings with tensors in them:" + quotedList(paths) + more
}

func isTensor(v pickle.Value) bool {
	switch v.(type) {
	case *pickle.Tensor, *pickle.Parameter:
		return true
	}
	return false
}

// dotted is prefix with its final dot: `net` and `net.` mean the same.
func dotted(prefix string) string {
	if prefix == "" || strings.HasSuffix(prefix, ".") {
		return prefix
	}
	return prefix + "."
}
