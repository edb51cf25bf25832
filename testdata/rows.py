"""Writes the files of rows_test.go into the folder given, each with <name>.oracle.json: the cases of the format description
that PyTorch itself writes. Functions that only newer versions have are named by hand (the files new_*)."""
import argparse
import collections
import datetime
import enum
import json
import pathlib
import pickle
import sys
import warnings

import numpy as np
import torch

warnings.simplefilter('ignore')
folder, here = sys.argv[1:3]
sys.path.insert(0, here)
import oracle

OD = collections.OrderedDict


def put(name, obj, described=True, **kw):
    torch.save(obj, f'{folder}/{name}', **kw)
    if described:
        describe(name, oracle.describe)


def describe(name, how):
    with open(f'{folder}/{name}', 'rb') as f:
        info = how(f.read())
    with open(f'{folder}/{name}.oracle.json', 'w') as f:
        json.dump(info, f)


class Call:
    """Pickles as a call of torch._utils.<name>, a function that this torch may lack or whose arguments it may refuse."""
    def __init__(self, name, *args):
        if not hasattr(torch._utils, name):
            def f(*args):
                raise NotImplementedError
            f.__module__, f.__qualname__, f.__name__ = 'torch._utils', name, name
            setattr(torch._utils, name, f)
        self.call = getattr(torch._utils, name), args

    def __reduce__(self):
        return self.call


two = OD([('a.weight', torch.arange(6.).view(2, 3)), ('a.bias', torch.ones(2))])
two._metadata = OD([('', {'version': 1}), ('a', {'version': 1})])
put('two.pt', two)
put('transposed.pt', {'x': torch.arange(6.).view(2, 3).t()})
put('row.pt', {'x': torch.arange(100.).view(10, 10)[3]})
put('expanded.pt', {'x': torch.tensor([[1.], [2.]]).expand(2, 1000)})
x = torch.arange(4.)
put('tied.pt', {'a': x, 'b': x, 'c': x.view(2, 2), 'd': x.detach()})
put('channels_last.pt', {'w': torch.arange(96.).view(2, 3, 4, 4).to(memory_format=torch.channels_last)})
put('beyond.pt', {'x': torch.arange(5.)[5:5]})
put('twelve.pt', {f'k{i}': torch.full((2,), float(i)) for i in range(14)})
for n in 999, 1000, 1001, 2000:
    one = torch.zeros(1)
    for kind in dict, OD:
        put(f'many_{kind.__name__}_{n}.pt', kind((f'k{i}', one) for i in range(n)), described=False)
put('memo.pt', {f'k{i}': torch.full((1,), float(i)) for i in range(100)})
put('parameter.pt', {'w': torch.nn.Parameter(torch.ones(2))})


class Sub(torch.Tensor):
    pass


put('subclass.pt', {'x': torch.ones(3).as_subclass(Sub)}, described=False)
put('quint4x2.pt', {'x': torch.quantize_per_channel(torch.ones(2, 4), torch.ones(2), torch.zeros(2), 0, torch.quint4x2)}, described=False)
put('meta.pt', {'x': torch.empty(2, 3, device='meta'), 'y': torch.ones(1)}, described=False)
put('storage.pt', {'untyped': torch.ones(3).storage().untyped(), 'typed': torch.ones(3).storage()}, described=False)
put('dynamic.pt', torch.quantization.quantize_dynamic(torch.nn.Sequential(torch.nn.Linear(2, 3))).state_dict(), described=False)
put('names.pt', OD((k, torch.ones(1)) for k in ['storage', 'version', '', '0', 'é', '\ud800', 'n' * 300]), described=False)
for p in 3, 4, 5:
    put(f'legacy_protocol{p}.pt', two, pickle_protocol=p, _use_new_zipfile_serialization=False)
for p in 2, 4:
    with open(f'{folder}/bare{p}.pkl', 'wb') as f:
        pickle.dump({'w': torch.arange(3.)}, f, protocol=p)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(2, 2)

    def forward(self, x):
        return self.fc(x)


script = torch.jit.script(Net().eval())
script.save(f'{folder}/script.pt')
torch.jit.trace(Net(), torch.ones(1, 2)).save(f'{folder}/traced.pt')
for name in 'script.pt', 'traced.pt':
    describe(name, oracle.describe_torchscript)
torch.jit.freeze(script).save(f'{folder}/frozen.pt')
script._save_for_lite_interpreter(f'{folder}/lite.ptl')
script._save_for_lite_interpreter(f'{folder}/flatbuffer.ptl', _use_flatbuffer=True)

put('new_parameter.pt', {'w': Call('_rebuild_parameter_with_state', torch.ones(2), True, OD(), {'foo': 1})}, described=False)
i, v = torch.tensor([[0, 1]]), torch.ones(2)
compressed = torch.tensor([0, 1, 2]), torch.tensor([0, 1])
put('new_sparse.pt', OD([('coo', Call('_rebuild_sparse_tensor', torch.sparse_coo, (i, v, torch.Size([3]), True)))] + [
    (k, Call('_rebuild_sparse_tensor', getattr(torch, 'sparse_' + k), (*compressed, values, torch.Size(size))))
    for k, values, size in (('csr', v, [2, 2]), ('csc', v, [2, 2]), ('bsr', torch.ones(2, 2, 3), [4, 6]), ('bsc', torch.ones(2, 2, 3), [4, 6]))]),
    described=False)
put('new_conj.pt', {'x': Call('_rebuild_tensor_v2', torch.tensor([1 + 2j]).storage(), 0, (1,), (1,), False, OD(), {'conj': True}),
                    'y': Call('_rebuild_tensor_v2', torch.ones(1).storage(), 0, (1,), (1,), False, OD(), {'neg': True})}, described=False)


def cuda_tag(storage):
    return 'cuda:' + str(0)  # a new string on every call, as torch's own is


held, torch.serialization.location_tag = torch.serialization.location_tag, cuda_tag
put('cuda.pt', OD([('w', x), ('v', torch.ones(2)), ('again', x[1:])]))
torch.serialization.location_tag = held


class New:
    """Pickles as a call of a function that torch has."""
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


v2 = torch._utils._rebuild_tensor_v2
put('new_attributes.pt', {'x': New(torch._tensor._rebuild_from_type_v2, v2, torch.Tensor, (torch.ones(2).storage(), 0, (2,), (1,), False, OD()), {'tag': 'mine'})},
    described=False)
store = torch.arange(6.).storage()
views = {'good': (0, (2, 3), (3, 1)), 'size': (0, (7,), (1,)), 'offset': (5, (2,), (1,)), 'stride': (0, (2, 3), (4, 1)), 'product': (0, (2 ** 40, 2 ** 40), (1, 1)),
         'span': (0, (2 ** 33, 2), (2 ** 20, 1)), 'negative stride': (5, (2,), (-1,)), 'negative size': (0, (-2,), (1,)), 'negative offset': (-1, (2,), (1,))}
put('bad_views.pt', OD((k, New(v2, store, *view, False, OD())) for k, view in views.items()), described=False)


class Kind(enum.Enum):
    A = 1


put('numpy.pt', OD(scalar=np.float32(1.5), truth=np.bool_(True), text=np.str_('h\xe9'), array=np.arange(6, dtype='<i2').reshape(2, 3),
                   fortran=np.asfortranarray(np.arange(6.).reshape(2, 3)), objects=np.array([1, 'a', None], dtype=object), record=np.zeros(2, dtype=[('x', '<i4'), ('y', '<f8')]),
                   dtype=np.dtype('>f8'), w=torch.ones(1)), described=False)
put('objects.pt', OD(namespace=argparse.Namespace(lr=0.5), defaultdict=collections.defaultdict(list, a=[1]), counter=collections.Counter('aab'),
                     deque=collections.deque([1, 2], 5), path=pathlib.PurePosixPath('a/b'), set={3}, bytes=b'\x00\xff', complex=1 + 2j,
                     datetime=datetime.datetime(2024, 2, 29), enum=Kind.A, w=torch.ones(1)), described=False)
norm = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
put('norm.pt', norm.state_dict())
put('convert.pt', {'state_dict': norm.state_dict(), 'best': np.float64(0.5), 'counts': collections.defaultdict(int, a=1)}, described=False)
flat = torch.arange(16., dtype=torch.float32).storage().untyped()


class Untyped:
    """Pickles as torch 2.2 and newer write views of an untyped storage whose dtype has a class of its own."""
    def __init__(self, size, dtype):
        self.call = flat, 0, size, tuple([1]), False, OD(), dtype

    def __reduce__(self):
        return Call('_rebuild_tensor_v3', *self.call).call


put('untyped.pt', {'a': Untyped((16,), torch.float32), 'b': Untyped((8,), torch.float64), 'c': Untyped((32,), torch.int16)}, described=False)
