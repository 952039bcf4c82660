"""Mutators of GGUF: the head is taken apart into fields and tensors, changed, and written with true or false counts."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass

from byte_mutations import EDGES, ODD_TEXTS, REALS, NotThisKind, changed_bytes

STRING, ARRAY = 8, 9
WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
FORMATS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<B", 10: "<Q", 11: "<q", 12: "<d"}
KINDS = (*range(0, 42), 255, 1 << 31)
ODD_KEYS = (
    "general.alignment",
    "general.architecture",
    "split.count",
    "split.no",
    "tokenizer.ggml.model",
    "llama.rope.freq_base",
)


@dataclass
class Head:
    """fields : [key, kind, bytes of the value];  tensors : [name, dimensions, kind, offset];  rest : bytes behind it"""

    version: int
    fields: list[list]
    tensors: list[list]
    rest: bytes
    alignment: int = 32


def changed_gguf(data: bytes, rng: random.Random) -> bytes:
    """One to three changes of fields or tensors; sometimes a count, the version or the data behind are wrong."""
    head = parse(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice((_field, _field, _field, _fields, _tensor, _tensor, _tensors, _version))(head, rng)
    if rng.random() < 0.1:
        head.rest = rng.choice((head.rest[:-1], b"", head.rest[: len(head.rest) // 2], changed_bytes(head.rest, rng)))
    written = bytearray(write(head))
    if rng.random() < 0.1:
        at = rng.choice((8, 16))
        count = struct.unpack_from("<Q", written, at)[0]
        struct.pack_into("<Q", written, at, rng.choice((*EDGES, count + 1, max(0, count - 1))))
    return bytes(written)


def parse(data: bytes) -> Head:
    try:
        magic, version, tensors, fields = struct.unpack_from("<4sIQQ", data)
        if magic != b"GGUF" or tensors > 10_000 or fields > 10_000:
            raise NotThisKind
        at, found = 24, Head(version, [], [], b"")
        for _ in range(fields):
            key, at = _string(data, at)
            kind = struct.unpack_from("<I", data, at)[0]
            end = _value_end(data, at + 4, kind)
            found.fields.append([key, kind, data[at + 4 : end]])
            at = end
        for _ in range(tensors):
            name, at = _string(data, at)
            count = struct.unpack_from("<I", data, at)[0]
            if count > 64:
                raise NotThisKind
            shape = list(struct.unpack_from(f"<{count}Q", data, at + 4))
            kind, offset = struct.unpack_from("<IQ", data, at + 4 + 8 * count)
            found.tensors.append([name, shape, kind, offset])
            at += 16 + 8 * count
        found.rest = data[-(-at // found.alignment) * found.alignment :]
        return found
    except (struct.error, OverflowError) as error:
        raise NotThisKind from error


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    count = struct.unpack_from("<Q", data, at)[0]
    if at + 8 + count > len(data):
        raise NotThisKind
    return data[at + 8 : at + 8 + count], at + 8 + count


def _value_end(data: bytes, at: int, kind: int, depth: int = 0) -> int:
    if kind in WIDTHS:
        return at + WIDTHS[kind]
    if kind == STRING:
        return _string(data, at)[1]
    if kind != ARRAY or depth > 3:
        raise NotThisKind
    inner, count = struct.unpack_from("<IQ", data, at)
    if inner in WIDTHS:
        return at + 12 + WIDTHS[inner] * count
    at += 12
    if count > len(data):
        raise NotThisKind
    for _ in range(count):
        at = _value_end(data, at, inner, depth + 1)
    return at


def write(head: Head) -> bytes:
    written = bytearray(struct.pack("<4sIQQ", b"GGUF", head.version, len(head.tensors), len(head.fields)))
    for key, kind, value in head.fields:
        written += struct.pack("<Q", len(key)) + key + struct.pack("<I", kind) + value
    for name, shape, kind, offset in head.tensors:
        written += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(shape))
        written += b"".join(struct.pack("<Q", size % (1 << 64)) for size in shape)
        written += struct.pack("<IQ", kind, offset % (1 << 64))
    return bytes(written.ljust(-(-len(written) // head.alignment) * head.alignment, b"\0")) + head.rest


def _field(head: Head, rng: random.Random) -> None:
    """One value, its kind or its key."""
    if not head.fields:
        return
    field = rng.choice(head.fields)
    if rng.random() < 0.2:
        field[0] = rng.choice((*ODD_KEYS, *ODD_TEXTS)).encode("utf-8", "surrogatepass")
    elif rng.random() < 0.4:
        field[1:] = _some_value(rng)
    elif field[1] in FORMATS:
        old = struct.unpack(FORMATS[field[1]], field[2])[0]
        field[2] = _packed(field[1], rng.choice((*EDGES, old + 1, old - 1, -old, 2 * old)), rng)
    elif field[1] == ARRAY:
        field[2] = _changed_array(field[2], rng)
    else:
        text = rng.choice(ODD_TEXTS).encode("utf-8", "surrogatepass")
        field[2] = struct.pack("<Q", rng.choice((len(text), len(text), *EDGES))) + text


def _packed(kind: int, number: float, rng: random.Random) -> bytes:
    if kind in (6, 12):
        return struct.pack(FORMATS[kind], rng.choice(REALS) if rng.random() < 0.7 else max(-1e38, min(number, 1e38)))
    width = WIDTHS[kind]
    return (int(number) % (1 << 8 * width)).to_bytes(width, "little")


def _some_value(rng: random.Random) -> list:
    kind = rng.choice((*WIDTHS, STRING, ARRAY, 13, 255))
    if kind in WIDTHS:
        return [kind, _packed(kind, rng.choice(EDGES), rng)]
    if kind == STRING:
        text = rng.choice(ODD_TEXTS).encode("utf-8", "surrogatepass")
        return [kind, struct.pack("<Q", len(text)) + text]
    if kind == ARRAY:
        inner = rng.choice(tuple(WIDTHS))
        count = rng.choice((0, 1, 3, 64, 5000))
        return [kind, struct.pack("<IQ", inner, count) + _packed(inner, rng.choice(EDGES), rng) * count]
    return [kind, b""]


def _changed_array(value: bytes, rng: random.Random) -> bytes:
    """Its kind, its count, or its content."""
    inner, count = struct.unpack_from("<IQ", value)
    kind = rng.randrange(4)
    if kind == 0:
        return struct.pack("<IQ", rng.choice(KINDS), count) + value[12:]
    if kind == 1:
        return struct.pack("<IQ", inner, rng.choice((*EDGES, count + 1, max(0, count - 1)))) + value[12:]
    if kind == 2 and inner in WIDTHS:
        kept = rng.randrange(count + 1)
        return struct.pack("<IQ", inner, kept) + value[12 : 12 + WIDTHS[inner] * kept]
    return value[:12] + changed_bytes(value[12:], rng)[: len(value) - 12].ljust(len(value) - 12, b"\0")


def _fields(head: Head, rng: random.Random) -> None:
    """A field goes, comes twice, or comes anew."""
    if not head.fields or rng.random() < 0.3:
        head.fields.append([rng.choice(ODD_KEYS).encode(), *_some_value(rng)])
    elif rng.random() < 0.6:
        del head.fields[rng.randrange(len(head.fields))]
    else:
        head.fields.append(list(rng.choice(head.fields)))


def _tensor(head: Head, rng: random.Random) -> None:
    """The name, shape, kind or place of a tensor."""
    if not head.tensors:
        return
    tensor = rng.choice(head.tensors)
    kind = rng.randrange(6)
    if kind == 0:
        tensor[0] = rng.choice((*(t[0] for t in head.tensors), *(t.encode("utf-8", "replace") for t in ODD_TEXTS)))
    elif kind == 1 and tensor[1]:
        at = rng.randrange(len(tensor[1]))
        tensor[1][at] = rng.choice((*EDGES, tensor[1][at] + 1, max(0, tensor[1][at] - 1), 2 * tensor[1][at]))
    elif kind == 2:
        tensor[1] = rng.choice(([], [*tensor[1], 1], tensor[1][::-1], tensor[1][:1], [1] * 5, [0], [1 << 32, 1 << 32]))
    elif kind == 3:
        tensor[2] = rng.choice(KINDS)
    else:
        tensor[3] = rng.choice((*EDGES, tensor[3] + 1, tensor[3] - 1, tensor[3] + 32, 0))


def _tensors(head: Head, rng: random.Random) -> None:
    if not head.tensors:
        return
    if rng.random() < 0.6:
        del head.tensors[rng.randrange(len(head.tensors))]
    else:
        head.tensors += [list(rng.choice(head.tensors)) for _ in range(rng.choice((1, 1, 300)))]


def _version(head: Head, rng: random.Random) -> None:
    if rng.random() < 0.3:
        head.version = rng.choice((0, 1, 2, 4, 3 << 24, 0xFFFFFFFF))
