package statedict

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// moduleState answers the attributes of a pickled torch.nn.Module: an object whose state has _parameters, _buffers and
// _modules. The class may be anybody's; it is never looked at.
//
// Source: torch/nn/modules/module.py, Module.__init__ and __setstate__.
func moduleState(n pickle.Value) (attrs *pickle.Dict, ok bool) {
	o, _ := n.(*pickle.Object)
	if o == nil || !o.HasState {
		return nil, false
	}
	attrs, _ = o.State.(*pickle.Dict)
	if attrs == nil {
		return nil, false
	}
	_, hasParams := lookup(attrs, "_parameters").(*pickle.Dict)
	_, hasModules := lookup(attrs, "_modules").(*pickle.Dict)
	return attrs, hasParams && hasModules
}

// lookup answers the value of a string key, nil if there is none.
func lookup(d *pickle.Dict, key string) pickle.Value {
	for i := range d.Items {
		if k, ok := d.Items[i].Key.(string); ok && k == key {
			return d.Items[i].Value
		}
	}
	return nil
}

// moduleParts are what state_dict() collects of one module. Values that are no tensors are None or of no interest.
type moduleParts struct {
	parameters, buffers, children []pickle.Item
	volatile                      map[string]bool // buffers that are not saved
}

// partsOf takes a module apart: one that was pickled, or one of TorchScript.
func partsOf(n pickle.Value) (p moduleParts, ok bool) {
	if attrs, ok := moduleState(n); ok {
		group := func(name string) []pickle.Item {
			if d, ok := lookup(attrs, name).(*pickle.Dict); ok {
				return d.Items
			}
			return nil
		}
		return moduleParts{group("_parameters"), group("_buffers"), group("_modules"), nonPersistent(attrs)}, true
	}
	attrs, ok := scriptState(n)
	if !ok {
		return p, false
	}
	class := n.(*pickle.Object).Script
	for _, it := range attrs.Items {
		name, _ := it.Key.(string)
		switch v := it.Value.(type) {
		case *pickle.Tensor:
			switch {
			case class == nil && v.RequiresGrad, class != nil && slices.Contains(class.Parameters, name):
				p.parameters = append(p.parameters, it)
			case class == nil, !class.HasBuffers, slices.Contains(class.Buffers, name):
				p.buffers = append(p.buffers, it)
			}
		case *pickle.Object:
			p.children = append(p.children, it)
		}
	}
	return p, true
}

// scriptState answers the attributes of a TorchScript module, whose class is one that the archive's own code defines. Which
// of its tensors are parameters and buffers the class text tells (Object.Script). Without it those that require gradients are
// taken for parameters, the others for buffers.
//
// Source: torch/csrc/jit/serialization/pickler.cpp, pushIValueImpl; torch/csrc/jit/frontend/script_type_parser.cpp and import_source.cpp (__parameters__, __buffers__).
func scriptState(n pickle.Value) (attrs *pickle.Dict, ok bool) {
	o, _ := n.(*pickle.Object)
	if o == nil || o.How != pickle.NewObj {
		return nil, false
	}
	class, _ := o.Class.(*pickle.Global)
	if class == nil || class.Module != "__torch__" && !strings.HasPrefix(class.Module, "__torch__.") {
		return nil, false
	}
	attrs, ok = o.State.(*pickle.Dict)
	return attrs, ok
}

// walkModule visits the modules below root as state_dict() does: a module, its parameters, its persistent buffers, then its
// children. A module met twice (tied layers) is visited twice. It answers false where root is no module.
//
// Source: torch/nn/modules/module.py, state_dict, _save_to_state_dict.
func walkModule(root pickle.Value, module func(path string, n pickle.Value), tensor func(key string, n pickle.Value)) bool {
	if _, ok := partsOf(root); !ok {
		return false
	}
	type step struct {
		node   pickle.Value
		prefix string
		depth  int
	}
	stack := []step{{node: root}}
	// Only a chain of modules that contains itself is deeper, and only modules that contain each other many times over are more.
	const deepest, most = 200, 1 << 20
	for visited := 0; len(stack) > 0 && visited < most; visited++ {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		p, ok := partsOf(at.node)
		if !ok || at.depth > deepest {
			continue
		}
		module(strings.TrimSuffix(at.prefix, "."), at.node)
		for _, it := range p.parameters {
			if name, ok := it.Key.(string); ok && isTensor(it.Value) {
				tensor(at.prefix+name, it.Value)
			}
		}
		for _, it := range p.buffers {
			if name, ok := it.Key.(string); ok && isTensor(it.Value) && !p.volatile[name] {
				tensor(at.prefix+name, it.Value)
			}
		}
		for i := len(p.children) - 1; i >= 0; i-- {
			if name, ok := p.children[i].Key.(string); ok {
				stack = append(stack, step{p.children[i].Value, at.prefix + name + ".", at.depth + 1})
			}
		}
	}
	return true
}

// moduleStateDict is what state_dict() would give for a module: an OrderedDict of detached tensors that share storages as
// the module's do, with a _metadata of module versions. Extra state is no tensor of a pickled module and does not appear.
func moduleStateDict(root pickle.Value) (*pickle.Dict, bool) {
	ordered := &pickle.Global{Module: "collections", Name: "OrderedDict"}
	sd := &pickle.Dict{Class: ordered}
	meta := &pickle.Dict{Class: ordered}
	ok := walkModule(root, func(path string, n pickle.Value) {
		version := &pickle.Dict{Items: []pickle.Item{{Key: "version", Value: moduleVersion(n)}}}
		meta.Items = append(meta.Items, pickle.Item{Key: path, Value: version})
	}, func(key string, n pickle.Value) {
		if t := detached(n); t != nil {
			sd.Items = append(sd.Items, pickle.Item{Key: key, Value: t})
		}
	})
	if !ok {
		return nil, false
	}
	sd.Attrs = &pickle.Dict{Items: []pickle.Item{{Key: "_metadata", Value: meta}}}
	return sd, true
}

// outermostModules lists the modules that no other module holds.
func (cp *Checkpoint) outermostModules() (roots []pickle.Value) {
	cp.walk(visitor{tensor: func(place, pickle.Value) {}, enter: func(_ place, n pickle.Value) bool {
		if _, ok := n.(*pickle.Object); !ok {
			return true
		}
		if _, ok := partsOf(n); ok {
			roots = append(roots, n)
			return false
		}
		return true
	}})
	return roots
}

// nameStateKeys gives the entries below modules the keys of state_dict().
func (cp *Checkpoint) nameStateKeys() {
	keys := map[pickle.Value][]string{} // by tensor; a tied one has several
	for _, root := range cp.outermostModules() {
		walkModule(root, func(string, pickle.Value) {}, func(key string, n pickle.Value) { keys[n] = append(keys[n], key) })
	}
	if len(keys) == 0 {
		return
	}
	for i := range cp.Entries {
		e := &cp.Entries[i]
		if names := keys[e.node]; len(names) > 0 {
			e.StateKey = names[0]
			if len(names) > 1 {
				keys[e.node] = names[1:]
			}
		}
	}
}

// asStateDicts puts the state dicts of modules in their place, for formats that hold tensors only and for TorchScript, whose
// classes torch.load does not know. The constants of a script are no part of its state dict; where that is empty (a frozen
// module) they are all there is, and stay.
func (cp *Checkpoint) asStateDicts() (out *Checkpoint, warnings []string, err error) {
	with := map[pickle.Value]pickle.Value{}
	for _, root := range cp.outermostModules() {
		if sd, ok := moduleStateDict(root); ok {
			with[root] = sd
		}
	}
	if len(with) == 0 && cp.constants == nil {
		return cp, nil, nil
	}
	if out, err = cp.rebuild(pickle.ReplaceNodes(cp.root, with), cp.Storages); err != nil {
		return nil, nil, err
	}
	if left := cp.outsideStateDicts(with); left != "" {
		warnings = append(warnings, left)
	}
	constants := 0
	for i := range out.Entries {
		if out.Entries[i].constant() {
			constants++
		}
	}
	if out.constants != nil && constants < len(out.Entries) {
		out.constants = nil
		out.index()
		if constants > 0 {
			warnings = append(warnings, fmt.Sprintf("%d constants of the script are no part of its state dict and are left out", constants))
		}
	}
	return out, warnings, nil
}

// outsideStateDicts warns of the tensors below modules that have no key of state_dict(): buffers that are not persistent, plain
// attributes, and the packed weights of quantised layers, which only their class knows how to save.
func (cp *Checkpoint) outsideStateDicts(modules map[pickle.Value]pickle.Value) (warning string) {
	var left []string
	var inside []bool // by container on the way down: whether a module holds it
	below := func() bool { return len(inside) > 0 && inside[len(inside)-1] }
	i := 0
	cp.walk(visitor{
		tensor: func(place, pickle.Value) {
			if e := &cp.Entries[i]; below() && e.StateKey == "" {
				left = append(left, e.Path())
			}
			i++
		},
		enter: func(_ place, n pickle.Value) bool {
			inside = append(inside, below() || modules[n] != nil)
			return true
		},
		leave: func() { inside = inside[:len(inside)-1] },
	})
	if len(left) == 0 {
		return ""
	}
	return fmt.Sprintf("%d tensors of modules are in no parameter or buffer that state_dict() saves, and are left out:%s",
		len(left), quotedList(left[:min(len(left), manyObjects)]))
}

// constant tells a tensor of TorchScript's constants.pkl.
func (e *Entry) constant() bool { return e.Dict == "" && strings.HasPrefix(e.Key, "constants.pkl[") }

// detached is the plain tensor that state_dict() gives for a parameter or buffer; nil for None.
func detached(n pickle.Value) *pickle.Tensor {
	t, _ := n.(*pickle.Tensor)
	if p, ok := n.(*pickle.Parameter); ok {
		t = p.Data
	}
	if t == nil {
		return nil
	}
	d := *t
	d.RequiresGrad = false
	return &d
}

// nonPersistent is the set of buffer names that state_dict() leaves out.
func nonPersistent(attrs *pickle.Dict) map[string]bool {
	names := map[string]bool{}
	if s, ok := lookup(attrs, "_non_persistent_buffers_set").(*pickle.Set); ok {
		for _, n := range s.Items {
			if n, ok := n.(string); ok {
				names[n] = true
			}
		}
	}
	return names
}

// moduleVersion is the class attribute _version, which a pickle does not hold; 1 for nearly all. Loaders bring the contents of
// modules with a lower one up to date: without the 2 of the batch norms they would add num_batches_tracked.
//
// Source: the classes of torch 1.13 below torch.nn.modules and torch.ao whose _version is not 1; the older torch.nn.quantized and
// torch.quantization have them under the same names.
func moduleVersion(n pickle.Value) int64 {
	g, ok := n.(*pickle.Object).Class.(*pickle.Global)
	if !ok || !strings.HasPrefix(g.Module, "torch.") {
		return 1
	}
	quantized := strings.Contains(g.Module, "quantized")
	switch {
	case strings.Contains(g.Module, "quantization") && strings.HasSuffix(g.Name, "Observer"):
		if strings.Contains(g.Name, "MinMax") || g.Name == "HistogramObserver" {
			return 3
		}
	case quantized && (g.Name == "Linear" || g.Name == "LinearReLU"):
		if strings.Contains(g.Module, ".dynamic") {
			return 4
		}
		return 3
	case g.Name == "LinearPackedParams":
		return 3
	case quantized && (g.Name == "LSTM" || g.Name == "GRU"):
		return 2
	case strings.Contains(g.Name, "BatchNorm"), strings.Contains(g.Name, "InstanceNorm"), strings.Contains(g.Name, "ConvBn"),
		strings.HasPrefix(g.Name, "BNReLU"):
		return 2
	}
	return 1
}
