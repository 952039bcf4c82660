"""Tables of kinds: what is looked up by wire id, by name or by class.

Strategy: a table is made in one place from an explicit tuple, so that it is complete whichever module
is imported first; two kinds that claim one key are refused here, in the same words for every table.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from operator import attrgetter
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)
Kind = TypeVar("Kind")


def paired(pairs: Iterable[tuple[Key, Kind]]) -> dict[Key, Kind]:
    """The dict of these (key, kind) pairs, in their order; ValueError when a key comes twice."""
    table: dict[Key, Kind] = {}
    for key, kind in pairs:
        if key in table:
            raise ValueError(f"{_name(key)} is registered twice: {_name(table[key])} and {_name(kind)}")
        table[key] = kind
    return table


def keyed(kinds: Iterable[Kind], key: str | Callable[[Kind], Any], *unique: str) -> dict[Any, Kind]:
    """The kinds by `key`, an attribute's name or a function of the kind, in their order.

    unique : further attributes in which no two kinds may agree; ValueError when they do, or when a key comes twice
    """
    kinds = tuple(kinds)
    for attribute in unique:
        paired((getattr(kind, attribute), kind) for kind in kinds)
    of = attrgetter(key) if isinstance(key, str) else key
    return paired((of(kind), kind) for kind in kinds)


def _name(thing: object) -> str:
    return getattr(thing, "__qualname__", None) or repr(thing)
