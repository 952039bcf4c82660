"""Choosing how a writer tells each set: the shortest of the ways that member_sets.py knows.

Strategy: every way that can tell the set is priced in bytes: gaps and changes by coding them, bits by compressing them,
and the least is taken, of equals the first. Sets are looked at in the order of the directory, so that a mask
that layers share is told once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..codecs import INTEGER_CODECS
from ..container.bytes_codecs import BYTES_CODECS
from ..container.cursor import Writer
from .keys import TermKey
from .member_sets import (
    BITMAP,
    DIFFERENCE,
    FINEST,
    GAPS,
    MAX_GAP,
    PREFIX,
    SAME,
    MemberSet,
    encode_bitmap,
    encode_gaps,
    finest_members,
    gap_scales,
)

SHORT_UNIVERSE = 64  # up to which bits may be shorter than the name of a set
N_COMPARED = 64  # latest sets of the same universe of which the nearest is tried: those of all layers
STREAM_END_BYTES = 4  # what a stream has once, whatever it holds

KnownSets = Mapping[TermKey, tuple[int, np.ndarray]]  # size of the universe and ascending members, by (tensor, part)


@dataclass(frozen=True, slots=True)
class ToldSet:
    """A set as it is stored: the record, its integers of stream 0 (None without any), and the size of its universe."""

    record: MemberSet
    integers: np.ndarray | None
    universe: int


@dataclass
class SetChooser:
    """Chooses in the order of the directory; remembers the sets so far, by the size of their universe."""

    earlier: dict[int, list[tuple[TermKey, np.ndarray]]] = field(default_factory=dict)
    originals: dict[tuple[int, bytes], TermKey] = field(default_factory=dict)

    def choose(self, members: np.ndarray, universe: int, exponents: np.ndarray | None, key: TermKey) -> ToldSet:
        """The cheapest way to tell a set of numbers below `universe`.

        members : ascending integers, 1 to universe - 1 of them; ValueError otherwise
        exponents : of the steps of the tensor's first grid on the set's side, None without any
        """
        members = np.asarray(members, np.int64)
        ascending = members.ndim == 1 and members.size and (np.diff(members) > 0).all()
        if not ascending or members[0] < 0 or members[-1] >= universe or members.size == universe:
            raise ValueError(f"a set has 1 to {universe - 1} ascending members below {universe}")
        ways = list(self._short_ways(members, universe, exponents))
        if not ways or universe <= SHORT_UNIVERSE:
            ways += self._long_ways(members, universe)
        told = min(ways, key=_price)
        self.remember(members, universe, key)
        return told

    def remember(self, members: np.ndarray, universe: int, key: TermKey) -> None:
        """A set that later ones may name; of equal ones the first."""
        members = np.asarray(members, np.int64)
        content = universe, members.tobytes()
        if content not in self.originals:
            self.originals[content] = key
            self.earlier.setdefault(universe, []).append((key, members))

    def _short_ways(self, members: np.ndarray, universe: int, exponents: np.ndarray | None) -> Iterator[ToldSet]:
        """Those of a few bytes, whatever the size of the set."""
        count = members.size
        if members[-1] == count - 1:
            yield ToldSet(MemberSet(PREFIX, count), None, universe)
        if exponents is not None and np.array_equal(finest_members(exponents, count), members):
            yield ToldSet(MemberSet(FINEST, count), None, universe)
        original = self.originals.get((universe, members.tobytes()))
        if original is not None:
            yield ToldSet(MemberSet(SAME, count, named=original), None, universe)

    def _long_ways(self, members: np.ndarray, universe: int) -> Iterator[ToldSet]:
        count = members.size
        yield from _by_gaps(MemberSet(GAPS, count), members, universe)
        yield ToldSet(MemberSet(BITMAP, count, encode_bitmap(members, universe)), None, universe)
        latest = [
            (key, other)
            for key, other in self.earlier.get(universe, [])[-N_COMPARED:]
            if not np.array_equal(other, members)
        ]
        if latest:
            changes, named = min(
                ((np.setxor1d(members, other), key) for key, other in latest), key=lambda item: item[0].size
            )
            yield from _by_gaps(MemberSet(DIFFERENCE, count, named=named, changes=changes.size), changes, universe)


def _by_gaps(record: MemberSet, numbers: np.ndarray, universe: int) -> Iterator[ToldSet]:
    """The way through gaps between `numbers`, when an integer of a stream holds each of them."""
    if np.diff(numbers, prepend=-1).max() <= MAX_GAP:
        yield ToldSet(record, encode_gaps(numbers), universe)


def _price(told: ToldSet) -> int:
    """Bytes in the directory and in stream 0, about."""
    writer = Writer()
    told.record.write(writer)
    directory = len(writer.bytes())
    if told.record.bitmap:
        directory = min([directory, *(len(codec.encode(told.record.bitmap)) for codec in BYTES_CODECS.values())])
    if told.integers is None:
        return directory
    payload = INTEGER_CODECS[1].encode([told.integers], [gap_scales(told.integers.size, told.universe)])
    return directory + len(payload) - STREAM_END_BYTES
