package statedict

import (
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// pyString is a Python literal of a text.
func pyString(s string) string { return pickle.PyRepr(s) }

// pyRaw is a raw literal where the text allows one.
func pyRaw(s string) string {
	if strings.ContainsAny(s, "\"\n\r") || strings.HasSuffix(s, `\`) || !strings.Contains(s, `\`) {
		return pyString(s)
	}
	return `r"` + s + `"`
}

func pyBool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// pythonExpr is an RE2 expression in the syntax of Python's re. They differ in few places: \z is \Z there.
func pythonExpr(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
			if text[i] == 'z' {
				b.WriteString(`\Z`)
			} else {
				b.WriteString(text[i-1 : i+1])
			}
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// selects is a Python condition: the key, as the expression k gives it, matches and is not excepted.
func (w *pythonWriter) selects(k string, match, except Patterns) string {
	cond := "True"
	if len(match) > 0 {
		cond = pythonMatch(k, match)
	}
	if len(except) > 0 {
		cond += " and not " + pythonMatch(k, except)
	}
	return cond
}

// pythonMatch is a Python condition for a list of patterns, in brackets where it needs them.
func pythonMatch(k string, patterns Patterns) string {
	m, err := patterns.compile()
	if err != nil {
		return "False"
	}
	var alternatives []string
	add := func(format ...string) { alternatives = append(alternatives, strings.Join(format, "")) }
	if m.all {
		return "True"
	}
	for _, p := range patterns {
		text, isExpr := strings.CutPrefix(p, "re:")
		if isExpr {
			add("re.search(", pyRaw(pythonExpr(text)), ", ", k, ", re.A)")
			continue
		}
		globs, _ := expandGlob(p)
		for _, g := range globs {
			pythonGlob(k, g, add)
		}
	}
	if len(alternatives) == 1 {
		return alternatives[0]
	}
	return "(" + strings.Join(alternatives, " or ") + ")"
}

func pythonGlob(k, g string, add func(...string)) {
	if lit, ok := literalGlob(g); ok {
		add(k, " == ", pyString(lit))
		return
	}
	if head, ok := strings.CutSuffix(g, ".**"); ok {
		if lit, ok := literalGlob(head); ok {
			add("(", k, " + \".\").startswith(", pyString(lit+"."), ")")
			return
		}
	}
	if tail, ok := strings.CutPrefix(g, "**."); ok {
		if lit, ok := literalGlob(tail); ok {
			add("(\".\" + ", k, ").endswith(", pyString("."+lit), ")")
			return
		}
	}
	text, _ := globExpr(g)
	text, _ = strings.CutPrefix(text, "^")
	text, _ = strings.CutSuffix(text, "$")
	add("re.fullmatch(", pyRaw(text), ", ", k, ")")
}

// pythonHelpers are the functions that programs use, in the order in which they are written.
var pythonHelpers = []struct{ name, text string }{
	{"find", `
def find(root):
    """The mapping that holds the tensors, and a function that puts another one in its place."""
    tensors = lambda d: sum(torch.is_tensor(v) for v in d.values()) if isinstance(d, dict) else 0
    single = lambda v: v.numel() == 1 or v.dtype == torch.uint8 and v.dim() == 1
    if isinstance(root, torch.nn.Module):
        return root.state_dict(), lambda sd: sd
    if tensors(root) and not all(single(v) for v in root.values() if torch.is_tensor(v)):
        return root, lambda sd: sd
    names = ["state_dict", "model_state_dict", "model", "module", "net", "params_ema", "params", "ema", "weights"]
    for name in names:
        if isinstance(root, dict) and name in root:
            inner = root[name].state_dict() if isinstance(root[name], torch.nn.Module) else root[name]
            if tensors(inner) > tensors(root):
                return inner, lambda sd: dict(root, **{name: sd})
    if tensors(root):
        return root, lambda sd: sd
    best, todo = None, [(root, None, None)]
    while todo:
        node, parent, key = todo.pop()
        if tensors(node) > (tensors(best[0]) if best else 0):
            best = node, parent, key
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, (list, tuple)) else []
        todo += reversed([(v, node, k) for k, v in items])

    def put_back(sd):
        best[1][best[2]] = sd
        return root

    return best[0], put_back
`},
	{"rekey", `
def metadata(sd):
    """Module path to version: an attribute of state dicts, a key where somebody's code made it one."""
    return sd.get("_metadata", getattr(sd, "_metadata", None))


def rekey(f, optional=False):
    """Give every key the name f(key); None drops it."""
    global sd, was
    moves = [(k if k == "_metadata" and isinstance(sd[k], dict) else f(k), k) for k in sd]
    if optional and all(new is None for new, _ in moves):
        return
    was = {new: was[old] for new, old in moves if new is not None}
    new = collections.OrderedDict((new, sd[old]) for new, old in moves if new is not None)
    assert len(new) == sum(n is not None for n, _ in moves), "two keys would get one name"
    sd = new


def finish_metadata():
    """_metadata (module path to version) for the new keys: it follows the modules."""
    global sd
    up = lambda p: p.rpartition(".")[0]
    line = lambda p: [p] + (line(up(p)) if p else [])  # a module and its parents
    out, invent, root = {}, [], None
    for source, (meta, keys) in enumerate(sources):
        moves = [(old, new) for new, (s, old) in was.items() if s == source and isinstance(new, str)]
        if meta is None or source and not moves:
            continue
        had = {p for k in keys if isinstance(k, str) for p in line(up(k))}
        alive = {p for old, _ in moves for p in line(up(old))}
        below = {p for _, new in moves for p in line(up(new))}
        own = {up(new) for _, new in moves}
        to = {}
        for old, new in moves:
            m, n = up(old), up(new)
            while n not in to.setdefault(m, []):
                to[m].append(n)
                if not m or not n or m.rpartition(".")[2] != n.rpartition(".")[2]:
                    break
                m, n = up(m), up(n)
        if "" not in to and not any("" in t for t in to.values()):
            to[""] = [""]
        reached = {n for t in to.values() for n in t}

        def places(path):
            if path in to:
                return to[path]
            for p in line(path)[1:]:
                if p in to:
                    if p in to[p]:
                        return [path]
                    return [(to[p][0] + "." if to[p][0] else "") + (path[len(p) + 1:] if p else path)]
            return []

        for path, entry in meta.items():
            if path == "" and not source:
                root = entry
            if any(p and p in had and p not in alive for p in line(path)):
                continue
            for t in places(path):
                if path in had and t not in below and t:
                    continue
                if t != path:
                    if t not in own and path in places(path):
                        invent.append(t)
                        continue
                    for p in line(t)[1:]:
                        if not p or p in reached:
                            break
                        invent.append(p)
                old = out.get(t)
                if old is None or old[1] == source and t != path and not old[2] or old[1] != source and t in own and not old[3]:
                    out[t] = entry, source, t != path, t in own
    if root is not None and "" not in out:
        out[""] = root, 0, False, False
    done = collections.OrderedDict([("", out[""][0])] if "" in out else [])
    for t in out:
        for p in reversed(line(t)[1:]):
            if p in invent and p not in out and p not in done:
                done[p] = {"version": 1}
        if t:
            done[t] = out[t][0]
    sd = collections.OrderedDict(sd)
    if "_metadata" in sd:
        sd["_metadata"] = done
    elif out:
        sd._metadata = done
`},
	{"strip_all", `
def strip_all(k, prefixes, repeat):
    """Take any of the prefixes off until none applies."""
    while isinstance(k, str):
        for p in prefixes:
            if k.startswith(p) and k != p:
                k = k[len(p):]
                break
        else:
            return k
        if not repeat:
            return k
    return k
`},
	{"fill", `
def fill(m, key, parts):
    """The new name: texts and groups; a negative group stands for any run of parts and takes a dot along when it is empty."""
    if m is None:
        return key
    out, skip = "", False
    for p in parts:
        text = p if isinstance(p, str) else m[abs(p)] or ""
        if text == "" and not isinstance(p, str) and p < 0:
            skip = True
            continue
        if skip:
            skip = False
            if text.startswith("."):
                text = text[1:]
            elif out.endswith("."):
                out = out[:-1]
        out += text
    return out[:-1] if skip and out.endswith(".") else out
`},
	{"swap", `
def swap(node, f):
    """Exchange every tensor in dicts and lists."""
    for k, v in list(node.items() if isinstance(node, dict) else enumerate(node)):
        if torch.is_tensor(v):
            node[k] = f(v)
        elif isinstance(v, (dict, list)):
            swap(v, f)
`},
	{"storages", `
def storage(t):
    return t.untyped_storage() if hasattr(t, "untyped_storage") else t.storage()


def address(t):
    """Equal for tensors that share a storage."""
    return storage(t).data_ptr() or id(t)


def elements(t):
    """All elements of a tensor's storage."""
    return torch.empty(0, dtype=t.dtype).set_(t.detach().storage())


def whole(t):
    """Whether a tensor is all of its storage, in order."""
    return t.is_contiguous() and t.storage_offset() == 0 and t.numel() == elements(t).numel()


def like(old, new):
    """new as what old is: a Parameter, or a tensor with that requires_grad."""
    if isinstance(old, torch.nn.Parameter):
        return torch.nn.Parameter(new, requires_grad=old.requires_grad)
    return new.requires_grad_(old.requires_grad) if new.is_floating_point() or new.is_complex() else new
`},
}
