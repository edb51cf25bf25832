"""The other half of TestLoadStateDictDocs.

    python3 article.py build DIR   makes the files that docs/load_state_dict.md speaks of
    python3 article.py run DIR     runs DIR/*.py, each with a fresh model, and compares what it leaves with DIR/NAME.ours.pth
"""
import glob
import json
import os
import sys
import warnings

import torch
from torch import nn

warnings.simplefilter("ignore")


class Net(nn.Module):
    def __init__(self, classes=10, aux=False):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3))
        self.fc = nn.Linear(4, classes)
        if aux:
            self.aux = nn.Linear(4, 2)


def fresh():
    torch.manual_seed(1)
    return Net()


def build(folder):
    os.chdir(folder)
    torch.save(fresh().state_dict(), "model.pth")
    torch.manual_seed(2)
    torch.save(Net(aux=True).state_dict(), "pretrained.pth")
    plain = Net()
    torch.save(plain.state_dict(), "plain.pth")
    torch.save({k: v for k, v in Net(aux=True).state_dict().items() if not k.startswith("aux")}, "known.pth")
    torch.save(Net(classes=3).state_dict(), "other_head.pth")
    torch.save(nn.DataParallel(plain).state_dict(), "parallel.pth")


def run(folder):
    os.chdir(folder)
    failures = {}
    for path in glob.glob("*.py"):
        name = path[:-3]
        code, expression = open(path).read().split("\n# result: ")
        scope = {"torch": torch, "model": fresh()}
        exec(code, scope)
        theirs, ours = eval(expression, scope), torch.load(name + ".ours.pth")
        same = list(theirs) == list(ours) and all(theirs[k].dtype == v.dtype and torch.equal(theirs[k], v) for k, v in ours.items())
        if not same:
            failures[name] = "python has %s, the recipe %s" % (list(theirs), list(ours))
        if not hasattr(ours, "_metadata") and name != "2":
            failures[name] = "the recipe lost _metadata"
    print(json.dumps(failures))


{"build": build, "run": run}[sys.argv[1]](sys.argv[2])
