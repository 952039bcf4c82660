"""Matrices of one row in the mixing coder: step exponents and other vectors (spec/codecs.md).

Strategy: exponent vectors repeat one another. Layers that read the same inputs have the same column
steps, and the columns of a matrix that consumes another's rows resemble its row steps. So each integer
is coded as the difference from a candidate: zero, the integer before it, or the one at the same place
of up to six earlier vectors of the same length; the candidate with the least running error is taken,
and its error says how large the difference will be. Some vectors have a second value for rows that are
dead: the last large integer is remembered, and a decision asks for it first.
"""

from __future__ import annotations

import numpy as np

from ..kernels import kernel
from .mixing_bits import POSITION, SIZE, code_alone, code_excess, code_raw
from .outcomes import ENDS_EARLY, MAGNITUDE_TOO_LARGE, MAX_MAGNITUDE, OK

N_CANDIDATES = 8  # zero, left, six earlier vectors
N_REFERENCES = N_CANDIDATES - 2
LARGE = 16  # magnitudes from here on are remembered
ERROR_SHIFT = 4
N_UNARY = 19
N_MAGNITUDE_CELLS = 10

# Cells: 80 classes of the expected error, each with 3 answers about the second candidate; 9 for signs;
# 10 decisions a class about magnitudes; 2 for the remembered integer, which start again with every
# vector.
N_ERROR_CLASSES = 80
ZERO_CELLS = 0
SIGN_CELLS = 3 * N_ERROR_CLASSES
MAGNITUDE_CELLS = SIGN_CELLS + 9
REPEAT_CELLS = MAGNITUDE_CELLS + N_MAGNITUDE_CELLS * N_ERROR_CLASSES
N_CELLS = REPEAT_CELLS + 2
INITIAL_REPEAT = 1258291 << 10  # 0.3
INITIAL_MAGNITUDE = 2516582 << 10  # 0.6
INITIAL_OTHER = 1 << 31  # 0.5


def initial_vector_cells() -> np.ndarray:
    """uint32[N_CELLS] at the start of a stream."""
    cells = np.full(N_CELLS, INITIAL_OTHER, np.uint32)
    cells[MAGNITUDE_CELLS:REPEAT_CELLS] = INITIAL_MAGNITUDE
    return cells


@kernel()
def two_best(errors, n_candidates):
    """The candidates of least and of second least error, the earlier of equals."""
    best, second = 0, 1
    if errors[1] < errors[0]:
        best, second = 1, 0
    for k in range(2, n_candidates):
        if errors[k] < errors[best]:
            best, second = k, best
        elif errors[k] < errors[second]:
            second = k
    return best, second


@kernel(inline="always")
def error_class(error):
    """(class, low bits of a difference that bypass the model) of a running error in 1/256: half octaves."""
    length = np.int64(0)
    while (error + 8) >> length:
        length += 1
    return 2 * length + (((error + 8) >> (length - 2)) & 1), max(0, length - 12)


@kernel()
def code_magnitude(decoding, rest, scale_class, shift, payload, registers, cells):
    """A magnitude less the least that is possible: decisions, escape, low bits; -1 when longer than any."""
    whole, found = rest >> shift, np.int64(0)
    base = MAGNITUDE_CELLS + N_MAGNITUDE_CELLS * scale_class
    while found < N_UNARY:
        cell = base + min(found, N_MAGNITUDE_CELLS - 1)
        if not code_alone(decoding, np.int64(whole > found), payload, registers, cells, cell):
            break
        found += 1
    if found == N_UNARY:
        excess = code_excess(decoding, whole - N_UNARY, payload, registers)
        if excess < 0:
            return np.int64(-1)
        found += excess
    return (found << shift) | code_raw(decoding, rest & ((np.int64(1) << shift) - 1), shift, payload, registers)


@kernel()
def code_difference(decoding, difference, barred, known, toward, spread, error, payload, registers, cells):
    """(found, difference): an integer less its candidate, which when `known` is not `barred`; not
    found: longer than any.
    """
    scale_class, shift = error_class(error)
    if not (known and barred == 0):
        cell = ZERO_CELLS + 3 * scale_class + spread
        if not code_alone(decoding, np.int64(difference != 0), payload, registers, cells, cell):
            return True, np.int64(0)
    cell = SIGN_CELLS + 3 * (toward + 1) + spread
    above = code_alone(decoding, np.int64(difference > 0), payload, registers, cells, cell)
    skips = known and barred != 0 and (barred > 0) == (above == 1)
    rest = abs(difference) - 1
    if skips and rest >= abs(barred):
        rest -= 1
    rest = code_magnitude(decoding, rest, scale_class, shift, payload, registers, cells)
    magnitude = rest + 1
    if skips and magnitude >= abs(barred):
        magnitude += 1
    return rest >= 0, magnitude if above else -magnitude


@kernel()
def code_vector(decoding, values, references, initial_error, payload, registers, cells):
    """One row of integers; references int32[n, columns] are earlier vectors of its length, the latest first."""
    n_candidates = 2 + references.shape[0]
    candidates, errors = np.zeros(N_CANDIDATES, np.int64), np.zeros(N_CANDIDATES, np.int64)
    for k in range(n_candidates):
        errors[k] = initial_error + k * (initial_error >> 3)
    cells[REPEAT_CELLS] = cells[REPEAT_CELLS + 1] = INITIAL_REPEAT
    known, remembered = values.size < 0, np.int64(0)  # no constant: numba would compile what takes it for its type, too
    for j in range(values.size):
        candidates[1] = values[j - 1] if j else 0
        for k in range(2, n_candidates):
            candidates[k] = references[k - 2, j]
        best, second = two_best(errors, n_candidates)
        candidate, gap = candidates[best], candidates[second] - candidates[best]
        value, repeated, found = np.int64(values[j]), np.int64(0), True
        if known:
            cell = REPEAT_CELLS + (1 if remembered == candidate else 0)
            repeated = code_alone(decoding, np.int64(value == remembered), payload, registers, cells, cell)
        if repeated:
            value = remembered
        else:
            toward, spread = np.int64(gap > 0) - np.int64(gap < 0), np.int64(gap != 0) + np.int64(abs(gap) > 2)
            found, difference = code_difference(
                decoding,
                value - candidate,
                remembered - candidate,
                known,
                toward,
                spread,
                errors[best],
                payload,
                registers,
                cells,
            )
            value = candidate + difference
        if registers[POSITION] > registers[SIZE] and decoding:
            return ENDS_EARLY
        if not found or abs(value) > MAX_MAGNITUDE:
            return MAGNITUDE_TOO_LARGE
        values[j] = value
        if abs(value) >= LARGE:
            known, remembered = True, value
        for k in range(2 if repeated else 0, n_candidates):
            errors[k] += ((abs(value - candidates[k]) << 8) - errors[k]) >> ERROR_SHIFT
    return OK
