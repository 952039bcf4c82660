"""Mutators of protocol buffers, which sentencepiece models are: fields are taken apart by the wire format alone."""

from __future__ import annotations

import random
import struct

from byte_mutations import EDGES, ODD_TEXTS, REALS, NotThisKind, changed_bytes

VARINT, EIGHT, LENGTH, FOUR = 0, 1, 2, 5
Field = tuple[int, int, bytes]  # number, wire type, the value (of LENGTH without its length)
MOST_DEPTH = 2  # a model, its parts, and their values


def changed_protobuf(data: bytes, rng: random.Random) -> bytes:
    """One to three changes, most often inside of a part."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = _changed(data, rng, MOST_DEPTH)
    return data


def _changed(data: bytes, rng: random.Random, depth: int) -> bytes:
    fields = parse(data)
    numbers = sorted({number for number, _, _ in fields})
    number = rng.choice(numbers)  # a part of many pieces is no more likely than the others
    at = rng.choice([index for index, field in enumerate(fields) if field[0] == number])
    kind, value = fields[at][1:]
    choice = rng.randrange(10)
    if depth and kind == LENGTH and choice < 6:
        try:
            fields[at] = (number, kind, _changed(value, rng, depth - 1))
            return write(fields)
        except NotThisKind:
            pass
    if choice == 6:
        del fields[at]
    elif choice == 7:
        fields[at:at] = [fields[rng.randrange(len(fields))]] * rng.choice((1, 1, 3, 500))
    elif choice == 8:
        fields[at] = (rng.choice((0, number + 1, 15, 200, (1 << 29) - 1)), kind, value)
    else:
        fields[at] = (number, *_other_value(kind, value, rng))
    return write(fields)


def _other_value(kind: int, value: bytes, rng: random.Random) -> tuple[int, bytes]:
    if kind == VARINT:
        return kind, varint(rng.choice((*EDGES, *range(8), int.from_bytes(value[:1], "little") ^ 1)) % (1 << 64))
    if kind == FOUR:
        return kind, struct.pack("<f", rng.choice(REALS))
    if kind == EIGHT:
        return kind, struct.pack("<d", rng.choice(REALS))
    choice = rng.randrange(5)
    if choice == 0:
        return kind, rng.choice(
            (b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xe2\x96", b"<0xZZ>", b"<0x41>", b"\xe2\x96\x81")
        )
    if choice == 1:
        return kind, rng.choice(ODD_TEXTS).encode("utf-8", "surrogatepass")
    if choice == 2:
        return rng.choice((VARINT, FOUR)), b"\x00\x00\x00\x00"
    return kind, changed_bytes(value, rng)


def parse(data: bytes) -> list[Field]:
    fields, at = [], 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        start = at
        if kind == VARINT:
            _, at = _read_varint(data, at)
        elif kind in (EIGHT, FOUR):
            at += 8 if kind == EIGHT else 4
        elif kind == LENGTH:
            length, start = _read_varint(data, at)
            at = start + length
        else:
            raise NotThisKind
        if at > len(data):
            raise NotThisKind
        fields.append((number, kind, data[start:at]))
    if not fields:
        raise NotThisKind
    return fields


def write(fields: list[Field]) -> bytes:
    parts = []
    for number, kind, value in fields:
        parts += [varint(number << 3 | kind), varint(len(value)) if kind == LENGTH else b"", value]
    return b"".join(parts)


def varint(number: int) -> bytes:
    found = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        found.append(low | (0x80 if number else 0))
        if not number:
            return bytes(found)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for place in range(10):
        if at + place >= len(data):
            raise NotThisKind
        number |= (data[at + place] & 0x7F) << 7 * place
        if data[at + place] < 0x80:
            return number, at + place + 1
    raise NotThisKind
