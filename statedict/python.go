package statedict

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// Python is a program that does the recipe's edit with torch alone: it loads the file in, edits, saves the file out, and has a
// function that gives the result to load_state_dict. cp is the checkpoint that in holds; it tells where the mapping is and
// which keys are mappings. It may be nil. A safetensors file is loaded with the package of that name.
//
// The program keeps `_metadata` in step and keeps tied tensors tied, as Apply does. It loads to the CPU. set_metadata and
// output formats other than torch's have no counterpart in torch and become comments; so does dropping what is not a key or
// a position.
func (r *Recipe) Python(cp *Checkpoint, in, out string) string {
	w := &pythonWriter{recipe: r, cp: cp, helpers: map[string]bool{}, loaded: map[string]string{}}
	w.find()
	for i, op := range r.Steps {
		w.line("")
		w.line("# %d. %s", i+1, pythonComment(op))
		w.op(op)
	}
	w.putBack()
	if f := r.Output.Format; f != "" && f != "torch" && f != "torch-legacy" {
		w.line("# weightroom writes %s here", f)
	}
	if r.Output.Format == "torch-legacy" {
		w.line("torch.save(checkpoint, %s, _use_new_zipfile_serialization=False)", pyString(out))
	} else {
		w.line("torch.save(checkpoint, %s)", pyString(out))
	}
	w.line("")
	w.line("")
	w.line("def load_into(model):")
	w.line("    return model.load_state_dict(sd)")

	var b strings.Builder
	b.WriteString("import collections\nimport re\n\nimport torch\n")
	load := fmt.Sprintf("torch.load(%s, map_location=\"cpu\")", pyString(in))
	if cp != nil && cp.Format == Safetensors {
		w.safetensors = true
		load = "load_file(" + pyString(in) + ")"
	}
	if w.safetensors {
		b.WriteString("from safetensors.torch import load_file\n")
	}
	for _, h := range pythonHelpers {
		if w.helpers[h.name] {
			b.WriteString("\n" + h.text)
		}
	}
	fmt.Fprintf(&b, "\ncheckpoint = %s\n", load)
	b.WriteString(w.b.String())
	return b.String()
}

// pythonComment is the step as a recipe has it, on one line.
func pythonComment(op Op) string {
	var b strings.Builder
	doc := string((&Recipe{Steps: []Op{op}}).YAML())
	_, step, _ := strings.Cut(doc, "- ")
	for _, line := range strings.Split(strings.TrimRight(step, "\n"), "\n") {
		b.WriteString(strings.TrimSpace(line) + " ")
	}
	return strings.TrimSpace(b.String())
}

type pythonWriter struct {
	recipe  *Recipe
	cp      *Checkpoint
	b       strings.Builder
	helpers map[string]bool
	place   string // the expression that the mapping stands at: checkpoint["state_dict"]
	anchor  *pickle.Dict
	renames bool // rekey is in use, so that _metadata has to follow
	names   []string
	loaded  map[string]string // files that are in a variable

	safetensors bool // load_file is in use
}

func (w *pythonWriter) line(format string, args ...any) {
	fmt.Fprintf(&w.b, format+"\n", args...)
}

func (w *pythonWriter) need(helpers ...string) {
	for _, h := range helpers {
		w.helpers[h] = true
	}
}

// find writes where sd comes from.
func (w *pythonWriter) find() {
	if !slices.ContainsFunc(w.recipe.Steps, needsDict) && !w.recipe.HasAt {
		w.place = "checkpoint"
		w.line("sd = checkpoint")
		return
	}
	if w.cp != nil {
		if path, node, d, err := findDict(w.cp, w.recipe.At, w.recipe.HasAt); err == nil {
			w.anchor = d
			if steps, ok := resolvePath(w.cp.root, path); ok {
				w.place = pythonPath("checkpoint", steps)
			}
			if _, isModule := node.(*pickle.Object); isModule && w.place != "" {
				w.line("sd = %s.state_dict()", w.place)
				w.names = stringKeys(d)
				w.begin()
				return
			}
			w.names = stringKeys(d)
		}
	}
	if w.place == "" && w.recipe.HasAt {
		w.place = "checkpoint"
		for _, part := range strings.Split(w.recipe.At, ".") {
			if part != "" {
				w.place += "[" + pyString(part) + "]"
			}
		}
	}
	if w.place == "" {
		w.need("find")
		w.line("sd, put_back = find(checkpoint)")
	} else {
		w.line("sd = %s", w.place)
	}
	w.begin()
}

func stringKeys(d *pickle.Dict) []string {
	var keys []string
	for _, it := range d.Items {
		if k, ok := it.Key.(string); ok {
			keys = append(keys, k)
		}
	}
	return keys
}

// begin starts the bookkeeping that _metadata follows by.
func (w *pythonWriter) begin() {
	for _, op := range w.recipe.Steps {
		switch op.(type) {
		case *Keep, *Drop, *Rename, *StripPrefix, *AddPrefix, *Extract, *KeepKnown, *Merge:
			w.renames = true
		}
	}
	if w.renames {
		w.need("rekey")
		w.line("sources = [(metadata(sd), list(sd))]")
		w.line("was = {k: (0, k) for k in sd}  # new key: where it comes from")
	}
}

func (w *pythonWriter) putBack() {
	w.line("")
	if w.renames {
		w.line("finish_metadata()")
	}
	switch {
	case w.place == "checkpoint":
		w.line("checkpoint = sd")
	case w.place == "":
		w.line("checkpoint = put_back(sd)")
	default:
		w.line("%s = sd", w.place)
	}
}

// pythonPath is the expression for a place in the tree; "" where a step is neither key nor position nor attribute.
func pythonPath(root string, steps []pathStep) string {
	expr := root
	for _, s := range steps {
		switch s.slot.list {
		case inItems:
			d, ok := s.parent.(*pickle.Dict)
			if !ok {
				expr += "[" + strconv.Itoa(s.slot.at) + "]"
				continue
			}
			key, ok := pyKey(d.Items[s.slot.at].Key)
			if !ok {
				return ""
			}
			expr += "[" + key + "]"
		case inState, inAttrs:
			expr = "vars(" + expr + ")[" + pyString(s.name) + "]"
		default:
			return ""
		}
	}
	return expr
}

func pyKey(v pickle.Value) (string, bool) {
	switch v := v.(type) {
	case string:
		return pyString(v), true
	case int64, bool, nil, float64:
		return pickle.PyRepr(v), true
	}
	return "", false
}

// op writes one step.
func (w *pythonWriter) op(op Op) {
	switch op := op.(type) {
	case *Keep:
		w.line("rekey(lambda k: k if %s else None%s)", w.selects("str(k)", op.Match, op.Except), pyOptional(op))
	case *Drop:
		w.line("rekey(lambda k: None if %s else k)", w.selects("str(k)", op.Match, op.Except))
	case *Rename:
		w.rename(op)
	case *StripPrefix:
		w.strip(op)
	case *AddPrefix:
		w.line("rekey(lambda k: %s + k if isinstance(k, str) and %s else k)", pyString(dotted(op.Prefix)), w.selects("k", op.Match, op.Except))
	case *Extract:
		w.extract(op)
	case *KeepKnown:
		w.need("find")
		w.line("known = %s", w.other(op.In, op.At))
		if op.Shapes {
			w.line("shape = lambda v: getattr(v, \"shape\", None)")
			w.line("rekey(lambda k: k if k in known and shape(known[k]) == shape(sd[k]) else None%s)", pyOptional(op))
		} else {
			w.line("rekey(lambda k: k if k in known else None%s)", pyOptional(op))
		}
	case *Merge:
		w.merge(op)
	case *Cast:
		w.cast(op)
	case *SetDevice:
		w.line("for k, v in sd.items():  # cpu needs nothing: the file was loaded there")
		w.line("    if torch.is_tensor(v) and %s:", w.selects("str(k)", op.Match, op.Except))
		w.line("        v.data = v.data.to(%s)", pyString(op.Device))
	case *SetRequiresGrad:
		w.line("for k, v in sd.items():")
		cond := w.selects("str(k)", op.Match, op.Except)
		if op.Value {
			cond += " and (v.is_floating_point() or v.is_complex())"
		}
		w.line("    if torch.is_tensor(v) and %s:", cond)
		w.line("        v.requires_grad_(%s)", pyBool(op.Value))
	case *Unshare:
		w.need("storages")
		w.line("seen = collections.Counter(address(v) for v in sd.values() if torch.is_tensor(v))")
		w.line("for k, v in list(sd.items()):")
		w.line("    if torch.is_tensor(v) and seen[address(v)] > 1 and %s:", w.selects("str(k)", op.Match, op.Except))
		w.line("        sd[k] = like(v, v.detach().clone())")
	case *Compact:
		w.need("storages")
		w.line("own = {}")
		w.line("for k, v in list(sd.items()):")
		w.line("    if torch.is_tensor(v) and not whole(v) and %s:", w.selects("str(k)", op.Match, op.Except))
		w.line("        view = (address(v), v.dtype, v.storage_offset(), v.size(), v.stride())")
		w.line("        if view not in own:")
		w.line("            own[view] = v.detach().clone(memory_format=torch.contiguous_format)")
		w.line("        sd[k] = like(v, own[view])")
		if w.place != "checkpoint" {
			w.need("swap")
			w.line("window = lambda v: (address(v), v.dtype, v.storage_offset(), v.size(), v.stride())")
			w.line("swap(checkpoint, lambda v: like(v, own[window(v)]) if window(v) in own else v)")
		}
	case *Tie:
		w.need("storages")
		var keys []string
		for _, k := range op.Keys {
			keys = append(keys, pyString(k))
		}
		w.line("for k in [%s]:  # the same bytes as the other one", strings.Join(keys, ", "))
		w.line("    sd[k] = like(sd[k], sd[%s].detach())", pyString(op.To))
	case *DropObjects:
		w.dropObjects(op)
	case *SetMetadata:
		for _, kv := range op.Values {
			w.line("# metadata of a safetensors file: %s = %s", pyString(kv[0]), pyString(kv[1]))
		}
	}
}

func (w *pythonWriter) rename(op *Rename) {
	if re, err := compileRename(op.From, op.To); err == nil && re.prefix != "" {
		p := pyString(re.prefix)
		w.line("rekey(lambda k: %s + k[len(%s):] if isinstance(k, str) and k.startswith(%s) and k != %s else k)", pyString(re.toText), p, p, p)
		return
	} else if err == nil {
		if text, ok := strings.CutPrefix(op.From, "re:"); ok {
			var to strings.Builder
			for _, part := range re.to {
				if part.group > 0 {
					fmt.Fprintf(&to, `\g<%d>`, part.group)
				} else {
					to.WriteString(strings.ReplaceAll(part.text, `\`, `\\`))
				}
			}
			w.line("rekey(lambda k: re.sub(%s, %s, k, flags=re.A) if isinstance(k, str) else k)", pyRaw(pythonExpr(text)), pyRaw(to.String()))
			return
		}
		w.need("fill")
		for _, rule := range re.rules {
			var parts []string
			for _, part := range re.to {
				switch {
				case part.group == 0:
					parts = append(parts, pyString(part.text))
				case part.group <= len(rule.runs) && rule.runs[part.group-1]:
					parts = append(parts, strconv.Itoa(-part.group))
				default:
					parts = append(parts, strconv.Itoa(part.group))
				}
			}
			text, _ := strings.CutPrefix(rule.re.String(), "^")
			text, _ = strings.CutSuffix(text, "$")
			w.line("rekey(lambda k: fill(re.fullmatch(%s, k), k, [%s]) if isinstance(k, str) else k)", pyRaw(text), strings.Join(parts, ", "))
		}
	}
}

func (w *pythonWriter) strip(op *StripPrefix) {
	if len(op.Prefix) == 1 && !op.Repeat {
		p := pyString(dotted(op.Prefix[0]))
		w.line("rekey(lambda k: k[len(%s):] if isinstance(k, str) and k.startswith(%s) and k != %s else k)", p, p, p)
		return
	}
	w.need("strip_all")
	var list []string
	for _, p := range op.Prefix {
		list = append(list, pyString(dotted(p)))
	}
	w.line("rekey(lambda k: strip_all(k, [%s], %s))", strings.Join(list, ", "), pyBool(op.Repeat))
}

func (w *pythonWriter) extract(op *Extract) {
	prefix := dotted(op.Prefix)
	nested := w.anchor != nil
	for _, k := range w.names {
		if strings.HasPrefix(k, prefix) && k != prefix {
			nested = false
		}
	}
	if nested {
		if steps, ok := resolvePath(w.anchor, strings.TrimSuffix(prefix, ".")); ok && mappingOf(steps[len(steps)-1].value) != nil {
			w.line("sd = %s", pythonPath("sd", steps))
			if _, isModule := steps[len(steps)-1].value.(*pickle.Object); isModule {
				w.line("sd = sd.state_dict()")
			}
			w.line("sources, was = [(metadata(sd), list(sd))], {k: (0, k) for k in sd}")
			return
		}
	}
	p := pyString(prefix)
	w.line("rekey(lambda k: k[len(%s):] if isinstance(k, str) and k.startswith(%s) and k != %s else None%s)", p, p, p, pyOptional(op))
	w.names = nil
	w.anchor = nil
}

// other is the mapping of another file as an expression. A file that several steps name is loaded once: what it shares stays
// shared.
func (w *pythonWriter) other(file, at string) string {
	load := w.loaded[file]
	if load == "" {
		load = "torch.load(" + pyString(file) + ", map_location=\"cpu\")"
		if strings.HasSuffix(file, ".safetensors") {
			load, w.safetensors = "load_file("+pyString(file)+")", true
		}
		if files := w.recipe.Files(); len(files)-len(slices.DeleteFunc(files, func(f string) bool { return f == file })) > 1 {
			name := fmt.Sprintf("file%d", len(w.loaded)+1)
			w.line("%s = %s", name, load)
			w.loaded[file], load = name, name
		}
	}
	if at == "" {
		return "find(" + load + ")[0]"
	}
	for _, part := range strings.Split(at, ".") {
		load += "[" + pyString(part) + "]"
	}
	return load
}

func (w *pythonWriter) merge(op *Merge) {
	w.need("find")
	w.line("other = %s", w.other(op.From, op.At))
	w.line("sources.append((metadata(other), list(other)))")
	prefix := "k"
	if op.Prefix != "" {
		prefix = pyString(dotted(op.Prefix)) + " + k"
	}
	if op.Policy == "" || op.Policy == PolicyError {
		w.line("both = [k for k in other if %s in sd]", prefix)
		w.line("assert not both, both")
	}
	w.line("for k, v in other.items():")
	if op.Policy == PolicyKeep {
		w.line("    if %s in sd:", prefix)
		w.line("        continue")
	}
	w.line("    sd[%s], was[%s] = v, (len(sources) - 1, k)", prefix, prefix)
}

func (w *pythonWriter) cast(op *Cast) {
	d, _ := ParseDType(op.To)
	w.need("storages")
	kinds := "v.is_floating_point()"
	if op.Integers {
		kinds = "not v.is_complex() and not v.is_quantized"
	}
	w.line("flat = {}  # the storages that are cast: address to all their elements")
	w.line("for k, v in sd.items():")
	w.line("    if torch.is_tensor(v) and %s and v.dtype != torch.%s and %s:", kinds, d, w.selects("str(k)", op.Match, op.Except))
	w.line("        flat.setdefault(address(v), elements(v).to(torch.%s))", d)
	w.need("swap")
	w.line("again = lambda v: like(v, flat[address(v)].as_strided(v.size(), v.stride(), v.storage_offset())) if address(v) in flat else v")
	w.line("swap(sd, again)")
	if w.place != "checkpoint" {
		w.line("swap(checkpoint, again)")
	}
}

// pyOptional keeps a step that would drop everything from doing so.
func pyOptional(op Op) string {
	if op.optional() {
		return ", optional=True"
	}
	return ""
}

func (w *pythonWriter) dropObjects(op *DropObjects) {
	if w.cp == nil {
		for _, p := range op.Paths {
			w.line("checkpoint.pop(%s, None)", pyString(p))
		}
		return
	}
	// Later positions of a list go first.
	for i := len(op.Paths) - 1; i >= 0; i-- {
		p := op.Paths[i]
		steps, ok := resolvePath(w.cp.root, p)
		if !ok || len(steps) == 0 {
			w.line("# %s is not in the file", pyString(p))
			continue
		}
		last := steps[len(steps)-1]
		if d, ok := last.parent.(*pickle.Dict); ok && w.anchor != nil && d == w.anchor {
			w.need("rekey")
			w.line("rekey(lambda k: None if k == %s else k)", pyString(last.name))
			continue
		}
		if expr := pythonPath("checkpoint", steps); expr != "" {
			w.line("del %s", expr)
		} else {
			w.line("# %s is no key, position or attribute", pyString(p))
		}
	}
}
