"""Groups of matrices that may store something together, found in the program.

Strategy: matrices that read one register, or the residual stream anywhere, have the same input
channels, so that a set of channels may serve them all. Tables are in no group: a walk leaves them
alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ...format.program.operations import Linear
from ...format.tensors.grid import matrix_shape
from .model import Model
from .residual_streams import is_stream
from .structure import embedding_tables

INPUT, STREAM = FAMILIES = ("input", "stream")


@dataclass(frozen=True, slots=True)
class Group:
    """Matrices of one family: tensor indexes, ascending, at least two.

    input : read one register; stream : read the residual stream, normalized or not, at any place
    """

    family: str
    members: tuple[int, ...]


def find_groups(model: Model, indexes: Collection[int]) -> list[Group]:
    """Every group among these matrices, each set of members once, in the order of FAMILIES."""
    allowed = set(indexes) - embedding_tables(model.program)
    readers = {
        op.weight: op.x
        for op in reversed(model.program.instructions)
        if isinstance(op, Linear) and op.weight in allowed
    }
    columns = {i: matrix_shape(model.tensors[i].values.shape)[1] for i in readers}
    keys = {
        INPUT: readers,
        STREAM: {i: columns[i] for i, register in readers.items() if is_stream(model.program, register)},
    }
    found: dict[tuple[int, ...], Group] = {}
    for family in FAMILIES:
        for members in _classes(keys[family]):
            found.setdefault(members, Group(family, members))
    return list(found.values())


def _classes(keys: dict[int, object]) -> Iterator[tuple[int, ...]]:
    """Matrices of equal keys, where there are two or more."""
    classes: dict[object, list[int]] = {}
    for index in sorted(keys):
        classes.setdefault(keys[index], []).append(index)
    return (tuple(members) for members in classes.values() if len(members) > 1)
