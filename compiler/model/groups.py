"""Groups of matrices that may store something together, found in the program and, by role, in the tensors' names.

Strategy: matrices of one role are the same map in every layer; those that read one register, or the
residual stream anywhere, have the same input channels, so that a set of channels may serve them all.
Tables are in no group: a walk leaves them alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ...format.program.operations import Linear
from ...format.tensors.grid import matrix_shape
from .model import Model
from .residual_streams import is_stream
from .structure import embedding_tables
from .tensor_names import role_of

ROLE, MODEL, INPUT, STREAM = FAMILIES = ("role", "model", "input", "stream")


@dataclass(frozen=True, slots=True)
class Group:
    """Matrices of one family: tensor indexes, ascending, at least two.

    role : of equal names but for their numbers, and equal shape; model : all
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
    known = set(readers)
    shapes = {i: matrix_shape(model.tensors[i].values.shape) for i in known}
    keys = {
        ROLE: {i: (role_of(model.tensors[i].name), shapes[i]) for i in known},
        MODEL: dict.fromkeys(known, 0),
        INPUT: readers,
        STREAM: {i: shapes[i][1] for i, register in readers.items() if is_stream(model.program, register)},
    }
    found: dict[tuple[bool, tuple[int, ...]], Group] = {}
    for family in FAMILIES:
        for members in _classes(keys[family]):
            found.setdefault((family in (INPUT, STREAM), members), Group(family, members))
    return list(found.values())


def _classes(keys: dict[int, object]) -> Iterator[tuple[int, ...]]:
    """Matrices of equal keys, where there are two or more."""
    classes: dict[object, list[int]] = {}
    for index in sorted(keys):
        classes.setdefault(keys[index], []).append(index)
    return (tuple(members) for members in classes.values() if len(members) > 1)
