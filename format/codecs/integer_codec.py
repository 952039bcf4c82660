"""What every integer codec offers, and what it is told of each matrix.

Strategy: a codec turns a sequence of integer matrices into one self-terminating stream and back. What the decoder knows
of each matrix beforehand (its size and, from the transmitted steps, how large its integers are likely to be) comes in
as `ExpectedScales`, so a codec knows nothing of tensors, terms or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class ExpectedScales:
    """Size of a matrix and the log2 magnitude expected of its integers, in 1/65536 octave.

    rows : int64[n_rows]         part of the expectation that belongs to the row
    columns : int64[n_columns]   part that belongs to the column; the expectation of an integer is the sum of both
    trellis_states : int         number of states of the trellis that the columns follow, 0 for none
    """

    rows: np.ndarray
    columns: np.ndarray
    trellis_states: int = 0

    @property
    def symbols(self) -> int:
        return self.rows.size * self.columns.size


class IntegerCodec(Protocol):
    wire_id: int
    name: str

    @staticmethod
    def encode(matrices: Sequence[np.ndarray], scales: Sequence[ExpectedScales]) -> bytes: ...

    @staticmethod
    def decode(
        payload: bytes, scales: Sequence[ExpectedScales], *, offset: int, where: str
    ) -> tuple[list[np.ndarray], list[int]]: ...
