"""Mutators of files of weights: the header of safetensors, zip archives and pickles of torch, and token shards."""

from __future__ import annotations

import io
import itertools
import lzma
import pickletools
import random
import struct
import warnings
import zipfile
import zlib

from byte_mutations import EDGES, ODD_TEXTS, NotThisKind, changed_bytes
from json_mutations import changed_json

SHARD_HEADER = 1024
CANARY = "canary"  # the file that a hostile pickle would make in the current folder
ODD_NAMES = (
    "../../x",
    "/etc/x",
    "",
    "a" * 5000,
    "\u202ex",
    "archive/data/0",
    "archive/code/x.py",
    "archive/constants.pkl",
)


def changed_safetensors(data: bytes, rng: random.Random) -> bytes:
    """The header's JSON, its length, or the bytes behind it."""
    if len(data) < 8:
        raise NotThisKind
    length = struct.unpack_from("<Q", data)[0]
    header, body = data[8 : 8 + length], data[8 + length :]
    kind = rng.randrange(6)
    if kind == 0:
        return struct.pack("<Q", rng.choice((*EDGES, length + 1, length - 1)) % (1 << 64)) + header + body
    if kind == 1:
        body = rng.choice((body[:-1], body + b"\0", b"", changed_bytes(body, rng)))
    elif kind == 2:
        header = header.ljust(len(header) + rng.choice((1, 4096)), rng.choice((b" ", b"\0")))
    else:
        header = changed_json(header, rng)
    return struct.pack("<Q", len(header)) + header + body


def changed_zip(data: bytes, rng: random.Random) -> bytes:
    """The pickle or a storage in an archive, an entry's name, or how it is stored."""
    entries = _entries(data)
    at = rng.randrange(len(entries))
    name, content = entries[at]
    how = zipfile.ZIP_STORED
    kind = rng.randrange(8)
    if kind < 4:
        at = next((index for index, (name, _) in enumerate(entries) if name.endswith(".pkl")), at)
        entries[at] = (entries[at][0], changed_pickle(entries[at][1], rng))
    elif kind == 4 and rng.random() < 0.5 and content:
        changed = bytearray(content)  # numbers of a weight, and no other size
        for _ in range(rng.choice((1, 9))):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        entries[at] = (name, bytes(changed))
    elif kind == 4:
        entries[at] = (name, rng.choice((b"", content[:-1], content + b"\0" * 64, changed_bytes(content, rng))))
    elif kind == 5:
        entries[at] = (rng.choice(ODD_NAMES), content)
    elif kind == 6:
        entries[at : at + 1] = rng.choice(([], [entries[at]] * 2))
    else:
        how = rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    return _archive(entries, how)


UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, ValueError, OSError, RuntimeError, EOFError)  # an archive


def _entries(data: bytes) -> list[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    except UNREADABLE as error:
        raise NotThisKind from error
    if not entries:
        raise NotThisKind
    return entries


def _archive(entries: list[tuple[str, bytes]], how: int) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", how) as archive:
        warnings.simplefilter("ignore")  # the same name twice is meant
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name or "x", (1980, 1, 1, 0, 0, 0)), content, how)
    return stream.getvalue()


# ---- pickles -------------------------------------------------------------------------------------

GLOBALS = (
    b"cposix\nsystem\n",
    b"cbuiltins\nexec\n",
    b"cbuiltins\neval\n",
    b"cbuiltins\nopen\n",
    b"cbuiltins\ngetattr\n",
    b"cos\nmkdir\n",
    b"csubprocess\nPopen\n",
    b"ctorch\nload\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch._utils\n_rebuild_sparse_tensor\n",
    b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n",
    b"ctorch._utils\n_rebuild_nested_tensor\n",
    b"ctorch._utils\n_rebuild_qtensor\n",
    b"ctorch._utils\n_rebuild_parameter\n",
    b"ctorch\nFloatStorage\n",
    b"ctorch\nQInt8Storage\n",
    b"ctorch\nsparse_coo\n",
    b"ctorch.serialization\n_get_layout\n",
    b"ctorch._tensor\n_rebuild_from_type_v2\n",
    b"ccollections\nOrderedDict\n",
    b"cargparse\nNamespace\n",
    b"cnumpy._core.multiarray\n_reconstruct\n",
    b"cnumpy._core.multiarray\nscalar\n",
    b"ccopyreg\n_reconstructor\n",
    b"ctiktoken.core\nEncoding\n",
)
WRITES = f"open({CANARY!r}, 'w').close()".encode()
HOSTILE = (  # each would make a file when it is run
    b"cposix\nsystem\n(X" + struct.pack("<I", len(f"touch {CANARY}")) + f"touch {CANARY}".encode() + b"tR",
    b"cos\nmkdir\n(X" + struct.pack("<I", len(CANARY)) + CANARY.encode() + b"tR",
    b"cbuiltins\nexec\n(X" + struct.pack("<I", len(WRITES)) + WRITES + b"tR",
    b"cbuiltins\neval\n(X" + struct.pack("<I", len(WRITES)) + WRITES + b"tR",
    b"(X" + struct.pack("<I", len(WRITES)) + WRITES + b"ibuiltins\nexec\n",
)
OPCODES = tuple(opcode.code.encode("latin-1") for opcode in pickletools.opcodes)


def changed_pickle(data: bytes, rng: random.Random) -> bytes:
    """One to three changes of the program that a pickle is."""
    codes = _operations(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice(PICKLE_STEPS)(codes, rng)
    return b"".join(codes)


def _operations(data: bytes) -> list[bytes]:
    """The opcodes with their arguments; pickles behind one another, as the older files of torch have, are one list."""
    places, start = [], 0
    try:
        while start < len(data) and (not start or data[start : start + 1] in (b"\x80", b"(", b"}", b"]")):
            last = start
            for _, _, at in pickletools.genops(data[start:]):
                last = start + at
                places.append(last)
            start = last + 1
    except (ValueError, IndexError, UnicodeDecodeError, struct.error) as error:
        if not places:
            raise NotThisKind from error
    if not places:
        raise NotThisKind
    places.append(len(data))
    return [data[a:b] for a, b in itertools.pairwise(places)]


def _drop(codes: list[bytes], rng: random.Random) -> None:
    del codes[rng.randrange(len(codes)) : rng.choice((None, None, len(codes)))]
    codes.append(b".")


def _double(codes: list[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(codes))
    codes[at:at] = codes[at : at + rng.choice((1, 1, 5))] * rng.choice((1, 2, 200))


def _swap(codes: list[bytes], rng: random.Random) -> None:
    a, b = rng.randrange(len(codes)), rng.randrange(len(codes))
    codes[a], codes[b] = codes[b], codes[a]


def _number(codes: list[bytes], rng: random.Random) -> None:
    """A whole number becomes one on an edge, a negative or a huge one."""
    at = _some(codes, rng, b"KMJI\x8aG\x88\x89")
    edge = rng.choice(EDGES) * rng.choice((1, 1, -1))
    codes[at] = rng.choice(
        (
            b"J" + struct.pack("<i", max(-(1 << 31), min(edge, (1 << 31) - 1))),
            b"\x8a\x09" + edge.to_bytes(9, "little", signed=True),
            b"\x8a\xff" + b"\x7f" * 255,
            b"K" + bytes([rng.randrange(256)]),
            b"G" + struct.pack(">d", rng.choice((float("nan"), float("inf"), 1e308, 0.5))),
            b"\x88",
            b"N",
        )
    )


def _text(codes: list[bytes], rng: random.Random) -> None:
    at = _some(codes, rng, b"XU\x8cT")
    text = rng.choice(ODD_TEXTS).encode("utf-8", "surrogatepass")
    if rng.random() < 0.2:
        text = b"\xed\xa0\x80"
    codes[at] = b"X" + struct.pack("<I", rng.choice((len(text), len(text), len(text) + 1))) + text


def _global(codes: list[bytes], rng: random.Random) -> None:
    codes[_some(codes, rng, b"c\x93")] = rng.choice(GLOBALS)


def _hostile(codes: list[bytes], rng: random.Random) -> None:
    """A call that makes a file, in the place of a value or left under it."""
    at = rng.randrange(len(codes) + 1)
    codes[at : at + rng.randrange(2)] = [rng.choice(HOSTILE) + rng.choice((b"", b"0"))]


def _opcode(codes: list[bytes], rng: random.Random) -> None:
    codes.insert(rng.randrange(len(codes) + 1), rng.choice(OPCODES) + rng.randbytes(rng.choice((0, 0, 1, 4, 8))))


def _deep(codes: list[bytes], rng: random.Random) -> None:
    """A value inside very many tuples or lists."""
    depth = rng.choice((10, 500, 2_000, 50_000))
    at = rng.randrange(len(codes) + 1)
    opening, closing = rng.choice(((b"", b"\x85"), (b"]", b"a"), (b"(", b"t")))
    codes[at:at] = [opening * depth + b"K\x01" + closing * depth]


def _some(codes: list[bytes], rng: random.Random, kinds: bytes) -> int:
    """The place of one of the opcodes of some kinds, or of any."""
    places = [index for index, code in enumerate(codes) if code[:1] and code[:1] in kinds]
    return rng.choice(places) if places else rng.randrange(len(codes))


PICKLE_STEPS = (_number, _number, _number, _text, _text, _global, _hostile, _drop, _double, _swap, _opcode, _deep)


# ---- shards, and the sizes before other files ----------------------------------------------------


def changed_header(data: bytes, rng: random.Random) -> bytes:
    """One or two of the first 16 numbers of 32 bits become others, as in the headers of shards and of llama2.c."""
    changed = bytearray(data.ljust(64, b"\0"))
    for _ in range(rng.choice((1, 1, 2))):
        at = 4 * rng.randrange(16)
        near = struct.unpack_from("<I", changed, at)[0] + rng.choice((-1, 1, 256))
        struct.pack_into("<I", changed, at, rng.choice((*EDGES, near)) & 0xFFFFFFFF)
    return bytes(changed)


def changed_tokens(data: bytes, rng: random.Random) -> bytes:
    """Ids behind a shard's header: others, fewer, more, or an odd byte."""
    head, body = data[:SHARD_HEADER], bytearray(data[SHARD_HEADER:])
    at = 2 * rng.randrange(len(body) // 2 + 1)
    kind = rng.randrange(5)
    if kind == 0:
        body[at : at + 2] = rng.choice((0, 1, 127, 65_535, rng.randrange(200))).to_bytes(2, "little")
    elif kind == 1:
        del body[at:]
    elif kind == 2:
        body += body[at:] * rng.choice((1, 3))
    elif kind == 3:
        body += b"\1"
    else:
        body[at : at + 2 * 50] = bytes(2 * 50)
    return head + bytes(body)
