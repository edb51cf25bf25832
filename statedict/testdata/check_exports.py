"""Reads exports with real PyTorch, numpy and a safetensors reader of its own, and prints what is wrong with each as JSON.

The argument is a JSON file: [{"name", "original", "torch": [path...], "window": bool, "swapped": bool, "flat": [{"path", "tensors": [[name, shape, sha256]...]}]}].
Classes that are not torch's own become inert stubs: nothing in a file runs.
"""
import collections
import hashlib
import json
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import torch

OWN = {('collections', n) for n in ('OrderedDict', 'defaultdict', 'Counter', 'deque')} | {('_codecs', 'encode')} | {
    (m, n) for m in ('builtins', '__builtin__') for n in
    ('set', 'frozenset', 'complex', 'slice', 'bytearray', 'dict', 'list', 'tuple', 'int', 'float', 'bool', 'str', 'bytes', 'range', 'long', 'unicode', 'xrange')}


class Stub:
    dump_patches = False

    def __new__(cls, *args, **kwargs):
        self = object.__new__(cls)
        self.parts = {'args': args, 'kwargs': kwargs, 'state': None, 'items': [], 'elems': []}
        return self

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        self.parts['state'] = state

    def __setitem__(self, key, value):
        self.parts['items'].append((key, value))

    def append(self, value):
        self.parts['elems'].append(value)

    def extend(self, values):
        self.parts['elems'].extend(values)

    add = append

    def __call__(self, *args, **kwargs):
        return Stub(self, *args, **kwargs)


STUBS = {}


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if module == 'torch._utils' and name.startswith('_rebuild') or (module, name) in OWN \
                or module == 'torch' and (name in ('Size', 'device', 'Tensor') or isinstance(getattr(torch, name, None), (torch.dtype, torch.qscheme))) \
                or (module, name) in {('torch._tensor', '_rebuild_from_type_v2'), ('torch.serialization', '_get_layout'), ('torch.nn.parameter', 'Parameter')} \
                or module in ('torch', 'torch.cuda', 'torch.storage') and name.endswith('Storage') or module == 'torch' and name.endswith('Tensor'):
            return super().find_class(module, name)
        return STUBS.setdefault((module, name), type(name, (Stub,), {'__module__': module}))


inert = types.ModuleType('inert')
inert.Unpickler, inert.UnpicklingError = Unpickler, pickle.UnpicklingError
inert.load = lambda f, **kw: Unpickler(f, **kw).load()


def load(path):
    """torch.load; the one of 1.13 forgets its argument pickle_module, so what it calls is called here."""
    with open(path, 'rb') as f:
        if f.read(4) == b'PK\x03\x04':
            with torch.serialization._open_zipfile_reader(path) as z:
                return torch.serialization._load(z, 'cpu', inert, encoding='latin1')
        f.seek(0)
        return torch.serialization._legacy_load(f, 'cpu', inert, encoding='latin1')


def raw(t):
    t = t.detach()
    if t.is_quantized:
        t = t.int_repr()
    t = t.resolve_conj().resolve_neg().contiguous().reshape(-1)
    if t.dtype == torch.bfloat16:
        t = t.view(torch.int16)
    return t.numpy().tobytes()


class Differs(Exception):
    pass


class Compare:
    def __init__(self, window):
        self.window, self.pairs, self.storages, self.held, self.tensors = window, {}, {}, [], 0

    def check(self, ok, path, what):
        if not ok:
            raise Differs('%s: %s' % (path, what))

    def tensor(self, a, b, path):
        self.tensors += 1
        self.check((a.dtype, a.layout, a.shape, a.requires_grad, a.device) == (b.dtype, b.layout, b.shape, b.requires_grad, b.device), path, 'dtype, layout, shape, requires_grad or device')
        if a.layout == torch.sparse_coo:
            self.tensor(a._indices(), b._indices(), path + '.indices')
            return self.tensor(a._values(), b._values(), path + '.values')
        if a.layout != torch.strided:
            for part in ('crow_indices', 'col_indices', 'values'):
                self.tensor(getattr(a, part)(), getattr(b, part)(), path + '.' + part)
            return
        self.check(a.stride() == b.stride(), path, 'stride')
        if a.device.type == 'meta':
            return
        self.check(raw(a) == raw(b), path, 'values')
        self.check(a.is_quantized == b.is_quantized, path, 'quantized')
        if a.is_quantized:
            self.check(a.qscheme() == b.qscheme(), path, 'qscheme')
            if a.qscheme() == torch.per_tensor_affine:
                self.check((a.q_scale(), a.q_zero_point()) == (b.q_scale(), b.q_zero_point()), path, 'quantizer')
            else:
                self.check(a.q_per_channel_axis() == b.q_per_channel_axis() and raw(a.q_per_channel_scales()) == raw(b.q_per_channel_scales()), path, 'quantizer')
        if self.window:
            return  # one storage now, where torch makes a window of it
        self.check(a.storage_offset() == b.storage_offset() and a.storage().nbytes() == b.storage().nbytes(), path, 'offset or storage size')
        if a.storage().nbytes():
            p, q = a.storage().data_ptr(), b.storage().data_ptr()
            self.check(self.storages.setdefault(('a', p), q) == q and self.storages.setdefault(('b', q), p) == p, path, 'sharing of storage')

    def run(self, a, b):
        stack = [(a, b, '')]
        while stack:
            a, b, path = stack.pop()
            self.check(type(a) is type(b), path, '%s became %s' % (type(a).__name__, type(b).__name__))
            if isinstance(a, (str, bytes, int, complex, type(None), type, torch.dtype, torch.device, torch.qscheme, torch.Size)):
                self.check(a == b, path, 'value')
                continue
            if isinstance(a, float):
                self.check(struct.pack('d', a) == struct.pack('d', b), path, 'value')
                continue
            if not (isinstance(a, tuple) and not a):
                known = self.pairs.setdefault(('a', id(a)), id(b)), self.pairs.setdefault(('b', id(b)), id(a))
                self.check(known == (id(b), id(a)), path, 'identity')
                if (id(a), id(b)) in self.pairs:
                    continue
                self.pairs[id(a), id(b)] = True
                self.held += [a, b]
            if isinstance(a, torch.Tensor):
                self.tensor(a, b, path)
            elif isinstance(a, dict):
                ka, kb = list(a.items()), list(b.items())
                self.check(len(ka) == len(kb), path, 'length')
                for (k, v), (l, w) in zip(ka, kb):
                    stack += [(k, l, path + '<key>'), (v, w, '%s.%s' % (path, k))]
                if hasattr(a, '__dict__'):
                    stack.append((a.__dict__, b.__dict__, path + '.__dict__'))
            elif isinstance(a, (set, frozenset)):
                self.check(a == b or len(a) == len(b), path, 'set')
            elif isinstance(a, (list, tuple, collections.deque)):
                self.check(len(a) == len(b), path, 'length')
                stack += [(v, w, '%s[%d]' % (path, i)) for i, (v, w) in enumerate(zip(a, b))]
            elif isinstance(a, Stub):
                stack.append((a.parts, b.parts, path))
            elif isinstance(a, (slice, range)):
                self.check(a == b, path, 'slice')
            elif 'Storage' in type(a).__name__:
                self.check(bytes(a.untyped()) == bytes(b.untyped()) if hasattr(a, 'untyped') else True, path, 'storage')
            else:
                self.check(False, path, 'a %s' % type(a).__name__)


def flat(f):
    """(shape, bytes) by name of a safetensors or npz file."""
    if f.endswith('.npz'):
        with np.load(f, allow_pickle=False) as z:
            names = json.loads(z['weightroom.json'])['names'] if 'weightroom.json' in z.files else {}
            return {names.get(k + '.npy', k): (list(z[k].shape), np.ascontiguousarray(z[k]).tobytes()) for k in z.files if k != 'weightroom.json'}
    data = open(f, 'rb').read()
    n, = struct.unpack('<Q', data[:8])
    header = json.loads(data[8:8 + n])
    header.pop('__metadata__', None)
    end, out = 0, {}
    for name, t in sorted(header.items(), key=lambda kv: kv[1]['data_offsets']):
        begin, stop = t['data_offsets']
        assert begin == end, 'a hole before ' + name
        end = stop
        shape = t['shape']
        if t['dtype'] == 'F4':
            shape[-1] //= 2
        out[name] = shape, data[8 + n + begin:8 + n + stop]
    assert 8 + n + end == len(data), 'trailing bytes'
    return out


report = {'wrong': [], 'compared': 0, 'original_unloadable': [], 'weights_only': 0, 'tensors': 0, 'zips': 0, 'flat': 0}
for case in json.load(open(sys.argv[1])):
    original = None
    if case['torch'] and not case['swapped']:
        try:
            original = load(case['original'])
        except Exception as e:
            report['original_unloadable'].append('%s: %s' % (case['name'], str(e).split('\n')[0][:100]))
    safe = False
    if original is not None:
        try:
            torch.load(case['original'], map_location='cpu', weights_only=True)
            safe = True
        except Exception:
            pass
    for f in case['torch']:
        try:
            if f.endswith('.zip'):
                bad = zipfile.ZipFile(f).testzip()
                assert bad is None, 'checksum of ' + str(bad)
                report['zips'] += 1
            if original is None:
                continue
            c = Compare(case['window'])
            c.run(original, load(f))
            report['tensors'] += c.tensors
            report['compared'] += 1
            if safe:
                torch.load(f, map_location='cpu', weights_only=True)
                report['weights_only'] += 1
        except Exception as e:
            report['wrong'].append('%s (%s): %s: %s' % (case['name'], f.rsplit('.', 1)[1], type(e).__name__, str(e)[:300]))
    for out in case['flat']:
        try:
            got = flat(out['path'])
            assert len(got) == len(out['tensors']), '%d tensors for %d' % (len(got), len(out['tensors']))
            for name, shape, digest in out['tensors']:
                assert got[name][0] == shape and hashlib.sha256(got[name][1]).hexdigest() == digest, name
            report['flat'] += 1
        except Exception as e:
            report['wrong'].append('%s (%s): %s' % (case['name'], out['path'].rsplit('.', 1)[1], str(e)[:300]))
print(json.dumps(report))
