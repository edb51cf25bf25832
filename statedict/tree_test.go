package statedict

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// TreeDiffs compares the object tree of cp with an oracle's, node by node: types, values, classes, order, references.
// entry translates the oracle's tensor numbers to positions in Entries. It answers what differs.
func TreeDiffs(cp *Checkpoint, tree any, entry func(int) int) []string {
	t := &treeCheck{cp: cp, entry: entry, seen: map[string]pickle.Value{}}
	t.node(cp.root, tree, nil)
	return t.diffs
}

// MetadataDiffs compares the module versions of the mapping at path, as the oracle gives them.
func MetadataDiffs(cp *Checkpoint, path []string, n int, value any) []string {
	t := &treeCheck{cp: cp, entry: func(int) int { return -1 }, seen: map[string]pickle.Value{}}
	at := cp.root
	for _, step := range path {
		switch v := at.(type) {
		case *pickle.Dict:
			if i := slices.IndexFunc(v.Items, func(it pickle.Item) bool { return pickle.PyStr(it.Key) == step }); i >= 0 {
				at = v.Items[i].Value
			}
		case *pickle.List:
			i, _ := strconv.Atoi(step)
			at = v.Items[i]
		case *pickle.Object:
			at = attr(v, step)
		}
	}
	d, _ := at.(*pickle.Dict)
	if d == nil {
		return []string{fmt.Sprintf("_metadata at %v: no mapping there", path)}
	}
	attrs, _ := d.Attrs.(*pickle.Dict)
	if attrs == nil {
		return []string{fmt.Sprintf("_metadata at %v: the mapping has no attributes", path)}
	}
	meta := lookup(attrs, "_metadata")
	if m, ok := meta.(*pickle.Dict); !ok || len(m.Items) != n {
		return []string{fmt.Sprintf("_metadata at %v: not a mapping of %d", path, n)}
	}
	if value != nil {
		t.node(meta, value, nil)
	}
	return t.diffs
}

type treeCheck struct {
	cp    *Checkpoint
	entry func(int) int
	seen  map[string]pickle.Value // containers by oracle path
	diffs []string
}

func (t *treeCheck) fail(path []any, format string, args ...any) {
	if len(t.diffs) < 20 {
		t.diffs = append(t.diffs, fmt.Sprintf("tree at %v: ", path)+fmt.Sprintf(format, args...))
	}
}

func step(path []any, kind string, v any) []any { return append(slices.Clip(path), []any{kind, v}) }

func pathKey(path any) string {
	b, _ := json.Marshal(path)
	if string(b) == "null" {
		return "[]"
	}
	return string(b)
}

// node compares one value; path is the oracle's.
func (t *treeCheck) node(v pickle.Value, want any, path []any) {
	switch want := want.(type) {
	case nil:
		if v != nil {
			t.fail(path, "%s, want None", pickle.TypeName(v))
		}
	case bool:
		if v != want {
			t.fail(path, "%s, want %v", pickle.PyStr(v), want)
		}
	case float64:
		if n, ok := v.(int64); !ok || float64(n) != want {
			t.fail(path, "%s, want int %v", pickle.PyStr(v), want)
		}
	case []any:
		i := t.entry(int(want[1].(float64)))
		if i < 0 || t.cp.Entries[i].node != v {
			t.fail(path, "a %s, want tensor %v", pickle.TypeName(v), want[1])
		}
	case map[string]any:
		t.typed(v, want, path)
	}
}

func (t *treeCheck) typed(v pickle.Value, want map[string]any, path []any) {
	kind := want["t"].(string)
	switch kind {
	case "ref":
		if first := t.seen[pathKey(want["to"])]; first == nil || first != v {
			t.fail(path, "a %s, want a reference to %v", pickle.TypeName(v), want["to"])
		}
		return
	case "int":
		if b, ok := v.(*big.Int); !ok || b.String() != want["v"] {
			if n, ok := v.(int64); !ok || strconv.FormatInt(n, 10) != want["v"] {
				t.fail(path, "%s, want int %v", pickle.PyStr(v), want["v"])
			}
		}
		return
	case "float":
		if f, ok := v.(float64); !ok || !sameFloat(f, want["v"]) {
			t.fail(path, "%s, want float %v", pickle.PyStr(v), want["v"])
		}
		return
	case "complex":
		parts := want["v"].([]any)
		if c, ok := v.(complex128); !ok || !sameFloat(real(c), parts[0]) || !sameFloat(imag(c), parts[1]) {
			t.fail(path, "%s, want complex %v", pickle.PyStr(v), want["v"])
		}
		return
	case "str":
		s, ok := v.(string)
		if text, short := want["v"].(string); short {
			ok = ok && sameText(s, text)
		} else {
			ok = ok && hash([]byte(s)) == want["sha256_utf8"]
		}
		if !ok {
			t.fail(path, "%q, want str %v", pickle.PyStr(v), want)
		}
		return
	case "bytes", "bytearray":
		b, ok := v.(*pickle.Bytes)
		if !ok || hash(b.B) != want["sha256"] || b.Mutable != (kind == "bytearray") {
			t.fail(path, "%s, want %s of %v bytes", pickle.TypeName(v), kind, want["len"])
		}
		return
	case "torch.Size":
		got, ok := sizeOf(v)
		if !ok || fmt.Sprint(got) != fmt.Sprint(want["v"]) || pickle.TypeName(v) != kind {
			t.fail(path, "%s, want torch.Size %v", pickle.PyStr(v), want["v"])
		}
		return
	case "torch.dtype", "torch.device", "torch.layout", "torch.qscheme", "torch.memory_format", "numpy.dtype":
		if want["v"] == "torch.strided" {
			kind = "torch.layout" // the oracle takes what is not a dtype for one
		}
		if got := strings.TrimPrefix(pickle.PyStr(v), "torch."); pickle.TypeName(v) != kind || got != strings.TrimPrefix(want["v"].(string), "torch.") {
			t.fail(path, "%s %q, want %s %v", pickle.TypeName(v), got, kind, want["v"])
		}
		return
	case "storage":
		if s, ok := v.(*pickle.Storage); !ok || want["key"] != nil && (s.Key != want["key"] || s.DType.String() != want["dtype"] || float64(s.Numel) != want["numel"]) {
			t.fail(path, "%s, want storage %v", pickle.TypeName(v), want["key"])
		}
		return
	case "global", "storage type":
		if g, ok := v.(*pickle.Global); !ok || !sameName(g, want["v"].(string)) {
			t.fail(path, "%s, want global %v", pickle.PyStr(v), want["v"])
		}
		return
	}
	if scalar, ok := pickle.NumpyScalar(v); ok && strings.HasPrefix(kind, "numpy.") {
		if name := "numpy." + scalar.DType; name != kind && name+"_" != kind || !sameScalar(scalar.Value, want["v"]) {
			t.fail(path, "%s %v, want %s %v", name, scalar.Value, kind, want["v"])
		}
		return
	}
	t.container(v, want, path)
}

// container compares what has parts. A container that the oracle meets again is a reference, so each is walked once.
func (t *treeCheck) container(v pickle.Value, want map[string]any, path []any) {
	kind := want["t"].(string)
	t.seen[pathKey(path)] = v
	switch v := v.(type) {
	case *pickle.Dict:
		if pickle.TypeName(v) != kind {
			break
		}
		t.items(v.Items, want["items"], "key", path)
		var attrs []pickle.Item
		if d, ok := v.Attrs.(*pickle.Dict); ok {
			attrs = d.Items
		}
		t.items(attrs, want["attrs"], "attr", path)
		return
	case *pickle.List:
		if kind == "list" {
			t.values(v.Items, want, path)
			return
		}
	case *pickle.Tuple:
		if kind == "tuple" {
			t.values(v.Items, want, path)
			return
		}
	case *pickle.Set:
		if kind == pickle.TypeName(v) {
			sorted := slices.Clone(v.Items)
			slices.SortFunc(sorted, func(a, b any) int { return strings.Compare(pickle.PyRepr(a), pickle.PyRepr(b)) })
			t.values(sorted, want, path)
			return
		}
	case *pickle.Object:
		if t.object(v, want, path) {
			return
		}
	}
	t.fail(path, "%s, want %s %v", pickle.TypeName(v), kind, want["class"])
}

// object compares a call of something foreign, or of one of the classes that the oracle knows by name.
func (t *treeCheck) object(o *pickle.Object, want map[string]any, path []any) bool {
	switch want["t"] {
	case "ndarray":
		a, ok := pickle.NumpyArray(o)
		if !ok || fmt.Sprint(a.Shape) != fmt.Sprint(want["shape"]) {
			return false
		}
		if want["items"] != nil {
			t.values(a.Items, want, path)
			return true
		}
		// The oracle does not apply the byte order that follows the dtype.
		if a.DType[1:] != want["dtype"].(string)[1:] || a.Fortran != want["fortran"] || hash(a.Data) != want["raw_sha256"] {
			t.fail(path, "ndarray %s fortran %v %x, want %v", a.DType, a.Fortran, a.Data, want)
		}
		return true
	case "slice", "range":
		return strings.HasSuffix(pickle.TypeName(o), want["t"].(string)) && t.listed(o.Args.Items, want["v"], path)
	case "deque":
		if pickle.TypeName(o) != "collections.deque" {
			return false
		}
		t.values(o.Elems, want, path)
		return true
	case "object":
	default:
		return false
	}
	g, ok := o.Class.(*pickle.Global)
	if !ok || !sameName(g, want["class"].(string)) {
		return false
	}
	if o.Args != nil && len(o.Args.Items) > 0 || want["args"] != nil {
		t.numbered(o.Args.Items, want["args"], "arg", path)
	}
	if kw, ok := o.Kwargs.(*pickle.Dict); ok {
		t.items(kw.Items, want["kwargs"], "kwarg", path)
	}
	if state, ok := o.State.(*pickle.Dict); ok {
		t.items(state.Items, want["state"], "attr", path)
	} else if o.State != nil {
		t.node(o.State, want["state_obj"], step(path, "state", ""))
	}
	t.items(o.Items, want["setitems"], "key", path)
	t.numbered(o.Elems, want["appends"], "index", path)
	return true
}

func (t *treeCheck) listed(items []pickle.Value, want any, path []any) bool {
	list := want.([]any)
	if len(items) != len(list) {
		return false
	}
	for i := range items {
		t.node(items[i], list[i], path)
	}
	return true
}

func (t *treeCheck) items(items []pickle.Item, want any, kind string, path []any) {
	list, _ := want.([]any)
	if len(items) != len(list) {
		t.fail(path, "%d items, want %d", len(items), len(list))
		return
	}
	for i, it := range items {
		pair := list[i].([]any)
		if s, ok := it.Key.(string); ok {
			if text, ok := pair[0].(string); !ok || !sameText(s, text) {
				t.fail(path, "key %q, want %v", s, pair[0])
			}
		} else if _, isText := pair[0].(string); isText {
			t.fail(path, "a key that is no str, want %v", pair[0])
		} else {
			t.node(it.Key, pair[0], step(path, "dictkey", pickle.TypeName(it.Key)))
		}
		t.node(it.Value, pair[1], step(path, kind, pair[0]))
	}
}

func (t *treeCheck) values(items []pickle.Value, want map[string]any, path []any) {
	if want["scalars"] == nil {
		t.numbered(items, want["items"], "index", path)
		return
	}
	parts := make([]string, len(items))
	for i := range items {
		parts[i] = pickle.PyRepr(items[i])
	}
	if got := hash([]byte("[" + strings.Join(parts, ", ") + "]")); got != want["sha256_repr"] {
		t.fail(path, "%d items hash otherwise; they begin with %s", len(items), strings.Join(parts[:4], ", "))
	}
}

func (t *treeCheck) numbered(items []pickle.Value, want any, kind string, path []any) {
	list, _ := want.([]any)
	if len(items) != len(list) {
		t.fail(path, "%d items, want %d", len(items), len(list))
		return
	}
	for i := range items {
		t.node(items[i], list[i], step(path, kind, float64(i)))
	}
}

func hash(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// sameText compares a string with one from JSON, which has no lone surrogates: Go reads those as U+FFFD.
func sameText(got, want string) bool {
	return got == want || strings.ContainsRune(want, '\uFFFD') && len(strings.ToValidUTF8(got, "")) < len(got)
}

func sameFloat(f float64, want any) bool {
	switch want {
	case "nan":
		return math.IsNaN(f)
	case "inf":
		return math.IsInf(f, 1)
	case "-inf":
		return math.IsInf(f, -1)
	}
	return f == want
}

func sameScalar(v, want any) bool {
	switch v := v.(type) {
	case float64:
		return sameFloat(v, want)
	case int64:
		return float64(v) == want
	case bool:
		return v == want || v && want == 1.0 || !v && want == 0.0
	case nil:
		return false
	}
	return pickle.PyStr(v) == fmt.Sprint(want)
}

// sameName compares a global with the name that the oracle has for it: Python 3's where Python knows the class.
func sameName(g *pickle.Global, want string) bool {
	name := g.String()
	for _, swap := range [][2]string{{"__builtin__.long", "builtins.int"}, {"__builtin__.unicode", "builtins.str"}, {"__builtin__.", "builtins."}, {"copy_reg.", "copyreg."}} {
		if rest, ok := strings.CutPrefix(name, swap[0]); ok && swap[1]+rest == want {
			return true
		}
	}
	return name == want || g.Name == want
}

// SameNode tells whether two entries are one Python object.
func SameNode(a, b *Entry) bool { return a.node == b.node }
