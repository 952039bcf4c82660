"""Coders for a peer's integer matrices: at their own entropy, our codec `mixing`, and a general compressor.

Strategy: the first is what papers report as entropy, but as real bytes: a range coder over the counts of each matrix,
which the file holds, too. The second gets the magnitude of every column in eighths of an octave, one byte each, as the
expectation that the codec starts from. The third takes integers from 0 to 255, column by column, a byte each.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bytecap.format.codecs import INTEGER_CODECS, ExpectedScales

from .general_codec import compress_general, decode_head, decompress_general, encode_head

MIXING = next(codec for codec in INTEGER_CODECS.values() if codec.name == "mixing")
OCTAVE, STEPS, LOWEST = 1 << 16, 8, 1 / 16


@dataclass(frozen=True)
class IntegerCoder:
    """encode: int32 matrices -> bytes; decode: bytes and (rows, columns) of each -> the matrices."""

    encode: Callable[[Sequence[np.ndarray]], bytes]
    decode: Callable[[bytes, Sequence[tuple[int, int]]], list[np.ndarray]]


def encode_entropy(matrices: Sequence[np.ndarray]) -> bytes:
    """u32 length of the tables, the tables (lowest integer, number, counts of each matrix), then a payload a matrix."""
    import constriction

    tables, payloads = [], []
    for matrix in matrices:
        lowest = int(matrix.min())
        counts = np.bincount(matrix.ravel() - lowest)
        coder = constriction.stream.queue.RangeEncoder()
        coder.encode(np.ascontiguousarray(matrix.ravel() - lowest, np.int32), _model(counts))
        payloads.append(coder.get_compressed().astype("<u4").tobytes())
        tables.append(struct.pack("<iII", lowest, len(counts), len(payloads[-1])) + counts.astype("<u4").tobytes())
    return encode_head(b"".join(tables)) + b"".join(payloads)


def decode_entropy(data: bytes, sizes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Inverse of `encode_entropy`."""
    import constriction

    tables, end = decode_head(data)
    place, matrices = 0, []
    for rows, columns in sizes:
        lowest, number, length = struct.unpack_from("<iII", tables, place)
        counts = np.frombuffer(tables, "<u4", number, place + 12)
        place += 12 + 4 * number
        coder = constriction.stream.queue.RangeDecoder(np.frombuffer(data, "<u4", length // 4, end).astype(np.uint32))
        end += length
        matrices.append((coder.decode(_model(counts), rows * columns) + lowest).astype(np.int32).reshape(rows, columns))
    return matrices


def _model(counts: np.ndarray):
    import constriction

    if len(counts) == 1:  # a model has two symbols at least
        counts = np.array([counts[0], 0])
    return constriction.stream.model.Categorical(counts.astype(np.float64) / counts.sum(), perfect=False)


def encode_mixing(matrices: Sequence[np.ndarray]) -> bytes:
    """u32 length of the columns' magnitudes, these compressed, one stream of all matrices."""
    magnitudes = [
        np.round(STEPS * np.log2(np.maximum(np.abs(matrix).mean(0), LOWEST))).astype(np.int8) for matrix in matrices
    ]
    head = encode_head(b"".join(each.tobytes() for each in magnitudes))
    expected = [_expected(len(matrix), each) for matrix, each in zip(matrices, magnitudes, strict=True)]
    return head + MIXING.encode(matrices, expected)


def decode_mixing(data: bytes, sizes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Inverse of `encode_mixing`."""
    head, end = decode_head(data)
    magnitudes, place, expected = np.frombuffer(head, np.int8), 0, []
    for rows, columns in sizes:
        expected.append(_expected(rows, magnitudes[place : place + columns]))
        place += columns
    return MIXING.decode(data[end:], expected, offset=end, where="integers of a peer")[0]


def _expected(rows: int, magnitudes: np.ndarray) -> ExpectedScales:
    return ExpectedScales(np.zeros(rows, np.int64), magnitudes.astype(np.int64) * (OCTAVE // STEPS))


def encode_general(matrices: Sequence[np.ndarray]) -> bytes:
    """All matrices, transposed, under the best general compressor; ValueError for integers outside a byte."""
    if any(matrix.size and (matrix.min() < 0 or matrix.max() > 255) for matrix in matrices):
        raise ValueError("a general compressor takes integers from 0 to 255")
    return compress_general(b"".join(np.ascontiguousarray(matrix.T, np.uint8).tobytes() for matrix in matrices))


def decode_general(data: bytes, sizes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Inverse of `encode_general`."""
    integers, place, matrices = np.frombuffer(decompress_general(data), np.uint8), 0, []
    for rows, columns in sizes:
        matrices.append(integers[place : place + rows * columns].reshape(columns, rows).T.astype(np.int32))
        place += rows * columns
    return matrices


CODERS = {
    "entropy": IntegerCoder(encode_entropy, decode_entropy),
    "mixing": IntegerCoder(encode_mixing, decode_mixing),
    "general": IntegerCoder(encode_general, decode_general),
}
