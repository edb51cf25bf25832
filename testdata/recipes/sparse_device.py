"""The torch half of TestSparseCastsAndDevices.

    python3 sparse_device.py build DIR   writes DIR/in.pth: sparse tensors of every layout beside dense ones, in a training file
    python3 sparse_device.py check DIR   compares DIR/half.pth, DIR/twice.pth, DIR/cuda.pth, DIR/cpu.pth with what torch does, prints what differs
"""
import io
import os
import sys
import warnings

import torch

warnings.simplefilter("ignore")


def tensors():
    torch.manual_seed(1)
    dense = torch.randn(6, 8) * (torch.rand(6, 8) > 0.5)
    big = torch.tensor([[1e9, 0.0], [0.0, 1e-9]])
    values = torch.arange(1.0, 4.0)
    out = {
        "coo": dense.to_sparse(),
        "uncoalesced": torch.sparse_coo_tensor(torch.tensor([[0, 0, 2], [1, 1, 0]]), values, (3, 4)),
        "hybrid": torch.sparse_coo_tensor(torch.tensor([[0, 3]]), torch.randn(2, 5), (4, 5)),
        "empty": torch.sparse_coo_tensor(size=(3, 4)),
        "csr": dense.to_sparse_csr(),
        "csc": dense.to_sparse_csc(),
        "bsr": dense.to_sparse_bsr((2, 4)),
        "bsc": dense.to_sparse_bsc((3, 2)),
        "over": big.to_sparse(),
        "ints": torch.tensor([[0, 5], [7, 0]]).to_sparse(),
        "values": values,  # shares the storage of uncoalesced
        "weight": torch.randn(3, 4),
        "count": torch.tensor(7),
    }
    return {k: v for k, v in out.items() if savable(v)}


def savable(t):
    """Older torch has layouts that it cannot save."""
    try:
        torch.save(t, io.BytesIO())
        return True
    except RuntimeError:
        return False


def parts(t):
    """Dense tensors that say all of t."""
    if t.layout == torch.sparse_coo:
        return {"indices": t._indices(), "values": t._values()}
    if t.layout in (torch.sparse_csr, torch.sparse_bsr):
        return {"crow": t.crow_indices(), "col": t.col_indices(), "values": t.values()}
    if t.layout in (torch.sparse_csc, torch.sparse_bsc):
        return {"ccol": t.ccol_indices(), "row": t.row_indices(), "values": t.values()}
    return {"values": t}


def same(name, got, want, dtypes=()):
    """Whether got is want with its floating point values cast to each of dtypes in turn."""
    assert got.layout == want.layout and got.shape == want.shape, name
    a, b = parts(got), parts(want)
    assert list(a) == list(b), name
    for k, v in b.items():
        if k == "values" and v.is_floating_point():
            for d in dtypes:
                v = v.to(d)
        assert a[k].dtype == v.dtype, (name, k, a[k].dtype, v.dtype)
        assert a[k].shape == v.shape and torch.equal(a[k], v), (name, k, a[k], v)
    if want.layout == torch.sparse_coo:
        assert got.is_coalesced() == want.is_coalesced(), name


def pointer(t):
    return parts(t)["values"].storage().data_ptr()


def build(folder):
    torch.save({"epoch": 3, "state_dict": tensors()}, os.path.join(folder, "in.pth"))


def check(folder):
    load = lambda name, **kw: torch.load(os.path.join(folder, name), **kw)["state_dict"]
    want = load("in.pth")
    for name, dtypes in (("half.pth", [torch.float16]), ("twice.pth", [torch.bfloat16, torch.float32])):
        got = load(name)
        assert list(got) == list(want), name
        for k, v in want.items():
            same(name + " " + k, got[k], v, dtypes)
        assert pointer(got["uncoalesced"]) == pointer(got["values"]), name + " shares no more"
    some = load("some.pth")
    for k, v in want.items():
        same("some.pth " + k, some[k], v, [torch.float16] if k in ("csr", "coo") else [])
    tags = []
    moved = load("cuda.pth", map_location=lambda storage, tag: (tags.append(tag), storage)[1])
    for k, v in want.items():
        same("cuda.pth " + k, moved[k], v)
    assert set(tags) == {"cuda:1"}, tags
    tags = []
    load("mixed.pth", map_location=lambda storage, tag: (tags.append(tag), storage)[1])
    assert sorted(set(tags)) == ["cpu", "cuda:0"] and tags.count("cuda:0") == 3, tags  # weight, and both parts of coo
    back = load("cpu.pth")  # without map_location: no tag of a device that is not here is left
    for k, v in want.items():
        same("cpu.pth " + k, back[k], v)
    fixture = torch.load(os.path.join(folder, "fixture.pth"))
    for v in fixture.values() if isinstance(fixture, dict) else fixture:
        assert not torch.is_tensor(v) or v.device.type == "cpu"


{"build": build, "check": check}[sys.argv[1]](sys.argv[2])
