"""Writes loaderrors.json: what real load_state_dict(strict=True) says for pairs of models.

Run with a Python that has torch (1.13 made the file that is checked in):  python3 loaderrors.py > loaderrors.json
"""
import collections
import json

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, n, m):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(n))
        self.conv = nn.Conv2d(n, m, 3)
        self.relu = nn.ReLU()
        self.bn = nn.BatchNorm2d(m)


class Net(nn.Module):
    def __init__(self, n=4, m=6, classes=10, depth=2, head=True):
        super().__init__()
        self.stem = nn.Conv2d(3, n, 3, bias=False)
        self.act = nn.ReLU()
        self.layers = nn.Sequential(*[Block(n if i == 0 else m, m) for i in range(depth)])
        self.pos = nn.Parameter(torch.zeros(1, m))
        self.register_buffer("mean", torch.zeros(()))
        if head:
            self.fc = nn.Linear(m, classes)


class State(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(2, 2)

    def get_extra_state(self):
        return {"a": 1}

    def set_extra_state(self, state):
        pass


class Outer(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.out = nn.Linear(3, 3)


def rename(sd, f):
    out = collections.OrderedDict((f(k), v) for k, v in sd.items() if f(k) is not None)
    return out


torch.manual_seed(0)
plain = lambda: Net().state_dict()


def without(sd, part):
    for k in [k for k in sd if part in k]:
        del sd[k]
    return sd


pairs = [
    ("same", Net(), plain()),
    ("module prefix", Net(), rename(plain(), lambda k: "module." + k)),
    ("module missing", nn.DataParallel(Net()), plain()),
    ("two prefixes", Net(), rename(plain(), lambda k: "module._orig_mod." + k)),
    ("other classes", Net(classes=3), plain()),
    ("other widths", Net(n=8, m=5), plain()),
    ("deeper model", Net(depth=3), plain()),
    ("deeper checkpoint", Net(), Net(depth=3).state_dict()),
    ("no head in the checkpoint", Net(), Net(head=False).state_dict()),
    ("no head in the model", Net(head=False), plain()),
    ("sub-module of it", Net(), rename(plain(), lambda k: "encoder." + k)),
    ("model is the outer one", Outer(Net()), plain()),
    ("no num_batches_tracked", Net(), rename(plain(), lambda k: None if "tracked" in k else k)),
    ("no num_batches_tracked in a file with versions", Net(), without(plain(), "tracked")),
    ("unexpected below an activation", Net(), dict(plain(), **{"act.weight": torch.zeros(1), "layers.0.relu.x": torch.zeros(1)})),
    ("unexpected in every module", Net(), dict(plain(), **{"zz": torch.zeros(1), "layers.9.conv.weight": torch.zeros(1),
                                                          "layers.0.zz": torch.zeros(1), "layers.1.conv.zz": torch.zeros(1), "fc.zz": torch.zeros(1)})),
    ("reversed order", Net(classes=4), collections.OrderedDict(reversed(list(rename(plain(), lambda k: None if k.startswith("stem") else k.replace("bn.", "norm.")).items())))),
    ("a number in it", Net(), dict(plain(), **{"fc.bias": 3, "epoch": 7})),
    ("nested in a file", Net(), {"epoch": 3, "state_dict": dict(plain()), "optimizer": {}}),
    ("scalar loads from one element", Net(), dict(plain(), mean=torch.zeros(1))),
    ("one element does not load from a scalar", Net(), dict(plain(), pos=torch.zeros(()))),
    ("empty checkpoint", Net(), {}),
    ("empty model", nn.ReLU(), plain()),
    ("extra state missing", State(), nn.Linear(2, 2).state_dict()),
    ("extra state unexpected", Outer(nn.Linear(2, 2)), rename(Outer(State()).state_dict(), lambda k: k.replace("inner.lin.", "inner."))),
    ("extra state on both sides", State(), State().state_dict()),
    ("transposed", nn.Linear(2, 3), {"weight": torch.zeros(2, 3), "bias": torch.zeros(3)}),
    ("everything at once", Net(classes=3, depth=3), dict(rename(plain(), lambda k: None if k.startswith("pos") else k), **{"head.x": torch.zeros(2), "layers.1.bn.gamma": torch.zeros(2)})),
    ("odd names", nn.ModuleDict({"a-b": nn.Linear(1, 1), "c d": nn.Linear(1, 1)}), {"a-b.weight": torch.zeros(1, 1), "ü.w": torch.zeros(1)}),
    ("quotes in a key", nn.Linear(1, 1), {'we"ight': torch.zeros(1, 1), "bias": torch.zeros(1)}),
]


def info(sd):
    return [[k, list(v.shape) if isinstance(v, torch.Tensor) else None,
             None if isinstance(v, torch.Tensor) else str(type(v))[len("<class '"):-2]] for k, v in sd.items()]


cases = []
for name, model, sd in pairs:
    want = model.state_dict()
    try:
        model.load_state_dict(sd)
        text = ""
    except RuntimeError as e:
        text = str(e)
    cases.append({"name": name, "model": type(model).__name__, "want": info(want), "modules": list(want._metadata), "got": info(sd),
                  "versions": {p: m.get("version") for p, m in getattr(sd, "_metadata", {}).items() if "version" in m}, "error": text})
print('{"torch": "%s", "cases": [' % torch.__version__)
print(",\n".join(json.dumps(c, ensure_ascii=False) for c in cases))
print("]}")
