package pagetest

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// Real files of both torch containers, and across formats: the page's bytes are the codec's.
func TestTorch(t *testing.T) {
	const edit = `{"recipe":1,"steps":[{"strip_prefix":"module."},{"drop":"**.num_batches_tracked"}]}`
	for _, c := range []struct{ name, file string }{
		{"zip", fixture("dataparallel_sgd.pth")},
		{"legacy", "silent-face-anti-spoofing__2.7_80x80_MiniFASNetV2.pth"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "legacy" {
				c.file = corpus(t, c.file)
			}
			recipe := edit
			b := newTab(t)
			b.choose(c.file)
			b.wait("ready")
			b.edit("strip-prefix", "prefix", "module.")
			b.edit("drop", "match", "**.num_batches_tracked")
			got := b.export("torch", "out.pth")
			if want := native(t, c.file, recipe, statedict.TorchZip); !bytes.Equal(got, want) {
				t.Errorf("torch: %d bytes, want %d; keys %q, want %q", len(got), len(want), keys(openBytes(t, got)), keys(openBytes(t, want)))
			}
			b.click("close-panel")
			if c.name == "zip" { // it has more than tensors in it, which the page offers to leave out
				b.click("export")
				b.pick("safetensors")
				b.until("!document.querySelector('[data-action=leave-out]').hidden")
				b.shot("leave-out")
				// By script: where it stands moves while the panel is drawn anew.
				js[bool](b, "(document.querySelector('[data-action=leave-out]').click(), true)")
				b.until("document.querySelector('.fact')")
				b.click("close-panel")
				recipe = strings.Replace(recipe, "]}", `,{"drop_objects":["epoch","best_acc1","arch","optimizer","history"]}]}`, 1)
			}
			got = b.export("safetensors", "out.safetensors")
			if want := native(t, c.file, recipe, statedict.Safetensors); !bytes.Equal(got, want) {
				t.Errorf("safetensors: %d bytes, want %d", len(got), len(want))
			}
			b.clean()
		})
	}
}

// The look of it, for people: every screen in light and dark, wide and narrow.
func TestScreens(t *testing.T) {
	b := newTab(t)
	b.shot("empty")
	b.dark(true)
	b.shot("empty-dark")
	b.size(390, 844)
	b.shot("empty-phone")
	b.size(1280, 800)
	data, err := os.ReadFile(corpus(t, "pytorch_resnet_cifar10__resnet56-4bfd9763.th"))
	if err != nil {
		t.Fatal(err)
	}
	b.choose(write(t, "resnet56.th", data))
	b.wait("ready")
	for _, dark := range []bool{false, true} {
		suffix := map[bool]string{true: "-dark"}[dark]
		b.dark(dark)
		b.size(1280, 800)
		b.shot("open" + suffix)
		b.click("strip-prefix")
		b.set("[data-field=prefix]", "module.")
		b.until("document.querySelector('.preview .change')")
		b.shot("strip" + suffix)
		b.apply()
		b.edit("drop", "match", "layer3.*.bn1.**")
		b.click("export")
		b.until("document.querySelector('.fact')")
		b.shot("export" + suffix)
		b.click("apply")
		b.wait("ready")
		b.shot("saved" + suffix)
		b.click("close-panel")
		b.set("#filter", "bn1 weight")
		b.shot("filter" + suffix)
		b.set("#filter", "")
		b.click("help")
		b.shot("help" + suffix)
		b.click("close-help")
		b.size(390, 844)
		b.click("tab-keys")
		b.shot("phone" + suffix)
		b.click("tab-edit")
		b.shot("phone-edit" + suffix)
		b.click("undo")
		b.wait("ready")
		b.click("undo")
		b.wait("ready")
	}
	b.dark(false)
	b.size(1280, 800)
	b.choose(corpus(t, "hostile/names-hostile.pth"))
	b.shot("hostile")
	b.choose(corpus(t, "chemprop__example_model_v2_regression_mol.ckpt"))
	b.shot("lightning")
	b.choose(corpus(t, "hostile/exec-reduce-system.pth"))
	b.shot("exec")
	b.clean()
}
