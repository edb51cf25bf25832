"""The torch half of TestWindows: an old legacy file whose storages are windows of another one.

    python3 windows.py build DIR   writes DIR/in.pth as torch of before 0.4 did
    python3 windows.py check DIR   looks at DIR/cast.pth, unshare.pth, compact.pth, cpu.pth, merged.pth with real torch
"""
import collections
import io
import os
import pickle
import struct
import sys

import torch
from torch._utils import _rebuild_tensor

NUMEL = 10


class Stored:
    """A storage's persistent id."""

    def __init__(self, location, window):
        self.id = ("storage", torch.FloatStorage, "101", location, NUMEL, window)


class Tensor:
    def __init__(self, storage, offset, shape, stride):
        self.args = (storage, offset, shape, stride)

    def __reduce__(self):
        return _rebuild_tensor, self.args


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.id if isinstance(obj, Stored) else None


def build(folder):
    tree = collections.OrderedDict([
        ("whole", Tensor(Stored("cpu", None), 0, (2, 5), (5, 1))),
        ("view", Tensor(Stored("cpu", ("202", 4, 3)), 0, (3,), (1,))),
        ("moved", Tensor(Stored("cpu", ("303", 2, 6)), 1, (5,), (1,))),
    ])
    out = io.BytesIO()
    for obj in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}):
        pickle.dump(obj, out, 2)
    Pickler(out, 2).dump(tree)
    pickle.dump(["101"], out, 2)
    out.write(struct.pack("<q", NUMEL) + struct.pack("<10f", *range(NUMEL)))
    with open(os.path.join(folder, "in.pth"), "wb") as f:
        f.write(out.getvalue())


def check(folder):
    load = lambda name, **kw: torch.load(os.path.join(folder, name), **kw)
    want = load("in.pth")
    assert want["view"].tolist() == [4, 5, 6] and want["moved"].tolist() == [3, 4, 5, 6, 7], want

    def shares(sd, prefix=""):
        sd[prefix + "whole"].fill_(-1)
        return [k for k in ("view", "moved") if bool((sd[prefix + k] == -1).all())]

    def same(name, dtype=torch.float32, prefix=""):
        sd = load(name)
        for k, v in want.items():
            assert torch.equal(sd[prefix + k], v.to(dtype)), (name, k, sd)
        return sd

    assert shares(same("cast.pth", torch.float16)) == ["view", "moved"]
    assert shares(same("cpu.pth")) == ["view", "moved"]
    assert shares(same("merged.pth", prefix="old.", dtype=torch.float16), "old.") == ["view", "moved"]
    assert shares(same("unshare.pth")) == []
    sd = same("compact.pth")
    assert [sd[k].storage().size() for k in want] == [10, 3, 5], "compact"
    assert shares(sd) == []
    small = load("slice.pth")
    assert small["view"].tolist() == [4, 5, 6] and small["view"].storage().size() == 3, small
    tags = []
    load("cuda.pth", map_location=lambda storage, tag: (tags.append(tag), storage)[1])
    assert set(tags) == {"cuda:0"}, tags


{"build": build, "check": check}[sys.argv[1]](sys.argv[2])
