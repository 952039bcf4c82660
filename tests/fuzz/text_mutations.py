"""Mutators of texts: encodings, odd characters, lines, TOML and JSON lines; and compression around any bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import zlib
from collections.abc import Callable

import brotli
import zstandard
from byte_mutations import EDGES, ODD_TEXTS, NotThisKind, changed_bytes
from json_mutations import changed_json

ENCODINGS = ("utf-16", "utf-16-be", "utf-16-le", "utf-8-sig", "utf-32", "utf-7", "cp037", "latin-1", "shift_jis")
ODD_BYTES = (
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\x80",
    b"\0",
    b"\x1b[2J",
    b"\r",
    b"\xef\xbb\xbf",
)
ODD_BYTES += ("\u202e".encode(), "\u2028".encode(), "\ufffe".encode(), "\U0010ffff".encode(), "e\u0301\u0301".encode())
TOML_VALUES = ("1e400", "nan", "-inf", "inf", "0x7fffffffffffffff", "9" * 400, "1" * 5000, "true", '"x"', '"\\ud800"')
TOML_VALUES += ("[]", "{}", "[1, 'a']", "1979-05-27T07:32:00Z", "1e-400", "-0.0", "''", "0b11", "1_0", "{a = {b = 1}}")
TOML_VALUES += ("'''\n'''", '"\\u202e"', "0", "-1", "1", "2", "3.5", "1e308", '"\\u0000"', "[[[1]]]", "", "'", "+1")
TOML_LINES = (
    "[x]",
    "[[calibrate]]",
    "[calibrate.tokens]",
    "a.b.c = 1",
    "'' = 1",
    "[a.b]\n[a]",
    '"\\u202e" = 1',
    "# \x00",
)
COMPRESSORS: tuple[Callable[[bytes], bytes], ...] = (
    zlib.compress,
    lzma.compress,
    lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    lambda data: gzip.compress(data, 1, mtime=0),
    bz2.compress,
    lambda data: zstandard.compress(data, 1),
    lambda data: brotli.compress(data, quality=1),
)


def odd_characters(data: bytes, rng: random.Random) -> bytes:
    """Characters that are none, or that move something, at some places."""
    for _ in range(rng.choice((1, 1, 5))):
        at = rng.randrange(len(data) + 1)
        data = data[:at] + rng.choice(ODD_BYTES) * rng.choice((1, 1, 3, 1000)) + data[at:]
    return data


def another_encoding(data: bytes, rng: random.Random) -> bytes:
    """The text in another encoding, perhaps cut within a character."""
    encoded = data.decode("utf-8", "replace").encode(rng.choice(ENCODINGS), "replace")
    return encoded[: rng.choice((len(encoded), len(encoded), max(0, len(encoded) - 1), 3))]


def changed_lines(data: bytes, rng: random.Random) -> bytes:
    """Lines doubled, left out, joined, made long or ended otherwise."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    kind = rng.randrange(6)
    if kind == 0:
        lines[at:at] = [lines[at]] * rng.choice((1, 1, 100))
    elif kind == 1:
        del lines[at]
    elif kind == 2:
        lines[at] = lines[at] * rng.choice((2, 50))
    elif kind == 3:
        lines.insert(at, rng.choice(ODD_TEXTS).encode("utf-8", "replace"))
    elif kind == 4:
        return rng.choice((b"\r\n", b"\r", b"\0", b"\n\n", b"")).join(lines)
    else:
        rng.shuffle(lines)
    return b"\n".join(lines)


def changed_json_line(data: bytes, rng: random.Random) -> bytes:
    """One of the lines, each of them JSON."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    lines[at] = changed_json(lines[at], rng)
    return b"\n".join(lines)


def changed_toml(data: bytes, rng: random.Random) -> bytes:
    """A value, a key or a table of a TOML file."""
    lines = data.decode("utf-8", "replace").split("\n")
    places = [index for index, line in enumerate(lines) if "=" in line]
    if not places:
        raise NotThisKind
    at = rng.choice(places)
    name, _, value = lines[at].partition("=")
    kind = rng.randrange(8)
    if kind < 4:
        value = rng.choice((*TOML_VALUES, *map(str, EDGES), _deep(rng), f'"{rng.choice(ODD_TEXTS)}"'))
    elif kind == 4:
        name = rng.choice((name.upper(), f"{name.strip()}s ", f"{name.strip()}.x ", f'"{rng.choice(ODD_TEXTS)}"', ""))
    elif kind == 5:
        lines.insert(at, lines[at])
    elif kind == 6:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(TOML_LINES))
    else:
        tables = [index for index, line in enumerate(lines) if line.startswith("[")]
        if tables:
            del lines[rng.choice(tables)]
            return "\n".join(lines).encode("utf-8", "replace")
    lines[at] = f"{name}={value}"
    return "\n".join(lines).encode("utf-8", "replace")


def _deep(rng: random.Random) -> str:
    depth = rng.choice((3, 100, 900, 20_000))
    opening, closing = rng.choice((("[", "]"), ("{a=", "}")))
    return opening * depth + "1" + closing * depth


def compressed(data: bytes, rng: random.Random) -> bytes:
    """In a compression, perhaps damaged, cut, doubled or in another one."""
    packed = rng.choice(COMPRESSORS)(data)
    kind = rng.randrange(8)
    if kind == 0:
        return changed_bytes(packed, rng)
    if kind == 1:
        return packed[: rng.randrange(len(packed) + 1)]
    if kind == 2:
        return packed + rng.choice((packed, b"\0", rng.randbytes(9)))
    if kind == 3:
        return rng.choice(COMPRESSORS)(packed)
    if kind == 4:
        return rng.choice(COMPRESSORS)(data + bytes(rng.choice((1 << 20, 1 << 23))))
    return packed
