"""Sets of rows, columns or elements: the record in the directory, and the members from what the decoder
knows (spec/tensors.md).

Strategy: a set is told in whichever way is shortest: as the start of an order that the decoder has anyway, as bits, as
gaps between its members, or by an earlier set. Gaps and changes are integers of stream 0, so what a record says of them
is only how many there are, and that is compared with what is left to choose from before anything is allocated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from ...errors import InvalidArtifact, MalformedArtifact, UnsupportedArtifact
from ..codecs import ExpectedScales
from ..container.cursor import Cursor, Writer
from .keys import TermKey

PREFIX, FINEST, BITMAP, GAPS, SAME, DIFFERENCE = ENCODINGS = (
    "prefix",
    "finest",
    "bitmap",
    "gaps",
    "same",
    "difference",
)
MAX_GAP = 1 << 24  # of which the signed number is within what a stream holds
WHERE = "codes / stream 0"


@dataclass(frozen=True, slots=True)
class MemberSet:
    """How a set of `count` of the numbers 0..universe - 1 is told.

    encoding : str               one of ENCODINGS
    count : int                  1..universe - 1
    bitmap : bytes               of BITMAP: bit i mod 8 of byte i / 8 says whether i is a member
    named : (entry, term)        of SAME and DIFFERENCE: the earlier set
    changes : int                of DIFFERENCE: in how many numbers the two sets differ
    """

    encoding: str
    count: int
    bitmap: bytes = b""
    named: TermKey | None = None
    changes: int = 0

    @property
    def vector_length(self) -> int:
        """How many integers of stream 0 it has."""
        return {GAPS: self.count, DIFFERENCE: self.changes}.get(self.encoding, 0)

    def write(self, writer: Writer) -> None:
        writer.u8(ENCODINGS.index(self.encoding))
        if self.encoding == BITMAP:
            writer.raw(self.bitmap)
            return
        if self.named is not None:
            writer.varint(self.named[0])
            writer.u8(self.named[1])
        writer.varint(self.count)
        if self.encoding == DIFFERENCE:
            writer.varint(self.changes)

    @classmethod
    def read(cls, cursor: Cursor, universe: int) -> MemberSet:
        """A set of numbers below `universe`; ArtifactError [R-SET-1, R-SET-2, R-SET-3] when it cannot be one."""
        start = cursor.offset
        number = cursor.u8("encoding of the set")
        if number >= len(ENCODINGS):
            message = f"encoding {number} of a set, this version knows 0..{len(ENCODINGS) - 1}"
            raise UnsupportedArtifact(message, rule="R-SET-1", offset=start, where=cursor.where)
        encoding = ENCODINGS[number]
        if encoding == BITMAP:
            return cls._read_bitmap(cursor, universe)
        named = (
            (cursor.varint("tensor of the set"), cursor.u8("term of the set"))
            if encoding in (SAME, DIFFERENCE)
            else None
        )
        count = _read_count(cursor, universe, "a set")
        changes = _read_count(cursor, universe + 1, "changes") if encoding == DIFFERENCE else 0
        return cls(encoding, count, named=named, changes=changes)

    @classmethod
    def _read_bitmap(cls, cursor: Cursor, universe: int) -> MemberSet:
        start = cursor.offset
        bitmap = bytes(cursor.take((universe + 7) // 8, "bitmap"))
        if universe % 8 and bitmap[-1] >> universe % 8:
            raise MalformedArtifact(
                "a bit after the last number is 1", rule="R-SET-3", offset=start, where=cursor.where
            )
        count = int.from_bytes(bitmap, "little").bit_count()
        if not 1 <= count < universe:
            message = f"a set of {count}, expected 1..{universe - 1}"
            raise InvalidArtifact(message, rule="R-SET-2", offset=start, where=cursor.where)
        return cls(BITMAP, count, bitmap)


def _read_count(cursor: Cursor, bound: int, what: str) -> int:
    start = cursor.offset
    count = cursor.varint("count")
    if not 1 <= count < bound:
        message = f"{what} of {count}, expected 1..{bound - 1}"
        raise InvalidArtifact(message, rule="R-SET-2", offset=start, where=cursor.where)
    return count


def encode_bitmap(members: np.ndarray, universe: int) -> bytes:
    """One bit a number, least significant first."""
    bits = np.zeros(universe, np.uint8)
    bits[members] = 1
    return np.packbits(bits, bitorder="little").tobytes()


def decode_bitmap(bitmap: bytes) -> np.ndarray:
    """int64 members, ascending."""
    return np.flatnonzero(np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little"))


def encode_gaps(members: np.ndarray) -> np.ndarray:
    """int32[1, n]: the numbers left out before each member, as signed numbers 0, -1, 1, -2, ... for 0, 1, 2, 3, ..."""
    gaps = np.diff(members, prepend=-1) - 1
    return ((gaps >> 1) ^ -(gaps & 1)).astype(np.int32)[None, :]


def decode_gaps(integers: np.ndarray, universe: int) -> np.ndarray:
    """int64 members, ascending; inverse of `encode_gaps`. InvalidArtifact [R-SET-6] for one beyond the universe."""
    integers = integers.ravel().astype(np.int64)
    members = np.cumsum(np.where(integers < 0, -2 * integers, 2 * integers + 1)) - 1
    if members[-1] >= universe:
        message = f"member {members[-1]} of a set of numbers below {universe}"
        raise InvalidArtifact(message, rule="R-SET-6", where=WHERE)
    return members


def gap_scales(length: int, universe: int) -> ExpectedScales:
    """Expectation of a vector of gaps: half the mean gap, in whole octaves (spec/codecs.md)."""
    octaves = (universe // length).bit_length() - 2
    return ExpectedScales(np.zeros(1, np.int64), np.full(length, octaves * 65536, np.int64))


def finest_members(exponents: np.ndarray, count: int) -> np.ndarray:
    """int64[count]: the rows or columns of the smallest step exponents, of equals the first; ascending."""
    return np.sort(np.argsort(exponents, kind="stable")[:count])


def decode_set(
    told: MemberSet,
    universe: int,
    integers: np.ndarray | None,
    exponents: np.ndarray | None,
    earlier: Mapping[TermKey, np.ndarray],
) -> np.ndarray:
    """int64[count] members, ascending, from the set's integers of stream 0, the steps of its side and the earlier sets.

    Raises InvalidArtifact [R-SET-6] when the integers are those of no set of this size.
    """
    if told.encoding == PREFIX:
        return np.arange(told.count)
    if told.encoding == FINEST:
        return finest_members(cast(np.ndarray, exponents), told.count)
    if told.encoding == BITMAP:
        return decode_bitmap(told.bitmap)
    if told.encoding == SAME:
        return earlier[cast(TermKey, told.named)]
    gaps = decode_gaps(cast(np.ndarray, integers), universe)
    if told.encoding == GAPS:
        return gaps
    members = np.setxor1d(earlier[cast(TermKey, told.named)], gaps, assume_unique=True)
    if members.size != told.count:
        raise InvalidArtifact(f"a set of {members.size}, its record says {told.count}", rule="R-SET-6", where=WHERE)
    return members
