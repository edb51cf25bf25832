package pagetest

import (
	"os"
	"strings"
	"testing"
)

// A quantised block format has its own name for a dtype, and its bytes count; where a file knows no device and no gradients,
// the inspector has nothing to say of them.
func TestFactsByFormat(t *testing.T) {
	b := newTab(t)
	b.choose(corpus(t, "synthetic/toy.gguf"))
	if got := b.role("summary"); got != "4 keys · 124 B" {
		t.Errorf("summary %q", got)
	}
	b.selectRow("q8")
	if got := b.fact("type") + " " + b.fact("size"); got != "Q8_0 68 B (68 bytes)" {
		t.Errorf("q8 is %q", got)
	}
	for _, name := range []string{"grad", "parameter", "device"} {
		if got := b.fact(name); got != "undefined" {
			t.Errorf("a GGUF file has %s %q", name, got)
		}
	}
	b.choose(fixture("state_dict.pth"))
	b.wait("ready")
	b.selectRow(b.paths("tensor")[0])
	if got := b.fact("grad") + " " + b.fact("device"); got != "no cpu" {
		t.Errorf("a torch file has %q", got)
	}
	b.clean()
}

// What a recipe works on is always named, also where it is the module as a whole and no mapping of the file.
func TestModuleChooser(t *testing.T) {
	b := newTab(t)
	b.choose(corpus(t, "synthetic/module_tlayer_zip.pt"))
	b.wait("ready")
	const chosen = "document.querySelector('[data-field=at]').selectedOptions[0]?.innerText"
	if got := b.str(chosen); got != "the whole module" {
		t.Errorf("editing %q", got)
	}
	b.edit("drop", "match", "norm1.**")
	if got := b.str(chosen); !strings.HasSuffix(got, "10 keys") && got != "undefined" {
		t.Errorf("editing %q after a step", got)
	}
	b.clean()
}

// A file with a long name fits a phone.
func TestLongNameOnPhone(t *testing.T) {
	data, err := os.ReadFile(safetensors(t, strings.Repeat("a_long_part.", 12)+"w"))
	if err != nil {
		t.Fatal(err)
	}
	b := newTab(t)
	b.size(390, 844)
	b.choose(write(t, strings.Repeat("a_long_name_", 12)+".safetensors", data))
	if got := b.str("document.documentElement.scrollWidth"); got != "390" {
		t.Errorf("the page is %s pixels wide", got)
	}
	if got := b.str("document.querySelector('[data-action=export]').getBoundingClientRect().right <= 390"); got != "true" {
		t.Error("the button is out of sight")
	}
	b.shot("long-name-phone")
	b.clean()
}
