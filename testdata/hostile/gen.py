#!/usr/bin/env python3
"""Writes the hostile files of this folder and MANIFEST.tsv, the same bytes on every run. Needs only Python's own library.

MANIFEST.tsv: file; class; expect (verdicts allowed, by |); codes (one of them must be among the findings or be the error, unless the
verdict is open; - for none); tensors (how many must be listed unless rejected; - for any); globals (that ls must list unless it
rejects, by ;); scan (that scan must list besides); why.
"""
import os
import struct
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = []

# Pickles, opcode by opcode.
u32 = lambda n: struct.pack("<I", n)
u64 = lambda n: struct.pack("<Q", n)
text = lambda s: b"X" + u32(len(s.encode())) + s.encode()
name = lambda module, attr: b"c" + module.encode() + b"\n" + attr.encode() + b"\n"
raw = lambda b: b"B" + u32(len(b)) + b
SYSTEM = name("os", "system") + text("id") + b"\x85R"


def num(n):
    if 0 <= n < 256:
        return b"K" + bytes([n])
    size = n.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + n.to_bytes(size, "little", signed=True)


def tensor(key="0", numel=4, offset=0, size=(4,), stride=(1,)):
    storage = b"(" + text("storage") + name("torch", "FloatStorage") + text(key) + text("cpu") + num(numel) + b"tQ"
    dims = lambda d: b"(" + b"".join(map(num, d)) + b"t"
    return (name("torch._utils", "_rebuild_tensor_v2") + b"(" + storage + num(offset) + dims(size) + dims(stride) + b"\x89"
            + name("collections", "OrderedDict") + b")RtR")


def state(extra=b"", first=None, proto=2):
    return b"\x80" + bytes([proto]) + b"}(" + text("w") + (first or tensor()) + extra + b"u."


# Zip archives, record by record.
class Zip:
    def __init__(self):
        self.data, self.directory, self.count = b"", b"", 0

    def add(self, path, body, flags=0, method=0, crc=None, local_path=None, size=None, at=None):
        packed = body
        if method == 8:
            z = zlib.compressobj(9, zlib.DEFLATED, -15)
            packed = z.compress(body) + z.flush()
        crc = zlib.crc32(body) if crc is None else crc
        size = len(body) if size is None else size
        path = path.encode()
        local = (local_path or path.decode()).encode()
        fields = struct.pack("<HHHHIII", flags, method, 0, 33, crc, len(packed), size)
        where = len(self.data) if at is None else at
        if at is None:
            self.data += b"PK\3\4" + struct.pack("<H", 20) + fields + struct.pack("<HH", len(local), 0) + local + packed
        self.directory += (b"PK\1\2" + struct.pack("<HH", 20, 20) + fields
                           + struct.pack("<HHHHHII", len(path), 0, 0, 0, 0, 0, where) + path)
        self.count += 1
        return self

    def bytes(self, count=None, comment=b""):
        n = self.count if count is None else count
        return (self.data + self.directory + b"PK\5\6"
                + struct.pack("<HHHHIIH", 0, 0, n, n, len(self.directory), len(self.data), len(comment)) + comment)


FOUR = struct.pack("<4f", 1, 2, 3, 4)


def archive(pickle, method=0, **kw):
    return Zip().add("a/data.pkl", pickle, method=method, **kw).add("a/version", b"3\n").add("a/data/0", FOUR)


def legacy(proto=None, info=None, keys=None):
    return (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." + (proto or b"\x80\x02M\xe9\x03.") + (info or b"\x80\x02}.")
            + state() + (keys or b"\x80\x02]" + text("0") + b"a.") + u64(4) + FOUR)


def safetensors(header, data=b"", length=None):
    return u64(len(header) if length is None else length) + header + data


def npy(descr, data, shape="(1,)"):
    h = ("{'descr': %s, 'fortran_order': False, 'shape': %s, }" % (descr, shape)).encode()
    h += b" " * (117 - len(h)) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(h)) + h + data


def put(file, body, expect, codes="-", tensors="-", globals="-", scan="-", why=""):
    number = "%02d" % (len(ROWS) + 1)
    kind, _, rest = file.partition("-")
    file = number + "-" + file
    with open(os.path.join(HERE, file), "wb") as f:
        f.write(body)
    ROWS.append("\t".join([file, kind, expect, codes, str(tensors), globals, scan, why]))


def zipped(file, pickle, *args, **kw):
    put(file, archive(pickle).bytes(), *args, **kw)


# Code. What is named must be listed, whatever road it takes.
G, P = "F_GLOBAL", "E_PICKLE"
zipped("exec-reduce.pth", state(text("x") + SYSTEM), "report", G, 1, "os.system", why="GLOBAL and REDUCE beside a tensor")
zipped("exec-inst.pth", state(text("x") + b"(" + text("id") + b"ios\nsystem\n"), "report", G, 1, "os.system", why="INST names and calls at once")
zipped("exec-obj-popped.pth", state(text("x") + b"(" + name("os", "system") + text("id") + b"o0N"), "report", G, 1, "os.system", why="OBJ, and its result is thrown away")
zipped("exec-memo.pth", b"\x80\x04\x8c\x06system\x94\x8c\x02os\x94h\x01h\x00\x93\x8c\x02id\x85R.", "report", G, 0, "os.system", why="STACK_GLOBAL on strings out of the memo")
zipped("exec-newobj-ex.pth", b"\x80\x04\x8c\x0asubprocess\x8c\x05Popen\x93)}\x92.", "report", G, 0, "subprocess.Popen", why="NEWOBJ_EX")
zipped("exec-extension.pth", state(text("x") + b"\x82\x05)R"), "report", G, 1, "copyreg._inverted_registry[5]", why="an extension code stands for a name")
zipped("exec-then-broken.pth", b"\x80\x02" + SYSTEM + b"\xf0", "report", G + "," + P, 0, "os.system", why="the stream breaks after the call")
zipped("exec-second-stream.pth", state() + b"\x80\x02" + SYSTEM + b".", "report", "F_TRAILING", 1, scan="os.system", why="another pickle behind STOP")
zipped("exec-loads.pth", state(text("x") + name("pickle", "loads") + raw(b"\x80\x02" + SYSTEM + b".") + b"\x85R"), "report", G, 1, "pickle.loads", "os.system", "a pickle in bytes for loads")
zipped("exec-loads-latin1.pth", state(text("x") + name("_pickle", "loads") + name("_codecs", "encode") + text((b"\x80\2" + SYSTEM + b".").decode("latin1")) + text("latin1") + b"\x86R\x85R"),
       "report", G, 1, "_pickle.loads", "os.system", "the same as protocol 2 writes bytes")
zipped("exec-load-from-bytes.pth", state(text("x") + name("torch.storage", "_load_from_bytes") + raw(b"\x80\x02" + SYSTEM + b".") + b"\x85R"), "report", G, 1,
       "torch.storage._load_from_bytes", "os.system", "a storage in bytes is unpickled by torch itself")
zipped("exec-loads-twice.pth", state(text("x") + name("pickle", "loads") + raw(b"\x80\x03" + name("dill", "loads") + raw(b"\x80\x02" + SYSTEM + b".") + b"\x85R.") + b"\x85R"),
       "report", G, 1, "pickle.loads", "dill.loads;os.system", "a pickle in a pickle in a pickle")
zipped("exec-bytes-unread.pth", state(text("x") + raw(b"\x80\x02" + SYSTEM + b".")), "open|report", tensors=1, scan="os.system", why="bytes that are a pickle, for a reader that cannot be seen")
zipped("exec-dotted.pth", b"\x80\x04\x8c\x08builtins\x8c\x0deval.__call__\x93\x8c\x011\x85R.", "report", G, 0, "builtins.eval.__call__", why="a dotted name reaches below a module")
zipped("exec-lookalike.pth", state(text("x") + name("c\u043ellections", "OrderedDict") + b")R"), "report", G, 1, "c\\u043ellections.OrderedDict", why="a Cyrillic letter")
zipped("exec-nul.pth", state(text("x") + b"ctorch\nSize\0\n)R"), "report", G, 1, "torch.Size\\x00", why="NUL behind a safe name")
zipped("exec-getattr.pth", state(text("x") + name("builtins", "getattr") + name("torch", "Size") + text("__init__") + b"\x86R"), "report", G, 1, "builtins.getattr", why="getattr reaches everything")
put("exec-foreign-record.pth", archive(state()).add("evil/x.pkl", b"\x80\x02" + SYSTEM + b".").bytes(), "open|report", tensors=1, scan="os.system", why="a pickle in a record outside the checkpoint's folder")
put("exec-extra-record.pth", archive(state()).add("a/extra/x.bin", b"\x80\x02" + SYSTEM + b".").bytes(), "open|report", tensors=1, scan="os.system", why="a pickle inside the folder, by content")
put("exec-legacy-protocol.pth", legacy(proto=b"\x80\x02" + SYSTEM + b"."), "report|reject", G, globals="os.system", why="in the second pickle of the old format")
put("exec-legacy-keys.pth", legacy(keys=b"\x80\x02]" + text("0") + b"a" + SYSTEM + b"0."), "report", G, 1, "os.system", why="in the fifth pickle of the old format")
put("exec-bare-protocol-0.pkl", b"c__builtin__\neval\n(S'1'\ntR.", "report", G, 0, "__builtin__.eval", why="no container, protocol 0")
put("exec-npy-objects.npy", npy("'|O'", b"\x80\x02" + SYSTEM + b"."), "reject", "E_FORMAT,E_UNSUPPORTED", scan="os.system", why="numpy unpickles an array of objects")
put("exec-npz-objects.npz", Zip().add("o.npy", npy("'|O'", b"\x80\x02" + SYSTEM + b".")).add("w.npy", npy("'<f4'", FOUR[:4])).bytes(), "report", "F_UNSUPPORTED", 1, scan="os.system", why="the same inside an archive")

# Bombs. No allocation is sized by a number from the file, no walk recurses.
zipped("bomb-string-2p62.pth", b"\x80\x04\x8d" + u64(1 << 62) + b"x.", "reject", "E_PICKLE,E_LIMIT,E_TRUNCATED", why="a length beyond the file")
zipped("bomb-frame-2p62.pth", b"\x80\x04\x95" + u64(1 << 62) + b"N.", "reject", "E_PICKLE,E_LIMIT,E_TRUNCATED", why="a frame beyond the file")
zipped("bomb-long-negative.pth", b"\x80\x02\x8b" + struct.pack("<i", -1) + b".", "reject", P, why="a negative length")
zipped("bomb-long-2kib.pth", b"\x80\x02\x8b" + u32(2048) + b"\x7f" * 2048 + b".", "reject", "E_LIMIT", why="an integer that takes quadratic time elsewhere")
zipped("bomb-opcode.pth", b"\x80\x02\xff.", "reject", P, why="opcode 255")
zipped("bomb-get-unset.pth", b"\x80\x02h\x09.", "reject", P, why="a memo slot that nobody set")
zipped("bomb-memo-index.pth", state(text("x") + b"Nr\xff\xff\xff\xff"), "open", tensors=1, why="memo slot 2^32-1: the memo is no array")
zipped("bomb-setitems-odd.pth", b"\x80\x02}(NNNu.", "reject", P, why="a key without a value")
zipped("bomb-list-key.pth", b"\x80\x02}]Ns.", "reject", P, why="a list as key")
zipped("bomb-stack-empty.pth", b"\x80\x02\x87.", "reject", P, why="TUPLE3 on an empty stack")
zipped("bomb-no-stop.pth", state()[:-1], "reject", "E_TRUNCATED,E_PICKLE", why="the stream ends before STOP")
zipped("bomb-self-list.pth", state(text("x") + b"]q\1h\1a"), "report", "F_CYCLE", 1, why="a list in itself")
zipped("bomb-shared.pth", state(text("x") + b")" + b"2\x86" * 64), "report", "F_SHARED", 1, why="2^64 leaves in 64 pairs")
put("bomb-deep.pth", archive(b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".", method=8).bytes(), "reject", "E_LIMIT", why="5000 lists in each other")
put("bomb-marks.pth", archive(b"\x80\x02" + b"(" * 200000 + b".", method=8).bytes(), "reject", "E_LIMIT,E_PICKLE", why="200,000 open marks")

# Tensors that cannot be. The other parts of the file stay usable.
B = "F_TENSOR_BAD"


def layout(file, why, expect="report", codes=B, **kw):
    zipped("layout-" + file, state(text("b") + tensor(**kw)), expect, codes, 2, why=why)


layout("numel-wraps.pth", "count times item size is 16 in 64 bits", numel=(1 << 62) + 4)
layout("numel-negative.pth", "a negative count", numel=-4)
layout("shape-wraps.pth", "the product of the shape is 0 in 64 bits", size=(1 << 32, 1 << 32), stride=(1, 1))
layout("dim-negative.pth", "a negative dimension", size=(-4,))
layout("stride-negative.pth", "a negative stride", stride=(-1,))
layout("stride-out.pth", "the last element lies outside", stride=(2,))
layout("offset-out.pth", "an offset outside", offset=1)
layout("offset-negative.pth", "a negative offset", offset=-1)
layout("rank-differs.pth", "two sizes, one stride", size=(2, 2))
layout("dim-wide.pth", "a dimension wider than 64 bits", size=(1 << 70,))
layout("record-missing.pth", "a storage without a record", key="9")
layout("key-path.pth", "a storage key that is a path", key="../../a/data/0")
layout("expanded.pth", "10^12 elements over one", "report", "F_EXPANDED", size=(10**12,), stride=(0,))
layout("empty-huge.pth", "no elements, huge dimensions", "open", "-", size=(0, 1 << 62), stride=(1 << 62, 1))
zipped("layout-key-twice.pth", state(text("w") + tensor()), "report", "F_DUPKEY", 1, why="one key twice: the last one wins")

# Archives that two readers could understand differently, or nobody.
A = "E_AMBIGUOUS"
put("zip-two-pickles.pth", archive(state()).add("a/data.pkl", state()).bytes(), "reject", A, why="one name twice")
put("zip-case.pth", archive(state()).add("a/DATA.pkl", state()).bytes(), "reject", A, why="names that differ only in case")
put("zip-local-name.pth", archive(state(), local_path="a/data.pkX").bytes(), "reject", A, why="another name in the local header")
put("zip-shared-record.pth", archive(state()).add("a/data/1", FOUR, at=0).bytes(), "reject", A, why="two entries over the same bytes")
put("zip-encrypted.pth", archive(state(), flags=1).bytes(), "reject", "E_ENCRYPTED," + A, why="the encryption bit on plain bytes")
put("zip-method.pth", archive(state(), method=97).bytes(), "reject", "E_METHOD", why="a method that nobody knows")
put("zip-checksum.pth", archive(state(), crc=1).bytes(), "report|reject", "F_CHECKSUM,E_CHECKSUM", why="a wrong checksum on data.pkl")
put("zip-prefix.pth", b"#!/bin/sh\n" + archive(state()).bytes(), "report|reject", "F_PREFIX,E_FORMAT,E_ZIP", why="bytes in front")
put("zip-trailing.pth", archive(state()).bytes() + b"trailing", "report|reject", "F_TRAILING,E_FORMAT,E_ZIP", why="bytes behind")
put("zip-comment.pth", archive(state()).bytes(comment=archive(state(text("x") + SYSTEM)).bytes()), "reject", A + ",E_ZIP", why="an archive in the comment of another")
put("zip-two-roots.pth", archive(state()).add("b/data.pkl", state()).bytes(), "reject", A, why="two folders with a data.pkl")
put("zip-cut.pth", archive(state()).bytes()[:-30], "reject", "E_TRUNCATED,E_ZIP,E_FORMAT", why="the end record is cut off")
put("zip-count.pth", archive(state()).bytes(count=2), "reject", "E_ZIP", why="the end record counts fewer records")
put("zip-name-up.pth", archive(state()).add("../../x", b"x").bytes(), "open|report", "F_NAME", 1, why="a record name that leaves its folder")
put("zip-inflates-over.pth", archive(state() + b"\0" * 100000, method=8, size=100).bytes(), "reject", "E_ZIP,E_PICKLE", why="inflates to more than it declares")

# Headers.
H = "E_HEADER"
w = b'"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}'
put("st-length-2p63.safetensors", safetensors(b"{" + w + b"}", FOUR, 1 << 63), "reject", H, why="a header of 2^63 bytes")
put("st-length-over.safetensors", safetensors(b"{" + w + b"}", FOUR, 1 << 20), "reject", H + ",E_TRUNCATED", why="a header beyond the file")
put("st-overlap.safetensors", safetensors(b"{" + w + b',"v":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}', FOUR + FOUR[:8]), "reject", "E_LAYOUT," + H, why="ranges overlap")
put("st-hole.safetensors", safetensors(b"{" + w + b',"v":{"dtype":"F32","shape":[1],"data_offsets":[20,24]}}', FOUR + FOUR[:8]), "reject", "E_LAYOUT," + H, why="bytes of no tensor")
put("st-trailing.safetensors", safetensors(b"{" + w + b"}", FOUR + b"PK\3\4"), "reject", "E_LAYOUT," + H, why="bytes behind the last tensor")
put("st-key-twice.safetensors", safetensors(b"{" + w + b"," + w + b"}", FOUR), "reject", H, why="one name twice")
put("st-shape-wraps.safetensors", safetensors(b'{"w":{"dtype":"F32","shape":[4294967296,4294967297],"data_offsets":[0,16]}}', FOUR), "reject", "E_LAYOUT," + H, why="the product of the shape wraps")
put("st-deep.safetensors", safetensors(b'{"w":' + b"[" * 5000 + b"]" * 5000 + b"}"), "reject", H, why="5000 arrays in each other")
put("st-fraction.safetensors", safetensors(b'{"w":{"dtype":"F32","shape":[4.0],"data_offsets":[0,16]}}', FOUR), "reject", H, why="a number that is no whole one")
put("st-utf8.safetensors", safetensors(b'{"\xff":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}', FOUR), "reject", H, why="a name that is no UTF-8")
put("st-names.safetensors", safetensors(b'{"\\u001b[2J\\u202e<b>":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}', FOUR), "report", "F_NAME", 1, why="ESC and a turn of direction in a name")
put("gguf-count-2p63.gguf", b"GGUF" + u32(3) + u64(1 << 63) + u64(0) + b"\0" * 32, "reject", "E_HEADER,E_LIMIT,E_FORMAT,E_TRUNCATED,E_LAYOUT", why="2^63 tensors")
put("gguf-string-2p63.gguf", b"GGUF" + u32(3) + u64(0) + u64(1) + u64(1 << 63) + b"\0" * 32, "reject", "E_HEADER,E_LIMIT,E_FORMAT,E_TRUNCATED,E_LAYOUT", why="a string of 2^63 bytes")
put("npy-shape-wraps.npy", npy("'<f4'", FOUR, "(4294967296, 4294967297)"), "reject", "E_LAYOUT,E_HEADER,E_FORMAT,E_TRUNCATED", why="the product of the shape wraps")
put("npy-header-deep.npy", npy("[" * 40 + "]" * 40, FOUR), "reject", "E_HEADER,E_FORMAT,E_UNSUPPORTED", why="lists in each other for a dtype")
put("sniff-page.pth", b"<!DOCTYPE html><title>404</title>", "reject", "E_FORMAT", why="a page that a server sent")

with open(os.path.join(HERE, "MANIFEST.tsv"), "w", encoding="utf-8") as f:
    f.write("\n".join(["\t".join("file class expect codes tensors globals scan why".split())] + ROWS) + "\n")
