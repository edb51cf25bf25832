"""The torch half of TestLoadStateDict: makes models and mangled checkpoints, and loads what recipes made of them.

    python3 load_state_dict.py build DIR   writes DIR/NAME.model.pth and DIR/NAME.ckpt.pth, and DIR/errors.json: what real
                                           load_state_dict(strict=True) says of each pair
    python3 load_state_dict.py load DIR    reads DIR/fixed.json, a list of [NAME, file, path of the mapping in it], loads each
                                           file into the model of that name strictly, and prints what went wrong as JSON
"""
import collections
import json
import os
import sys

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv = nn.Conv2d(n, n, 3)
        self.bn = nn.BatchNorm2d(n)
        self.act = nn.ReLU()


class Net(nn.Module):
    def __init__(self, n=4, k=3, head="fc"):
        super().__init__()
        self.stem = nn.Conv2d(3, n, 3)
        self.layers = nn.ModuleList([Block(n) for _ in range(2)])
        setattr(self, head, nn.Linear(n, k))
        self.scale = nn.Parameter(torch.ones(()))


class Wrap(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Net()


class Deep(nn.Module):
    """Nested modules, buffers of all kinds, parameters and buffers that are None."""

    def __init__(self, n=4, k=3):
        super().__init__()
        self.encoder = nn.ModuleDict({"image": Net(n, k), "text": nn.Sequential(nn.Embedding(7, n), nn.Sequential(nn.Linear(n, n, bias=False), nn.LayerNorm(n)))})
        self.register_buffer("mean", torch.zeros(1, n, 1, 1))
        self.register_buffer("table", torch.arange(n), persistent=False)
        self.register_buffer("absent", None)
        self.register_parameter("gate", None)
        self.plain_norm = nn.BatchNorm2d(n, affine=False)
        self.blind_norm = nn.BatchNorm2d(n, track_running_stats=False)
        self.out = nn.Linear(n, k)


class Attention(nn.Module):
    def __init__(self, n=4, depth=2):
        super().__init__()
        self.embed = nn.Embedding(9, n)
        self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(n, 2, 2 * n) for _ in range(depth)])
        self.norm = nn.LayerNorm(n)


def sub(sd, f):
    out = collections.OrderedDict((f(k), v) for k, v in sd.items() if f(k) is not None)
    if hasattr(sd, "_metadata"):
        out._metadata = collections.OrderedDict((k, v) for k, v in sd._metadata.items())
    return out


def under(prefix):
    return lambda k: prefix + k


def below(prefix):
    return lambda k: k[len(prefix):] if k.startswith(prefix) else None


def swap(*pairs):
    def f(k):
        for a, b in pairs:
            k = k.replace(a, b)
        return k
    return f


def several(**parts):
    """State dicts side by side, each below its name."""
    return {name + "." + k: v for name, sd in parts.items() for k, v in sd.items()}


def pairs():
    torch.manual_seed(0)
    sd, deep, att = Net().state_dict(), Deep().state_dict(), Attention().state_dict()
    plain = dict(sd)
    return {
        # what torch says
        "same": (Net(), sd),
        "wrapped_ok": (Wrap(), Wrap().state_dict()),
        "deep_ok": (Deep(), Deep().state_dict()),
        "classes": (Net(k=7), sd),
        "wider": (Net(n=6), sd),
        "deep_wider": (Deep(n=6, k=5), deep),
        "deep_none": (Deep(), dict(deep, absent=torch.zeros(1), gate=torch.zeros(1), table=torch.zeros(4)), deep),
        "deep_none_below": (Deep(), dict(deep, **{"plain_norm.weight": torch.zeros(4), "blind_norm.running_mean": torch.zeros(4), "encoder.text.1.0.bias": torch.zeros(4)}), deep),
        "deep_buffers_missing": (Deep(), {k: v for k, v in deep.items() if "mean" not in k}),
        "deep_buffer_shape": (Deep(), dict(deep, mean=torch.zeros(4))),
        "deep_reversed_wider": (Deep(n=6), dict(reversed(list(deep.items())))),
        "value_is_none": (Net(), dict(plain, **{"fc.bias": None})),
        "no_bn_count": (Net(), sub(sd, lambda k: None if "num_batches" in k else k)),
        "no_bn_count_plain": (Net(), {k: v for k, v in sd.items() if "num_batches" not in k}),
        "extra": (Net(), dict(plain, **{"ema.decay": torch.zeros(1), "extra": torch.zeros(2)}), sd),
        "deeper": (Net(), dict(plain, **{"layers.9.conv.weight": torch.zeros(1)}), sd),
        "missing_one": (Net(), {k: v for k, v in plain.items() if k != "layers.1.conv.bias"}),
        "missing_module": (Net(), {k: v for k, v in plain.items() if not k.startswith("layers.1.")}),
        "scalar_as_one": (Net(), dict(plain, scale=torch.ones(1))),
        "scalar_as_two": (Net(), dict(plain, scale=torch.ones(2))),
        "empty": (Net(), {}),
        # what a recipe can cure: the third is what the model then holds
        "module": (Net(), {"module." + k: v for k, v in sd.items()}, sd),
        "orig_mod": (Net(), sub(sd, under("_orig_mod.")), sd),
        "nested": (Net(), sub(sd, under("_orig_mod.module.")), sd),
        "nested_other_way": (Deep(), sub(deep, under("module._orig_mod.")), deep),
        "lightning": (Net(), sub(sd, under("model.")), sd),
        "lightning_net": (Attention(), sub(att, under("model.net.")), att),
        "wrapped": (Wrap(), sd, several(net=sd)),
        "net_into_plain": (Net(), several(net=sd), sd),
        "submodule": (Net(), several(encoder=sd, decoder=att, loss={"weight": torch.ones(3)}), sd),
        "submodule_deep": (Net(), sub(deep, under("model.")), sub(deep, below("encoder.image."))),
        "other_head": (Net(head="head"), sd, sub(sd, swap(("fc.", "head.")))),
        "renamed_group": (Net(), sub(sd, swap(("layers.", "blocks."))), sd),
        "reordered": (Net(), dict(reversed(list({"x." + k: v for k, v in sd.items()}.items()))), sd),
        "gamma": (Net(), sub(sd, swap(("bn.weight", "bn.gamma"), ("bn.bias", "bn.beta"))), sd),
        "ema_twin": (Net(), several(model=sd, model_ema=Net().state_dict()), sd),
        "attention_blocks": (Attention(), sub(att, swap(("blocks.", "module.transformer.h."), ("embed.", "module.transformer.wte."), ("norm.", "norm."))), att),
        "whole_file": (Net(), {"epoch": 3, "state_dict": sub(sd, under("module.")), "best": 0.5}, sd),
    }


def build(folder):
    said = {}
    for name, (model, ckpt, *_) in pairs().items():
        torch.save(model.state_dict(), os.path.join(folder, name + ".model.pth"))
        torch.save(ckpt, os.path.join(folder, name + ".ckpt.pth"))
        try:
            model.load_state_dict(ckpt)
            said[name] = ["", type(model).__name__]
        except RuntimeError as e:
            said[name] = [str(e), type(model).__name__]
    with open(os.path.join(folder, "errors.json"), "w") as f:
        json.dump(said, f)


def load(folder):
    failures = {}
    cases = pairs()
    for name, file, at in json.load(open(os.path.join(folder, "fixed.json"))):
        model, _, want = cases[name]
        for p in model.state_dict().values():
            p.zero_()
        try:
            sd = torch.load(os.path.join(folder, file))
            model.load_state_dict(sd[at] if at else sd, strict=True)
            held = model.state_dict()
            assert set(held) == set(want), "other keys"
            for k, v in held.items():
                assert torch.equal(v, want[k]), "%s holds other values" % k
        except Exception as e:
            failures[file] = "%s: %s" % (type(e).__name__, e)
    print(json.dumps(failures))


{"build": build, "load": load}[sys.argv[1]](sys.argv[2])
