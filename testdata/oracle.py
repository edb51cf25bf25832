"""What a checkpoint file holds, told by torch: the contents of <name>.oracle.json.

The file is loaded by torch.load (legacy and zip) while the persistent ids are noted, so that each tensor can be given with
the storage key and location that the file uses. TorchScript archives are read by their pickle and compared with torch.jit.load.

Only files that gen.py has just written are loaded here.
"""
import collections
import hashlib
import io
import pickle
import types
import zipfile

import numpy as np
import torch


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def short(dtype):
    return str(dtype).replace('torch.', '')


def values(t):
    """The elements of a dense tensor, row-major and little-endian; of a quantised one its integers."""
    t = t.detach()
    t = t.int_repr() if t.is_quantized else t.resolve_conj().resolve_neg()
    t = t.contiguous().reshape(-1)
    if t.dtype == torch.bfloat16:
        t = t.view(torch.int16)
    return t.numpy().tobytes()


def step(key):
    """A key as a step of a path: what JSON lacks is spelled out."""
    if key is None or isinstance(key, (str, int)):
        return key
    if isinstance(key, tuple):
        return {'t': 'tuple', 'n': len(key), 'items': [step(k) for k in key]}
    return {'t': type(key).__name__, 'v': key}


class Recorder:
    """Stands in for the pickle module inside torch.load and remembers which storage each persistent id became."""

    __name__ = 'recorder'
    UnpicklingError = pickle.UnpicklingError

    def __init__(self):
        self.storages = {}  # address of the storage -> (key, location)
        recorder = self

        class Unpickler(pickle._Unpickler):
            def __setattr__(self, name, value):
                if name == 'persistent_load':
                    value = recorder.wrap(value)
                super().__setattr__(name, value)

        self.Unpickler = Unpickler

    def wrap(self, load):
        def persistent_load(pid):
            result = load(pid)
            if pid[0] == 'storage':
                storage = result.untyped() if hasattr(result, 'untyped') else getattr(result, '_storage', result)
                self.storages[storage._cdata] = (pid[2], pid[3])
            return result
        return persistent_load

    def load(self, f, **kw):
        return pickle._Unpickler(f, **kw).load()


class Walker:
    """Collects tensors and module versions of an object tree."""

    def __init__(self, storages):
        self.storages, self.tensors, self.metadata = storages, [], []
        self.known = {}  # containers, and numbers of tensors, by id
        self.held = []  # keeps the ids from being used again

    def tensor(self, t, path):
        record = {'i': len(self.tensors), 'path': path}
        self.tensors.append(record)
        if id(t) in self.known:
            record['same_object_as'] = self.known[id(t)]
        self.known.setdefault(id(t), record['i'])
        self.held.append(t)
        parts = []
        if t.layout != torch.strided:
            record.update(kind='sparse:' + str(t.layout), requires_grad=t.requires_grad)
            if t.layout == torch.sparse_coo:
                parts = [t._indices(), t._values()]
            else:
                parts = [t.crow_indices(), t.col_indices(), t.values()]
            parts = [(p, [['part', 'data'], ['index', i]]) for i, p in enumerate(parts)]
        else:
            key, location = self.storages[t._storage()._cdata]
            record.update(dtype=short(t.dtype), shape=list(t.shape), stride=list(t.stride()), offset=t.storage_offset(),
                          storage=key, location=location, requires_grad=t.requires_grad)
            if isinstance(t, torch.nn.Parameter):
                record['parameter'] = True
            if t.is_quantized:
                record.update(kind='quantized', qscheme=short(t.qscheme()))
                if t.qscheme() == torch.per_tensor_affine:
                    record.update(q_scale=t.q_scale(), q_zero_point=t.q_zero_point())
                else:
                    record['q_axis'] = t.q_per_channel_axis()
                    parts = [(t.q_per_channel_scales(), [['part', 'q_scales']]), (t.q_per_channel_zero_points(), [['part', 'q_zero_points']])]
            record['sha256'] = sha256(values(t))
        if 'same_object_as' not in record:
            for part, step in parts:
                self.tensor(part, path + step)

    def walk(self, o, path):
        if isinstance(o, torch.Tensor):
            return self.tensor(o, path)
        if isinstance(o, (str, bytes, int, float, complex, type(None), type, np.ndarray, np.generic, torch.dtype)) or id(o) in self.known:
            return
        if not (isinstance(o, tuple) and not o):
            self.known[id(o)] = o
        if isinstance(o, dict):
            for key, value in o.items():
                self.walk(value, path + [['key', step(key)]])
            versions = getattr(o, '_metadata', None)
            if versions is not None:
                items = [[k, {'t': 'dict', 'n': len(v), 'items': [[a, b] for a, b in v.items()]}] for k, v in versions.items()]
                self.metadata.append({'path': [value for _, value in path], 'n': len(items), 'value': {'t': 'OrderedDict', 'n': len(items), 'items': items}})
        elif isinstance(o, (list, tuple, collections.deque)):
            for i, value in enumerate(o):
                self.walk(value, path + [['index', i]])
        elif hasattr(o, '__dict__') and not isinstance(o, (types.FunctionType, types.ModuleType)):
            for name, value in vars(o).items():
                self.walk(value, path + [['attr', name]])

    def result(self, form, source):
        return {'format': form, 'oracle': source, 'tensor_count': len(self.tensors), 'tensors': self.tensors, '_metadata': self.metadata}


def describe(data):
    """The oracle of a torch.save file, zip or legacy."""
    recorder = Recorder()
    torch.serialization.pickle = recorder  # torch 1.13.0 takes a pickle_module and then uses this one
    try:
        obj = torch.load(io.BytesIO(data), map_location='cpu')
    finally:
        torch.serialization.pickle = pickle
    w = Walker(recorder.storages)
    w.walk(obj, [])
    return w.result('torch zip' if data[:2] == b'PK' else 'torch legacy', 'torch-1.13')


def describe_torchscript(data):
    """The oracle of a torch.jit.save file: attributes of its data.pkl, held against torch.jit.load."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    prefix = archive.namelist()[0].split('/')[0] + '/'
    recorder = Recorder()
    held = {}

    class Script:
        def __setstate__(self, state):
            self.__dict__.update(state)

    class Unpickler(recorder.Unpickler):
        def find_class(self, module, name):
            if module.startswith('__torch__'):
                return Script
            return super().find_class(module, name)

    def persistent_load(pid):
        _, kind, key, location, numel = pid
        if key not in held:
            raw = archive.read(prefix + 'data/' + key)
            held[key] = torch.frombuffer(bytearray(raw), dtype=kind.dtype).storage() if raw else torch.empty(0, dtype=kind.dtype).storage()
        storage = held[key]
        recorder.storages[storage._storage._cdata] = ('data/' + key, location)
        return storage

    unpickler = Unpickler(io.BytesIO(archive.read(prefix + 'data.pkl')))
    object.__setattr__(unpickler, 'persistent_load', persistent_load)
    w = Walker(recorder.storages)
    w.walk(unpickler.load(), [])
    script = torch.jit.load(io.BytesIO(data))
    real = {n: values(t) for n, t in [*script.named_parameters(), *script.named_buffers()]}
    ours = {'.'.join(step[1] for step in t['path']): t['sha256'] for t in w.tensors}
    assert real and all(ours[n] == sha256(v) for n, v in real.items()), ours
    return w.result('torchscript zip', 'torch-1.13')
