"""Shards: both directions, and every way in which a header or a size can be wrong."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytecap.errors import DataError, OutputError
from bytecap.runtime.shards import (
    HEADER_BYTES,
    decode_shard,
    encode_shard,
    is_shard,
    read_shard,
    shard_layout,
    size_by_header,
    write_shard,
)

GOOD = encode_shard(np.array([1, 5, 65535]))


def with_header(position: int, value: int, data: bytes = GOOD) -> bytes:
    return data[: 4 * position] + struct.pack("<i", value) + data[4 * position + 4 :]


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=300))
def test_tokens_survive(tokens):
    data = encode_shard(np.array(tokens))
    assert len(data) == 1024 + 2 * len(tokens) and is_shard(data)
    assert struct.unpack_from("<3i", data) == (20240520, 1, len(tokens)) and not any(data[12:1024])
    decoded = decode_shard(data, "x")
    assert decoded.dtype == np.uint16 and decoded.tolist() == tokens


BAD = {
    "empty": (b"", "is empty"),
    "magic": (with_header(0, 20240521), "not a token shard"),
    "text": (b"Once upon a time", "not a token shard"),
    "header cut": (GOOD[:700], "byte 700 of 1024"),
    "three bytes": (GOOD[:3], "not a token shard"),
    "version": (with_header(1, 2), "version 2"),
    "no tokens": (with_header(2, 0, GOOD[:1024]), "holds 0 tokens"),
    "negative count": (with_header(2, -3), "holds -3 tokens"),
    "count too large": (with_header(2, 4), r"says 4 tokens \(8 bytes\) but holds 6 bytes: 3 tokens;"),
    "count too small": (with_header(2, 2), "says 2 tokens"),
    "huge count": (with_header(2, 2**31 - 1), "says 2,147,483,647 tokens"),
    "odd byte": (GOOD + b"\0", "3 tokens and one odd byte"),
    "cut in a token": (GOOD[:-1], "2 tokens and one odd byte"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_shard_is_named(name, tmp_path):
    data, message = BAD[name]
    path = tmp_path / "bad.bin"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as error:
        read_shard(path)
    assert str(path) in str(error.value)


def test_the_shards_of_llm_c_with_32_bits():
    """Its numbers, written out: magic 20240801, version 7, uint32."""
    data = struct.pack("<3i", 20240801, 7, 2).ljust(1024, b"\0") + struct.pack("<2I", 70_000, 3)
    decoded = decode_shard(data, "x")
    assert decoded.dtype == np.uint32 and decoded.tolist() == [70_000, 3]
    layout = shard_layout(data, len(data), "x")
    assert (layout.count, layout.offset, layout.bare) == (2, 1024, False)
    with pytest.raises(DataError, match="version 8; only version 7"):
        decode_shard(with_header(1, 8, data), "x")


def test_a_header_says_its_size_from_its_last_byte_on():
    assert size_by_header(GOOD[:HEADER_BYTES]) == len(GOOD) and size_by_header(GOOD[: HEADER_BYTES - 1]) is None
    assert is_shard(GOOD[:4]) and not is_shard(GOOD[:3])


def bare(numbers: list[int], kind: str, vocabulary: int) -> tuple[int, int, bool] | str:
    """Bytes of a number, how many there are, and that they are bare; or what is said instead."""
    data = np.array(numbers, kind).tobytes()
    try:
        layout = shard_layout(data[:2048], len(data), "x", vocabulary)
    except DataError as error:
        return str(error)
    return layout.dtype.itemsize, layout.count, layout.bare


@pytest.mark.parametrize(
    ("numbers", "kind", "vocabulary", "width"),
    [
        ([5, 0, 7, 0], "<u2", 65_536, 4),  # every second number is 0
        ([5, 0], "<u2", 65_536, 2),  # of two numbers that says nothing
        ([5, 1, 7, 0], "<u2", 65_536, 2),
        ([0, 0, 0, 0], "<u2", 65_536, 2),  # nothing but 0 says nothing, either
        ([5, 6, 7, 8], "<u4", 65_537, 4),  # beyond 16 bits
        ([9] * 512, "<u2", 65_536, 2),  # as long as a header
        ([9] * 5 + [0] * 508, "<u2", 65_536, None),  # longer, and with zeros where a header has them
        ([9] * 6 + [0] * 506 + [9] * 9, "<u2", 65_536, None),
        ([9] * 6 + [0] * 505 + [9] * 9, "<u2", 65_536, 2),
        ([9] * 7 + [0] * 505 + [9] * 9, "<u2", 65_536, 2),
    ],
)
def test_what_numbers_without_a_header_are(numbers, kind, vocabulary, width):
    found = bare(numbers, kind, vocabulary)
    if width is None:
        assert "is not a token shard: it starts with 09000900" in found
    else:
        assert found == (width, len(numbers) * int(kind[-1]) // width, True)


@pytest.mark.parametrize("name", ["missing.bin", "."])
def test_an_unreadable_shard_is_named(name, tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        read_shard(tmp_path / name)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.array([3, 70000]), "token 1 has the id 70000"),
        (np.array([-1]), "id -1"),
        (np.array([], dtype=np.int32), "one row"),
        (np.array([[1]]), "one row"),
        (np.array([1.5]), "float64"),
    ],
)
def test_what_a_shard_cannot_hold_is_refused(tokens, message):
    with pytest.raises(DataError, match=message):
        encode_shard(tokens)


def test_writing_is_whole_and_careful(tmp_path):
    path = tmp_path / "x.bin"
    write_shard(path, np.array([7, 8]))
    with pytest.raises(OutputError, match="exists"):
        write_shard(path, np.array([9]))
    assert read_shard(path).tolist() == [7, 8]
    write_shard(path, np.array([9]), force=True)
    assert read_shard(path).tolist() == [9]
    with pytest.raises(OutputError, match="is not a folder; create it first"):
        write_shard(tmp_path / "none" / "x.bin", np.array([9]))
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.bin"]
