"""Writes the fixtures beside this file, each with <name>.oracle.json. See README.md.

    PYTHONHASHSEED=0 python3 gen.py        (torch 1.13, numpy 1.24)

Every run gives the same bytes. What torch would take from memory addresses is fixed: the storage keys of legacy files.
"""
import argparse
import collections
import contextlib
import datetime
import io
import json
import linecache
import os
import pathlib
import struct
import sys
import tempfile
import types
import zipfile

import numpy as np
import torch

import containers
import distributed
import old
import oracle

HERE = pathlib.Path(__file__).parent
written = {}


def put(name, data, info):
    (HERE / name).parent.mkdir(exist_ok=True)
    (HERE / name).write_bytes(data)
    info = dict(file=name.split('/')[-1], bytes=len(data), sha256=oracle.sha256(data), **info)
    lines = []
    for key, value in info.items():
        if key == 'tensors' and value:  # one line each
            text = '[\n  ' + ',\n  '.join(json.dumps(t) for t in value) + '\n ]'
        else:
            text = json.dumps(value)
        lines.append(json.dumps(key) + ': ' + text)
    (HERE / (name + '.oracle.json')).write_text('{\n ' + ',\n '.join(lines) + '\n}\n')
    written[name] = len(data)


@contextlib.contextmanager
def counted_keys():
    """Lets torch's legacy writer see storages numbered in order of first use instead of at their addresses."""
    real, numbers = torch._C.StorageBase._cdata, {}
    torch.UntypedStorage._cdata = property(lambda s: numbers.setdefault(real.__get__(s), 94000000000000 + 64 * len(numbers)))
    try:
        yield
    finally:
        del torch.UntypedStorage._cdata


def save(obj, legacy=False, **kw):
    f = io.BytesIO()
    with counted_keys() if legacy else contextlib.nullcontext():
        torch.save(obj, f, _use_new_zipfile_serialization=not legacy, **kw)
    return f.getvalue()


def checkpoint(name, obj, **kw):
    data = save(obj, **kw)
    put(name, data, oracle.describe(data))
    return data


# ---- models

class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.bn = torch.nn.BatchNorm2d(4)
        self.fc = torch.nn.Linear(16, 5)

    def forward(self, x):
        return self.fc(self.bn(self.conv(x)).flatten(1))


NET = '''import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(6.).view(2, 3))
        self.register_buffer('steps', torch.tensor(7))
        self.register_buffer('scratch', torch.ones(2), persistent=False)
        self.scale = 0.5

    def forward(self, x):
        return torch.matmul(x, self.weight.t()) * self.scale
'''


def net_class():
    """A module class from a file that does not exist, so that no path of this machine gets into what is saved."""
    module = types.ModuleType('net')
    module.__file__ = 'net.py'
    sys.modules['net'] = module
    linecache.cache['net.py'] = (len(NET), None, NET.splitlines(True), 'net.py')
    exec(compile(NET, 'net.py', 'exec'), module.__dict__)
    return module.Net


def trained(model, optimizer):
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(2, 3, 4, 4)).sum().backward()
        optimizer.step()
    return optimizer.state_dict()


# ---- torch.save

def state_dicts():
    model = Block()
    checkpoint('state_dict.pth', model.state_dict())
    checkpoint('state_dict_legacy.pth', model.state_dict(), legacy=True)

    parallel = torch.nn.DataParallel(model)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    checkpoint('dataparallel_sgd.pth', {
        'epoch': 12, 'best_acc1': 71.5, 'arch': 'block', 'state_dict': parallel.state_dict(), 'optimizer': trained(model, sgd),
        'history': [{'loss': 1.5}, {'loss': 0.25}]})
    checkpoint('bf16_half.pth', collections.OrderedDict(
        (k, v.bfloat16() if 'conv' in k else v.half() if v.is_floating_point() else v) for k, v in model.state_dict().items()))

    adam = torch.optim.Adam(model.parameters(), amsgrad=True)
    trained(model, adam)
    checkpoint('optimizer_adam.pth', {'model': model.state_dict(), 'optimizer': adam.state_dict(), 'scaler': {'scale': 65536.0, '_growth_tracker': 0}})
    checkpoint('lightning_like.ckpt', {
        'epoch': 3, 'global_step': 400, 'pytorch-lightning_version': '1.9.0',
        'state_dict': collections.OrderedDict(('model.' + k, v) for k, v in model.state_dict().items()),
        'loops': {'fit_loop': {'state_dict': {}, 'epoch_progress': {'total': {'ready': 4, 'completed': 3}}}},
        'callbacks': {"ModelCheckpoint{'monitor': 'val_loss'}": {'best_model_score': torch.tensor(0.125), 'best_k_models': {}}},
        'optimizer_states': [adam.state_dict()], 'lr_schedulers': [{'last_epoch': 3, '_last_lr': [0.001]}],
        'hparams_name': 'kwargs', 'hyper_parameters': {'lr': 1e-3, 'layers': (3, 4), 'name': None}})


def tensors():
    x = torch.arange(12.)
    big = torch.arange(400.).view(20, 20)
    tied = torch.nn.Parameter(torch.randn(4, 3))
    views = collections.OrderedDict([
        ('embed.weight', tied), ('head.weight', tied), ('alias', tied.detach()), ('transposed', tied.detach().t()),
        ('x', x), ('x2', x.view(3, 4)), ('strided', x[1::3]), ('offset', x[5:9]), ('empty_slice', x[5:5]), ('diagonal', x[:9].view(3, 3).diagonal()),
        ('row_of_big', big[7]), ('column_of_big', big[:, 3])])
    checkpoint('tied_strided_views.pth', views)
    checkpoint('tied_strided_views_legacy.pth', views, legacy=True)
    checkpoint('shapes.pth', {
        'scalar': torch.tensor(3.5), 'empty': torch.empty(0), 'empty3': torch.empty(2, 0, 3), 'one': torch.ones(1, 1, 1),
        'expanded': torch.tensor([[1.], [2.]]).expand(2, 50), 'channels_last': torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        'rank7': torch.arange(4.).view(1, 2, 1, 2, 1, 1, 1), 'permuted': torch.arange(24).view(2, 3, 4).permute(2, 0, 1)})
    kinds = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]
    every = {oracle.short(d): torch.tensor([0, 1, 2]).to(d) for d in kinds}
    every['float32'] = torch.tensor([float('nan'), float('inf'), -0.0])
    every['int64'] = torch.tensor([-2 ** 63, 2 ** 63 - 1, 0])
    every['complex64'] = torch.tensor([1 + 2j, -0.5j, 3])
    every['complex128'] = torch.tensor([1 + 2j, -0.5j, 3], dtype=torch.complex128)
    checkpoint('dtypes.pth', every)
    checkpoint('dtypes_legacy.pth', every, legacy=True)
    q = torch.randn(4, 6)
    checkpoint('sparse_quantized.pth', {
        'coo': torch.sparse_coo_tensor([[0, 1, 1], [2, 0, 2]], [3., 4., 5.], (2, 3)),
        'csr': torch.sparse_csr_tensor([0, 1, 3], [2, 0, 2], [3., 4., 5.], (2, 3)),
        'per_tensor': torch.quantize_per_tensor(q, 0.05, 3, torch.quint8), 'signed': torch.quantize_per_tensor(q, 0.1, 0, torch.qint8),
        'wide': torch.quantize_per_tensor(q, 0.001, 0, torch.qint32),
        'per_channel': torch.quantize_per_channel(q, torch.full((4,), 0.1, dtype=torch.float64), torch.zeros(4, dtype=torch.int64), 0, torch.qint8)})


def objects():
    one = lambda n: torch.full((2,), float(n))
    checkpoint('keys_not_strings.pth', {0: one(0), 1: one(1), -1: one(2), None: one(3), 2.5: one(4), ('a', 1): one(5), '0': one(6), 2 ** 40: one(7)})
    odd = ['', '.', 'a..b', 'é.模型', '\U0001f600', '<img src=x onerror=alert(1)>', '</script>', '__proto__', 'constructor', 'toString', '\x00nul', 'tab\tnew\nline',
           '\x1b[31mred', 'left\u202eright', 'zero\u200bwidth', 'line\u2028sep', '../../etc/passwd', 'C:\\x', 'CON', '=1+1', 'quote"\'\\', 'storage', 'version', 'x' * 300]
    checkpoint('keys_odd.pth', collections.OrderedDict((k, one(i)) for i, k in enumerate(odd)))
    when = datetime.datetime(2024, 2, 29, 12, 30)
    checkpoint('numpy_namespace.pth', {
        'args': argparse.Namespace(lr=0.1, layers=[1, 2], path=pathlib.PurePosixPath('a/b')), 'best': np.float64(0.5), 'step': np.int64(7),
        'array': np.arange(6, dtype='<f4').reshape(2, 3), 'fortran': np.asfortranarray(np.arange(6.).reshape(2, 3)), 'dtype': np.dtype('<f4'),
        'counts': collections.defaultdict(int, a=1), 'queue': collections.deque([1, 2], 5), 'raw': b'\x00\xff', 'when': when, 'pair': {1, 2}, 'z': 1 + 2j,
        'big': 2 ** 70, 'size': torch.Size([2, 3]), 'device': torch.device('cuda', 1), 'torch_dtype': torch.bfloat16, 'w': one(1)})
    checkpoint('protocol4.pth', collections.OrderedDict([('w', one(1)), ('bytes', b'abc'), ('name', 'n')]), pickle_protocol=4)
    net = net_class()()
    checkpoint('module.pth', net)
    checkpoint('module_source_legacy.pth', net, legacy=True)
    f = io.BytesIO()
    torch.jit.save(torch.jit.script(net), f)
    put('torchscript.pt', f.getvalue(), oracle.describe_torchscript(f.getvalue()))


# ---- zips that torch 1.13 does not write

def read_zip(data):
    """(prefix, [(record, payload)]) of a torch zip."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    prefix = archive.namelist()[0].split('/')[0]
    return prefix, [(n[len(prefix) + 1:], archive.read(n)) for n in archive.namelist()]


def by_hand(name, like, data, **more):
    """Writes a variant of the file like, whose contents are the same as like's."""
    info = json.loads((HERE / (like + '.oracle.json')).read_text())
    info = {k: v for k, v in info.items() if k not in ('file', 'bytes', 'sha256')}
    put(name, data, dict(info, **more))


def zips():
    like = 'state_dict.pth'
    data = (HERE / like).read_bytes()
    prefix, records = read_zip(data)
    assert containers.torch_zip(prefix, records) == data
    pickle, storages = records[0][1], [p for n, p in sorted(records, key=lambda r: int(r[0][5:]) if r[0].startswith('data/') else -1) if n.startswith('data/')]
    half = lambda names: containers.serialization_id([(n, b'') for n in names])[:20].decode()
    early = ['data.pkl', 'byteorder', 'data/0', 'data/1', 'version']
    assert half(early) == '13263068698938530805' and half(['data.pkl', '.format_version', '.storage_alignment', 'byteorder', 'version']) == '02908468677762923104'

    for version in '2.1', '2.7':
        out = containers.torch_zip('model', containers.profile(version, pickle, storages))
        assert len(torch.load(io.BytesIO(out))) == 9
        by_hand('profile_%s.pth' % version, like, out)
    cuda = pickle.replace(b'X\x03\x00\x00\x00cpu', b'X\x06\x00\x00\x00cuda:0')
    assert cuda != pickle
    out = containers.torch_zip('archive', containers.profile('1.6', cuda, storages))
    info = oracle.describe(out)
    assert {t['location'] for t in info['tensors']} == {'cuda:0'}, info
    put('cuda.pth', out, info)

    f = io.BytesIO()
    with zipfile.ZipFile(f, 'w', zipfile.ZIP_DEFLATED) as z:
        z.writestr(zipfile.ZipInfo('archive/'), b'')
        for n, payload in records:
            z.writestr(zipfile.ZipInfo('archive/' + n), payload, zipfile.ZIP_DEFLATED)
    by_hand('rezipped_deflated.pth', like, f.getvalue())

    # Big-endian payloads: the values are those of dtypes.pth.
    prefix, records = read_zip((HERE / 'dtypes.pth').read_bytes())
    tensors = json.loads((HERE / 'dtypes.pth.oracle.json').read_text())['tensors']
    width = {'float64': 8, 'int64': 8, 'complex128': 8, 'float32': 4, 'int32': 4, 'complex64': 4, 'float16': 2, 'bfloat16': 2, 'int16': 2}
    unit = {'data/' + t['storage']: width.get(t['dtype'], 1) for t in tensors}
    swapped = {n: np.frombuffer(p, 'u%d' % unit[n]).byteswap().tobytes() for n, p in records if n in unit}
    ordered = [swapped['data/%d' % i] for i in range(len(swapped))]
    by_hand('big_endian.pth', 'dtypes.pth', containers.torch_zip('big', containers.profile('2.1', records[0][1], ordered, b'big')), oracle='by hand')


def aligned():
    """Another alignment than 64, which torch can be told since 2.7."""
    like = 'sharded_torch-00001-of-00002.bin'
    _, records = read_zip((HERE / like).read_bytes())
    records = containers.profile('2.7', records[0][1], [p for n, p in records if n.startswith('data/')], alignment=4096)
    out = containers.torch_zip('aligned', records, alignment=4096)
    assert len(torch.load(io.BytesIO(out))) == 1
    by_hand('aligned_4096.pth', like, out)


def old_files():
    """What torch 0.1 to 0.4 wrote. The legacy files are described by torch, which still loads them."""
    net_class()
    for name, data in ('python2_legacy.pth', old.state_dict()), ('python2_module_legacy.pth', old.module(NET)):
        put(name, data, oracle.describe(data))
    data = old.windows()
    info = oracle.describe(data)
    for t in info['tensors'][1:]:
        t['storage_view_offset'] = 2 if t['path'] == [['key', 'offset']] else 4
    put('windows_legacy.pth', data, info)

    data = old.tar()
    with tempfile.NamedTemporaryFile() as f:  # torch looks for a tar in real files only
        f.write(data)
        f.flush()
        loaded = torch.load(f.name)
    storages = {'fc.weight': '1', 'fc.bias': '2', 'window': '3', 'tied': '1'}
    tensors = []
    for i, (key, t) in enumerate(loaded.items()):
        tensors.append({'i': i, 'path': [['key', key]], 'dtype': oracle.short(t.dtype), 'shape': list(t.shape), 'stride': list(t.stride()), 'offset': t.storage_offset(),
                        'storage': storages[key], 'location': 'cpu', 'requires_grad': False, 'sha256': oracle.sha256(oracle.values(t))})
    tensors[2]['storage_view_offset'] = 6
    tensors[3]['same_object_as'] = 0
    put('tar_0.1.pth', data, {'format': 'torch tar', 'oracle': 'torch-1.13', 'tensor_count': len(tensors), 'tensors': tensors, '_metadata': []})


class NewDType:
    """Stands for a dtype that torch 1.13 lacks: pickled as the global torch.<name>."""
    __module__ = 'torch'

    def __init__(self, name):
        self.name = name

    def __reduce__(self):
        return self.name


def v3():
    """fp8 and unsigned types as torch 2.4 saves them: an untyped storage and a dtype argument."""
    cases = [('float8_e4m3fn', 1, bytes([0x38, 0x7e, 0xff, 0])), ('float8_e5m2', 1, bytes([0x3c, 0x7c, 0x7d, 0x80])), ('float8_e4m3fnuz', 1, bytes([0x40, 0x80])),
             ('float8_e5m2fnuz', 1, bytes([0x40, 0x80])), ('float8_e8m0fnu', 1, bytes([127, 255])), ('float4_e2m1fn_x2', 1, bytes([0x21, 0x43])),
             ('uint16', 2, struct.pack('<2H', 1, 65535)), ('uint32', 4, struct.pack('<2I', 1, 2 ** 32 - 1)), ('uint64', 8, struct.pack('<2Q', 1, 2 ** 64 - 1)),
             ('complex32', 4, struct.pack('<4e', 1, 2, -1, 0.5))]

    def rebuild(*args):
        raise NotImplementedError
    rebuild.__name__ = rebuild.__qualname__ = '_rebuild_tensor_v3'
    rebuild.__module__ = 'torch._utils'

    class Tensor:
        def __init__(self, name, size, data):
            self.args = (torch.frombuffer(bytearray(data), dtype=torch.uint8)._storage(), 0, (len(data) // size,), tuple([1]), False, collections.OrderedDict(), dtypes[name])  # no tuple twice: torch makes each anew

        def __reduce__(self):
            return rebuild, self.args

    missing = [name for name, _, _ in cases if not hasattr(torch, name)]
    dtypes = {name: NewDType(name) for name, _, _ in cases}
    held = {name: getattr(torch, name, None) for name, _, _ in cases}
    try:
        torch._utils._rebuild_tensor_v3 = rebuild
        for name in dtypes:
            setattr(torch, name, dtypes[name])
        pickle = pickle_untyped(collections.OrderedDict((name, Tensor(name, size, data)) for name, size, data in cases))
    finally:
        del torch._utils._rebuild_tensor_v3
        for name in dtypes:
            delattr(torch, name) if name in missing else setattr(torch, name, held[name])
    records = containers.profile('2.7', pickle, [data for _, _, data in cases])
    tensors = [{'i': i, 'path': [['key', name]], 'dtype': name, 'shape': [len(data) // size], 'stride': [1], 'offset': 0, 'storage': str(i), 'location': 'cpu',
                'requires_grad': False, 'sha256': oracle.sha256(data)} for i, (name, size, data) in enumerate(cases)]
    put('v3_fp8_unsigned.pth', containers.torch_zip('v3', records), {'format': 'torch zip', 'oracle': 'by hand', 'tensor_count': len(tensors), 'tensors': tensors, '_metadata': []})


def pickle_untyped(obj):
    """Protocol 2 with torch 2's persistent ids of untyped storages: the global torch.storage.UntypedStorage and a byte count."""
    import pickle
    keys = {}

    class Pickler(pickle._Pickler):
        def persistent_id(self, o):
            if isinstance(o, torch.UntypedStorage):
                return ('storage', torch.storage.UntypedStorage, keys.setdefault(o._cdata, str(len(keys))), 'cpu', o.nbytes())
            return None

    f = io.BytesIO()
    Pickler(f, protocol=2).dump(obj)
    return f.getvalue()


# ---- neighbours

def flat(tensors, form, source='by hand', **more):
    """The oracle of a format without strides; tensors is a list of dicts without i and path."""
    return {'format': form, 'oracle': source, 'tensor_count': len(tensors),
            'tensors': [dict(i=i, path=[['key', t.pop('key')]], **t) for i, t in enumerate(tensors)], **more}


def safetensors_files():
    codes = {'F32': 'float32', 'F16': 'float16', 'BF16': 'bfloat16', 'I64': 'int64', 'I8': 'int8', 'BOOL': 'bool', 'U16': 'uint16', 'F8_E4M3': 'float8_e4m3fn', 'F64': 'float64',
             'C64': 'complex64', 'F4': 'float4_e2m1fn_x2', 'F6_E2M3': 'invalid'}

    def put_st(name, tensors, metadata=None, pad=True):
        data, records, at = containers.safetensors(tensors, metadata, pad), [], 0
        for key, code, shape, raw in tensors:
            if code == 'F4':
                shape = shape[:-1] + [shape[-1] // 2]
            records.append({'key': key, 'dtype': codes[code], 'file_dtype': code, 'shape': shape, 'data_offsets': [at, at + len(raw)], 'sha256': oracle.sha256(raw)})
            at += len(raw)
        put(name, data, flat(records, 'safetensors', __metadata__=metadata))

    f32 = lambda *shape: (list(shape), torch.randn(*shape).numpy().tobytes())
    put_st('canonical.safetensors', [
        ('step', 'I64', [], struct.pack('<q', 7)), ('bias', 'F32', *f32(3)), ('weight', 'F32', *f32(3, 4)),
        ('half', 'F16', [2], struct.pack('<2e', 1, -2)), ('mask', 'BOOL', [3], b'\1\0\1')], {'format': 'pt'})
    put_st('unordered_unaligned.safetensors', [
        ('mask', 'BOOL', [3], b'\1\0\1'), ('w.é<b>"\n\u202e', 'F32', *f32(2, 2)), ('__proto__', 'U16', [2], struct.pack('<2H', 1, 65535)), ('none', 'F64', [0, 4], b''),
        ('fp8', 'F8_E4M3', [4], bytes([0x38, 0x7e, 0xff, 0])), ('fp4', 'F4', [1, 4], b'\x21\x43'), ('fp6', 'F6_E2M3', [4], b'\1\2\3'),
        ('z', 'C64', [1], struct.pack('<2f', 1, -1)), ('bf', 'BF16', [2], b'\x80\x3f\xc0\x7f')], {'b': 'second\n', 'a': '', 'format': 'pt'}, pad=False)
    put_st('empty.safetensors', [], None)

    parts, where = {}, {}
    for n in 1, 2:
        name = 'sharded-%05d-of-00002.safetensors' % n
        tensors = [('layer.%d.%s' % (n, k), 'F32', *f32(*s)) for k, s in (('bias', (3,)), ('weight', (3, 2)))]
        put_st(name, tensors, {'format': 'pt'})
        parts.update({t[0]: len(t[3]) for t in tensors})
        where.update({t[0]: name for t in tensors})
    index = {'metadata': {'total_size': sum(parts.values())}, 'weight_map': where}
    (HERE / 'sharded.safetensors.index.json').write_text(json.dumps(index, indent=2, sort_keys=True) + '\n')
    for n in 1, 2:
        checkpoint('sharded_torch-%05d-of-00002.bin' % n, collections.OrderedDict([('layer.%d.weight' % n, torch.randn(2, 3))]))
    index = {'metadata': {'total_size': 48}, 'weight_map': {'layer.%d.weight' % n: 'sharded_torch-%05d-of-00002.bin' % n for n in (1, 2)}}
    (HERE / 'sharded_torch.bin.index.json').write_text(json.dumps(index, indent=2, sort_keys=True) + '\n')


def arrays():
    members = {'layer/weight': np.arange(6, dtype='<f4').reshape(2, 3), 'fortran': np.asfortranarray(np.arange(6.).reshape(2, 3)), 'big_endian': np.arange(3, dtype='>i4'),
               'half': np.ones(2, '<f2'), 'scalar': np.array(2.5, '<f4'), 'flags': np.array([True, False]), 'z': np.array([1 + 2j], '<c8'), 'wide': np.array([2 ** 64 - 1], '<u8'),
               'empty': np.empty((0, 3), '<f4'), 'text': np.array(['a', 'bc'])}
    for name, write in ('arrays.npz', np.savez), ('arrays_deflated.npz', np.savez_compressed):
        f = io.BytesIO()
        write(f, **members)
        back = np.load(io.BytesIO(f.getvalue()))
        records = []
        for key in back.files:
            a = back[key]
            r = {'key': key, 'dtype': 'invalid' if a.dtype.kind == 'U' else a.dtype.name, 'npy_dtype': a.dtype.str, 'shape': list(a.shape),
                 'fortran': bool(a.flags.f_contiguous and not a.flags.c_contiguous)}
            if a.dtype.kind != 'U':
                r['sha256'] = oracle.sha256(np.ascontiguousarray(a).astype(a.dtype.newbyteorder('<')).tobytes())
            records.append(r)
        put(name, f.getvalue(), flat(records, 'npz', 'numpy'))


def gguf_files():
    pairs = [('general.architecture', 8, 'toy'), ('general.name', 8, 'café'), ('general.alignment', 4, 64), ('toy.u8', 0, 200), ('toy.i8', 1, -3), ('toy.u16', 2, 60000),
             ('toy.i16', 3, -300), ('toy.i32', 5, -70000), ('toy.eps', 6, 1e-5), ('toy.flag', 7, True), ('toy.u64', 10, 2 ** 63), ('toy.i64', 11, -2 ** 40), ('toy.f64', 12, 0.1),
             ('tokenizer.tokens', 9, (8, ['<s>', 'é', ''])), ('tokenizer.scores', 9, (6, [0.5, -1.0])), ('toy.nested', 9, (9, [(0, [1, 2]), (8, ['x'])]))]
    sizes = {'F32': 4, 'F16': 2, 'Q8_0': 34, 'Q4_K': 144, 'BF16': 2, 'I32': 4}
    rows = [('token_embd.weight', [2, 4], 0, 'F32', 8), ('scale', [1], 0, 'F32', 1), ('half', [3], 1, 'F16', 3), ('q8', [2, 64], 8, 'Q8_0', 4), ('q4k', [1, 256], 12, 'Q4_K', 1),
            ('bf', [2, 1, 3], 30, 'BF16', 6), ('ids', [5], 26, 'I32', 5)]
    names = {'F32': 'float32', 'F16': 'float16', 'BF16': 'bfloat16', 'I32': 'int32'}
    tensors = [(n, shape, kind, np.random.RandomState(i).bytes(sizes[t] * blocks)) for i, (n, shape, kind, t, blocks) in enumerate(rows)]
    records, at = [], 0
    for (n, shape, kind, t, _), (_, _, _, raw) in zip(rows, tensors):
        records.append({'key': n, 'dtype': names.get(t, t), 'file_dtype': t, 'shape': shape, 'ne': shape[::-1], 'offset': at, 'nbytes': len(raw), 'sha256': oracle.sha256(raw)})
        at += len(raw) + -len(raw) % 64
    put('toy.gguf', containers.gguf(pairs, tensors, 64), flat(records, 'gguf', version=3, alignment=64, keys=[[k, t] for k, t, _ in pairs]))


def distributed_folder():
    folder = HERE / 'distributed'
    folder.mkdir(exist_ok=True)
    for name, data in distributed.folder(save).items():
        (folder / name).write_bytes(data)


# ---- files to be refused

def broken():
    def refuse(name, data, why, *codes, expect='reject'):
        put('broken/' + name, data, {'format': 'none', 'oracle': 'none', 'expect': expect, 'codes': list(codes), 'why': why})

    zip_ = (HERE / 'state_dict.pth').read_bytes()
    refuse('empty.pth', b'', 'nothing was downloaded', 'E_FORMAT', 'E_TRUNCATED')
    refuse('zeros.pth', b'\0' * 8192, 'a sparse placeholder', 'E_FORMAT')
    refuse('truncated.pth', zip_[:len(zip_) * 2 // 3], 'the download stopped; the first records are whole', 'E_TRUNCATED')
    refuse('truncated_legacy.pth', (HERE / 'state_dict_legacy.pth').read_bytes()[:-100], 'the last storage is cut', 'E_TRUNCATED')
    refuse('truncated.safetensors', (HERE / 'canonical.safetensors').read_bytes()[:-5], 'the last tensors are cut', 'E_TRUNCATED')
    refuse('truncated.gguf', (HERE / 'toy.gguf').read_bytes()[:300], 'ends inside the pairs', 'E_TRUNCATED')
    refuse('trailing.safetensors', (HERE / 'canonical.safetensors').read_bytes() + b'PK\5\6', 'bytes that no tensor owns', 'E_LAYOUT')
    refuse('lfs_pointer.pth', b'version https://git-lfs.github.com/spec/v1\noid sha256:' + b'0' * 64 + b'\nsize 46830571\n', 'git-lfs left a pointer', 'E_FORMAT')
    refuse('error_page.pth', b'<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>Not Found</body></html>\n', 'a saved error page', 'E_FORMAT')
    refuse('object_array.npy', npy_objects(), 'an array of pickled objects', 'E_FORMAT')
    refuse('short_storage.pth', containers.torch_zip('archive', [(n, p[:-4] if n == 'data/0' else p) for n, p in read_zip(zip_)[1]]),
           'a record is shorter than its storage; the other tensors are whole', 'F_TENSOR_BAD', expect='report')


def npy_objects():
    f = io.BytesIO()
    np.save(f, np.array([{}], dtype=object), allow_pickle=True)
    return f.getvalue()


def main():
    if os.environ.get('PYTHONHASHSEED') != '0':
        sys.exit('run with PYTHONHASHSEED=0')
    for part in state_dicts, tensors, objects, zips, v3, safetensors_files, arrays, gguf_files, broken, aligned, old_files, distributed_folder:
        torch.manual_seed(20)
        part()
    total = sum(p.stat().st_size for p in HERE.rglob('*') if p.is_file() and p.suffix != '.py')
    largest = max(written, key=written.get)
    print('%d files, %d bytes with oracles, largest %s (%d bytes)' % (len(written), total, largest, written[largest]))


main()
