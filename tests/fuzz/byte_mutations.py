"""Mutators of plain bytes, and the odd values that the others share.

A mutator takes bytes and a random number generator and gives other bytes. One that understands a structure raises
`NotThisKind` for bytes that do not have it (because an earlier step broke them); then plain bytes are changed instead.
"""

from __future__ import annotations

import random
import struct

from fuzz_frame import Mutation, Mutator, Seed

BYTES = (0, 1, 2, 3, 4, 5, 8, 16, 17, 32, 63, 64, 127, 128, 129, 254, 255)
EDGES = (0, 1, 2, 7, 127, 128, 255, 256, 65_535, 65_536, 1 << 20, 1 << 24, 1 << 28, (1 << 31) - 1, 1 << 31)
EDGES += ((1 << 32) - 1, 1 << 32, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
REALS = (0.0, -0.0, 1.0, -1.0, 1e-45, 3e38, float("inf"), float("-inf"), float("nan"), 2.0**41)
MOST_BYTES = 1 << 20  # of a mutation: what is larger finds no more, and slows everything
ODD_TEXTS = (
    "",
    " ",
    "\u202eabc\u202c",
    "\x1b[31mred\x07",
    "\x00",
    "a\nb\r",
    "\u2028\u2029",
    "\u200b\u2060\ufeff",
    "\U000e0041",
    "a" * 70_000,
    "../../etc/passwd",
    "/etc/passwd",
    "NaN",
    "0x10",
    "\u00e9" * 300,
    "%s%n{0}{x!r}",
)


class NotThisKind(ValueError):
    """The bytes do not have the structure that a mutator changes."""


def changed_bytes(data: bytes, rng: random.Random) -> bytes:
    """One change at one place, more often near the beginning."""
    changed = bytearray(data)
    at = min(rng.randrange(len(changed) + 1), rng.randrange(len(changed) + 1))
    if rng.random() < 0.5:
        at = min(at, rng.randrange(64))
    width = rng.choice((1, 1, 2, 4, 8))
    kind = rng.randrange(8)
    if kind == 0 and at < len(changed):
        changed[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        changed[at : at + 1] = bytes([rng.choice(BYTES)])
    elif kind == 2:
        changed[at : at + width] = (rng.choice(EDGES) % (1 << 8 * width)).to_bytes(width, "little")
    elif kind == 3:
        changed[at : at + 4] = struct.pack("<f", rng.choice(REALS))
    elif kind == 4:
        changed[at:at] = rng.randbytes(rng.choice((1, 1, 4, 64)))
    elif kind == 5:
        del changed[at : at + rng.choice((1, 1, 4, 64, 4096))]
    elif kind == 6:
        changed[at:at] = bytes(changed[at : at + rng.choice((1, 8, 64))]) * rng.choice((1, 1, 2, 50))
    else:
        del changed[rng.choice((at, len(changed) - 1, len(changed) // 2)) if changed else 0 :]
    return bytes(changed)


def mutated(seeds: list[Seed], rng: random.Random) -> Mutation:
    """A seed with one to three changes in its files, each by one of the file's mutators."""
    seed = rng.choice(seeds)
    files, steps = dict(seed.files), []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        name = rng.choice([name for name in files if seed.mutators.get(name)])
        mutator = rng.choice(seed.mutators[name])
        files[name] = changed(files[name], mutator, rng)
        steps.append(f"{mutator.__name__} of {name}")
    return Mutation(files, steps)


def changed(data: bytes, mutator: Mutator, rng: random.Random) -> bytes:
    """What a mutator makes of bytes, or a change of plain bytes where it does not know them; of no more than a size."""
    try:
        return mutator(data, rng)[:MOST_BYTES]
    except Exception:  # NotThisKind, or what a library raises at bytes that an earlier step has damaged
        return changed_bytes(data, rng)
