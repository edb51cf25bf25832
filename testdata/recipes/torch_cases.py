"""The other half of TestCopyAs: makes the cases' files with real torch, runs the programs, compares.

    python3 torch_cases.py build DIR    reads DIR/cases.json, writes DIR/N.pth and the other files, or notes in DIR/skipped.json why it cannot
    python3 torch_cases.py run DIR      runs DIR/N.py in DIR/N and compares DIR/N/python.pth with DIR/N/ours.pth
"""
import collections
import json
import os
import runpy
import sys
import warnings

import torch

warnings.simplefilter("ignore")


class Skip(Exception):
    pass


class Builder:
    def __init__(self):
        self.flat = {}  # path to all elements of its storage
        self.count = 0

    def value(self, v, path=""):
        if isinstance(v, dict):
            meta = v.get("$metadata")
            out = collections.OrderedDict() if meta is not None else {}
            for k, x in v.items():
                if k == "$metadata":
                    continue
                if k == "_metadata":
                    out[k] = collections.OrderedDict((p, {"version": n}) for p, n in x.items())
                    continue
                out[int(k) if k.isdigit() else k] = self.value(x, path + "." + k if path else k)
            if meta is not None:
                out._metadata = collections.OrderedDict((p, {"version": n}) for p, n in meta.items())
            return out
        if isinstance(v, list):
            return [self.value(x, "%s[%d]" % (path, i)) for i, x in enumerate(v)]
        if isinstance(v, str) and "[" in v:
            return self.tensor(v, path)
        return v

    def tensor(self, text, path):
        words = text.split()
        name, dims = words[0].rstrip("]").split("[")
        ints = lambda s: [int(n) for n in s.split(",") if n]
        shape, dtype = ints(dims), getattr(torch, name)
        if name.startswith("q"):
            raise Skip("quantised tensors are made otherwise")
        n, offset, stride, flat, param, grad = None, 0, None, None, False, False
        words = words[1:]
        while words:
            w = words.pop(0)
            if w[0] == "~":
                flat = self.flat[w[1:]]
            elif w == "of":
                n = int(words.pop(0))
            elif w[0] == "+":
                offset = int(w[1:])
            elif w[0] == "/":
                stride = ints(w[1:])
            elif w == "param":
                param = True
            elif w == "grad":
                grad = True
            else:
                raise Skip("needs a device")
        if flat is None:
            if n is None:
                n = 1
                for d in shape:
                    n *= d
            self.count += 1
            flat = (torch.arange(n, dtype=torch.float64) * 1.37 + self.count).to(dtype)
        elif flat.dtype != dtype:
            raise Skip("a storage under two dtypes")
        self.flat[path] = flat
        if stride is None:
            stride, k = [], 1
            for d in reversed(shape):
                stride.insert(0, k)
                k *= max(d, 1)
        t = flat.as_strided(shape, stride, offset)
        return torch.nn.Parameter(t, requires_grad=grad) if param else t.requires_grad_(grad) if grad else t


def build(folder):
    skipped = {}
    for i, case in enumerate(json.load(open(os.path.join(folder, "cases.json")))):
        here = os.path.join(folder, str(i))
        os.makedirs(here, exist_ok=True)
        try:
            torch.save(Builder().value(case["before"]), os.path.join(here, "in.pth"))
            for name, tree in case["others"].items():
                torch.save(Builder().value(tree), os.path.join(here, name))
        except Skip as e:
            skipped[str(i)] = str(e)
    json.dump(skipped, open(os.path.join(folder, "skipped.json"), "w"))


def describe(v, path, out, storages):
    """Everything that the comparison looks at, in order."""
    if torch.is_tensor(v):
        ptr = (v.untyped_storage() if hasattr(v, "untyped_storage") else v.storage()).data_ptr()
        share = storages.setdefault(ptr, path) if v.numel() else path
        out.append((path, type(v).__name__, str(v.dtype), tuple(v.shape), tuple(v.stride()) if v.numel() > 1 else (), v.storage_offset(), v.requires_grad, share,
                    v.detach().contiguous().view(-1).tolist()))
    elif isinstance(v, dict):
        kind = "mapping" if not hasattr(v, "_metadata") else "mapping with _metadata"
        out.append((path, kind, list(v)))
        for k, x in v.items():
            describe(x, "%s.%s" % (path, k), out, storages)
        if hasattr(v, "_metadata"):
            out.append((path, "_metadata", list(v._metadata.items())))
    elif isinstance(v, (list, tuple)):
        out.append((path, type(v).__name__, len(v)))
        for i, x in enumerate(v):
            describe(x, "%s[%d]" % (path, i), out, storages)
    else:
        out.append((path, type(v).__name__, v))
    return out


def run(folder):
    failures = {}
    for name in os.listdir(folder):
        here = os.path.join(folder, name)
        if not os.path.exists(os.path.join(here, "edit.py")):
            continue
        os.chdir(here)
        try:
            runpy.run_path("edit.py")
            a, b = describe(torch.load("ours.pth"), "", [], {}), describe(torch.load("python.pth"), "", [], {})
            if a != b:
                failures[name] = "\n".join("ours:   %s\npython: %s" % (x, y) for x, y in zip(a, b) if x != y) or "lengths %d and %d" % (len(a), len(b))
        except Exception as e:
            failures[name] = repr(e)
    print(json.dumps(failures))


{"build": build, "run": run}[sys.argv[1]](sys.argv[2])
