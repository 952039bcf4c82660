"""A token table and a head that are one matrix, stored twice in types that round it differently.

Strategy: llama.cpp's converters have written the head of some tied models beside the table, and its quantizer gives the
two different types: the same numbers once in 5 bits and once in 8. Read as two matrices they would take the bytes of
two. They are one where they differ by no more than their types round; then the finer of them stands for both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

TIED = "tie_word_embeddings"  # what Hugging Face calls a head that is the table
ROUNDING = 1.5  # that the error of a type of b bits a number is 2^ROUNDING-b of its root mean square, at most
OF_A_ROW = 2.0  # times as much, in any row: one that the head alone has learned tells two matrices
ROWS = 4096  # compared at once


@dataclass(frozen=True, slots=True)
class RoundedTwins:
    """Two names of one matrix.

    table, head : of the tensors;  finer : that of them which stands for both;  note : why, in words
    """

    table: str
    head: str
    finer: str
    note: str


@dataclass(frozen=True, slots=True, eq=False)
class StoredMatrix:
    """A tensor by its name: float32 [rows, columns], the type it was stored in, and that type's bits a number."""

    name: str
    values: np.ndarray
    kind: str
    bits: float


def find_twins(table: StoredMatrix, head: StoredMatrix) -> RoundedTwins | None:
    """What a table and a head are where they are one matrix; None where they are not."""
    if table.values.shape != head.values.shape or table.values.ndim != 2 or not table.values.size:
        return None
    finer, coarser = (table, head) if table.bits > head.bits else (head, table)
    bound, differing, whole = 2.0 ** (ROUNDING - coarser.bits), 0.0, 0.0
    for start in range(0, len(finer.values), ROWS):
        differences, sizes = _row_squares(finer.values[start : start + ROWS], coarser.values[start : start + ROWS])
        if not (differences <= (OF_A_ROW * bound) ** 2 * sizes).all():  # of what is not a number, neither
            return None
        differing, whole = differing + differences.sum(), whole + sizes.sum()
    share = math.sqrt(differing / whole) if whole else 0.0
    if share > bound:
        return None
    both = f"{table.name} ({table.kind}) and {head.name} ({head.kind}) are one matrix"
    found = f"they differ by {100 * share:.2g} %, as much as {coarser.kind} rounds" if share else "they are equal"
    way_out = f"{TIED} = false in an --architecture file keeps them apart"
    return RoundedTwins(table.name, head.name, finer.name, f"{both}, read from {finer.name}: {found}; {way_out}")


def _row_squares(finer: np.ndarray, coarser: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float64 [rows] each: squares of what differs, and of the finer ones."""
    with np.errstate(all="ignore"):  # what is not finite is refused by name, later
        return np.square(finer - coarser).sum(1, dtype=np.float64), np.square(finer).sum(1, dtype=np.float64)
