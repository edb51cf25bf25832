package statedict

import (
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

// moduleStateDict is what state_dict() would give for a pickled module: own parameters, own persistent buffers, then the
// children, in order, tensors detached, with a _metadata of module versions. Extra state is not a tensor of a pickled
// module and does not appear. A module met twice (tied layers) gives its keys twice, as torch does.
//
// Source: torch/nn/modules/module.py, state_dict, _save_to_state_dict.
func moduleStateDict(root pickle.Value) (*pickle.Dict, bool) {
	if _, ok := moduleState(root); !ok {
		return nil, false
	}
	ordered := &pickle.Global{Module: "collections", Name: "OrderedDict"}
	sd := &pickle.Dict{Class: ordered}
	meta := &pickle.Dict{Class: ordered}
	type step struct {
		node   pickle.Value
		prefix string
		depth  int
	}
	stack := []step{{node: root}}
	// Only a chain of modules that contains itself is deeper than this.
	const deepest = 200
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		attrs, ok := moduleState(at.node)
		if !ok || at.depth > deepest {
			continue
		}
		meta.Items = append(meta.Items, pickle.Item{
			Key:   strings.TrimSuffix(at.prefix, "."),
			Value: &pickle.Dict{Items: []pickle.Item{{Key: "version", Value: moduleVersion(at.node)}}},
		})
		volatile := nonPersistent(attrs)
		for _, group := range []string{"_parameters", "_buffers"} {
			d, _ := lookup(attrs, group).(*pickle.Dict)
			if d == nil {
				continue
			}
			for _, it := range d.Items {
				name, isName := it.Key.(string)
				t := detached(it.Value)
				if !isName || t == nil || group == "_buffers" && volatile[name] {
					continue
				}
				sd.Items = append(sd.Items, pickle.Item{Key: at.prefix + name, Value: t})
			}
		}
		children, _ := lookup(attrs, "_modules").(*pickle.Dict)
		for i := len(children.Items) - 1; i >= 0; i-- {
			if name, ok := children.Items[i].Key.(string); ok {
				stack = append(stack, step{children.Items[i].Value, at.prefix + name + ".", at.depth + 1})
			}
		}
	}
	sd.Attrs = &pickle.Dict{Items: []pickle.Item{{Key: "_metadata", Value: meta}}}
	return sd, true
}

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

// moduleVersion is the class attribute _version, which a pickle does not hold: 2 for the batch norms, whose upgrade
// would otherwise add num_batches_tracked, else 1.
//
// Source: torch/nn/modules/batchnorm.py, _NormBase._version.
func moduleVersion(n pickle.Value) int64 {
	if g, ok := n.(*pickle.Object).Class.(*pickle.Global); ok {
		if strings.HasPrefix(g.Module, "torch.nn.") && strings.Contains(g.Name, "BatchNorm") ||
			g.Name == "InstanceNorm1d" || g.Name == "InstanceNorm2d" || g.Name == "InstanceNorm3d" {
			return 2
		}
	}
	return 1
}
