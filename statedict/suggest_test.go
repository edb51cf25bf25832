package statedict

import (
	"fmt"
	"strings"
	"testing"
)

// suggestKeys is Suggest for the keys of one mapping.
func suggestKeys(want, got *KeyList) *Suggestion { return suggestFor(want, got, "", true) }

// model is a key list of a small network.
func model() *KeyList {
	l := &KeyList{}
	add := func(key string, shape ...int64) {
		if shape == nil {
			shape = []int64{}
		}
		l.Keys = append(l.Keys, KeyInfo{Key: key, Shape: shape})
	}
	for i := range 4 {
		p := fmt.Sprintf("layers.%d.", i)
		add(p+"conv.weight", int64(8<<i), int64(4<<i), 3, 3)
		add(p+"bn.weight", int64(8<<i))
		add(p+"bn.bias", int64(8<<i))
		add(p+"bn.running_mean", int64(8<<i))
		add(p+"bn.running_var", int64(8<<i))
		add(p + "bn.num_batches_tracked")
	}
	add("fc.weight", 10, 64)
	add("fc.bias", 10)
	return l
}

// mangled is the model with every key renamed by f; "" leaves a key out.
func mangled(f func(string) string) *KeyList {
	m := model()
	out := &KeyList{}
	for _, k := range m.Keys {
		if k.Key = f(k.Key); k.Key != "" {
			out.Keys = append(out.Keys, k)
		}
	}
	return out
}

func with(l *KeyList, keys ...string) *KeyList {
	for _, k := range keys {
		l.Keys = append(l.Keys, KeyInfo{Key: k, Shape: []int64{3}})
	}
	return l
}

// TestSuggest mangles keys as training code does, and asks for the recipe that undoes it: after it, check has nothing to
// say. The reference of the last ones has nothing to do with the checkpoint, and nothing is proposed.
func TestSuggest(t *testing.T) {
	prefix := func(p string) func(string) string { return func(k string) string { return p + k } }
	swap := func(pairs ...string) func(string) string { return strings.NewReplacer(pairs...).Replace }
	cases := []struct {
		name string
		got  *KeyList
		want *KeyList
	}{
		{"DataParallel", mangled(prefix("module.")), model()},
		{"compile", mangled(prefix("_orig_mod.")), model()},
		{"both, nested", mangled(prefix("_orig_mod.module.")), model()},
		{"Lightning", mangled(prefix("model.")), model()},
		{"the model is wrapped", model(), mangled(prefix("module."))},
		{"other prefixes on both sides", mangled(prefix("module.")), mangled(prefix("net."))},
		{"sub-module beside a head", with(mangled(prefix("backbone.")), "head.weight", "head.bias"), model()},
		{"extra keys", with(model(), "ema.decay", "criterion.weight"), model()},
		{"EMA twin", func() *KeyList {
			l := mangled(prefix("model."))
			l.Keys = append(l.Keys, mangled(prefix("model_ema.module.")).Keys...)
			return l
		}(), model()},
		{"renamed group", mangled(swap("layers.", "blocks.")), model()},
		{"renamed group and prefix", mangled(func(k string) string { return "module." + strings.ReplaceAll(k, "layers.", "stage.") }), model()},
		{"renamed head", mangled(swap("fc.", "classifier.")), model()},
		{"gamma and beta", mangled(swap("bn.weight", "bn.gamma", "bn.bias", "bn.beta")), model()},
		{"two renamed groups", mangled(swap("layers.0.", "stem.", "fc.", "head.")), model()},
		{"prefix in the middle", mangled(swap("layers.", "layers.module.")), model()},
		{"nothing wrong", model(), model()},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := suggestKeys(c.want, c.got)
			if c.name == "nothing wrong" {
				if s != nil && len(s.Recipe.Steps) > 0 {
					t.Fatalf("proposes %s", s.Recipe.YAML())
				}
				return
			}
			if s == nil || !s.Compatible {
				t.Fatalf("no recipe that fits: %+v", s)
			}
			t.Logf("%s", s.Recipe.YAML())
		})
	}
	other := func(names ...string) *KeyList { return with(&KeyList{}, names...) }
	hopeless := []struct {
		name string
		got  *KeyList
		want *KeyList
	}{
		{"another model", model(), other("encoder.embed", "encoder.norm", "decoder.embed", "decoder.norm")},
		{"nothing wanted is there", other("a", "b", "c"), model()},
		{"other shapes", func() *KeyList {
			l := mangled(prefix("module."))
			for i := range l.Keys {
				l.Keys[i].Shape = append([]int64{7}, l.Keys[i].Shape...)
			}
			return l
		}(), model()},
		{"a few of many", with(&KeyList{}, "fc.weight", "fc.bias"), model()},
		{"no keys at all", &KeyList{}, model()},
	}
	for _, c := range hopeless {
		t.Run("hopeless: "+c.name, func(t *testing.T) {
			if s := suggestKeys(c.want, c.got); s != nil {
				t.Fatalf("proposes %s for %s", s.Recipe.YAML(), s)
			}
		})
	}
}

func BenchmarkSuggest100k(b *testing.B) {
	want, got := &KeyList{}, &KeyList{}
	for i := range 100_000 {
		k := fmt.Sprintf("blocks.%d.part%d.weight", i/10, i%10)
		want.Keys = append(want.Keys, KeyInfo{Key: k, Shape: []int64{4}})
		got.Keys = append(got.Keys, KeyInfo{Key: "module." + k, Shape: []int64{4}})
	}
	b.Run("suggest", func(b *testing.B) {
		for range b.N {
			if s := suggestKeys(want, got); s == nil || !s.Compatible {
				b.Fatal(s)
			}
		}
	})
	b.Run("check", func(b *testing.B) {
		for range b.N {
			CompareKeys(want, got)
		}
	})
}
