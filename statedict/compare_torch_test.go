package statedict_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// loadScript makes models and mangled checkpoints, and prints the error of each real load_state_dict(strict=True).
const loadScript = `
import torch, sys, os, json, collections
from torch import nn
out = sys.argv[1]
class Block(nn.Module):
    def __init__(self, n):
        super().__init__(); self.conv = nn.Conv2d(n, n, 3); self.bn = nn.BatchNorm2d(n); self.act = nn.ReLU()
class Net(nn.Module):
    def __init__(self, n=4, k=3, head='fc'):
        super().__init__()
        self.stem = nn.Conv2d(3, n, 3)
        self.layers = nn.ModuleList([Block(n) for _ in range(2)])
        setattr(self, head, nn.Linear(n, k))
        self.scale = nn.Parameter(torch.ones(()))
class Wrap(nn.Module):
    def __init__(self): super().__init__(); self.net = Net()
def sub(sd, f): 
    o = collections.OrderedDict((f(k), v) for k, v in sd.items() if f(k) is not None)
    if hasattr(sd, '_metadata'): o._metadata = collections.OrderedDict((k, v) for k, v in sd._metadata.items())
    return o
torch.manual_seed(0)
net = Net(); sd = net.state_dict(); plain = dict(sd)
P = lambda p: (lambda k: p + k)
cases = {
 'same': (Net(), sd), 'module': (Net(), {'module.' + k: v for k, v in sd.items()}),
 'orig_mod': (Net(), sub(sd, P('_orig_mod.'))), 'nested': (Net(), sub(sd, P('_orig_mod.module.'))),
 'lightning': (Net(), sub(sd, P('model.'))), 'wrapped': (Wrap(), sd), 'wrapped_ok': (Wrap(), Wrap().state_dict()),
 'net_into_plain': (Net(), Wrap().state_dict()), 'other_head': (Net(head='head'), sd), 'classes': (Net(k=7), sd),
 'wider': (Net(n=6), sd), 'no_bn_count': (Net(), sub(sd, lambda k: None if 'num_batches' in k else k)),
 'no_bn_count_plain': (Net(), {k: v for k, v in sd.items() if 'num_batches' not in k}),
 'extra': (Net(), dict(plain, **{'ema.decay': torch.zeros(1), 'extra': torch.zeros(2)})),
 'deeper': (Net(), dict(plain, **{'layers.9.conv.weight': torch.zeros(1)})),
 'missing_one': (Net(), {k: v for k, v in plain.items() if k != 'layers.1.conv.bias'}),
 'missing_module': (Net(), {k: v for k, v in plain.items() if not k.startswith('layers.1.')}),
 'scalar_as_one': (Net(), dict(plain, scale=torch.ones(1))), 'scalar_as_two': (Net(), dict(plain, scale=torch.ones(2))),
 'renamed_group': (Net(), sub(sd, lambda k: k.replace('layers.', 'blocks.'))), 'empty': (Net(), {}),
 'reordered': (Net(), dict(reversed(list({'x.' + k: v for k, v in sd.items()}.items())))),
 'gamma': (Net(), sub(sd, lambda k: k.replace('bn.weight', 'bn.gamma').replace('bn.bias', 'bn.beta'))),
 'ema_twin': (Net(), dict(**{'model.' + k: v for k, v in sd.items()}, **{'model_ema.' + k: v for k, v in sd.items()})),
}
res = {}
for name, (m, ck) in cases.items():
    torch.save(m.state_dict(), os.path.join(out, name + '.model.pth')); torch.save(ck, os.path.join(out, name + '.ckpt.pth'))
    try: m.load_state_dict(ck); res[name] = ['', type(m).__name__]
    except RuntimeError as e: res[name] = [str(e), type(m).__name__]
json.dump(res, open(os.path.join(out, 'errors.json'), 'w'))
`

// TestLoadStateDict compares check with what real load_state_dict says of the same pairs, word for word; gives the real
// error texts, whole and cut off, to the reader of pasted errors; and asks for recipes after which check is content.
func TestLoadStateDict(t *testing.T) {
	python := os.Getenv("WEIGHTROOM_PYTHON")
	if python == "" {
		python = "/usr/bin/python3"
	}
	if runtime.GOOS == "js" {
		t.Skip("no processes")
	}
	if exec.Command(python, "-c", "import torch").Run() != nil {
		t.Skip("no torch for " + python)
	}
	dir := t.TempDir()
	if out, err := exec.Command(python, "-c", loadScript, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	doc, err := os.ReadFile(filepath.Join(dir, "errors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var said map[string][2]string
	if err := json.Unmarshal(doc, &said); err != nil {
		t.Fatal(err)
	}
	// Of these no rename can make a fit.
	hopeless := map[string]bool{"classes": true, "wider": true, "missing_one": true, "missing_module": true, "scalar_as_two": true, "empty": true,
		"no_bn_count": true}
	agreed, fitted, pasted := 0, 0, 0
	for name, want := range said {
		t.Run(name, func(t *testing.T) {
			model, err := openFile(t, filepath.Join(dir, name+".model.pth"))
			if err != nil {
				t.Fatal(err)
			}
			ckpt, err := openFile(t, filepath.Join(dir, name+".ckpt.pth"))
			if err != nil {
				t.Fatal(err)
			}
			ref, err := model.KeyList("", true)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ckpt.KeyList("", true)
			if err != nil {
				t.Fatal(err)
			}
			inc := statedict.CompareKeys(ref, got)
			if text := inc.Error(want[1]); text != want[0] {
				t.Fatalf("check says\n%s\ntorch says\n%s", text, want[0])
			}
			agreed++
			if want[0] == "" || hopeless[name] {
				if want[0] != "" {
					if s, err := statedict.Suggest(ref, ckpt); err == nil && s != nil && s.Compatible {
						t.Errorf("claims that %s makes it fit", s.Recipe.YAML())
					}
				}
				return
			}
			fits := func(what string, ref *statedict.KeyList) {
				s, err := statedict.Suggest(ref, ckpt)
				if err != nil || s == nil {
					t.Fatalf("%s: no recipe (%v)", what, err)
				}
				edited, _, err := s.Recipe.Apply(ckpt, nil)
				if err != nil {
					t.Fatalf("%s: %s: %v", what, s.Recipe.YAML(), err)
				}
				at := s.Recipe.At
				after, err := edited.KeyList(at, true)
				if err != nil {
					t.Fatal(err)
				}
				full, _ := model.KeyList("", true)
				if rest := statedict.CompareKeys(full, after); !rest.Compatible() {
					t.Errorf("%s: after %s torch would still say %s", what, s.Recipe.YAML(), rest.Error("Net"))
				}
			}
			fits("suggest", ref)
			fitted++
			e, err := statedict.ParseLoadError("Traceback (most recent call last):\n  ...\nRuntimeError: " + want[0])
			if err != nil {
				t.Fatal(err)
			}
			fits("pasted error", e.Reference(got))
			pasted++
			// Cut off inside the first list, where one prefix explains everything.
			if i := strings.Index(want[0], `", "layers.0.bn`); i > 0 && strings.Contains("module orig_mod nested lightning", name) {
				e, err := statedict.ParseLoadError(want[0][:i+9] + "…")
				if err != nil {
					t.Fatal(err)
				}
				fits("cut off error", e.Reference(got))
				pasted++
			}
		})
	}
	t.Logf("%d pairs agree word for word, %d suggested recipes fit, %d pasted errors give a recipe that fits", agreed, fitted, pasted)
}
