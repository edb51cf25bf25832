"""Writes the files of rows_test.go into the folder given, each with <name>.oracle.json: the cases of the format description
that PyTorch itself writes. Functions that only newer versions have are named by hand (the files new_*)."""
import collections
import json
import pickle
import sys
import warnings

import torch

warnings.simplefilter('ignore')
folder, here = sys.argv[1:3]
sys.path.insert(0, here)
import oracle

OD = collections.OrderedDict


def put(name, obj, described=True, **kw):
    torch.save(obj, f'{folder}/{name}', **kw)
    if described:
        with open(f'{folder}/{name}', 'rb') as f:
            info = oracle.describe(f.read())
        with open(f'{folder}/{name}.oracle.json', 'w') as f:
            json.dump(info, f)


class Call:
    """Pickles as a call of torch._utils.<name>."""
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
torch.jit.freeze(script).save(f'{folder}/frozen.pt')
script._save_for_lite_interpreter(f'{folder}/lite.ptl')

put('new_parameter.pt', {'w': Call('_rebuild_parameter_with_state', torch.ones(2), True, OD(), {'foo': 1})}, described=False)
i, v = torch.tensor([[0, 1]]), torch.ones(2)
put('new_sparse.pt', {'coo': Call('_rebuild_sparse_tensor', torch.sparse_coo, (i, v, torch.Size([3]), True)),
                      'csr': Call('_rebuild_sparse_tensor', torch.sparse_csr, (torch.tensor([0, 1, 2]), torch.tensor([0, 1]), v, torch.Size([2, 2])))},
    described=False)
put('new_conj.pt', {'x': Call('_rebuild_tensor_v2', torch.tensor([1 + 2j]).storage(), 0, (1,), (1,), False, OD(), {'conj': True}),
                    'y': Call('_rebuild_tensor_v2', torch.ones(1).storage(), 0, (1,), (1,), False, OD(), {'neg': True})}, described=False)
