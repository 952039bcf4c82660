"""Side information of the static coder: which class every integer belongs to, and each class's
frequencies (spec/codecs.md).

Strategy: classes are quarter octaves of expected magnitude, the sum of a row's and a column's. What the
transmitted steps leave open is sent as one small correction a row and a column, and the frequencies of
every class in use as sixteen numbers; both are a stream of the scale-class coder, which costs little
because there is one such number to a hundred integers. Frequencies are symmetric in the sign, so half
of them are enough.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import MalformedArtifact, TruncatedArtifact
from ..kernels import kernel
from .integer_codec import ExpectedScales
from .scale_classes import CLASS_SHIFT, ScaleClasses

TOTAL_BITS = 12
TOTAL = 1 << TOTAL_BITS
LARGEST_FREQUENCY = TOTAL - 2  # an integer costs more than 2**-11 bit
N_SYMBOLS = 32
ESCAPE = N_SYMBOLS - 1
BINS = 15  # magnitude bins that have both signs
N_CLASSES = 80  # class 0 is an expected magnitude of 2**-4; the last has 15 low bits a bin
FIRST_OCTAVE = -4
PLAIN, TRELLIS = 0, 1
HEADER = struct.Struct(
    "<IIIBBBB"
)  # bytes of the side stream, escapes, words of low bits, lowest class and number of classes of each group
QUARTER_BITS = 30
QUARTER_OCTAVES = (1 << 30, 1276901417, 1518500250, 1805811301)  # 2**(k / 4), in 2**-30
WIDEST = 400  # classes that a writer tells apart, in both directions
FREQUENCY_SCALES = np.array(
    [max(0, 10 - k) << 16 for k in range(BINS)] + [0], np.int64
)  # expected of the bins and the escape


@dataclass(frozen=True, slots=True)
class SideInformation:
    """What is known before the first integer.

    lowest, classes : tuple of 2 int             lowest class and number of classes of plain matrices
        and of those with a trellis
    sides : int64[n]                             classes of the rows, then of the columns, of every
        matrix in turn: the class of an integer is the sum of its row's and its column's, clamped to its
        group's
    frequencies : int32[tables, 32]              plain classes, then even, then odd ones; each row adds up to 2**12
    low_words : uint16[n]                        low bits of magnitudes, 16 a word, first integer first,
        least significant bit first
    escapes : int32[n]                           the integers (halved on a trellis) too large for their class
    """

    lowest: tuple[int, int]
    classes: tuple[int, int]
    sides: np.ndarray
    frequencies: np.ndarray
    low_words: np.ndarray
    escapes: np.ndarray


def groups_of(scales: Sequence[ExpectedScales]) -> tuple[bool, bool]:
    """Whether a stream holds plain matrices, and whether ones with a trellis."""
    return any(not s.trellis_states for s in scales), any(s.trellis_states for s in scales)


def count_tables(classes: tuple[int, int]) -> int:
    return classes[PLAIN] + 2 * classes[TRELLIS]


def low_bits(lowest: tuple[int, int], classes: tuple[int, int]) -> np.ndarray:
    """int64[tables]: low bits of a magnitude that its bin leaves out; zero below a mean magnitude of 4,
    then one more an octave.
    """
    groups = [np.arange(n) + low for low, n in zip(lowest, classes, strict=True)]
    return np.maximum(
        0, (np.concatenate([groups[PLAIN], groups[TRELLIS], groups[TRELLIS]]) >> 2) + FIRST_OCTAVE - 1
    ).astype(np.int64)


def expected_classes(scales: ExpectedScales) -> tuple[np.ndarray, np.ndarray]:
    """int64 classes of rows and columns by the steps alone; on a trellis numbers are halved, an octave less."""
    return scales.rows >> CLASS_SHIFT, (scales.columns >> CLASS_SHIFT) - _first_class(scales)


def _first_class(scales: ExpectedScales) -> int:
    return 4 * FIRST_OCTAVE + (4 if scales.trellis_states else 0)


def joined_sides(scales: Sequence[ExpectedScales]) -> np.ndarray:
    """int64[n]: scales of the rows, then of the columns, of every matrix in turn."""
    return np.concatenate([np.zeros(0, np.int64), *(side for s in scales for side in (s.rows, s.columns))])


def expected_sides(scales: Sequence[ExpectedScales]) -> np.ndarray:
    """`expected_classes` of every matrix in turn."""
    classes, last = joined_sides(scales) >> CLASS_SHIFT, 0
    for s in scales:
        first, last = last + s.rows.size, last + s.rows.size + s.columns.size
        classes[first:last] -= _first_class(s)
    return classes


def _side_scales(scales: Sequence[ExpectedScales], tables: int, escapes: int) -> list[ExpectedScales]:
    """Expectations of the three matrices of a side stream: corrections, half the frequencies of each table, escapes."""
    corrections = sum(s.rows.size + s.columns.size for s in scales)
    frequencies = ExpectedScales(np.zeros(tables, np.int64), FREQUENCY_SCALES)
    return [_one_row(corrections), frequencies, _one_row(escapes)]


def _one_row(length: int) -> ExpectedScales:
    return ExpectedScales(np.zeros(1, np.int64), np.zeros(length, np.int64))


def encode_side(side: SideInformation, scales: Sequence[ExpectedScales]) -> bytes:
    """Header, side stream and low bits; inverse of `decode_side`."""
    corrections = side.sides - expected_sides(scales)
    even = side.classes[PLAIN] + side.classes[TRELLIS]
    halves = [_half(row, table >= even) for table, row in enumerate(side.frequencies)]
    matrices = [corrections[None, :], np.array(halves).reshape(-1, BINS + 1), side.escapes[None, :]]
    stream = ScaleClasses.encode(matrices, _side_scales(scales, len(halves), side.escapes.size))
    groups = side.lowest[PLAIN], side.classes[PLAIN], side.lowest[TRELLIS], side.classes[TRELLIS]
    return (
        HEADER.pack(len(stream), side.escapes.size, side.low_words.size, *groups)
        + stream
        + side.low_words.astype("<u2").tobytes()
    )


def _half(frequencies: np.ndarray, odd: bool) -> np.ndarray:
    """The frequencies of the positive bins and of the escape."""
    return np.append(frequencies[0 if odd else 1 : ESCAPE - 1 : 2][:BINS], frequencies[ESCAPE])


def decode_side(
    payload: bytes, scales: Sequence[ExpectedScales], *, offset: int, where: str
) -> tuple[SideInformation, int]:
    """Side information of a stream and where it ends.

    Raises TruncatedArtifact [R-STR-4] or MalformedArtifact [R-STR-5, R-STR-6, R-STR-8].
    """
    if len(payload) < HEADER.size:
        raise TruncatedArtifact(
            f"a static stream holds at least {HEADER.size} bytes", rule="R-STR-4", offset=offset, where=where
        )
    length, escapes, n_low_words, *groups = HEADER.unpack_from(payload)
    lowest, classes = (groups[0], groups[2]), (groups[1], groups[3])
    present, symbols = groups_of(scales), sum(s.symbols for s in scales)
    fits = [n > 0 if here else low == n == 0 for here, low, n in zip(present, lowest, classes, strict=True)]
    if not all(fits) or max(low + n for low, n in zip(lowest, classes, strict=True)) > N_CLASSES or escapes > symbols:
        message = f"classes from {lowest}, {classes} of them, {escapes} escapes of {symbols} integers"
        raise MalformedArtifact(message, rule="R-STR-8", offset=offset, where=where)
    low_from = HEADER.size + length
    end = low_from + 2 * n_low_words
    if end > len(payload):
        message = f"side information of {end} bytes in {len(payload)}"
        raise TruncatedArtifact(message, rule="R-STR-4", offset=offset, where=where)
    tables = count_tables(classes)
    stream, known = payload[HEADER.size : low_from], _side_scales(scales, tables, escapes)
    (corrections, halves, escaped), _ = ScaleClasses.decode(stream, known, offset=offset + HEADER.size, where=where)
    frequencies, possible = _whole(halves, classes[PLAIN] + classes[TRELLIS])
    if not possible:
        message = f"frequencies are not 0 to {LARGEST_FREQUENCY} with a sum of {TOTAL}"
        raise MalformedArtifact(message, rule="R-STR-8", offset=offset + HEADER.size, where=where)
    low_words = np.frombuffer(payload[low_from:end], "<u2")
    return SideInformation(
        lowest, classes, expected_sides(scales) + corrections[0], frequencies, low_words, escaped[0]
    ), end


@kernel()
def _whole(halves, odd_from):
    """int32[tables, 32] frequencies from their halves int32[tables, 16], and whether they are distributions."""
    frequencies, possible = np.zeros((halves.shape[0], N_SYMBOLS), np.int32), True
    for t in range(halves.shape[0]):
        first, total = 1 if t < odd_from else 0, np.int64(halves[t, BINS])
        frequencies[t, ESCAPE] = halves[t, BINS]
        for k in range(BINS):
            frequencies[t, first + 2 * k] = frequencies[t, first + 2 * k + 1] = halves[t, k]
            total += 2 * np.int64(halves[t, k])
        if t < odd_from:
            frequencies[t, 0] = TOTAL - total
            total = TOTAL
        possible &= total == TOTAL
        for symbol in range(N_SYMBOLS):
            possible &= 0 <= frequencies[t, symbol] <= LARGEST_FREQUENCY
    return frequencies, possible


# ---- the writer's choices -------------------------------------------------------------------------------------------


def fit_classes(codes: np.ndarray, scales: ExpectedScales) -> tuple[np.ndarray, np.ndarray]:
    """int64 classes of rows and columns under which the mean magnitude of each is as expected.

    Integers only: the same everywhere.
    """
    rows, columns = expected_classes(scales)
    octaves = FIRST_OCTAVE + (1 if scales.trellis_states else 0)
    magnitudes = np.abs(codes)
    sums = [magnitudes.sum(axis=axis, dtype=np.int64).tolist() for axis in (1, 0)]
    for turn in range(3):
        before, rows = rows, _fitting(sums[0], columns, octaves)
        if turn and np.array_equal(rows, before):
            break  # nothing would change any more
        columns = _fitting(sums[1], rows, octaves)
    return rows, columns


def _fitting(sums: list[int], across: np.ndarray, octaves: int) -> np.ndarray:
    """Classes of rows whose magnitudes have these sums, the classes of the columns being known.

    A row of class k is expected to have the sum 2**(k / 4 + 1 / 8 + octaves) * sum of 2**(class / 4)
    over the columns. So the nearest k is floor(log2(r**8) / 2) - 4 * octaves, with r the measured sum
    (at least 1/4) over that of the columns: 1/8 and a half cancel.
    """
    counts = Counter(np.clip(across, -WIDEST, WIDEST).tolist())
    total = sum(n * QUARTER_OCTAVES[k & 3] << ((k + WIDEST) >> 2) for k, n in counts.items())
    if not total:
        return np.zeros(len(sums), np.int64)
    divisor, shift = total**8, 8 * (QUARTER_BITS + (WIDEST >> 2) - 2)
    found = {value: _floor_log2(max(4 * value, 1) ** 8 << shift, divisor) // 2 for value in set(sums)}
    return np.array([found[value] for value in sums], np.int64) - 4 * octaves


def _floor_log2(numerator: int, denominator: int) -> int:
    """floor(log2(numerator / denominator)) of positive integers."""
    octaves = numerator.bit_length() - denominator.bit_length()
    reached = numerator << max(0, -octaves) >= denominator << max(0, octaves)
    return octaves if reached else octaves - 1


def settle_classes(
    rows: np.ndarray, columns: np.ndarray, lowest: int, classes: int, scales: ExpectedScales
) -> tuple[np.ndarray, np.ndarray]:
    """The same classes within a range from rows and columns that need no larger corrections than it
    takes to leave the range.
    """
    if classes == 1:
        return expected_classes(scales)
    rows = np.clip(rows, lowest - columns.max(), lowest + classes - 1 - columns.min())
    return rows, np.clip(columns, lowest - rows.max(), lowest + classes - 1 - rows.min())


def class_range(histogram: np.ndarray) -> tuple[int, int]:
    """Lowest class and number of classes for integers counted by class: ends too rare to pay for a
    table are cut off.
    """
    cumulative = np.cumsum(histogram)
    total = int(cumulative[-1])
    rare = max(1, min(total // 4, 24), min(total // 500, 400))
    lowest = int(np.searchsorted(cumulative, rare))
    highest = int(np.searchsorted(cumulative, total - rare, side="right"))
    return lowest, max(1, highest - lowest + 1)


def fit_frequencies(counts: np.ndarray, odd: bool) -> np.ndarray:
    """int32[32] frequencies of one class from the counts of its symbols; every symbol that occurs keeps at least 1."""
    first = 0 if odd else 1
    pairs = counts[first : first + 2 * BINS].reshape(BINS, 2).sum(axis=1)
    zeros, escaped, total = (0 if odd else int(counts[0])), int(counts[ESCAPE]), max(1, int(counts.sum()))
    halves = np.maximum(pairs * TOTAL // (2 * total), pairs > 0)
    halves[0] += not halves.any()  # a table of one symbol would cost nothing
    escape = 2 * max(escaped * TOTAL // (2 * total), escaped > 0)
    escape = min(escape, TOTAL - 2 * int(np.count_nonzero(halves)) - 2)
    room = (TOTAL - escape - (zeros > 0)) // 2
    while halves.sum() > room:
        halves[np.argmax(halves)] -= 1
    if odd:
        halves[np.argmax(halves)] += room - halves.sum()
    frequencies = np.zeros(N_SYMBOLS, np.int32)
    frequencies[first : first + 2 * BINS] = np.repeat(halves, 2)
    frequencies[ESCAPE] = escape
    if not odd:
        frequencies[0] = TOTAL - frequencies.sum()
    return frequencies
