"""Structure-aware mutations of artifacts: damage that checksums do not catch, because they are computed again.

Strategy: a seed file is taken apart into sections; some of their decoded bytes, table fields or the order of things are
changed; then the file is put together with true lengths and checksums and compressed again, except where a lie about
them is the mutation. So the readers behind the container are reached. Mutation n of a seed number is always the same
file, and each can be made without the ones before it.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import brotli
import zstandard
from byte_mutations import BYTES, REALS
from make_vectors import FOLDER, read_table
from vector_files import BROTLI, CODES, DIGEST, STORED, ZSTD, Row, container, varint

from bytecap.format.container.container import read_container

SEEDS = {
    level: tuple(
        (FOLDER / entry["file"]).read_bytes() for entry in read_table() if "sha256" in entry and entry["level"] == level
    )
    for level in ("container", "artifact")
}  # good vectors, by the level at which they are good

NUMBERS = (
    0,
    1,
    2,
    7,
    127,
    128,
    255,
    256,
    16_383,
    16_384,
    65_535,
    65_536,
    1 << 20,
    1 << 24,
    (1 << 28) + 1,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
)
LONG_FORMS = (b"\x80\x00", b"\x80\x80\x80\x80\x80\x01", b"\xff\xff\xff\xff\x1f", b"\x80\x80\x80\x80\x80")


@dataclass
class Parts:
    """A file taken apart: rows that hold decoded contents, and what is wrong with the file around them."""

    rows: list[Row]
    header: dict[str, object] = field(default_factory=dict)
    file_steps: list[Callable[[bytes, random.Random], bytes]] = field(default_factory=list)


@dataclass(frozen=True)
class Mutation:
    """Mutation `number` of a run with seed number `seed`: the names of its steps and the file."""

    seed: int
    number: int
    steps: tuple[str, ...]
    data: bytes


def mutations(seeds: Sequence[bytes], count: int, seed: int, first: int = 0) -> Iterator[Mutation]:
    """Mutations `first` to `first + count - 1` of the seed files, of larger ones more."""
    parts, sizes = taken_apart(tuple(seeds)), [len(data) for data in seeds]
    for number in range(first, first + count):
        steps, data = mutation(parts, sizes, random.Random(f"{seed}/{number}"))
        yield Mutation(seed, number, steps, data)


@cache
def taken_apart(seeds: tuple[bytes, ...]) -> list[list[Row]]:
    """The sections of each seed file, decoded."""
    return [[Row(s.id, s.decoded, s.codec) for s in read_container(data)] for data in seeds]


def mutation(seeds: Sequence[Sequence[Row]], sizes: Sequence[int], rng: random.Random) -> tuple[tuple[str, ...], bytes]:
    """The names of the steps and the file; `sizes` are the weights of the seeds."""
    rows = rng.choices(seeds, sizes)[0]
    parts = Parts([_with_some_codec(row, rng) for row in rows])
    steps = rng.choices(STEPS, WEIGHTS, k=rng.choice((1, 1, 1, 2, 3)))
    for step in steps:
        step(parts, rng, seeds)
    return tuple(step.__name__ for step in steps), assemble(parts, rng)


def assemble(parts: Parts, rng: random.Random) -> bytes:
    """The file: rows compressed again where that makes them shorter, true lengths and checksums where no step lied."""
    data = container([_compressed(row) for row in parts.rows], **parts.header)
    for step in parts.file_steps:
        data = step(data, rng)
    return data


def _with_some_codec(row: Row, rng: random.Random) -> Row:
    return row if row.id in (CODES, DIGEST) else replace(row, codec=rng.choice((STORED, row.codec, ZSTD, BROTLI)))


def _compressed(row: Row) -> Row:
    """`row` with its content as its codec stores it; stored plainly when that is no longer."""
    if row.codec not in (ZSTD, BROTLI) or row.decoded_length is not None:
        return row
    stored = zstandard.compress(row.content, 1) if row.codec == ZSTD else brotli.compress(row.content, quality=1)
    if len(stored) >= len(row.content):
        return replace(row, codec=STORED)
    return replace(row, content=stored, decoded_length=len(row.content))


# ---- steps on the decoded bytes of one section ---------------------------------------------------


def _change(parts: Parts, rng: random.Random, change: Callable[[bytearray, int], None]) -> None:
    """Change the content of one row at one place; most often of one that has something to say."""
    if not parts.rows:
        return
    index = rng.randrange(len(parts.rows))
    if parts.rows[index].id == DIGEST:
        index = rng.randrange(len(parts.rows))
    content = bytearray(parts.rows[index].content)
    change(content, min(rng.randrange(len(content) + 1), rng.randrange(len(content) + 1)))
    parts.rows[index] = replace(parts.rows[index], content=bytes(content))


def flip_bit(parts: Parts, rng: random.Random, _) -> None:
    def change(content: bytearray, at: int) -> None:
        if at < len(content):
            content[at] ^= 1 << rng.randrange(8)

    _change(parts, rng, change)


def set_byte(parts: Parts, rng: random.Random, _) -> None:
    def change(content: bytearray, at: int) -> None:
        content[at : at + 1] = bytes([rng.choice(BYTES)])

    _change(parts, rng, change)


def set_number(parts: Parts, rng: random.Random, _) -> None:
    """Replace a byte, or insert before it, a number that is often on the edge of something."""

    def change(content: bytearray, at: int) -> None:
        number = rng.choice(LONG_FORMS) if rng.random() < 0.2 else varint(rng.choice(NUMBERS))
        content[at : at + rng.randrange(3)] = number

    _change(parts, rng, change)


def set_four_bytes(parts: Parts, rng: random.Random, _) -> None:
    def change(content: bytearray, at: int) -> None:
        content[at : at + 4] = (
            struct.pack("<f", rng.choice(REALS)) if rng.random() < 0.5 else rng.choice(NUMBERS).to_bytes(4, "little")
        )

    _change(parts, rng, change)


def insert_bytes(parts: Parts, rng: random.Random, _) -> None:
    _change(
        parts, rng, lambda content, at: content.__setitem__(slice(at, at), rng.randbytes(rng.choice((1, 1, 2, 5, 40))))
    )


def delete_bytes(parts: Parts, rng: random.Random, _) -> None:
    _change(parts, rng, lambda content, at: content.__delitem__(slice(at, at + rng.choice((1, 1, 2, 5, 40)))))


def duplicate_bytes(parts: Parts, rng: random.Random, _) -> None:
    def change(content: bytearray, at: int) -> None:
        piece = bytes(content[at : at + rng.choice((1, 2, 8, 30))])
        content[at:at] = piece * rng.choice((1, 1, 2, 50))

    _change(parts, rng, change)


def cut_content(parts: Parts, rng: random.Random, _) -> None:
    _change(parts, rng, lambda content, at: content.__delitem__(slice(at, None)))


def splice(parts: Parts, rng: random.Random, others: Sequence[Sequence[Row]]) -> None:
    """Continue a section with the end of the same section of another file."""
    other = rng.choice(others)

    def change(content: bytearray, at: int) -> None:
        donor = rng.choice(other).content
        content[at:] = donor[rng.randrange(len(donor) + 1) :]

    _change(parts, rng, change)


# ---- steps on the table and the order of sections ------------------------------------------------


def take_section_of_another(parts: Parts, rng: random.Random, others: Sequence[Sequence[Row]]) -> None:
    """A whole section of another file under the same id."""
    donor = rng.choice(rng.choice(others))
    parts.rows = [donor if row.id == donor.id else row for row in parts.rows]


def swap_sections(parts: Parts, rng: random.Random, _) -> None:
    rng.shuffle(parts.rows)


def swap_contents(parts: Parts, rng: random.Random, _) -> None:
    if len(parts.rows) > 1:
        i, j = rng.sample(range(len(parts.rows)), 2)
        a, b = parts.rows[i], parts.rows[j]
        parts.rows[i], parts.rows[j] = replace(a, content=b.content), replace(b, content=a.content)


def drop_section(parts: Parts, rng: random.Random, _) -> None:
    if parts.rows:
        del parts.rows[rng.randrange(len(parts.rows))]


def duplicate_section(parts: Parts, rng: random.Random, _) -> None:
    if parts.rows:
        index = rng.randrange(len(parts.rows))
        parts.rows[index:index] = [parts.rows[index]] * rng.choice((1, 1, 40))


def add_section(parts: Parts, rng: random.Random, _) -> None:
    parts.rows.append(
        Row(
            rng.choice((0, 6, 127, 128, 129, 255)), rng.randbytes(rng.randrange(40)), rng.choice((STORED, ZSTD, BROTLI))
        )
    )


def set_table_field(parts: Parts, rng: random.Random, _) -> None:
    """One field of one entry, its checksum and the header's still true unless they are the field."""
    if not parts.rows:
        return
    index = rng.randrange(len(parts.rows))
    row = _compressed(parts.rows[index])
    true = {"id": row.id, "codec": row.codec, "stored_length": len(row.content)}
    true |= {"decoded_length": row.decoded_length or len(row.content), "checksum": 0}
    name = rng.choice(tuple(true))
    value = max(0, rng.choice((true[name] + rng.choice((-1, 1)), *NUMBERS)))
    value &= 0xFF if name in ("id", "codec") else 0xFFFFFFFF
    kept = {"decoded_length": true["decoded_length"]} if row.codec else {}
    parts.rows[index] = replace(row, **(kept | {name: value}))


def damage_compressed(parts: Parts, rng: random.Random, _) -> None:
    """Change stored bytes that a decompressor will see, under a true checksum."""
    indexes = [
        index for index, row in enumerate(parts.rows) if _compressed(row).codec in (ZSTD, BROTLI) and row.content
    ]
    if indexes:
        index = rng.choice(indexes)
        row = _compressed(parts.rows[index])
        content = bytearray(row.content)
        for _ in range(rng.choice((1, 1, 4))):
            content[rng.randrange(len(content))] = rng.choice((*BYTES, rng.randrange(256)))
        cut = rng.choice((None, None, None, rng.randrange(len(content))))
        parts.rows[index] = replace(row, content=bytes(content[:cut]))


# ---- steps on the header and the file as a whole -------------------------------------------------


def set_header_field(parts: Parts, rng: random.Random, _) -> None:
    """One field of the header; the checksum is true unless it is the field."""
    name, value = rng.choice(
        (
            ("magic", bytes(8)),
            ("version", (rng.choice(BYTES), rng.choice(BYTES))),
            ("reserved", rng.choice(BYTES)),
            ("checksum", rng.choice(NUMBERS)),
            ("version", (1, rng.choice(BYTES))),
        )
    )
    parts.header[name] = value


def cut_file(parts: Parts, rng: random.Random, _) -> None:
    parts.file_steps.append(lambda data, rng: data[: rng.randrange(len(data) + 1)])


def extend_file(parts: Parts, rng: random.Random, _) -> None:
    parts.file_steps.append(lambda data, rng: data + rng.randbytes(rng.choice((1, 4, 100))))


def damage_file(parts: Parts, rng: random.Random, _) -> None:
    """A byte of the file, without any checksum made true again: the section count among others."""

    def step(data: bytes, rng: random.Random) -> bytes:
        damaged = bytearray(data)
        if damaged:
            damaged[min(rng.randrange(len(damaged)), rng.randrange(len(damaged)))] = rng.choice(BYTES)
        return bytes(damaged)

    parts.file_steps.append(step)


CONTENT_STEPS = (
    flip_bit,
    set_byte,
    set_number,
    set_four_bytes,
    insert_bytes,
    delete_bytes,
    duplicate_bytes,
    cut_content,
    splice,
)
SECTION_STEPS = (
    take_section_of_another,
    swap_sections,
    swap_contents,
    drop_section,
    duplicate_section,
    add_section,
    set_table_field,
    damage_compressed,
)
FILE_STEPS = (set_header_field, cut_file, extend_file, damage_file)
STEPS = CONTENT_STEPS + SECTION_STEPS + FILE_STEPS
WEIGHTS = (8,) * len(CONTENT_STEPS) + (2,) * len(SECTION_STEPS) + (1,) * len(FILE_STEPS)
