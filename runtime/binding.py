"""What an instruction is bound to before a program runs, and what its step sees while it runs.

Strategy: a `bind` function gets the operation and a `BindContext`, once; the `Step` that it returns gets the
`Workspace` of the sequence and its registers, at every call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..format.program.operands import Row
from .kernels_reductions import matrix_vector


class Workspace:
    """What steps see besides registers: the tokens to compute, and scratch memory that lives through a call.

    tokens : int64 [length]    a whole sequence, or a piece of it (continuation.py)
    start : int                position of the first of them; 0 for a whole sequence
    previous_token : int       the token before them, 0 when there is none
    document_start : int64 [length]    the first position of each position's document, counted from `start`
    """

    def __init__(self, boundary_token: int) -> None:
        self.boundary_token = boundary_token
        self.start = self.previous_token = 0
        self._scratch = np.empty(0, np.float32)

    def begin(self, tokens: np.ndarray) -> None:
        """Make `tokens`, int64 [length], the current sequence."""
        self.tokens = tokens
        starts = np.where(tokens == self.boundary_token, np.arange(tokens.size), 0)
        self.document_start = np.maximum.accumulate(starts)

    def with_past(self, key: object, rows: np.ndarray, most: int | None = None) -> np.ndarray:
        """The rows of a register [length, width] behind those of earlier positions, of which at least the last `most`.

        key : the step's own, by which its past is found again. A whole sequence has none.
        """
        return rows

    def state(self, key: object, shape: tuple[int, ...]) -> np.ndarray:
        """float32 of that shape, which a step may change: 0 where a sequence begins, else what it left there.

        key : the step's own, see `with_past`
        """
        state = self.scores(shape)
        state.fill(0)
        return state

    def matrix_vector(self, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
        """out = x weightT for one position: float32 [1, columns], [rows, columns], [1, rows]."""
        matrix_vector(x, weight, out)

    def scores(self, shape: tuple[int, ...]) -> np.ndarray:
        """Uninitialized float32 scratch of the given shape, the same memory at every call."""
        size = math.prod(shape)
        if self._scratch.size < size:
            self._scratch = np.empty(size, np.float32)
        return self._scratch[:size].reshape(shape)


Step = Callable[..., None]  # (workspace, output register, *input registers)
Bind = Callable[..., Step]  # (operation, BindContext)


@dataclass(frozen=True)
class BindContext:
    """What `bind` functions look things up in: all tensors, and all register widths."""

    tensors: Sequence[np.ndarray]
    widths: Sequence[int]

    def vector(self, row: Row | None, width: int, default: float = 0.0) -> np.ndarray:
        """A row expanded to float32 [width]; `default` everywhere when there is none."""
        if row is None:
            return constant_vector(width, default)
        values = np.atleast_2d(self.tensors[row.tensor])[row.row]
        return values if values.size == width and values.flags.writeable else np.repeat(values, width // values.size)

    def tiled_vector(self, row: Row, width: int) -> np.ndarray:
        """A row repeated to float32 [width]: element c meets entry c mod its length."""
        values = np.atleast_2d(self.tensors[row.tensor])[row.row]
        return np.tile(values, width // values.size)


@lru_cache(maxsize=64)
def constant_vector(width: int, value: float) -> np.ndarray:
    """float32 [width] of one value, for all who have no vector of their own; never to be written."""
    return np.full(width, value, np.float32)
