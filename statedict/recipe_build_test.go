package statedict

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
	"go.yaml.in/yaml/v3"
)

// Trees in tests are YAML: a mapping is a dict, a list a list, and a text like these a tensor:
//
//	float32[2,3]                 its own storage
//	float32[2,3] ~a.weight       shares the storage of the tensor at path a.weight, which stands before
//	float32[2] of 100 +4 /1      2 of a storage's 100 elements, from 4 on, stride 1
//	float32[2] cuda:0 param grad device, Parameter, requires_grad
//	float16[2] from float32      stored as float32, cast when read
//	float32[2] gathered          a storage that an operation made
//
// The key $metadata gives a dict its _metadata (module path to version) and makes it an OrderedDict.
type treeBuilder struct {
	t        testing.TB
	cp       *Checkpoint
	byPath   map[string]*pickle.Storage
	elements map[*pickle.Storage]int64
}

func buildTree(t testing.TB, n *yaml.Node) *Checkpoint {
	t.Helper()
	b := &treeBuilder{t: t, cp: &Checkpoint{Format: TorchZip}, byPath: map[string]*pickle.Storage{}}
	root := b.value(follow(n), "")
	for i := range b.cp.Storages {
		b.cp.Storages[i].Data.Len = b.cp.Storages[i].NBytes
	}
	cp, err := b.cp.rebuild(root, b.cp.Storages)
	if err != nil {
		t.Fatal(err)
	}
	cp.edited = false
	return cp
}

func buildText(t testing.TB, text string) *Checkpoint {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	return buildTree(t, n.Content[0])
}

func (b *treeBuilder) value(n *yaml.Node, path string) pickle.Value {
	switch n.Kind {
	case yaml.MappingNode:
		d := &pickle.Dict{}
		for i := 0; i < len(n.Content); i += 2 {
			k, v := n.Content[i], follow(n.Content[i+1])
			if k.Value == "$metadata" {
				d.Class = &pickle.Global{Module: "collections", Name: "OrderedDict"}
				meta := &pickle.Dict{Class: d.Class, Items: versionItems(v)}
				d.Attrs = &pickle.Dict{Items: []pickle.Item{{Key: "_metadata", Value: meta}}}
				continue
			}
			var key pickle.Value = k.Value
			if k.Tag == "!!int" {
				n, _ := strconv.ParseInt(k.Value, 10, 64)
				key = n
			}
			if k.Value == "_metadata" {
				d.Items = append(d.Items, pickle.Item{Key: key, Value: &pickle.Dict{Items: versionItems(v)}})
				continue
			}
			d.Items = append(d.Items, pickle.Item{Key: key, Value: b.value(v, joinPath(path, k.Value))})
		}
		return d
	case yaml.SequenceNode:
		l := &pickle.List{}
		for i, v := range n.Content {
			l.Items = append(l.Items, b.value(v, fmt.Sprintf("%s[%d]", path, i)))
		}
		return l
	}
	switch n.Tag {
	case "!!int":
		i, _ := strconv.ParseInt(n.Value, 10, 64)
		return i
	case "!!null":
		return nil
	case "!!bool":
		return n.Value == "true"
	}
	if strings.Contains(n.Value, "[") {
		return b.tensor(n.Value, path)
	}
	return n.Value
}

func versionItems(n *yaml.Node) []pickle.Item {
	var items []pickle.Item
	for i := 0; i < len(n.Content); i += 2 {
		v, _ := strconv.ParseInt(n.Content[i+1].Value, 10, 64)
		items = append(items, pickle.Item{Key: n.Content[i].Value, Value: &pickle.Dict{Items: []pickle.Item{{Key: "version", Value: v}}}})
	}
	return items
}

func (b *treeBuilder) tensor(text, path string) pickle.Value {
	words := strings.Fields(text)
	name, dims, _ := strings.Cut(strings.TrimSuffix(words[0], "]"), "[")
	d, ok := ParseDType(name)
	if !ok {
		b.t.Fatalf("test tree: %q is no tensor", text)
	}
	t := &pickle.Tensor{DType: d, Shape: numbers(dims)}
	t.Stride = rowMajor(t.Shape)
	location, param, grad := "cpu", false, false
	elements := int64(1)
	for _, n := range t.Shape {
		elements *= n
	}
	for i := 1; i < len(words); i++ {
		w := words[i]
		switch {
		case w[0] == '~':
			t.Storage = b.byPath[w[1:]]
			if t.Storage == nil {
				b.t.Fatalf("test tree: no tensor %q before %q", w[1:], path)
			}
		case w == "of":
			i++
			elements, _ = strconv.ParseInt(words[i], 10, 64)
		case w[0] == '+':
			t.Offset = numbers(w[1:])[0]
		case w[0] == '/':
			t.Stride = numbers(w[1:])
		case w == "param":
			param = true
		case w == "grad":
			grad = true
		default:
			location = w
		}
	}
	if t.Storage == nil {
		t.Storage = &pickle.Storage{Tag: "storage", Key: strconv.Itoa(len(b.cp.Storages)), Location: location, DType: d,
			Numel: elements, Index: len(b.cp.Storages)}
		b.cp.Storages = append(b.cp.Storages, Storage{Key: t.Storage.Key, Location: location, DType: d, NBytes: elements * d.Size()})
	}
	b.byPath[path] = t.Storage
	if param {
		return &pickle.Parameter{Data: t, RequiresGrad: grad}
	}
	t.RequiresGrad = grad
	return t
}

func numbers(text string) []int64 {
	ns := []int64{}
	for _, w := range strings.Split(text, ",") {
		if n, err := strconv.ParseInt(w, 10, 64); err == nil {
			ns = append(ns, n)
		}
	}
	return ns
}

// dumpTree is a checkpoint's tree in the language of buildTree, one line per key.
func dumpTree(cp *Checkpoint) string {
	d := &treeDumper{cp: cp, first: map[int]string{}}
	d.value(cp.root, "", 0)
	return d.b.String()
}

type treeDumper struct {
	b     strings.Builder
	cp    *Checkpoint
	first map[int]string
}

func (d *treeDumper) value(v pickle.Value, path string, depth int) {
	indent := strings.Repeat("  ", depth)
	switch v := v.(type) {
	case *pickle.Dict:
		d.b.WriteString("\n")
		for _, it := range v.Items {
			key := pickle.PyStr(it.Key)
			fmt.Fprintf(&d.b, "%s%s:", indent, key)
			if key == "_metadata" {
				fmt.Fprintf(&d.b, " %s\n", versionsText(it.Value.(*pickle.Dict)))
				continue
			}
			d.value(it.Value, joinPath(path, key), depth+1)
		}
		if attrs, ok := v.Attrs.(*pickle.Dict); ok {
			fmt.Fprintf(&d.b, "%s$metadata: %s\n", indent, versionsText(lookup(attrs, "_metadata").(*pickle.Dict)))
		}
	case *pickle.List:
		d.b.WriteString("\n")
		for i, x := range v.Items {
			fmt.Fprintf(&d.b, "%s-", indent)
			d.value(x, fmt.Sprintf("%s[%d]", path, i), depth+1)
		}
	case *pickle.Tensor, *pickle.Parameter:
		fmt.Fprintf(&d.b, " %s\n", d.tensor(v, path))
	default:
		fmt.Fprintf(&d.b, " %v\n", v)
	}
}

func versionsText(m *pickle.Dict) string {
	var parts []string
	for _, it := range m.Items {
		parts = append(parts, fmt.Sprintf("%q: %v", it.Key, lookup(it.Value.(*pickle.Dict), "version")))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (d *treeDumper) tensor(v pickle.Value, path string) string {
	t := tensorOf(v)
	list := func(ns []int64) string { return strings.Trim(strings.ReplaceAll(fmt.Sprint(ns), " ", ","), "[]") }
	s := fmt.Sprintf("%s[%s]", t.DType, list(t.Shape))
	st := &d.cp.Storages[t.Storage.Index]
	if first, ok := d.first[t.Storage.Index]; ok {
		s += " ~" + first
	} else {
		d.first[t.Storage.Index] = path
		n := st.NBytes / st.DType.Size()
		if v := (View{Shape: t.Shape}); v.Numel() != n {
			s += fmt.Sprintf(" of %d", n)
		}
	}
	if t.Offset != 0 {
		s += fmt.Sprintf(" +%d", t.Offset)
	}
	if !slices.Equal(t.Stride, rowMajor(t.Shape)) {
		s += " /" + list(t.Stride)
	}
	if t.Storage.Location != "cpu" {
		s += " " + t.Storage.Location
	}
	if t.Storage.Location != st.Location {
		s += " BAD-LOCATION"
	}
	if p, ok := v.(*pickle.Parameter); ok {
		s += " param"
		if p.RequiresGrad {
			s += " grad"
		}
	} else if t.RequiresGrad {
		s += " grad"
	}
	if st.Cast != 0 {
		s += " from " + st.DType.String()
	}
	if st.Of != nil {
		s += " gathered"
	}
	return s
}

// textTree renders the expected tree of a case in the way of dumpTree.
func textTree(n *yaml.Node, depth int) string {
	var b strings.Builder
	indent := strings.Repeat("  ", depth)
	n = follow(n)
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteString("\n")
		meta := ""
		for i := 0; i < len(n.Content); i += 2 {
			k, v := n.Content[i].Value, n.Content[i+1]
			line := indent + k + ":"
			if k == "$metadata" || k == "_metadata" {
				line += fmt.Sprintf(" %s\n", versionsText(&pickle.Dict{Items: versionItems(v)}))
				if k == "$metadata" {
					meta = line
					continue
				}
				b.WriteString(line)
				continue
			}
			b.WriteString(line + textTree(v, depth+1))
		}
		b.WriteString(meta)
	case yaml.SequenceNode:
		b.WriteString("\n")
		for _, v := range n.Content {
			b.WriteString(indent + "-" + textTree(v, depth+1))
		}
	default:
		if n.Tag == "!!null" {
			return " <nil>\n"
		}
		b.WriteString(" " + n.Value + "\n")
	}
	return b.String()
}
