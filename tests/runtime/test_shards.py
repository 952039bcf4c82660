"""Shards: both directions, and every way in which a header or a size can be wrong."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytecap.errors import DataError, OutputError
from bytecap.runtime.shards import decode_shard, encode_shard, is_shard, read_shard, write_shard

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
