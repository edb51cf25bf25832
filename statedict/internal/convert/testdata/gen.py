"""Writes oracle.tsv: for every pair of dtypes the SHA-256 of what torch's CPU `.to(dtype)` makes of fixed inputs.

    python3 gen.py > oracle.tsv
    python3 gen.py exhaustive > exhaustive.tsv      # all 2**32 float32 patterns to every smaller float: half an hour

Where torch 1.13 has both dtypes, torch itself answers. The five float8 types and uint16/32/64 came later; for them a
second implementation answers, which shares no idea with the Go code: the values of a float8 type are enumerated as
exact rationals and a value is placed between its neighbours by comparison, ties to the even code. What happens
at the edges follows torch 2.2 and later (c10/util/Float8_*.h): float8_e4m3fn and the fnuz types have no infinity and
overflow to NaN, float8_e5m2 to infinity; fnuz types have one zero; everything goes through float32, also float64 and int64.

Inputs are made by rules that convert_test.go repeats; lines "input" carry their hashes so that both agree.
"""
import ctypes
import hashlib
import sys
import warnings
from fractions import Fraction

import numpy as np
import torch

warnings.simplefilter("ignore")
torch.set_num_threads(1)
U8, U16, U32, U64 = np.uint8, np.uint16, np.uint32, np.uint64

REAL = ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz",
        "float8_e5m2fnuz", "float8_e8m0fnu", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool"]
COMPLEX = ["complex128", "complex64", "complex32"]
NEW = {"float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "uint64", "uint32", "uint16"}
SIZE = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint64": 8,
        "uint32": 4, "uint16": 2, "uint8": 1, "bool": 1, "complex128": 16, "complex64": 8, "complex32": 4}


def size(name):
    return SIZE.get(name, 1)


def raw(t):
    t = t.contiguous()
    return np.frombuffer(ctypes.string_at(t.data_ptr(), t.numel() * t.element_size()), dtype=U8)


def tensor(b, name):
    return torch.frombuffer(bytearray(b.tobytes()), dtype=getattr(torch, name))


# --- inputs -------------------------------------------------------------------------------------------------------

def mix(n):
    """splitmix64 of 0..n-1."""
    z = (np.arange(n, dtype=U64) + U64(1)) * U64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> U64(30))) * U64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> U64(27))) * U64(0x94D049BB133111EB)
    return z ^ (z >> U64(31))


def boundaries32():
    """Every float16 and bfloat16 value and every midpoint between neighbours, each with its neighbouring float32."""
    h = np.arange(65536, dtype=U32)
    half = raw(tensor(h.astype(U16), "float16").to(torch.float32)).view(U32)
    sets = [half - U32(1), half, half + U32(1)]
    a = half[:0x7C00].view(np.float32).astype(np.float64)
    b = np.append(a[1:], 65536.0)
    mid = ((a + b) / 2).astype(np.float32).view(U32)
    for sign in (U32(0), U32(0x80000000)):
        sets += [(mid - U32(1)) | sign, mid | sign, (mid + U32(1)) | sign]
    for d in (0xFFFFFFFF, 0, 1, 0x7FFF, 0x8000, 0x8001):
        sets.append((h << U32(16)) + U32(d))
    return np.concatenate(sets)


def inputs():
    b32 = boundaries32()
    wide = b32.view(np.float32).astype(np.float64).view(U64)
    m = mix(1 << 20)
    ints = m >> (np.arange(1 << 20, dtype=U64) % U64(64))
    ints = np.where(m & U64(1) == 1, ~ints + U64(1), ints)
    edges = []
    for j in range(64):
        for d in range(-3, 4):
            edges += [((1 << j) + d) % (1 << 64), (-(1 << j) + d) % (1 << 64)]
    i64 = np.concatenate([ints, np.array(edges, dtype=U64)])
    x8, x16 = np.arange(256, dtype=U8), np.arange(65536, dtype=U16)
    src = {"float64": np.concatenate([m, wide - U64(1), wide, wide + U64(1)]), "float32": b32,
           "int64": i64, "uint64": i64, "int32": i64.astype(U32), "uint32": i64.astype(U32), "bool": np.array([0, 1], dtype=U8),
           "complex128": np.concatenate([m, wide]), "complex64": b32, "complex32": x16}
    for name in REAL:
        if name not in src:
            src[name] = x8 if size(name) == 1 else x16
    return src


def dense32():
    return (np.arange(1 << 24, dtype=U64) * U64(0x9E3779B1)).astype(U32)


# --- the second implementation ----------------------------------------------------------------------------------------

def rational8(name):
    """Finite values of a float8 type by code, the first value above them, and the code that this overflow gives."""
    exp, man, bias = {"float8_e4m3fn": (4, 3, 7), "float8_e5m2": (5, 2, 15),
                      "float8_e4m3fnuz": (4, 3, 8), "float8_e5m2fnuz": (5, 2, 16)}[name]
    last = {"float8_e4m3fn": 0x7E, "float8_e5m2": 0x7B}.get(name, 0x7F)
    vals = []
    for code in range(last + 2):
        e, m = code >> man, code & ((1 << man) - 1)
        v = Fraction(m, 1 << man) * Fraction(2) ** (1 - bias) if e == 0 else (1 + Fraction(m, 1 << man)) * Fraction(2) ** (e - bias)
        vals.append(v)
    return vals, last


def exact(fr):
    f = float(fr)
    assert Fraction(f) == fr
    return f


def to8(f32, name):
    """float32 values (as uint32 bits) to the codes of a float8 type."""
    bits = f32.view(U32)
    if name == "float8_e8m0fnu":
        mag = (bits & U32(0x7FFFFFFF)).view(np.float32).astype(np.float64)
        frac, exp = np.frexp(mag)                         # mag = frac * 2**exp, frac from 0.5 up to 1
        code = exp + 126 + (frac >= 0.75)
        code = np.where(mag < 2.0 ** -126, mag > 2.0 ** -127, code)
        code[~np.isfinite(mag)] = 255
        return code.astype(U8)
    vals, last = rational8(name)
    mids = np.array([exact((a + b) / 2) for a, b in zip(vals, vals[1:])])
    mag = (bits & U32(0x7FFFFFFF)).view(np.float32).astype(np.float64)
    code = np.searchsorted(mids, mag, side="left")          # mids[i-1] < mag <= mids[i]
    tie = code != np.searchsorted(mids, mag, side="right")
    code = np.where(tie & (code % 2 == 1), code + 1, code)
    neg = (bits >> U32(31)) == 1
    nan = np.isnan(mag)
    if name == "float8_e4m3fn":
        return np.where(nan | (code > last), 0x7F, code).astype(U8) | (neg * U8(0x80)).astype(U8)
    if name == "float8_e5m2":
        return np.where(nan, 0x7F, np.where(code > last, 0x7C, code)).astype(U8) | (neg * U8(0x80)).astype(U8)
    out = np.where(neg & (code > 0), code + 0x80, code)
    return np.where(nan | (code > last), 0x80, out).astype(U8)


def from8(codes, name):
    """Codes of a float8 type to float32 bits."""
    out = np.zeros(256, dtype=U32)
    for c in range(256):
        if name == "float8_e8m0fnu":
            out[c] = 0x7F800001 if c == 255 else np.array([2.0 ** (c - 127)], dtype=np.float32).view(U32)[0]
            continue
        vals, last = rational8(name)
        low, sign = c & 0x7F, 0x80000000 if c & 0x80 else 0
        if name.endswith("fnuz"):
            out[c] = 0x7F800001 if c == 0x80 else np.array([exact(vals[low])], dtype=np.float32).view(U32)[0] | sign
        elif low <= last:
            out[c] = np.array([exact(vals[low])], dtype=np.float32).view(U32)[0] | sign
        elif name == "float8_e4m3fn":
            out[c] = sign | 0x7FF00000
        else:                                             # e5m2 goes through float16: infinity, or a quietened NaN
            out[c] = sign | (0x7F800000 if low == 0x7C else 0x7FC00000 | (low & 3) << 21)
    return out[codes]


def to_int(x, name):
    """x86's float to integer, as torch's scalar code has it: truncation; out of range and NaN give the lowest int32 or
    int64, of which narrower types keep the low bytes (8 and 16 bits go by int32, uint8 and uint32 by int64)."""
    with np.errstate(all="ignore"):
        if name == "uint64":
            high = x >= 2.0 ** 63
            low = np.where(high, x - np.array(2.0 ** 63, dtype=x.dtype), x)
            return trunc64(low) ^ np.where(high, U64(1 << 63), U64(0))
        if name in ("int64", "uint32", "uint8"):
            return trunc64(x).astype("u%d" % size(name))
        ok = (x > -2147483649.0) & (x < 2147483648.0) if x.dtype == np.float64 else (x >= -2147483648.0) & (x < 2147483648.0)
        i = np.where(ok, np.trunc(np.where(ok, x, 0)), -2147483648.0).astype(np.int64)
        return i.astype(U64).astype("u%d" % size(name))


def trunc64(x):
    ok = (x >= -2.0 ** 63) & (x < 2.0 ** 63)
    return np.where(ok, np.where(ok, x, 0).astype(np.int64), np.int64(-2 ** 63)).astype(np.int64).view(U64)


def second(b, src, dst):
    """The second implementation of one cast, where torch 1.13 lacks a dtype."""
    if src.startswith("float8"):
        f = from8(b, src).view(np.float32)
    elif src in ("float16", "bfloat16"):
        f = raw(tensor(b, src).to(torch.float32)).view(np.float32)
    elif src == "float32":
        f = b.view(np.float32)
    elif src == "float64":
        f = b.view(np.float64)
    else:
        kind = np.dtype(np.bool_ if src == "bool" else src)
        i = b.view(kind)
        if dst == "bool":
            return (i != 0).view(U8)
        if "int" in dst:
            return i.astype(dst).view(U8)
        if dst == "float64":
            return i.astype(np.float64).view(U8)
        f = i.astype(np.float32)
    if dst == "bool":
        return (f != 0).view(U8)
    if "int" in dst:
        return to_int(f, dst).view(U8)
    if dst == "float64":
        return f.astype(np.float64).view(U8)
    f = f.astype(np.float32)
    if dst == "float32":
        return f.view(U8)
    if dst == "float16":
        return raw(torch.from_numpy(f.copy()).to(torch.float16))
    if dst == "bfloat16":                                 # torch's scalar path, as float8 and unsigned sources take it
        o = raw(torch.from_numpy(f.copy()).to(torch.bfloat16)).view(U16).copy()
        o[np.isnan(f)] = 0x7FC0
        return o.view(U8)
    return to8(f, dst)


def cast(b, src, dst):
    if src == dst:
        return b.view(U8)
    if src in NEW or dst in NEW:
        if dst.startswith("complex"):
            part = {"complex128": "float64", "complex64": "float32", "complex32": "float16"}[dst]
            re = second(b, src, part).reshape(-1, size(part))
            return np.concatenate([re, np.zeros_like(re)], axis=1).reshape(-1)
        return second(b, src, dst)
    out = raw(tensor(b, src).to(getattr(torch, dst)))
    if src == "float64" and dst == "bfloat16":            # torch's vector body says 0xFFFF, its tail 0x7FC0: body
        out = out.view(U16).copy()
        out[np.isnan(b.view(np.float64))] = 0xFFFF
        out = out.view(U8)
    return out


# --- quantisation --------------------------------------------------------------------------------------------------------

def quantised():
    rows, cols, inner = 7, 33, 5
    x = (mix(rows * cols * inner) >> U64(40)).astype(np.float32) / np.float32(1 << 20) - np.float32(8)
    special = np.array([np.inf, -np.inf, np.nan, 1e30, -1e30, 0.5, 1.5, 2.5, -0.5, -1.5, 3e9, -0.0], dtype=np.float32)
    x[:len(special)] = special
    t = torch.from_numpy(x).reshape(rows, cols, inner)
    yield "input", "quantise", x.view(U8)
    for name, dt in (("qint8", torch.qint8), ("quint8", torch.quint8)):
        for scale, zero in ((0.05, 0), (0.1, 7), (1.0, 0), (1.0 / 3.0, 100), (7.3e-5, 3), (0.013, 127)):
            q = torch.quantize_per_tensor(t, scale, zero, dt)
            yield "%s/tensor/%r/%d" % (name, scale, zero), "q", raw(q.int_repr())
            yield "%s/tensor/%r/%d" % (name, scale, zero), "back", raw(q.dequantize())
        for axis, n in ((0, rows), (1, cols), (2, inner)):
            scales = [0.01 * (i + 1) / 3 for i in range(n)]
            zeros = [i % 11 for i in range(n)]
            q = torch.quantize_per_channel(t, torch.tensor(scales, dtype=torch.float64), torch.tensor(zeros), axis, dt)
            yield "%s/channel/%d" % (name, axis), "q", raw(q.int_repr())
            yield "%s/channel/%d" % (name, axis), "back", raw(q.dequantize())


def line(a, b, data):
    sys.stdout.write("%s\t%s\t%s\n" % (a, b, hashlib.sha256(np.ascontiguousarray(data).tobytes()).hexdigest()))


def main():
    src = inputs()
    src["float32-dense"] = dense32()
    for name, b in src.items():
        line("input", name, b)
    for name, b in src.items():
        dtype = name.split("-")[0]
        for dst in (COMPLEX if dtype in COMPLEX else REAL + COMPLEX):
            if name.endswith("dense") and dst in COMPLEX:
                continue
            line(name, dst, cast(b, dtype, dst))
    for a, b, data in quantised():
        line(a, b, data)


def exhaustive():
    """One hash for each target, over all float32 patterns in ascending order of their bits."""
    targets = REAL[2:9]
    hashes = {dst: hashlib.sha256() for dst in targets}
    for block in range(256):
        b = np.arange(1 << 24, dtype=U32) + U32(block << 24)
        for dst, h in hashes.items():
            h.update(np.ascontiguousarray(cast(b, "float32", dst)))
    for dst, h in hashes.items():
        print("float32-all\t%s\t%s" % (dst, h.hexdigest()))


if sys.argv[1:] == ["exhaustive"]:
    exhaustive()
else:
    main()
