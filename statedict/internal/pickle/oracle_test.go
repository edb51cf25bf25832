package pickle

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

// oracle is the part of an oracle file that a pickle alone decides.
type oracle struct {
	Tree    any
	Tensors []map[string]any
	Globals []string
}

func readOracle(file string) (*oracle, bool) {
	data, err := os.ReadFile(file + ".oracle.json")
	if err != nil {
		f, err := os.Open(file + ".oracle.json.gz")
		if err != nil {
			return nil, false
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, false
		}
		if data, err = io.ReadAll(z); err != nil {
			return nil, false
		}
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	o := new(oracle)
	return o, d.Decode(o) == nil && o.Tree != nil
}

// comparer walks an oracle's tree beside ours.
type comparer struct {
	o    *oracle
	seen map[unsafe.Pointer]any
	errs []string
}

func (c *comparer) fail(path []any, format string, args ...any) {
	c.errs = append(c.errs, fmt.Sprint(path)+": "+fmt.Sprintf(format, args...))
}

func step(path []any, kind string, value any) []any {
	return append(path[:len(path):len(path)], []any{kind, value})
}

func (c *comparer) node(want any, v Value, path []any) {
	if len(c.errs) > 5 {
		return
	}
	switch w := want.(type) {
	case nil:
		if v != nil {
			c.fail(path, "%T, want None", v)
		}
		return
	case bool:
		if v != w {
			c.fail(path, "%v, want %v", v, w)
		}
		return
	case json.Number:
		if got := PyStr(v); got != w.String() {
			c.fail(path, "%s, want %s", got, w)
		}
		return
	case []any:
		i, _ := w[1].(json.Number).Int64()
		c.tensor(c.o.Tensors[i], v, path)
		return
	}
	m := want.(map[string]any)
	kind, _ := m["t"].(string)
	p := anyPointer(v)
	if kind == "ref" {
		if !reflect.DeepEqual(c.seen[p], m["to"]) {
			c.fail(path, "refers to %v, want %v", c.seen[p], m["to"])
		}
		return
	}
	if p != nil {
		c.seen[p] = jsonPath(path)
	}
	switch m["class"] {
	case "torch.serialization._get_layout":
		return
	}
	if o, ok := v.(*Object); ok && kind == "object" {
		c.object(m, o, path)
		return
	}
	if kind == "torch.dtype" && TypeName(v) == "torch.layout" {
		return // the oracle has one stand-in for both
	}
	if got := TypeName(v); got != kind {
		c.fail(path, "type %s, want %s", got, kind)
		return
	}
	if value, ok := m["v"]; ok {
		got, ok := Scalar(v)
		if !ok {
			c.fail(path, "no scalar for %s", kind)
		} else if a, b := loose(got), loose(value); a != b {
			c.fail(path, "%s, want %s", a, b)
		}
		return
	}
	switch v := v.(type) {
	case string:
		if n, _ := m["chars"].(json.Number).Int64(); int64(len([]rune(v))) != n {
			c.fail(path, "%d characters, want %d", len([]rune(v)), n)
		}
	case *Bytes:
		if h, ok := m["hex"]; ok && h != hex.EncodeToString(v.B) {
			c.fail(path, "%x, want %s", v.B, h)
		}
	case *Tuple:
		c.items(m, v.Items, path)
	case *List:
		c.items(m, v.Items, path)
	case *Set:
		if n, _ := m["n"].(json.Number).Int64(); int64(len(v.Items)) != n {
			c.fail(path, "%d members, want %d", len(v.Items), n)
		}
	case *Dict:
		items, _ := m["items"].([]any)
		c.pairs(items, v.Items, path)
		attrs, _ := m["attrs"].([]any)
		if d, ok := v.Attrs.(*Dict); ok {
			c.named("attr", attrs, d.Items, path)
		} else if len(attrs) > 0 {
			c.fail(path, "no attributes, want %d", len(attrs))
		}
	case *Object:
		if a, ok := NumpyArray(v); ok {
			shape := loose(a.Shape)
			if a.DType == ">i2" {
				return // the oracle loses the byte order of a dtype
			}
			if loose(m["shape"]) != shape || m["dtype"] != a.DType && !(m["dtype"] == "object" && a.DType == "|O") {
				c.fail(path, "array %s %s, want %v %v", a.DType, shape, m["dtype"], m["shape"])
			}
			if n, ok := m["raw_len"].(json.Number); ok && n.String() != fmt.Sprint(len(a.Data)) {
				c.fail(path, "%d bytes, want %s", len(a.Data), n)
			}
		} else if TypeName(v) == "deque" {
			c.items(m, v.Elems, path)
		}
	}
}

// loose is the text of a scalar in which the type of a number plays no part.
func loose(v any) string {
	switch v := v.(type) {
	case []any:
		var parts []string
		for _, x := range v {
			parts = append(parts, loose(x))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case []int64:
		var parts []string
		for _, x := range v {
			parts = append(parts, fmt.Sprint(x))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case float64:
		return fmt.Sprint(v)
	case json.Number:
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".e") {
			return fmt.Sprint(f)
		}
		return v.String()
	case bool:
		return fmt.Sprint(b2i(v))
	}
	return fmt.Sprint(v)
}

func jsonPath(path []any) any {
	b, _ := json.Marshal(path)
	if len(path) == 0 {
		b = []byte("[]")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var out any
	_ = d.Decode(&out)
	return out
}

func (c *comparer) items(m map[string]any, have []Value, path []any) {
	if n, _ := m["n"].(json.Number).Int64(); int64(len(have)) != n {
		c.fail(path, "%d items, want %d", len(have), n)
		return
	}
	if m["scalars"] == true {
		return
	}
	items, _ := m["items"].([]any)
	for i, w := range items {
		c.node(w, have[i], step(path, "index", i))
	}
}

func (c *comparer) key(want any, v Value, path []any) any {
	if s, ok := want.(string); ok {
		if v != s {
			c.fail(path, "key %v, want %q", v, s)
		}
		return s
	}
	c.node(want, v, []any{[]any{"dictkey", pythonType(v)}})
	return want
}

func pythonType(v Value) string { return TypeName(v) }

func (c *comparer) pairs(want []any, have []Item, path []any) { c.named("key", want, have, path) }

func (c *comparer) named(kind string, want []any, have []Item, path []any) {
	if len(want) != len(have) {
		c.fail(path, "%d pairs, want %d", len(have), len(want))
		return
	}
	for i, w := range want {
		pair := w.([]any)
		k := c.key(pair[0], have[i].Key, path)
		c.node(pair[1], have[i].Value, step(path, kind, k))
	}
}

func (c *comparer) object(m map[string]any, o *Object, path []any) {
	if got := TypeName(o); got != m["class"] {
		c.fail(path, "object of %s, want %v", got, m["class"])
		return
	}
	args, _ := m["args"].([]any)
	if len(args) != len(o.Args.Items) {
		c.fail(path, "%d arguments, want %d", len(o.Args.Items), len(args))
		return
	}
	for i, w := range args {
		c.node(w, o.Args.Items[i], step(path, "arg", i))
	}
	if state, ok := m["state"].([]any); ok {
		if d, ok := o.State.(*Dict); ok {
			c.named("attr", state, d.Items, path)
		} else {
			c.fail(path, "state %T, want a dict", o.State)
		}
	}
	if state, ok := m["state_obj"]; ok {
		c.node(state, o.State, step(path, "state", ""))
	}
	items, _ := m["setitems"].([]any)
	c.pairs(items, o.Items, path)
	elems, _ := m["appends"].([]any)
	if len(elems) != len(o.Elems) {
		c.fail(path, "%d elements, want %d", len(o.Elems), len(elems))
		return
	}
	for i, w := range elems {
		c.node(w, o.Elems[i], step(path, "index", i))
	}
}

func (c *comparer) tensor(want map[string]any, v Value, path []any) {
	t, _ := v.(*Tensor)
	grad := false
	if p, ok := v.(*Parameter); ok {
		t, grad = p.Data, p.RequiresGrad
		if want["parameter"] != true && want["kind"] == nil {
			c.fail(path, "a Parameter")
		}
	} else if t != nil {
		grad = t.RequiresGrad
	}
	if t == nil {
		c.fail(path, "%T, want a tensor", v)
		return
	}
	got := map[string]any{"requires_grad": grad}
	if kind, _ := want["kind"].(string); !strings.HasPrefix(kind, "sparse") {
		got["dtype"], got["shape"], got["stride"] = t.DType.String(), t.Shape, t.Stride
		if kind != "meta" {
			root, off := t.Storage, t.Offset
			_, view := want["storage_view_offset"]
			if root.Root != nil && view {
				got["storage_view_offset"] = root.Offset
				root = root.Root
			}
			got["offset"], got["storage"], got["location"] = off, root.Key, t.Storage.Location
		}
		if kind == "quantized" {
			got["qscheme"] = t.Extra.QScheme
			if len(t.Extra.Parts) == 0 {
				got["q_scale"], got["q_zero_point"] = t.Extra.Scale, t.Extra.ZeroPoint
			} else {
				got["q_axis"] = t.Extra.Axis
			}
		}
	} else if got := "sparse:torch." + t.Extra.Layout; got != kind && "sparse:"+t.Extra.Layout != kind {
		c.fail(path, "%s, want %s", got, kind)
	}
	for k, g := range got {
		w, ok := want[k]
		if (!ok || w == nil) && (k == "storage" || k == "location") {
			continue
		}
		if a, b := loose(g), strings.TrimPrefix(loose(w), "data/"); a != b {
			c.fail(path, "%s %s, want %s", k, a, b)
		}
	}
}

func anyPointer(v Value) unsafe.Pointer {
	switch n := v.(type) {
	case *Tuple:
		if len(n.Items) == 0 || n.Size {
			return nil
		}
		return unsafe.Pointer(n)
	case *List:
		return unsafe.Pointer(n)
	case *Dict:
		return unsafe.Pointer(n)
	case *Set:
		return unsafe.Pointer(n)
	case *Object:
		return unsafe.Pointer(n)
	case *big.Int:
	}
	return nil
}

// Trees, types, scalars, tensors and globals of the corpus agree with what real PyTorch and an independent reader found.
func TestTreesAgreeWithOracles(t *testing.T) {
	dir := corpus(t)
	n := 0
	for _, s := range samples(t, dir) {
		if strings.HasPrefix(s.name, "hostile/") || strings.HasPrefix(s.name, "broken/") || strings.HasSuffix(s.name, ":constants.pkl") {
			continue
		}
		file, _, _ := strings.Cut(s.name, ":")
		o, ok := readOracle(filepath.Join(dir, file))
		if !ok {
			continue
		}
		p, err := Load(s.data, nil)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		n++
		c := &comparer{o: o, seen: map[unsafe.Pointer]any{}}
		c.node(o.Tree, p.Root, nil)
		for _, e := range c.errs {
			t.Errorf("%s: %s", s.name, e)
		}
		have := map[string]bool{}
		for _, g := range p.Globals {
			have[g.Module+" "+g.Name] = true
		}
		for _, g := range o.Globals {
			if !have[g] && !strings.Contains(s.name, "ts_") && len(o.Globals) == len(p.Globals) {
				t.Errorf("%s: global %s is missing", s.name, g)
			}
		}
	}
	t.Logf("%d trees", n)
	if n < 150 {
		t.Errorf("only %d oracles with a tree", n)
	}
}
