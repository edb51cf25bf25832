package statedict

import (
	"os"
	"path/filepath"
	"testing"
)

// mangling is a real checkpoint, what happened to its keys, and what real checkpoint the model is (the same where it is "").
type mangling struct{ file, recipe, model string }

// manglings are made of files that people published, by what training code does to keys.
var manglings = []mangling{
	{"pytorch_resnet_cifar10__resnet20-12fca82f.th", `[strip_prefix: module.]`, ""},
	{"pytorch_resnet_cifar10__resnet56-4bfd9763.th", `[strip_prefix: module., add_prefix: _orig_mod.]`, ""},
	{"pytorch_resnet_cifar10__resnet56-4bfd9763.th", `[strip_prefix: module., add_prefix: _orig_mod.module.]`, ""},
	{"pytorch_resnet_cifar10__resnet20-12fca82f.th", `[rename: {from: "module.", to: model.net.}]`, ""},
	{"pytorch_resnet_cifar10__resnet20-12fca82f.th", `[rename: {from: 're:^module\.layer(\d+)\.', to: 'module.stages.$1.'}]`, ""},
	{"pytorch_resnet_cifar10__resnet56-4bfd9763.th", `[rename: {from: 're:\.bn(\d)\.', to: '.norm$1.'}]`, ""},
	{"pytorch_resnet_cifar10__resnet20-12fca82f.th", `[rename: {from: 're:^module\.linear\.', to: module.classifier.}]`, ""},
	{"facenet-pytorch__onet.pt", `[add_prefix: detector.onet., merge: {from: facenet-pytorch__rnet.pt, prefix: detector.rnet}]`, ""},
	{"facenet-pytorch__rnet.pt", `[add_prefix: model., merge: {from: facenet-pytorch__rnet.pt, prefix: model_ema}]`, ""},
	{"facenet-pytorch__pnet.pt", `[merge: {from: facenet-pytorch__onet.pt, prefix: second}]`, ""},
	{"kair__dncnn_25.pth", `[rename: {from: model., to: net.}]`, ""},
	{"kair__dncnn_25.pth", `[strip_prefix: model.]`, ""},
	{"cgcnn__band-gap.pth.tar", `[add_prefix: module.]`, ""},
	{"cgcnn__band-gap.pth.tar", `[rename: {from: convs., to: layers.}, rename: {from: fc_out., to: head.}]`, ""},
	{"lpips__v0.1_vgg.pth", `[add_prefix: loss.lpips.]`, ""},
	{"allennlp__best.th", `[add_prefix: student., merge: {from: allennlp__best.th, prefix: teacher}]`, ""},
	{"chemprop__example_model_v2_regression_mol.ckpt", `[add_prefix: model.]`, ""},
	{"ultra-light-fast-generic-face-detector-1mb__version-RFB-320.pth", `[add_prefix: module., rename: {from: module.base_net., to: module.backbone.}]`, ""},
	{"taesd__taef2_decoder.pth", `[add_prefix: decoder., merge: {from: taesd__taesana_encoder.pth, prefix: encoder}]`, ""},

	// hopeless
	{"pytorch_resnet_cifar10__resnet20-12fca82f.th", `[strip_prefix: module.]`, "kair__dncnn_25.pth"},
	{"facenet-pytorch__pnet.pt", `[add_prefix: module.]`, "facenet-pytorch__onet.pt"},
	{"cgcnn__band-gap.pth.tar", `[add_prefix: module.]`, "kair__dncnn_25.pth"},
	{"allennlp__best.th", `[add_prefix: model.]`, "chemprop__example_model_v2_regression_mol.ckpt"},
	{"lpips__v0.1_vgg.pth", `[add_prefix: model.]`, "lpips__v0.1_alex.pth"},
	{"ultra-light-fast-generic-face-detector-1mb__version-RFB-320.pth", `[add_prefix: module.]`, "taesd__taesana_encoder.pth"},
}

// TestSuggestCorpus mangles real checkpoints and asks for the way back: check passes after it, and every key has its own
// weights again. Of pairs that have nothing to do with one another nothing is said.
func TestSuggestCorpus(t *testing.T) {
	dir := os.Getenv("WEIGHTROOM_CORPUS")
	if dir == "" {
		t.Skip("no corpus")
	}
	fitted, hopeless := 0, 0
	for _, c := range manglings {
		name := c.file + " " + c.recipe + " " + c.model
		r, err := ParseRecipe([]byte("steps: " + c.recipe))
		if err != nil {
			t.Fatal(err)
		}
		base, others := openPath(t, filepath.Join(dir, c.file)), map[string]*Checkpoint{}
		for _, f := range r.Files() {
			others[f] = openPath(t, filepath.Join(dir, f))
		}
		got, report, err := r.Apply(base, others)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		model := base
		if c.model != "" {
			model = openPath(t, filepath.Join(dir, c.model))
		}
		want, err := model.KeyList("", false)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Suggest(want, got)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.model != "" {
			if s != nil {
				t.Errorf("%s: proposes, from %d to %d of %d,\n%s", name, s.Before, s.Matched, s.Wanted, s.Recipe.YAML())
			}
			hopeless++
			continue
		}
		if s == nil {
			t.Errorf("%s: nothing is proposed", name)
			continue
		}
		back, _, err := s.Recipe.Apply(got, nil)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, s.Recipe.YAML())
			continue
		}
		list, err := back.KeyList("", false)
		if err != nil {
			t.Fatal(err)
		}
		if inc := CompareKeys(want, list); !inc.Compatible() {
			t.Errorf("%s: after\n%s\n%s", name, s.Recipe.YAML(), inc.Error("the model"))
			continue
		}
		own := map[string]Extent{}
		for i := range base.Entries {
			if e := &base.Entries[i]; e.Dict == report.At {
				own[e.Key] = base.Storages[e.Storage].Data
			}
		}
		for i := range back.Entries {
			e := &back.Entries[i]
			if was, ok := own[e.Key]; ok && e.Dict == report.At && back.Storages[e.Storage].Data.Off != was.Off {
				t.Errorf("%s: %q has the weights of another key after\n%s", name, e.Key, s.Recipe.YAML())
				break
			}
		}
		fitted++
	}
	t.Logf("%d recipes fit and bring every key its weights back, %d hopeless pairs get none", fitted, hopeless)
}
