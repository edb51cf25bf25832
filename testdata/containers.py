"""Files that no installed library writes: torch's zip in its later profiles, safetensors, GGUF.

Each is laid out byte by byte from its description; gen.py checks the zip writer against real torch (profile 1.6).
"""
import json
import struct
import zlib

MASK = (1 << 64) - 1


# ---- torch zip

def torch_zip(prefix, records, alignment=64):
    """The zip that torch's C++ writer makes of records, a list of (name, payload) without the prefix."""
    out, directory = bytearray(), bytearray()
    for name, payload in records:
        name = (prefix + '/' + name).encode()
        at, crc, size = len(out), zlib.crc32(payload), len(payload)
        flags = 0x0808 if payload else 0x0800  # UTF-8 names; a data descriptor where there are data
        pad = -(at + 30 + len(name) + 4) % alignment
        extra = b'FB' + struct.pack('<H', pad) + b'Z' * pad
        out += struct.pack('<IHHHHHIIIHH', 0x04034b50, 0, flags, 0, 0, 0, 0, 0, 0, len(name), len(extra)) + name + extra + payload
        if payload:
            out += struct.pack('<IIII', 0x08074b50, crc, size, size)
        directory += struct.pack('<IHHHHHHIIIHHHHHII', 0x02014b50, 0, 0, flags, 0, 0, 0, crc, size, size, len(name), 0, 0, 0, 0, 0, at) + name
    start, count = len(out), len(records)
    out += directory
    end = len(out)
    out += struct.pack('<IQHHIIQQQQ', 0x06064b50, 44, 0x031e, 45, 0, 0, count, count, len(directory), start)
    out += struct.pack('<IIQI', 0x07064b50, 0, end, 1)
    out += struct.pack('<IHHHHIIH', 0x06054b50, 0, 0, count, count, len(directory), start, 0)
    return bytes(out)


def string_hash(text):
    """libstdc++'s 64-bit hash of a string."""
    m, data = 0xc6a4a7935bd1e995, text.encode()
    shift = lambda v: v ^ (v >> 47)
    h = 0xc70f6907 ^ (len(data) * m & MASK)
    whole = len(data) & ~7
    for i in range(0, whole, 8):
        word = shift(int.from_bytes(data[i:i + 8], 'little') * m & MASK) * m & MASK
        h = (h ^ word) * m & MASK
    if len(data) > whole:
        h = (h ^ int.from_bytes(data[whole:], 'little')) * m & MASK
    return shift(shift(h) * m & MASK)


def set_order(names):
    """The order in which a libstdc++ unordered_set<string> that got names one by one gives them back."""
    def insert(order, name, buckets):
        for i, other in enumerate(order):
            if string_hash(other) % buckets == string_hash(name) % buckets:
                order.insert(i, name)
                return
        order.insert(0, name)

    sizes, order = [13, 29, 59, 127, 257], []
    for name in names:
        if len(order) + 1 > sizes[0]:
            old, order = order, []
            del sizes[0]
            for other in old:
                insert(order, other, sizes[0])
        insert(order, name, sizes[0])
    return order


def serialization_id(records):
    """The content of .data/serialization_id behind records, as a Linux build writes it."""
    mix = lambda s, v: s ^ (v + 0x9e3779b9 + (s << 6) + (s >> 2)) & MASK
    names = content = 0
    for name in set_order([name for name, _ in records]):
        names = mix(names, string_hash(name)) & MASK
    for _, payload in records:
        if payload:
            content = mix(content, zlib.crc32(payload)) & MASK
    return b'%020d%020d' % (names, content)


def profile(version, pickle, storages, byteorder=b'little', alignment=64):
    """The records of a checkpoint as torch 1.6, 2.1 or 2.7 writes them; storages is a list of payloads, key 0 first."""
    data = [('data/%d' % i, payload) for i, payload in enumerate(storages)]
    if version != '2.7':
        data.sort()
    records = [('data.pkl', pickle)]
    if version == '2.7':
        records += [('.format_version', b'1'), ('.storage_alignment', b'%d' % alignment)]
    if version != '1.6':
        records.append(('byteorder', byteorder))
    records += data + [('version', b'3\n')]
    if version != '1.6':
        records.append(('.data/serialization_id', serialization_id(records)))
    return records


# ---- safetensors

def safetensors(tensors, metadata=None, pad=True):
    """tensors: list of (name, dtype code, shape, bytes), in file order."""
    header, at = {}, 0
    if metadata is not None:
        header['__metadata__'] = metadata
    for name, code, shape, data in tensors:
        header[name] = {'dtype': code, 'shape': shape, 'data_offsets': [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header, separators=(',', ':'), ensure_ascii=False).encode()
    if pad:
        text += b' ' * (-len(text) % 8)
    return struct.pack('<Q', len(text)) + text + b''.join(data for _, _, _, data in tensors)


# ---- GGUF

def gguf_string(text):
    return struct.pack('<Q', len(text.encode())) + text.encode()


def gguf_value(kind, value):
    if kind == 8:
        return gguf_string(value)
    if kind == 9:
        element, items = value
        return struct.pack('<IQ', element, len(items)) + b''.join(gguf_value(element, v) for v in items)
    return struct.pack('<' + 'BbHhIif?'[kind] if kind < 8 else '<' + {10: 'Q', 11: 'q', 12: 'd'}[kind], value)


def gguf(pairs, tensors, alignment=32):
    """pairs: list of (key, value type, value); tensors: list of (name, torch shape, ggml type, bytes)."""
    out = b'GGUF' + struct.pack('<IQQ', 3, len(tensors), len(pairs))
    for key, kind, value in pairs:
        out += gguf_string(key) + struct.pack('<I', kind) + gguf_value(kind, value)
    body = b''
    for name, shape, kind, data in tensors:
        out += gguf_string(name) + struct.pack('<I', len(shape)) + b''.join(struct.pack('<Q', d) for d in reversed(shape))
        out += struct.pack('<IQ', kind, len(body))
        body += data + b'\0' * (-len(data) % alignment)
    return out + b'\0' * (-len(out) % alignment) + body
