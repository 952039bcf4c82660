"""Coders of peers' integers: what they encode comes back, near the entropy that a peer reports."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.peers import general_codec
from benchmarks.peers.integer_coders import CODERS


def matrices() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    sizes = np.array([0.0, 0.3, 2.0, 9.0] * 8)
    return [np.round(generator.normal(size=(rows, 32)) * sizes).astype(np.int32) for rows in (64, 1)] + [
        np.zeros((3, 4), np.int32)
    ]


@pytest.mark.parametrize("name", list(CODERS))
def test_integers_come_back(name):
    given = [np.abs(matrix) for matrix in matrices()] if name == "general" else matrices()
    data = CODERS[name].encode(given)
    back = CODERS[name].decode(data, [matrix.shape for matrix in given])
    assert all(np.array_equal(a, b) and a.dtype == np.int32 for a, b in zip(back, given, strict=True))


@pytest.mark.parametrize("outside", [-1, 256])
def test_a_general_compressor_takes_bytes(outside):
    with pytest.raises(ValueError, match="integers from 0 to 255"):
        CODERS["general"].encode([np.full((2, 2), outside, np.int32)])


def test_the_first_takes_the_entropy_and_the_second_knows_the_columns():
    matrix = np.tile(matrices()[0], (16, 1))
    counts = np.unique(matrix, return_counts=True)[1]
    entropy = float(-(counts * np.log2(counts / counts.sum())).sum()) / 8
    by_entropy, by_mixing = (len(CODERS[name].encode([matrix])) for name in ("entropy", "mixing"))
    assert entropy < by_entropy < 1.02 * entropy + 100
    assert by_mixing < 0.8 * entropy


@pytest.mark.parametrize("data", [b"ab" * 500, bytes(5000), b""])
def test_the_smallest_general_compressor_is_named_in_front(data):
    packed = general_codec.compress_general(data)
    assert packed[:1] in (b"B", b"L", b"Z") and len(packed) <= len(data) + 16
    assert general_codec.decompress_general(packed) == data
    others = [b"L" + general_codec.lzma.compress(data, general_codec.lzma.FORMAT_RAW, filters=general_codec.FILTERS)]
    others.append(b"Z" + general_codec.zstandard.ZstdCompressor().compress(data))
    assert [general_codec.decompress_general(other) for other in others] == [data, data]


def test_a_compressor_without_a_name_is_refused():
    with pytest.raises(ValueError, match="no general compressor is named b'X'"):
        general_codec.decompress_general(b"X123")
