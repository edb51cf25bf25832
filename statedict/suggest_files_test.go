package statedict

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// netRows are the keys of a small residual network; widths and depth make different ones.
func netRows(width, depth, classes int) [][2]string {
	var rows [][2]string
	add := func(key, format string, args ...any) {
		rows = append(rows, [2]string{key, fmt.Sprintf(format, args...)})
	}
	norm := func(prefix string, n int) {
		for _, k := range []string{"weight", "bias", "running_mean", "running_var"} {
			add(prefix+"."+k, "float32[%d]", n)
		}
		add(prefix+".num_batches_tracked", "int64[]")
	}
	add("conv1.weight", "float32[%d,3,7,7]", width)
	norm("bn1", width)
	for l := range 3 {
		n := width << l
		for b := range depth {
			in := n
			if b == 0 && l > 0 {
				in = n / 2
			}
			p := fmt.Sprintf("layer%d.%d", l+1, b)
			add(p+".conv1.weight", "float32[%d,%d,3,3]", n, in)
			norm(p+".bn1", n)
			add(p+".conv2.weight", "float32[%d,%d,3,3]", n, n)
			norm(p+".bn2", n)
		}
	}
	add("fc.weight", "float32[%d,%d]", classes, width<<2)
	add("fc.bias", "float32[%d]", classes)
	return rows
}

func transformerRows(dim, depth int) [][2]string {
	var rows [][2]string
	rows = append(rows, [2]string{"embed.weight", fmt.Sprintf("float32[1000,%d]", dim)})
	for l := range depth {
		p := fmt.Sprintf("encoder.layer.%d.", l)
		for _, k := range []string{"attention.query", "attention.key", "attention.value", "attention.out", "mlp.fc1", "mlp.fc2"} {
			rows = append(rows, [2]string{p + k + ".weight", fmt.Sprintf("float32[%d,%d]", dim, dim)}, [2]string{p + k + ".bias", fmt.Sprintf("float32[%d]", dim)})
		}
		rows = append(rows, [2]string{p + "norm.weight", fmt.Sprintf("float32[%d]", dim)}, [2]string{p + "norm.bias", fmt.Sprintf("float32[%d]", dim)})
	}
	return append(rows, [2]string{"head.weight", fmt.Sprintf("float32[1000,%d]", dim)})
}

func tree(rows [][2]string, rename func(string) string) string {
	var b strings.Builder
	for _, r := range rows {
		key := r[0]
		if rename != nil {
			key = rename(key)
		}
		if key != "" {
			fmt.Fprintf(&b, "%q: %q\n", key, r[1])
		}
	}
	return b.String()
}

func nested(name, inner string) string {
	return name + ":\n  " + strings.ReplaceAll(strings.TrimRight(inner, "\n"), "\n", "\n  ") + "\n"
}

func prefixed(p string) func(string) string { return func(k string) string { return p + k } }

func replaced(pairs ...string) func(string) string { return strings.NewReplacer(pairs...).Replace }

func TestSuggestFiles(t *testing.T) {
	net := netRows(8, 2, 10)
	model := tree(net, nil)
	big := transformerRows(16, 4)
	shuffled := slices.Clone(net)
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for _, c := range []struct{ name, want, got, recipe string }{
		{"module.", model, tree(net, prefixed("module.")), "strip_prefix: module."},
		{"_orig_mod.", model, tree(net, prefixed("_orig_mod.")), "strip_prefix: _orig_mod."},
		{"both wrappers", model, tree(net, prefixed("_orig_mod.module.")), "strip_prefix: _orig_mod.module."},
		{"the model is wrapped", tree(net, prefixed("module.")), model, "add_prefix: module."},
		{"wrapped otherwise", tree(net, prefixed("net.")), tree(net, prefixed("model.")), "rename: {from: model., to: net.}"},
		{"Lightning", model, "epoch: 3\n" + nested("state_dict", tree(net, prefixed("model."))+"loss.weight: float32[3]\n"), "extract: model"},
		{"a sub-module of something larger", model, tree(net, prefixed("backbone.")) + tree(big, prefixed("decoder.")), "extract: backbone"},
		{"a backbone renamed", tree(net, nil), tree(net, replaced("layer1", "res2", "layer2", "res3", "layer3", "res4", "conv1.weight", "conv1.weight")), "res2"},
		{"stem and head renamed", model, tree(net, func(k string) string {
			k = strings.TrimPrefix(k, "x")
			for _, p := range [][2]string{{"conv1.", "stem.conv."}, {"bn1.", "stem.bn."}, {"fc.", "classifier."}} {
				if strings.HasPrefix(k, p[0]) {
					return p[1] + k[len(p[0]):]
				}
			}
			return k
		}), "stem.bn."},
		{"wrapped and the head renamed", model, tree(net, func(k string) string { return "module." + strings.Replace(k, "fc.", "head.", 1) }), "from: head., to: fc."},
		{"a transformer's blocks", tree(big, nil), tree(big, replaced("encoder.layer.", "blocks.")), "rename: {from: blocks., to: encoder.layer.}"},
		{"EMA beside the weights", model, nested("optimizer", "step: 1\n") + nested("ema_model", tree(net, prefixed("module."))) + nested("other", "x: float32[2]\n"), "strip_prefix: module."},
		{"EMA copy by prefix", model, tree(net, prefixed("model.")) + tree(net, prefixed("model_ema.")), "extract: model"},
		{"more than is wanted", tree(net[:len(net)-2], nil), model, "drop: fc.**"},
		{"another order", model, tree(shuffled, prefixed("net.")), "strip_prefix: net."},
		{"two parts with prefixes of their own", tree(net, prefixed("a.")) + tree(big, prefixed("b.")), tree(net, prefixed("enc.")) + tree(big, prefixed("dec.")), "rename: {from: enc., to: a.}"},
		{"only some need the prefix", tree(net, nil) + tree(big, prefixed("text.")), tree(net, nil) + tree(big, nil), "add_prefix: {prefix: text."},
		{"the right mapping is another", model, nested("state_dict", tree(big, nil)) + nested("teacher", tree(net, nil)), "extract: teacher"},
	} {
		want, err := buildText(t, c.want).KeyList("", false)
		if err != nil {
			t.Fatal(err)
		}
		got := buildText(t, c.got)
		s, err := Suggest(want, got)
		if err != nil || s == nil {
			t.Errorf("%s: nothing suggested", c.name)
			continue
		}
		doc := string(s.Recipe.YAML())
		out, _, err := s.Recipe.Apply(got, nil)
		if err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, doc)
			continue
		}
		list, err := out.KeyList("", false)
		if err != nil {
			t.Fatal(err)
		}
		if inc := CompareKeys(want, list); !inc.Compatible() || !s.Compatible {
			t.Errorf("%s: does not fit (%v): %s\n%s", c.name, s.Compatible, inc.Error("Net"), doc)
		}
		if !strings.Contains(doc, c.recipe) {
			t.Errorf("%s: suggests\n%s", c.name, doc)
		}
		sum := s.Before
		for _, st := range s.Steps {
			sum += st.Gained
		}
		if len(s.Steps) != len(s.Recipe.Steps) || sum != s.Matched || s.Matched != len(want.Keys) || len(s.Pairs) != s.Matched {
			t.Errorf("%s: gains %v from %d to %d of %d, %d pairs", c.name, s.Steps, s.Before, s.Matched, s.Wanted, len(s.Pairs))
		}
	}
	for _, c := range []struct{ name, want, got string }{
		{"another architecture", model, tree(big, nil)},
		{"another width", model, tree(netRows(12, 2, 10), prefixed("module."))},
		{"the other way round", tree(big, nil), model},
		{"nothing in common", "a.x: float32[2]\nb.y: float32[3]\n", "c.weight: float32[2]\nd.bias: float32[3]\n"},
		{"no tensors", model, "epoch: 1\n"},
		{"a few equal shapes", model, tree(transformerRows(8, 6), nil)},
		{"fits already", model, model},
		{"one key of another mapping where more fit without", "a.w: float32[2]\na.b: float32[3]\nc.s: float32[1, 1]\nd.w: float32[4]\n",
			nested("state_dict", "a.w: float32[2]\na.b: float32[3]\nc.s: float32[1, 4]\n") + nested("metric", "s: float32[1, 1]\n")},
	} {
		want, err := buildText(t, c.want).KeyList("", false)
		if err != nil {
			t.Fatal(err)
		}
		if s, _ := Suggest(want, buildText(t, c.got)); s != nil {
			t.Errorf("%s: suggests, from %d to %d of %d\n%s", c.name, s.Before, s.Matched, s.Wanted, s.Recipe.YAML())
		}
	}
}

func TestSuggestAmbiguity(t *testing.T) {
	net := netRows(8, 1, 10)
	want, err := buildText(t, tree(net, prefixed("student."))+tree(net, prefixed("teacher."))).KeyList("", false)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Suggest(want, buildText(t, tree(net, nil)))
	if err != nil || s == nil || len(s.Ambiguous) == 0 || s.Ambiguous[0].Key != "**" || !slices.Equal(s.Ambiguous[0].Candidates, []string{"student", "teacher"}) {
		t.Fatalf("%+v", s)
	}
}

func TestSuggestForError(t *testing.T) {
	net := netRows(8, 2, 10)
	for _, c := range []struct{ name, want, got string }{
		{"module.", tree(net, nil), tree(net, prefixed("module."))},
		{"the model is wrapped", tree(net, prefixed("module.")), tree(net, nil)},
		{"sub-module", tree(net, nil), tree(net, prefixed("encoder."))},
		{"renamed head", tree(net, nil), tree(net, replaced("fc.", "classifier."))},
		{"renamed block", tree(net, nil), tree(net, replaced("layer2.", "stage_b."))},
	} {
		want, err := buildText(t, c.want).KeyList("", false)
		if err != nil {
			t.Fatal(err)
		}
		got := buildText(t, c.got)
		list, err := got.KeyList("", false)
		if err != nil {
			t.Fatal(err)
		}
		text := CompareKeys(want, list).Error("Net")
		for _, cut := range []int{len(text), 2 * len(text) / 3, len(text) / 4} {
			pasted := text[:cut]
			if cut < len(text) {
				pasted += "…"
			}
			e, err := ParseLoadError(pasted)
			if err != nil {
				if !strings.Contains(pasted, "\", ") {
					continue // no key is left
				}
				t.Errorf("%s, cut at %d: %v", c.name, cut, err)
				continue
			}
			s, err := SuggestForError(e, got)
			if err != nil || s == nil {
				t.Errorf("%s, cut at %d of %d: nothing suggested for\n%s", c.name, cut, len(text), pasted)
				continue
			}
			out, _, err := s.Recipe.Apply(got, nil)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			after, err := out.KeyList("", false)
			if err != nil {
				t.Fatal(err)
			}
			if inc := CompareKeys(want, after); !inc.Compatible() {
				t.Errorf("%s, cut at %d of %d:\n%s\ngives\n%s", c.name, cut, len(text), s.Recipe.YAML(), inc.Error("Net"))
			}
		}
	}
}

func BenchmarkCompare100000(b *testing.B) {
	want, _ := manyKeys(b, 100_000, "module.").KeyList("", false)
	got, _ := manyKeys(b, 100_000, "").KeyList("", false)
	for b.Loop() {
		if inc := CompareKeys(want, got); len(inc.MissingKeys) == 0 {
			b.Fatal("nothing is missing")
		}
	}
}

func BenchmarkSuggest100000(b *testing.B) {
	want, _ := manyKeys(b, 100_000, "net.").KeyList("", false)
	got := manyKeys(b, 100_000, "module.")
	for b.Loop() {
		if s, err := Suggest(want, got); err != nil || s == nil || !s.Compatible {
			b.Fatal(s, err)
		}
	}
}

// Somebody gave load_state_dict the whole file: the recipe takes the mapping out of it.
func TestSuggestForErrorOfTheWholeFile(t *testing.T) {
	net := tree(netRows(8, 1, 10), nil)
	got := buildText(t, "epoch: 3\n"+nested("state_dict", tree(netRows(8, 1, 10), prefixed("module.")))+nested("optimizer", "step: 1\n"))
	want, err := buildText(t, net).KeyList("", false)
	if err != nil {
		t.Fatal(err)
	}
	root, err := got.KeyList("", true)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ParseLoadError(CompareKeys(want, root).Error("Net"))
	if err != nil {
		t.Fatal(err)
	}
	if at := e.Loaded(got); at != "" {
		t.Errorf("loaded was %q", at)
	}
	s, err := SuggestForError(e, got)
	if err != nil || s == nil {
		t.Fatalf("nothing suggested: %v", err)
	}
	out, _, err := s.Recipe.Apply(got, nil)
	if err != nil {
		t.Fatal(err)
	}
	after, err := out.KeyList("", true)
	if err != nil {
		t.Fatal(err)
	}
	if inc := CompareKeys(want, after); !inc.Compatible() {
		t.Errorf("%s\n%s", s.Recipe.YAML(), inc.Error("Net"))
	}
}
