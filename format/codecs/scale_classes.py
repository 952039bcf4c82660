"""Scale-class coder: adaptive multi-symbol range coding of integer matrices (spec/codecs.md).

Strategy: an integer of a quantized matrix is nearly Gaussian once its own scale is known, and its scale is
nearly a product of a row's and a column's. So the coder keeps one running log2-scale per row and per column,
starts them from the transmitted steps (a step twice as coarse halves the expected magnitude), corrects both
after every integer by a stochastic gradient step on log(scale), and codes the magnitude with the adaptive
distribution of the scale's class (quarter octaves). Signs and the low bits of large magnitudes are
incompressible and bypass the model. On a trellis grid the state of a column's trellis says whether the next
integer is even or odd; each of the two has its own distributions of the halved magnitude. Everything is
integer arithmetic. The encoder and the decoder share the model functions below, so they cannot diverge.

Fixed point: scales are log2 in 1/65536 octave, distributions are cumulative 30-bit numbers read as 16 bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import MalformedArtifact, TruncatedArtifact
from ..kernels import kernel
from . import scale_tables as tables
from .integer_codec import ExpectedScales
from .lanes import count_not_above, move_row
from .outcomes import ENDS_EARLY, MAGNITUDE_TOO_LARGE, MAX_MAGNITUDE, OFF_TRELLIS, OK, check_magnitudes, stream_error
from .range_coder import (
    LOW,
    POSITION,
    RANGE,
    RENORMALISE_BELOW,
    decode_bits,
    decode_escape,
    encode_bits,
    encode_escape,
    new_coder,
    shift_in,
    write_range,
)
from .trellis import TRELLISES

N_SYMBOLS = tables.N_SYMBOLS
N_CLASSES = tables.N_CLASSES
ESCAPE = N_SYMBOLS - 1
ONE_OCTAVE = 1 << 16
SCALE_MIN = tables.MIN_OCTAVE * ONE_OCTAVE
SCALE_MAX = tables.MAX_OCTAVE * ONE_OCTAVE - 1
CLASS_SHIFT = 14  # quarter octaves
TOTAL_30 = 1 << 30
FLOOR_30 = 1 << 15  # two parts in 65,536: no symbol's probability ever reaches zero
SLOWEST_RATE = 196  # 0.004 octave a unit of surprise
MAX_SURPRISE = 1024  # 4.0
MAX_ADAPTATION_SHIFT = 10
LAST_COUNT = (1 << (MAX_ADAPTATION_SHIFT - 1)) - 16  # from here on adaptation is slowest
LOOKAHEAD = 2  # bytes that the decoder may look at behind the last one

# Kinds of distribution: any integer; the even ones of a trellis superset; the odd ones.
ANY, EVEN, ODD = 0, 1, 2
N_KINDS = 3
TRELLIS_THRESHOLD = -5 << 14  # expected magnitude below 2**-1.25: nearly all zeros
NO_TRELLIS = np.zeros((0, 2), np.int64)


RECIPROCALS = np.array(tables.RECIPROCALS, np.int64)
# By count: 5 below 16, then one more whenever count + 16 has one more binary digit.
ADAPTATION_SHIFTS = np.array([(count + 16).bit_length() for count in range(LAST_COUNT + 1)], np.int64)
TARGETS = np.array(
    [
        [FLOOR_30 * k if k <= symbol else TOTAL_30 - FLOOR_30 * (N_SYMBOLS - k) for k in range(N_SYMBOLS)]
        for symbol in range(N_SYMBOLS)
    ],
    np.int32,
)  # where the cumulative numbers move after each symbol


def _initial_cumulative() -> np.ndarray:
    rows = [tables.INITIAL_FREQUENCIES[c if c < 24 else 24 + c % 4] for c in range(tables.N_CLASSES)] * N_KINDS
    cumulative = np.zeros((len(rows), N_SYMBOLS + 1), np.int64)
    cumulative[:, 1:] = np.cumsum(np.array(rows, np.int64), axis=1) << (30 - tables.FREQUENCY_BITS)
    return cumulative.astype(np.int32)


INITIAL_CUMULATIVE = _initial_cumulative()


def initial_model() -> tuple[np.ndarray, np.ndarray]:
    """Start of every stream.

    Cumulative frequencies int32[kinds * classes, 17] scaled to 2**30, and symbol counts int32[kinds * classes].
    """
    return INITIAL_CUMULATIVE.copy(), np.zeros(len(INITIAL_CUMULATIVE), np.int32)


@kernel(inline="always")
def clamp_scale(scale):
    return min(max(scale, SCALE_MIN), SCALE_MAX)


@kernel(inline="always")
def kind_of(static_scale, state, has_trellis):
    """Kind of the next integer; below the threshold a trellis cannot afford odd integers and does not run."""
    if not has_trellis:
        return ANY
    return EVEN + (state & 1) if static_scale >= TRELLIS_THRESHOLD else EVEN


@kernel(inline="always")
def class_of(scale, kind):
    """Scale class of the coded number, which on a trellis is half the magnitude."""
    return (clamp_scale(scale - ONE_OCTAVE if kind != ANY else scale) - SCALE_MIN) >> CLASS_SHIFT


@kernel(inline="always")
def following_state(transitions, static_scale, state, code):
    if static_scale < TRELLIS_THRESHOLD:
        return state
    return transitions[state, ((code & 3) - (state & 1)) >> 1]


@kernel(inline="always")
def bin_shift(scale_class):
    """Low bits per magnitude bin of a class: zero below a mean magnitude of 4, then one more per octave."""
    return max(0, (scale_class >> 2) + tables.MIN_OCTAVE - 1)


@kernel(inline="always")
def surprise_of(magnitude, scale):
    """What a magnitude says of its log2 scale: magnitude / 2**scale - 1 in 1/256, clipped."""
    ratio = (magnitude * RECIPROCALS[(scale >> 12) & 15]) >> ((scale >> 16) + 7)
    surprise = min(ratio - 256, MAX_SURPRISE)
    return 0 if (scale == SCALE_MIN and surprise < 0) or (scale == SCALE_MAX and surprise > 0) else surprise


def scale_rates(count: int) -> np.ndarray:
    """int64[count]: rate of a correction by the number of integers that it has seen.

    A correction grows by (surprise * rate) >> 8.
    """
    return np.maximum(SLOWEST_RATE, 32768 // (np.arange(count, dtype=np.int64) + 3))


COMMON_RATES = scale_rates(4096)


@kernel(inline="always")
def adapt(cumulative, counts, row, symbol):
    """Move a distribution towards a symbol; the first symbols count most (rate about 1 / (n + 16))."""
    count = counts[row]
    counts[row] = min(count + 1, LAST_COUNT)
    move_row(cumulative, row, TARGETS, symbol, ADAPTATION_SHIFTS[count])


@kernel()
def encode_number(payload, coder, cumulative, row, symbol, number_bin, raw, raw_bits):
    """A symbol of distribution `row`, its escape and its raw bits."""
    start = np.int64(cumulative[row, symbol] >> 14)
    write_range(payload, coder, start, np.int64(cumulative[row, symbol + 1] >> 14) - start, 16)
    if symbol == ESCAPE:
        encode_escape(payload, coder, number_bin - ESCAPE)
    encode_bits(payload, coder, raw, raw_bits)


@kernel()
def encode_matrix(payload, coder, cumulative, counts, row_scales, column_scales, rates, transitions, codes):
    rows, columns = codes.shape
    corrections, states = np.zeros(columns, np.int64), np.zeros(columns, np.int64)
    has_trellis = transitions.shape[0] > 0
    for i in range(rows):
        row_correction = np.int64(0)
        for j in range(columns):
            code = np.int64(codes[i, j])
            magnitude = abs(code)
            static_scale = row_scales[i] + column_scales[j]
            kind = kind_of(static_scale, states[j], has_trellis)
            if kind != ANY and (magnitude & 1) != kind - EVEN:
                return OFF_TRELLIS
            scale = clamp_scale(static_scale + row_correction + corrections[j])
            scale_class = class_of(scale, kind)
            shift = bin_shift(scale_class)
            number = magnitude if kind == ANY else magnitude >> 1
            first = 0 if kind == ODD else 1  # bin 0 holds zero alone, except where there is no zero
            number_bin = ((number - first) >> shift) + first if number >= first else 0
            symbol = min(number_bin, ESCAPE)
            low = (number - first) & ((1 << shift) - 1)
            raw = ((1 if code < 0 else 0) << shift) | low
            row = kind * N_CLASSES + scale_class
            raw_bits = shift + 1 if number_bin >= first else 0
            encode_number(payload, coder, cumulative, row, symbol, number_bin, raw, raw_bits)
            adapt(cumulative, counts, row, symbol)
            surprise = surprise_of(magnitude, scale)
            row_correction += (surprise * rates[j]) >> 8
            corrections[j] += (surprise * rates[i]) >> 8
            if has_trellis:
                states[j] = following_state(transitions, static_scale, states[j], code)
    return OK


@kernel(inline="always")
def take_symbol(padded, cumulative, row, low, width, position):
    """The symbol whose interval holds the code word, and the registers after it; a symbol takes at most two bytes."""
    unit = width >> 16
    symbol = count_not_above(cumulative, row, 14, unit, low) - 1
    start = np.int64(cumulative[row, symbol] >> 14)
    low -= unit * start
    width = unit * (np.int64(cumulative[row, symbol + 1] >> 14) - start)
    n_bytes = np.int64(width < RENORMALISE_BELOW) + np.int64(width < RENORMALISE_BELOW >> 8)
    following = (np.int64(padded[position]) << 8) | np.int64(padded[position + 1])
    low = shift_in(low, following >> (16 - 8 * n_bytes), 8 * n_bytes)
    return symbol, low, width << (8 * n_bytes), position + n_bytes


@kernel(inline="always")
def take_sign(padded, is_signed, low, width, position):
    """One raw bit where `is_signed` is 1, else 0 and nothing is taken.

    There is no branch, for it could rarely be predicted.
    """
    width >>= is_signed
    sign = is_signed & np.int64(low >= width)
    low -= width & -sign
    n_bytes = np.int64(width < RENORMALISE_BELOW)
    low = shift_in(low, np.int64(padded[position]) >> (8 - 8 * n_bytes), 8 * n_bytes)
    return sign, low, width << (8 * n_bytes), position + n_bytes


@kernel()
def decode_large(payload, coder, symbol, first, shift):
    """Magnitude (halved on a trellis) and sign after a symbol that is an escape or has low bits.

    -1 and -2 mean what they mean in `decode_escape`.
    """
    number = np.int64(symbol)
    if symbol == ESCAPE:
        excess = decode_escape(payload, coder)
        if excess < 0:
            return excess, np.int64(0)
        number += excess
    if number < first:
        return number, np.int64(0)
    raw = decode_bits(payload, coder, shift + 1)
    if raw < 0:
        return np.int64(-1), np.int64(0)
    return ((number - first) << shift) + (raw & ((1 << shift) - 1)) + first, raw >> shift


@kernel()
def decode_matrix(padded, coder, cumulative, counts, row_scales, column_scales, rates, transitions, codes):
    """`padded` is the payload and LOOKAHEAD bytes; the registers are local between symbols, in `coder` elsewhere."""
    rows, columns = codes.shape
    corrections, states = np.zeros(columns, np.int64), np.zeros(columns, np.int64)
    has_trellis = transitions.shape[0] > 0
    payload = padded[: padded.size - LOOKAHEAD]
    low, width, position = coder[LOW], coder[RANGE], coder[POSITION]
    for i in range(rows):
        row_correction = np.int64(0)
        for j in range(columns):
            static_scale = row_scales[i] + column_scales[j]
            kind = kind_of(static_scale, states[j], has_trellis)
            scale = clamp_scale(static_scale + row_correction + corrections[j])
            scale_class = class_of(scale, kind)
            row = kind * N_CLASSES + scale_class
            symbol, low, width, position = take_symbol(padded, cumulative, row, low, width, position)
            adapt(cumulative, counts, row, symbol)
            first = 0 if kind == ODD else 1
            shift = bin_shift(scale_class)
            if symbol == ESCAPE or shift > 0:
                coder[LOW], coder[RANGE], coder[POSITION] = low, width, min(position, payload.size)
                number, sign = (
                    (np.int64(-1), np.int64(0))
                    if position > payload.size
                    else decode_large(payload, coder, symbol, first, shift)
                )
                if number < 0:
                    return ENDS_EARLY if number == -1 else MAGNITUDE_TOO_LARGE
                low, width, position = coder[LOW], coder[RANGE], coder[POSITION]
            else:
                number = symbol
                sign, low, width, position = take_sign(padded, np.int64(number >= first), low, width, position)
            magnitude = number if kind == ANY else 2 * number + kind - EVEN
            if position > payload.size or magnitude > MAX_MAGNITUDE:
                coder[POSITION] = min(position, payload.size)
                return ENDS_EARLY if position > payload.size else MAGNITUDE_TOO_LARGE
            code = (magnitude ^ -sign) + sign
            codes[i, j] = code
            surprise = surprise_of(magnitude, scale)
            row_correction += (surprise * rates[j]) >> 8
            corrections[j] += (surprise * rates[i]) >> 8
            if has_trellis:
                states[j] = following_state(transitions, static_scale, states[j], code)
    coder[LOW], coder[RANGE], coder[POSITION] = low, width, position
    return OK


def transitions_of(expected: ExpectedScales) -> np.ndarray:
    """int64[states, 2] of a matrix's trellis; no states where there is none."""
    return TRELLISES[expected.trellis_states] if expected.trellis_states else NO_TRELLIS


def _tables(expected: ExpectedScales) -> tuple[np.ndarray, np.ndarray]:
    """Rates of the corrections and transitions of the trellis of a matrix."""
    longest = max(expected.rows.size, expected.columns.size)
    return COMMON_RATES if longest <= COMMON_RATES.size else scale_rates(longest), transitions_of(expected)


class ScaleClasses:
    """Integer codec 1, `scale-classes`: see the top of this file and spec/codecs.md."""

    wire_id = 1
    name = "scale-classes"

    @staticmethod
    def encode(matrices: Sequence[np.ndarray], scales: Sequence[ExpectedScales]) -> bytes:
        """Code int32[rows, columns] matrices into one stream; |code| < 2**24 (OverflowError otherwise). Exact."""
        cumulative, counts = initial_model()
        symbols = sum(m.size for m in matrices)
        payload = np.zeros(symbols * 12 + 128, np.uint8)  # longest code: 16 + 49 + 26 bits
        coder = new_coder(0)
        for codes, expected in zip(matrices, scales, strict=True):
            check_magnitudes(codes)
            codes = np.ascontiguousarray(codes, np.int32)
            status = encode_matrix(
                payload, coder, cumulative, counts, expected.rows, expected.columns, *_tables(expected), codes
            )
            if status == OFF_TRELLIS:
                raise ValueError("codes do not follow their trellis")
        end = int(coder[POSITION])
        return payload[:end].tobytes() + int(coder[LOW]).to_bytes(4, "big")

    @staticmethod
    def decode(
        payload: bytes, scales: Sequence[ExpectedScales], *, offset: int, where: str
    ) -> tuple[list[np.ndarray], list[int]]:
        """Inverse of `encode`: the matrices, and the payload position at which each was complete.

        Raises TruncatedArtifact [R-STR-4] or MalformedArtifact [R-STR-5, R-STR-6]; never reads past the payload.
        """
        if len(payload) < 4:
            raise TruncatedArtifact("a stream holds at least 4 bytes", rule="R-STR-4", offset=offset, where=where)
        cumulative, counts = initial_model()
        padded = np.frombuffer(payload + bytes(LOOKAHEAD), np.uint8)
        coder = new_coder(4)
        coder[LOW] = int.from_bytes(payload[:4], "big")
        matrices, ends = [], []
        for expected in scales:
            codes = np.empty((expected.rows.size, expected.columns.size), np.int32)
            status = decode_matrix(
                padded, coder, cumulative, counts, expected.rows, expected.columns, *_tables(expected), codes
            )
            if status != OK:
                raise stream_error(status, offset + int(coder[POSITION]), where)
            matrices.append(codes)
            ends.append(int(coder[POSITION]))
        if coder[POSITION] != len(payload) or coder[LOW] != 0:
            message = (
                f"{len(payload) - int(coder[POSITION])} bytes left and final state {int(coder[LOW])}, expected 0 and 0"
            )
            raise MalformedArtifact(message, rule="R-STR-5", offset=offset + int(coder[POSITION]), where=where)
        return matrices, ends
