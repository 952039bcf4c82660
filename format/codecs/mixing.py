"""Mixing coder: logistic mixing of adaptive predictions of every binary decision (spec/codecs.md).

Strategy: an integer of a quantized matrix is nearly Gaussian once its scale is known, and the log of
its scale is nearly a row's number plus a column's. Both start from the transmitted steps, with a
variance, and after every integer move by their variance times the score (the derivative of the log
likelihood of what was seen), which a small table holds for integers too coarse to show their own scale;
so what is known of rows and columns counts as much as it is certain. Magnitudes are coded as decisions
"more than t?". Each is predicted by four adaptive probabilities: of a fine class of the scale; of the
scale and the integers to the left; of the scale and the integers above; and of the scale in this matrix
alone. Weights that learn online mix them in the logistic domain. Signs and the low bits of large
magnitudes carry no information that was found, and bypass the model. Matrices of one row go through
mixing_vectors.

On a trellis grid the state says whether the next integer is even or odd; half its magnitude is coded,
each of the two with predictions of its own. Everything is integer arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from ...errors import MalformedArtifact, TruncatedArtifact
from ..kernels import kernel
from . import mixing_tables as tables
from .integer_codec import ExpectedScales
from .mixing_bits import (
    EVEN_CHANCE,
    LOW,
    N_INPUTS,
    POSITION,
    REFILL_BELOW,
    SIZE,
    SLOW_RATES,
    STRETCH,
    adapted,
    close_window,
    code_bit,
    code_excess,
    code_raw,
    initial_weights,
    learned,
    new_decoder,
    new_encoder,
    opened,
    refilled,
    sign_taken,
    split,
    squashed,
)
from .mixing_vectors import N_REFERENCES, code_vector, initial_vector_cells
from .outcomes import ENDS_EARLY, MAGNITUDE_TOO_LARGE, MAX_MAGNITUDE, OFF_TRELLIS, OK, check_magnitudes, stream_error
from .scale_classes import (
    ANY,
    EVEN,
    N_KINDS,
    NO_TRELLIS,
    ODD,
    ONE_OCTAVE,
    SCALE_MIN,
    clamp_scale,
    following_state,
    kind_of,
)
from .scale_tables import RECIPROCALS as RECIPROCAL_LIST
from .trellis import TRELLISES

N_DECISIONS = tables.N_DECISIONS
MEAN_TO_DEVIATION = 5 << 12  # 5/16 octave: a Gaussian's standard deviation is 1.25 mean magnitudes
TABLE_OCTAVES = 6 << 2  # quarter octaves that the tables of scores cover
INITIAL_VARIANCE = (1 << 24) // 80  # of a row's and a column's log scale, in nats squared
TYPICAL = 205  # 0.8: the mean magnitude of a unit Gaussian, in 1/256
MAX_RATIO = 2047
ONE, TWO, THREE, FOUR = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
MAX_BYTES_PER_SYMBOL = 40
VECTOR_ERROR = 768  # 3.0 at an expected magnitude of 1

# Cells of the four predictions: 16 decisions (the last unused) for each kind and context.
N_FINE = (tables.MAX_OCTAVE - tables.MIN_OCTAVE) * 16
N_QUARTERS = N_FINE // 4
N_LEVELS = 11
LEFT_CELLS = N_KINDS * N_FINE * 16
ABOVE_CELLS = LEFT_CELLS + N_KINDS * N_QUARTERS * N_LEVELS * 16
MATRIX_CELLS = ABOVE_CELLS + N_KINDS * N_QUARTERS * N_LEVELS * 16
N_CELLS = MATRIX_CELLS + N_KINDS * N_QUARTERS * 16

RECIPROCALS = np.array(RECIPROCAL_LIST, np.int64)
SCORES = np.array([tables.padded(rows, 9, tables.SCORE_LIMIT) for rows in tables.SCORES], np.int16)
INFORMATION = np.array(tables.INFORMATION, np.int16)
LEVEL_STARTS = (32, 96, 144, 192, 240, 288, 352, 432, 560, 768)  # in 1/256 of the standard deviation
LEVELS = np.array([sum(start <= 16 * k for start in LEVEL_STARTS) for k in range(MAX_RATIO // 16 + 1)], np.int8)


@cache
def initial_cells() -> np.ndarray:
    """uint32[N_CELLS] at the start of a stream, to be copied: every prediction is the Gaussian's of its
    quarter octave.
    """
    quarters = [c if c < TABLE_OCTAVES else TABLE_OCTAVES + c % 4 for c in range(N_QUARTERS)]
    by_kind = np.zeros((N_KINDS, N_QUARTERS, 16), np.uint32)
    for kind in range(N_KINDS):
        rows = tables.padded(tables.INITIAL_PROBABILITIES[kind == ODD], N_DECISIONS, 1 << 15)
        by_kind[kind, :, :N_DECISIONS] = rows[quarters] << 16
    repeats = 4, N_LEVELS, N_LEVELS, 1
    return np.concatenate([np.repeat(by_kind, n, axis=1).ravel() for n in repeats])


@kernel(inline="always")
def observe(number, kind, scale):
    """(ratio, score, information) of a coded number: its size and what it says of its log scale, in 1/256."""
    octave = scale >> 16
    half = 1 if kind == ODD else 0
    ratio = min(((2 * number + half) * RECIPROCALS[(scale >> 12) & 15]) >> (octave + 8), MAX_RATIO)
    quarter = (scale - SCALE_MIN) >> 14
    if quarter < TABLE_OCTAVES:
        return ratio, np.int64(SCORES[half, quarter, min(number, 8)]), np.int64(INFORMATION[half, quarter])
    return ratio, min(((ratio * ratio - 65536) * 369) >> 16, tables.SCORE_LIMIT), np.int64(512)


@kernel(inline="always")
def less_variance(variance, information):
    """Variance of a log scale after a number that says `information` of it."""
    return variance - ((((information * variance) >> 8) * variance) >> 24)


@kernel(inline="always")
def first_cells(kind, scale, left, above):
    """Where the cells of the four predictions and the weights of decision 0 are."""
    fine = (scale - SCALE_MIN) >> 12
    quarter = kind * N_QUARTERS + (fine >> 2)
    a = (kind * N_FINE + fine) * 16
    b = LEFT_CELLS + (quarter * N_LEVELS + LEVELS[left >> 4]) * 16
    c = ABOVE_CELLS + (quarter * N_LEVELS + LEVELS[above >> 4]) * 16
    d = MATRIX_CELLS + quarter * 16
    w = kind * (N_DECISIONS * N_INPUTS)
    # unsigned: numba then spares the test for indices that count from the end
    return np.uint64(a), np.uint64(b), np.uint64(c), np.uint64(d), np.uint64(w)


@kernel()
def code_rest(decoding, number, found, first, shift, payload, registers):
    """The number of bin `found`: what lies beyond the last decision, then the low bits; -1 when longer than any."""
    if found == N_DECISIONS:
        excess = code_excess(decoding, (((number - first) >> shift) + first) - N_DECISIONS, payload, registers)
        if excess < 0:
            return np.int64(-1)
        found += excess
    if found < first:
        return found
    low = code_raw(decoding, (number - first) & ((np.int64(1) << shift) - 1), shift, payload, registers)
    return ((found - first) << shift) + low + first


@kernel()
def encode_decisions(payload, registers, cells, weights, number_bin, a, b, c, d, w):
    """The decisions "more than t?" of a bin; returns how many said yes."""
    for t in range(N_DECISIONS):
        bit = np.int64(number_bin > t)
        cell_a, cell_b, cell_c, cell_d = np.int64(cells[a]), np.int64(cells[b]), np.int64(cells[c]), np.int64(cells[d])
        in_a, in_b = np.int64(STRETCH[cell_a >> 20]), np.int64(STRETCH[cell_b >> 20])
        in_c, in_d = np.int64(STRETCH[cell_c >> 20]), np.int64(STRETCH[cell_d >> 20])
        total = weights[w] * in_a + weights[w + ONE] * in_b + weights[w + TWO] * in_c + weights[w + THREE] * in_d
        probability = squashed(total)
        code_bit(False, bit, probability, payload, registers)
        error = (bit << 16) - probability
        weights[w], weights[w + ONE] = learned(weights[w], error, in_a), learned(weights[w + ONE], error, in_b)
        weights[w + TWO] = learned(weights[w + TWO], error, in_c)
        weights[w + THREE] = learned(weights[w + THREE], error, in_d)
        cells[a], cells[b] = adapted(cell_a, bit, SLOW_RATES), adapted(cell_b, bit, SLOW_RATES)
        cells[c], cells[d] = adapted(cell_c, bit, SLOW_RATES), adapted(cell_d, bit, SLOW_RATES)
        if not bit:
            return np.int64(t)
        a, b, c, d, w = a + ONE, b + ONE, c + ONE, d + ONE, w + FOUR
    return np.int64(N_DECISIONS)


@kernel(inline="always")
def shift_of(scale):
    """Low bits of a number that bypass the model: bins hold one number below a standard deviation of 4."""
    return max(0, (scale >> 16) - 1)


@kernel(inline="always")
def current_scale(static_scale, kind, row_correction, correction):
    """Expected log2 of the standard deviation of the coded number, which on a trellis is half the magnitude."""
    scale = static_scale + MEAN_TO_DEVIATION + row_correction + correction
    return clamp_scale(scale - ONE_OCTAVE if kind != ANY else scale)


@kernel()
def new_memory(columns):
    """int64[4, columns] before the first row of a matrix, by column.

    Rows: the correction of the log scale, its variance, the size of the integers above, and the state of the trellis.
    """
    memory = np.zeros((4, columns), np.int64)
    memory[1], memory[2] = INITIAL_VARIANCE, TYPICAL
    return memory


@kernel()
def encode_row(row, row_scale, column_scales, transitions, payload, registers, cells, weights, memory):
    """All integers of a row; OFF_TRELLIS when one of them cannot be.

    memory : int64[4, columns], what `new_memory` made and the rows before left there
    """
    corrections, variances, above, states = memory[0], memory[1], memory[2], memory[3]
    row_correction, row_variance = np.int64(0), np.int64(INITIAL_VARIANCE)
    left, second, third = np.int64(TYPICAL), np.int64(TYPICAL), np.int64(TYPICAL)
    has_trellis = transitions.shape[0] > 0
    for j in range(row.size):
        code = np.int64(row[j])
        magnitude = abs(code)
        static_scale = row_scale + column_scales[j]
        kind = kind_of(static_scale, states[j], has_trellis)
        if kind != ANY and (magnitude & 1) != kind - EVEN:
            return OFF_TRELLIS
        scale = current_scale(static_scale, kind, row_correction, corrections[j])
        number, first, shift = magnitude if kind == ANY else magnitude >> 1, 0 if kind == ODD else 1, shift_of(scale)
        number_bin = ((number - first) >> shift) + first if number >= first else np.int64(0)
        a, b, c, d, w = first_cells(kind, scale, (2 * left + second + third) >> 2, above[j])
        found = encode_decisions(payload, registers, cells, weights, number_bin, a, b, c, d, w)
        code_rest(False, number, found, first, shift, payload, registers)
        if number >= first:
            code_bit(False, np.int64(code < 0), EVEN_CHANCE, payload, registers)
        ratio, score, information = observe(number, kind, scale)
        third, second, left = second, left, ratio
        above[j] += (ratio - above[j]) >> 3
        row_correction += (row_variance * score) >> 16
        corrections[j] += (variances[j] * score) >> 16
        row_variance, variances[j] = less_variance(row_variance, information), less_variance(variances[j], information)
        if has_trellis:
            states[j] = following_state(transitions, static_scale, states[j], code)
    return OK


@kernel()
def decode_row(row, row_scale, column_scales, transitions, payload, registers, cells, weights, memory):
    """Inverse of `encode_row`, of at least one integer.

    The decisions stand in the loop: arrays passed to functions would be counted for each.
    """
    corrections, variances, above, states = memory[0], memory[1], memory[2], memory[3]
    window, span, position = opened(registers, payload)
    row_correction, row_variance = np.int64(0), np.int64(INITIAL_VARIANCE)
    left, second, third = np.int64(TYPICAL), np.int64(TYPICAL), np.int64(TYPICAL)
    has_trellis = transitions.shape[0] > 0
    for j in range(row.size):
        static_scale = row_scale + column_scales[j]
        kind = kind_of(static_scale, states[j], has_trellis)
        scale = current_scale(static_scale, kind, row_correction, corrections[j])
        first, shift = 0 if kind == ODD else 1, shift_of(scale)
        a, b, c, d, w = first_cells(kind, scale, (2 * left + second + third) >> 2, above[j])
        number, bit = np.int64(0), np.int64(1)
        while bit and number < N_DECISIONS:
            cell_a, cell_b = np.int64(cells[a]), np.int64(cells[b])
            cell_c, cell_d = np.int64(cells[c]), np.int64(cells[d])
            in_a, in_b = np.int64(STRETCH[cell_a >> 20]), np.int64(STRETCH[cell_b >> 20])
            in_c, in_d = np.int64(STRETCH[cell_c >> 20]), np.int64(STRETCH[cell_d >> 20])
            x, y, z = w + ONE, w + TWO, w + THREE
            probability = squashed(weights[w] * in_a + weights[x] * in_b + weights[y] * in_c + weights[z] * in_d)
            bound = split(span, np.uint64(probability))
            bit = np.int64(window < bound)
            window, span = (window, bound) if bit else (window - bound, span - bound)
            if span < REFILL_BELOW:
                window, span, position = refilled(window, span, position, payload)
            error = (bit << 16) - probability
            weights[w], weights[x] = learned(weights[w], error, in_a), learned(weights[x], error, in_b)
            weights[y], weights[z] = learned(weights[y], error, in_c), learned(weights[z], error, in_d)
            cells[a], cells[b] = adapted(cell_a, bit, SLOW_RATES), adapted(cell_b, bit, SLOW_RATES)
            cells[c], cells[d] = adapted(cell_c, bit, SLOW_RATES), adapted(cell_d, bit, SLOW_RATES)
            number += bit
            a, b, c, d, w = a + ONE, b + ONE, c + ONE, d + ONE, w + FOUR
        if number == N_DECISIONS or shift:
            close_window(registers, window, span, position)
            if registers[POSITION] > registers[SIZE]:
                return ENDS_EARLY
            number = code_rest(True, np.int64(0), number, first, shift, payload, registers)
            window, span, position = opened(registers, payload)
        negative, window, span = sign_taken(window, span, np.int64(number >= first))
        if span < REFILL_BELOW:
            window, span, position = refilled(window, span, position, payload)
        magnitude = number if kind == ANY else 2 * number + kind - EVEN
        if number < 0 or magnitude > MAX_MAGNITUDE:
            close_window(registers, window, span, position)
            return ENDS_EARLY if registers[POSITION] > registers[SIZE] else MAGNITUDE_TOO_LARGE
        row[j] = (magnitude ^ -negative) + negative
        ratio, score, information = observe(number, kind, scale)
        third, second, left = second, left, ratio
        above[j] += (ratio - above[j]) >> 3
        row_correction += (row_variance * score) >> 16
        corrections[j] += (variances[j] * score) >> 16
        row_variance, variances[j] = less_variance(row_variance, information), less_variance(variances[j], information)
        if has_trellis:
            states[j] = following_state(transitions, static_scale, states[j], row[j])
    close_window(registers, window, span, position)
    return ENDS_EARLY if registers[POSITION] > registers[SIZE] else OK


@kernel()
def code_matrix(decoding, codes, row_scales, column_scales, transitions, payload, registers, cells, weights):
    """All integers of a matrix, given (encoding) or written (decoding) in `codes`; returns a status."""
    if codes.size == 0:
        return OK
    memory = new_memory(codes.shape[1])
    for i in range(codes.shape[0]):
        known = row_scales[i], column_scales, transitions, payload, registers, cells, weights, memory
        status = decode_row(codes[i], *known) if decoding else encode_row(codes[i], *known)
        if status != OK:
            return status
    return OK


class _Stream:
    """The state of one stream: payload, registers, model; `code` takes one matrix after the other in
    either direction.
    """

    def __init__(self, decoding: bool, payload: np.ndarray, registers: np.ndarray) -> None:
        self.decoding, self.payload, self.registers = decoding, payload, registers
        self.cells, self.weights, self.vector_cells = initial_cells().copy(), initial_weights(), initial_vector_cells()
        self.earlier: dict[int, list[np.ndarray]] = {}

    @property
    def position(self) -> int:
        return int(self.registers[POSITION])

    def code(self, codes: np.ndarray, expected: ExpectedScales) -> int:
        """Status of coding int32[rows, columns]."""
        if codes.shape[0] == 1 and not expected.trellis_states and codes.size:
            return self._code_vector(codes[0], expected)
        self.cells[MATRIX_CELLS:] = initial_cells()[MATRIX_CELLS:]
        transitions = TRELLISES[expected.trellis_states] if expected.trellis_states else NO_TRELLIS
        return code_matrix(
            self.decoding,
            codes,
            expected.rows,
            expected.columns,
            transitions,
            self.payload,
            self.registers,
            self.cells,
            self.weights,
        )

    def _code_vector(self, values: np.ndarray, expected: ExpectedScales) -> int:
        octave = min(max(int(expected.rows[0] + expected.columns[0]) >> 16, -4), tables.MAX_OCTAVE)
        initial_error = VECTOR_ERROR << octave if octave >= 0 else VECTOR_ERROR >> -octave
        earlier = self.earlier.setdefault(values.size, [])
        references = np.array(earlier, np.int32).reshape(len(earlier), values.size)
        status = code_vector(
            self.decoding, values, references, initial_error, self.payload, self.registers, self.vector_cells
        )
        earlier.insert(0, values)
        del earlier[N_REFERENCES:]
        return status


class Mixing:
    """Integer codec 2, `mixing`: see the top of this file and spec/codecs.md."""

    wire_id = 2
    name = "mixing"

    @staticmethod
    def encode(matrices: Sequence[np.ndarray], scales: Sequence[ExpectedScales]) -> bytes:
        """Code int32[rows, columns] matrices into one stream; |code| < 2**24 (OverflowError otherwise). Exact."""
        stream = _Stream(False, *new_encoder(sum(m.size for m in matrices) * MAX_BYTES_PER_SYMBOL + 128))
        for codes, expected in zip(matrices, scales, strict=True):
            check_magnitudes(codes)
            if stream.code(np.array(codes, np.int32, order="C"), expected) == OFF_TRELLIS:
                raise ValueError("codes do not follow their trellis")
        return stream.payload[: stream.position].tobytes() + int(stream.registers[LOW]).to_bytes(4, "big")

    @staticmethod
    def decode(
        payload: bytes, scales: Sequence[ExpectedScales], *, offset: int, where: str
    ) -> tuple[list[np.ndarray], list[int]]:
        """Inverse of `encode`: the matrices, and the payload position at which each was complete.

        Raises TruncatedArtifact [R-STR-4] or MalformedArtifact [R-STR-5, R-STR-6]; never reads past the payload.
        """
        if len(payload) < 4:
            raise TruncatedArtifact("a stream holds at least 4 bytes", rule="R-STR-4", offset=offset, where=where)
        stream = _Stream(True, *new_decoder(payload))
        matrices, ends = [], []
        for expected in scales:
            codes = np.zeros((expected.rows.size, expected.columns.size), np.int32)
            status = stream.code(codes, expected)
            if status != OK:
                raise stream_error(status, offset + min(stream.position, len(payload)), where)
            matrices.append(codes)
            ends.append(stream.position)
        low = int(stream.registers[LOW])
        if stream.position != len(payload) or low != 0:
            message = f"{len(payload) - stream.position} bytes left and final state {low}, expected 0 and 0"
            raise MalformedArtifact(message, rule="R-STR-5", offset=offset + stream.position, where=where)
        return matrices, ends
