package pagetest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// The operations behind "More operations", each with what the codec makes of it.
func TestMoreOperations(t *testing.T) {
	b := newTab(t)
	tied := corpus(t, "chemprop__example_model_v2_regression_mol.ckpt")
	for _, c := range []struct {
		action string
		fields []string
		step   string
	}{
		{"set-device", []string{"device", "cpu"}, `{"set_device":{"device":"cpu"}}`},
		{"set-requires-grad", []string{"value", "true", "match", "**.weight"}, `{"set_requires_grad":{"value":true,"match":"**.weight"}}`},
		{"compact", nil, `{"compact":true}`},
		{"drop-objects", []string{"paths", "optimizer_states"}, `{"drop_objects":["optimizer_states"]}`},
		{"cast", []string{"to", "float16", "match", "**.weight"}, `{"cast":{"to":"float16","match":"**.weight"}}`},
	} {
		b.choose(tied)
		b.wait("ready")
		b.more()
		b.click(c.action)
		for i := 0; i+1 < len(c.fields); i += 2 {
			b.fill(c.fields[i], c.fields[i+1])
		}
		b.until("document.querySelector('.preview-line').innerText !== 'The result appears here as you type.'")
		line := b.str("document.querySelector('.preview').innerText")
		b.click("apply")
		b.until("['ready','error'].includes(document.documentElement.dataset.state)")
		cp, _, err := mustRecipe(t, `{"recipe":1,"steps":[`+c.step+`]}`).Apply(open(t, tied), nil)
		if err != nil { // nothing to do in this file: both say so
			if strings.TrimSpace(line) == "" || b.steps() != "" {
				t.Errorf("%s: the codec says %v, the page %q", c.action, err, line)
			}
			continue
		}
		if got := b.str("document.querySelectorAll('[data-role=steps] .step').length"); got != "1" || len(cp.Entries) == 0 {
			t.Errorf("%s: %s steps; %q", c.action, got, line)
		}
		t.Log(c.action, b.str("document.querySelector('[data-role=steps] .step')?.innerText"))
	}
	b.clean()
}

// A sub-module out of a Lightning checkpoint, as safetensors.
func TestLightningStory(t *testing.T) {
	b := newTab(t)
	file := corpus(t, "chemprop__example_model_v2_regression_mol.ckpt")
	b.choose(file)
	b.wait("ready")
	b.edit("extract", "prefix", "message_passing")
	if got := b.steps(); got != "Extract message_passing" {
		t.Fatalf("steps %q, error %q, panel %q", got, b.role("error"), b.str("document.querySelector('.panel')?.innerText"))
	}
	b.click("export")
	b.pick("safetensors")
	b.until("!document.querySelector('[data-action=leave-out]').hidden")
	b.click("leave-out")
	b.until("document.querySelector('.fact')")
	b.click("close-panel")
	b.click("save-recipe")
	recipe := string(b.saved("-recipe.yaml"))
	got := b.export("safetensors", "out.safetensors")
	if want := native(t, file, recipe, statedict.Safetensors); !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want %d\n%s", len(got), len(want), recipe)
	}
	t.Log(recipe, keys(openBytes(t, got)))
	b.shot("lightning-extract")
	b.clean()
}
