"""Checkpoints of torch 0.1 to 0.3, laid out by hand: what Python 2 pickled, windows of legacy storages, the tar of 0.1.

Each function returns the bytes of a file. gen.py loads them with real torch, which still reads all of them.
"""
import collections
import io
import pickle
import struct
import tarfile

import torch

MAGIC = 0x1950a86a20f9469cfc6c


# ---- opcodes as Python 2 chose them

def text(s):
    """A str of Python 2, which is bytes."""
    return b'U' + bytes([len(s)]) + s.encode()


def integer(n):
    """A small int, which Python 2's long was written as."""
    return b'\x8a\x01' + bytes([n])


def name(module, attribute):
    return b'c%s\n%s\n' % (module.encode(), attribute.encode())


def tuple_of(*items):
    return b'(' + b''.join(items) + b't'


def list_of(*items):
    return b']' + (b'(' + b''.join(items) + b'e' if items else b'')


def ordered(*pairs):
    """OrderedDict([[key, value], ...])"""
    return name('collections', 'OrderedDict') + list_of(*[list_of(k, v) for k, v in pairs]) + b'\x85R'


def storage(kind, key, numel, window=b'N'):
    return tuple_of(text('storage'), name('torch', kind), text(key), text('cpu'), integer(numel), window) + b'Q'


def tensor(function, stored, offset, size, stride, *more):
    ints = lambda values: tuple_of(*map(integer, values))
    return name('torch._utils', function) + tuple_of(stored, integer(offset), ints(size), ints(stride), *more) + b'R'


def legacy(obj, storages, little=True):
    """The stream of a pickle and its storages, (numel, bytes) by key."""
    head = [MAGIC, 1001, {'protocol_version': 1001, 'little_endian': little, 'type_sizes': {'short': 2, 'int': 4, 'long': 4}}]
    out = b''.join(pickle.dumps(o, 2) for o in head) + obj + pickle.dumps(sorted(storages), 2)
    for key in sorted(storages):
        numel, data = storages[key]
        out += struct.pack('<q', numel) + data
    return out


# ---- files

def state_dict():
    """A state dict of Python 2 and torch 0.4: pairs as lists, hooks None, a weight that is met again, module versions."""
    weight = tensor('_rebuild_tensor_v2', storage('FloatStorage', '94000000000000', 6), 0, (2, 3), (3, 1), b'\x89', b'N') + b'q\x01'  # from 1 on
    bias = tensor('_rebuild_tensor_v2', storage('LongStorage', '94000000000064', 4), 1, (3,), (1,), b'\x89', b'N')
    version = b'}' + text('version') + integer(1) + b's'
    metadata = ordered((text(''), version), (text('fc'), version))
    body = b'\x80\x02' + ordered((text('fc.weight'), weight), (text('fc.bias'), bias), (text('tied'), b'h\x01')) + b'}' + text('_metadata') + metadata + b'sb.'
    return legacy(body, {'94000000000000': (6, struct.pack('<6f', *range(6))), '94000000000064': (4, struct.pack('<4q', 9, 1, 2, 3))})


def module(source):
    """A whole module of Python 2 and torch 0.3: class net.Net with its source, the backend of the time, a Parameter that was
    pickled as a call and its state of three."""
    weight = name('torch.nn.parameter', 'Parameter') + tensor('_rebuild_tensor', storage('FloatStorage', '94000000000000', 6), 0, (2, 3), (3, 1)) + b'\x85R'
    weight += b'\x88\x89' + ordered() + b'\x87b'
    steps = tensor('_rebuild_tensor', storage('LongStorage', '94000000000064', 1), 0, (1,), (1,))
    cls = tuple_of(text('module'), name('net', 'Net'), text('net.py'), b'T' + struct.pack('<i', len(source)) + source.encode()) + b'Q'
    state = {'_backend': name('torch.nn.backends.thnn', '_get_thnn_function_backend') + b')R', '_parameters': ordered((text('weight'), weight)),
             '_buffers': ordered((text('steps'), steps)), '_backward_hooks': ordered(), '_forward_hooks': ordered(), '_forward_pre_hooks': ordered(),
             '_modules': ordered(), 'training': b'\x89'}
    body = b'\x80\x02' + cls + b')\x81}(' + b''.join(text(k) + v for k, v in state.items()) + b'ub.'
    return legacy(body, {'94000000000000': (6, struct.pack('<6f', *range(6))), '94000000000064': (1, struct.pack('<q', 7))})


def windows():
    """A root storage of ten and two windows of it, one used again by its own key; little_endian is False, which means nothing."""
    key, whole = '94000000000000', 10
    window = lambda at, n: tuple_of(text('9400000000%04d' % at), integer(at), integer(n))
    body = b'\x80\x02}(' + b''.join([
        text('whole'), tensor('_rebuild_tensor', storage('FloatStorage', key, whole), 0, (2, 5), (5, 1)),
        text('window'), tensor('_rebuild_tensor', storage('FloatStorage', key, whole, window(4, 3)), 0, (3,), (1,)),
        text('offset'), tensor('_rebuild_tensor', storage('FloatStorage', key, whole, window(2, 6)), 1, (2, 2), (2, 1)),
        text('again'), tensor('_rebuild_tensor', storage('FloatStorage', key, whole, window(4, 3)), 1, (2,), (1,))]) + b'u.'
    return legacy(body, {key: (whole, struct.pack('<10f', *range(10)))}, little=False)


def tar():
    """The tar of torch 0.1: three storages, one of them a window, four tensors of which two share a storage."""
    def records(count, items):
        return pickle.dumps(count, 2) + b''.join(items)

    def one(key, kind, code, values):
        return pickle.dumps((key, 'cpu', kind), 2) + struct.pack('<q', len(values)) + struct.pack('<%d%s' % (len(values), code), *values)

    def header(key, storage_key, kind, size, stride, offset):
        n = len(size)
        return pickle.dumps((key, storage_key, kind), 2) + struct.pack('<i4x%dq' % (2 * n + 1), n, *size, *stride, offset)

    class Persistent:
        def __init__(self, n):
            self.n = n

    class Pickler(pickle._Pickler):
        def persistent_id(self, o):
            return o.n if isinstance(o, Persistent) else None

    out = io.BytesIO()
    Pickler(out, 2).dump(collections.OrderedDict((k, Persistent(n)) for k, n in (('fc.weight', 21), ('fc.bias', 22), ('window', 23), ('tied', 21))))
    members = {
        'sys_info': pickle.dumps({'protocol_version': 1000, 'little_endian': True, 'type_sizes': {'short': 2, 'int': 4, 'long': 8}}, 2),
        'pickle': out.getvalue(),
        'storages': records(2, [one(1, torch.FloatStorage, 'f', range(12)), one(2, torch.DoubleStorage, 'd', [0.5, -1.0])]) + pickle.dumps([(3, 1, 6, 5)], 2),
        'tensors': records(3, [header(21, 1, torch.FloatTensor, (3, 4), (4, 1), 0), header(22, 2, torch.DoubleTensor, (2,), (1,), 0),
                               header(23, 3, torch.FloatTensor, (2, 2), (1, 2), 1)])}
    f = io.BytesIO()
    with tarfile.open(fileobj=f, mode='w', format=tarfile.USTAR_FORMAT) as t:
        for member, data in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return f.getvalue()
