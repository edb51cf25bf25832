package pagetest

import (
	"strings"
	"testing"
)

// An object of a class with its attributes in it is one row: it opens like a group, says its class, and its value is inspected.
func TestObjectRows(t *testing.T) {
	b := newTab(t)
	for _, name := range []string{"synthetic/custom_class_zip.pt", "synthetic/module_tlayer_zip.pt", "synthetic/ts_scripted.pt", "chemprop__example_model_v2_regression_mol.pt", "hostile/exec-build-on-foreign.pth"} {
		b.choose(corpus(t, name))
		b.wait("ready")
		b.pressAt("[data-action=expand-all]")
		if got := b.str(`(() => {
			const groups = new Set([...document.querySelectorAll('.row[data-kind=group]')].filter(r => !r.hidden).map(r => r.dataset.path));
			return [...document.querySelectorAll('.row[data-kind=object]')].filter(r => !r.hidden && groups.has(r.dataset.path)).map(r => r.dataset.path).join();
		})()`); got != "" {
			t.Errorf("%s: two rows each for %s", name, got)
		}
		b.shot("object-" + strings.NewReplacer("/", "-", ".", "-").Replace(name))
	}
	b.choose(corpus(t, "synthetic/custom_class_zip.pt"))
	b.wait("ready")
	b.pressAt("[data-action=expand-all]")
	js[bool](b, `([...document.querySelectorAll(".row")].find(r => !r.hidden && r.dataset.path === "model").click(), true)`)
	b.inspected("model")
	b.until("!document.querySelector('.outline').hidden")
	if got := b.fact("object"); got != "acme.models.detector.Detector" {
		t.Errorf("type %q", got)
	}
	if got := b.fact("keys"); got == "" || got == "undefined" {
		t.Errorf("no count of keys")
	}
	b.shot("object-inspected")
	b.clean()
}
