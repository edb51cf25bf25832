package statedict

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// TestSuggestFamilies mangles names as model zoos differ from each other, in networks of many layers with equal shapes, where
// a wrong pair would load without a word. Every key has to find its own way back.
func TestSuggestFamilies(t *testing.T) {
	net, big := netRows(8, 3, 10), transformerRows(16, 12)
	sub := func(pairs ...string) func(string) string {
		return func(k string) string {
			for i := 0; i < len(pairs); i += 2 {
				k = regexp.MustCompile(pairs[i]).ReplaceAllString(k, pairs[i+1])
			}
			return k
		}
	}
	shift := func(k string) string {
		return regexp.MustCompile(`^layer\d`).ReplaceAllStringFunc(k, func(s string) string { return fmt.Sprintf("res%d", s[len(s)-1]-'0'+1) })
	}
	detectron := func(k string) string {
		k = sub(`^conv1`, "stem.conv1", `^bn1`, "stem.conv1.norm", `\.bn(\d)`, ".conv$1.norm")(k)
		return "backbone.bottom_up." + shift(k)
	}
	chunks := func(k string) string {
		return regexp.MustCompile(`^encoder\.layer\.\d+`).ReplaceAllStringFunc(k, func(s string) string {
			var n int
			fmt.Sscanf(s, "encoder.layer.%d", &n)
			return fmt.Sprintf("encoder.layer.%d.%d", n/4, n)
		})
	}
	for _, c := range []struct {
		name   string
		rows   [][2]string
		mangle func(string) string
		steps  int // at most
	}{
		{"detectron2's names", net, detectron, 8},
		{"layers counted from two", net, shift, 3},
		{"abbreviations", big, sub(`attention\.query`, "attention.q", `attention\.key`, "attention.k", `attention\.value`, "attention.v"), 3},
		{"a part in the middle of every layer", big, sub(`\.query\.`, ".query.default.", `\.value\.`, ".value.default."), 4},
		{"blocks in chunks", big, chunks, 3},
		{"DDP around compile around Lightning", big, prefixed("module._orig_mod.model."), 1},
		{"another name around and inside", big, sub(`^encoder\.layer\.`, "transformer.h.", `\.norm\.`, ".ln."), 4},
		{"compile inside", net, sub(`^(layer\d)\.`, "$1._orig_mod."), 3},
	} {
		want, err := buildText(t, tree(c.rows, nil)).KeyList("", false)
		if err != nil {
			t.Fatal(err)
		}
		got := buildText(t, tree(c.rows, c.mangle))
		s, err := Suggest(want, got)
		if err != nil || s == nil || !s.Compatible {
			t.Errorf("%s: %+v %v", c.name, s, err)
			continue
		}
		if len(s.Recipe.Steps) > c.steps {
			t.Errorf("%s: %d steps\n%s", c.name, len(s.Recipe.Steps), s.Recipe.YAML())
		}
		home := map[string]string{}
		for _, r := range c.rows {
			home[c.mangle(r[0])] = r[0]
		}
		for _, p := range s.Pairs {
			if home[p.Got] != p.Want {
				t.Errorf("%s: %q becomes %q, and is %q\n%s", c.name, p.Got, p.Want, home[p.Got], s.Recipe.YAML())
				break
			}
		}
	}
}

// What only a guess could decide is not decided.
func TestSuggestNoGuess(t *testing.T) {
	layers := func(names ...string) string {
		var b strings.Builder
		fmt.Fprintf(&b, "embed.weight: float32[100,8]\n")
		for l := range 6 {
			for _, n := range names {
				fmt.Fprintf(&b, "layers.%d.%s.weight: float32[8,8]\n", l, n)
			}
			fmt.Fprintf(&b, "layers.%d.norm.weight: float32[8]\nlayers.%d.norm.bias: float32[8]\nlayers.%d.mlp.fc1.weight: float32[32,8]\nlayers.%d.mlp.fc2.weight: float32[8,32]\n", l, l, l, l)
		}
		return b.String()
	}
	want, err := buildText(t, layers("gate_proj", "up_proj")).KeyList("", false)
	if err != nil {
		t.Fatal(err)
	}
	got := buildText(t, strings.ReplaceAll(layers("w1", "w3"), "layers.", "model.layers."))
	s, err := Suggest(want, got)
	if err != nil || s == nil || s.Compatible {
		t.Fatalf("%+v %v", s, err)
	}
	for _, p := range s.Pairs {
		if strings.Contains(p.Got, ".w1.") || strings.Contains(p.Got, ".w3.") {
			t.Errorf("guesses that %q is %q", p.Got, p.Want)
		}
	}
	open := 0
	for _, a := range s.Ambiguous {
		if a.Kind == AmbiguousOpen && len(a.Candidates) == 2 {
			open++
		}
	}
	if open != 2 {
		t.Errorf("ambiguous: %+v", s.Ambiguous)
	}
	// One more layer of the same kind is not the one that is missing.
	blocks := func(from int, key string) string {
		var b strings.Builder
		for i := range 6 {
			fmt.Fprintf(&b, "blocks.%d.%s: float32[2,2]\n", from+i, key)
		}
		return b.String()
	}
	for _, key := range []string{"w", "attn.w"} {
		want, err = buildText(t, blocks(0, key)).KeyList("", false)
		if err != nil {
			t.Fatal(err)
		}
		if s, _ := Suggest(want, buildText(t, blocks(1, key))); s != nil {
			t.Errorf("suggests\n%s", s.Recipe.YAML())
		}
	}
}

// Where two parts of a file do equally well, the first is taken and the other named.
func TestSuggestTwins(t *testing.T) {
	net := netRows(8, 1, 10)
	for _, c := range []struct {
		name, got, recipe string
		twins             []string
	}{
		{"MoCo", tree(net, prefixed("module.encoder_q.")) + tree(net, prefixed("module.encoder_k.")) + "module.queue: float32[9,9]\n", "extract: module.encoder_q",
			[]string{"module.encoder_q", "module.encoder_k"}},
		{"EMA", tree(net, prefixed("model.")) + tree(net, prefixed("model_ema.")), "extract: model", []string{"model", "model_ema"}},
		{"DINO", nested("student", tree(net, prefixed("module.backbone."))+"module.head.w: float32[2]\n") + nested("teacher", tree(net, prefixed("backbone."))+"head.w: float32[2]\n"),
			"extract: module.backbone", []string{"student", "teacher"}},
	} {
		want, err := buildText(t, tree(net, nil)).KeyList("", false)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Suggest(want, buildText(t, c.got))
		if err != nil || s == nil || !s.Compatible || !strings.Contains(string(s.Recipe.YAML()), c.recipe) {
			t.Errorf("%s: %+v %v", c.name, s, err)
			continue
		}
		if len(s.Ambiguous) != 1 || s.Ambiguous[0].Kind != AmbiguousFrom || fmt.Sprint(s.Ambiguous[0].Candidates) != fmt.Sprint(c.twins) {
			t.Errorf("%s: ambiguous: %+v", c.name, s.Ambiguous)
		}
	}
}
