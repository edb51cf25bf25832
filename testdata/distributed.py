"""A folder of torch.distributed.checkpoint as torch 2 writes it, laid out by hand: its classes are named, not imported."""
import collections
import pickle
import sys
import types

import torch

METADATA, FILESYSTEM = 'torch.distributed.checkpoint.metadata', 'torch.distributed.checkpoint.filesystem'


def stand_in(module, name):
    """A class that is pickled under another's name: by reference, without arguments, with its attributes as state."""
    cls = type(name, (), {'__module__': module, '__init__': lambda self, **attributes: self.__dict__.update(attributes)})
    setattr(sys.modules.setdefault(module, types.ModuleType(module)), name, cls)
    return cls


def folder(save):
    """File contents by name. save(object) is torch.save's bytes. matrix (4, 6) lies in four boxes of two files, vector (5,)
    in two pieces, half whole; extra is an object that is no tensor."""
    Metadata, TensorStorageMetadata, BytesStorageMetadata, ChunkStorageMetadata, TensorProperties, MetadataIndex = [
        stand_in(METADATA, n) for n in ('Metadata', 'TensorStorageMetadata', 'BytesStorageMetadata', 'ChunkStorageMetadata', 'TensorProperties', 'MetadataIndex')]
    StorageInfo = stand_in(FILESYSTEM, '_StorageInfo')
    matrix, vector, half = torch.arange(24.).view(4, 6), torch.arange(5), torch.tensor([[0.5, -2]], dtype=torch.float16)
    boxes = {'model.matrix': (matrix, [((0, 0), (1, 4)), ((0, 4), (1, 2)), ((1, 0), (3, 4)), ((1, 4), (3, 2))]),
             'model.vector': (vector, [((0,), (3,)), ((3,), (2,))]), 'model.half': (half, [((0, 0), (1, 2))])}
    files, where, described = {'__0_0.distcp': b'', '__1_0.distcp': b''}, {}, collections.OrderedDict()

    def append(file, index, data):
        where[index] = StorageInfo(relative_path=file, offset=len(files[file]), length=len(data))
        files[file] += data

    for name, (tensor, chunks) in boxes.items():
        for i, (offset, size) in enumerate(chunks):
            piece = tensor[tuple(slice(o, o + n) for o, n in zip(offset, size))].clone()
            append('__%d_0.distcp' % (i % 2), MetadataIndex(fqn=name, offset=torch.Size(offset), index=i), save(piece))
        described[name] = TensorStorageMetadata(
            properties=TensorProperties(dtype=tensor.dtype, layout=torch.strided, requires_grad=False, pin_memory=False), size=tensor.size(),
            chunks=[ChunkStorageMetadata(offsets=torch.Size(o), sizes=torch.Size(n)) for o, n in chunks])
    append('__0_0.distcp', MetadataIndex(fqn='extra', offset=None, index=None), save({'step': 3}))
    described['extra'] = BytesStorageMetadata()
    files['.metadata'] = pickle.dumps(Metadata(state_dict_metadata=described, planner_data={'extra': ('extra',)}, storage_data=where), 4)
    return files
