"""A sequence that grows token by token: the steps of the interpreter over a workspace that remembers.

Strategy: most operations work position by position and do not notice that they are given a piece of a sequence. Those
that look back ask the workspace for the rows of earlier positions: keys and values of attention (of a window no more
than it holds), what shift moves; or for the state that a scan left behind. So one new token costs one product with each
matrix and one look at what is remembered, and every operation that the interpreter knows works here without a line of
its own.
"""

from __future__ import annotations

from threading import Lock

import numba
import numpy as np

from .binding import Workspace
from .interpreter import Interpreter, check_length
from .kernels_reductions import matrix_vector, matrix_vector_parallel

PARALLEL, LEAST_PARALLEL = Lock(), 1 << 15  # weights of a matrix
PIECE = 64  # tokens of a long beginning that are computed together
LEAST_ROWS = 64


class Continuation:
    """One sequence of an interpreter's model, to which tokens are added."""

    def __init__(self, interpreter: Interpreter, threads: int = 1) -> None:
        """threads : of the products of large matrices with one position."""
        self._interpreter = interpreter
        self._memory = Memory(interpreter.program.boundary_token, threads)
        self._plans = {1: interpreter.plan(1)}

    @property
    def length(self) -> int:
        """Number of tokens so far."""
        return self._memory.stop

    def extend(self, tokens: np.ndarray) -> np.ndarray:
        """Add tokens, int [n], n at least 1: float32 [vocabulary], the logits behind the last of them.

        Raises DataError for an id out of range, or a sequence beyond the model's position tables.
        """
        tokens = self._interpreter.checked(np.asarray(tokens)[None])[0]
        check_length(self.length + tokens.size, self._interpreter.shapes)
        for first in range(0, tokens.size, PIECE):
            piece = tokens[first : first + PIECE]
            plan = self._plans.get(piece.size) or self._interpreter.plan(piece.size)
            plan.run(self._memory, piece)
        logits = np.empty(self._interpreter.program.vocabulary_size, np.float32)
        for columns, tile in plan.logits(self._memory, slice(piece.size - 1, piece.size)):
            logits[columns] = tile[0]
        return logits


class Memory(Workspace):
    """A workspace whose tokens continue those before."""

    def __init__(self, boundary_token: int, threads: int = 1) -> None:
        super().__init__(boundary_token)
        self._threads = min(threads, numba.config.NUMBA_NUM_THREADS)
        self.stop = 0
        self._document = 0  # first position of the last document
        self._pasts: dict[object, Past] = {}
        self._states: dict[object, np.ndarray] = {}

    def begin(self, tokens: np.ndarray) -> None:
        """Make `tokens`, int64 [length], the ones to compute."""
        if self.stop:
            self.previous_token = int(self.tokens[-1])
        self.start, self.stop = self.stop, self.stop + tokens.size
        self.tokens = tokens
        starts = np.where(tokens == self.boundary_token, np.arange(tokens.size), self._document - self.start)
        self.document_start = np.maximum.accumulate(starts)
        self._document = self.start + int(self.document_start[-1])

    def matrix_vector(self, x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
        """On several threads where there are some and the matrix is worth it; one product at a time, since not every
        one of numba's threading layers takes calls from several threads.
        """
        if self._threads == 1 or weight.size < LEAST_PARALLEL:
            matrix_vector(x, weight, out)
            return
        with PARALLEL:
            before = numba.get_num_threads()
            numba.set_num_threads(self._threads)
            matrix_vector_parallel(x, weight, out)
            numba.set_num_threads(before)

    def with_past(self, key: object, rows: np.ndarray, most: int | None = None) -> np.ndarray:
        """Rows [length, width] behind those of all earlier positions, or of the last `most` of them."""
        past = self._pasts.get(key)
        if past is None:
            past = self._pasts[key] = Past(rows.shape[1], most)
        return past.extended(rows)

    def state(self, key: object, shape: tuple[int, ...]) -> np.ndarray:
        """What the step left there behind the tokens before."""
        if key not in self._states:
            self._states[key] = np.zeros(shape, np.float32)
        return self._states[key]


class Past:
    """Rows of one register at earlier positions; of these the last `most`, None for all."""

    def __init__(self, width: int, most: int | None) -> None:
        self._most, self._stop = most, 0
        self._rows = np.empty((0, width), np.float32)

    def extended(self, rows: np.ndarray) -> np.ndarray:
        """float32 [kept + n, width] with these n rows at the end; valid until the next call."""
        count, kept = rows.shape[0], self._stop if self._most is None else min(self._stop, self._most)
        if self._stop + count > self._rows.shape[0]:
            moved = np.empty((max(LEAST_ROWS, 2 * (kept + count)), rows.shape[1]), np.float32)
            moved[:kept] = self._rows[self._stop - kept : self._stop]
            self._rows, self._stop = moved, kept
        self._rows[self._stop : self._stop + count] = rows
        self._stop += count
        return self._rows[self._stop - count - kept : self._stop]
