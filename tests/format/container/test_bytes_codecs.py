"""General compression: round trips over the registry, and every way in which compressed bytes can lie."""

from __future__ import annotations

import tracemalloc

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from zstd_frames import frame, raw_block, repeat_block

from bytecap.errors import LimitExceeded, MalformedArtifact
from bytecap.format.container.bytes_codecs import (
    BYTES_CODECS,
    REMEMBERED_BYTES,
    Brotli,
    Stored,
    Zstd,
    decode_bytes,
    encode_best,
)

SAMPLES = [b"", b"x", bytes(5000), bytes(range(256)) * 9, b"abcabcabc" * 1000 + bytes(range(200))]
CONTENT = b"sixteen bytes!! " * 40


def decode(codec, stored, length):
    return decode_bytes(codec.wire_id, stored, length, "a place", 77)


def refused(codec, stored, length):
    with pytest.raises(MalformedArtifact) as caught:
        decode(codec, stored, length)
    assert (caught.value.offset, caught.value.where) == (77, "a place")
    return caught.value.rule


@pytest.mark.parametrize("data", SAMPLES, ids=len)
@pytest.mark.parametrize("codec", BYTES_CODECS.values(), ids=lambda codec: codec.name)
def test_round_trip(codec, data):
    stored = codec.encode(data)
    assert codec.encode(data) == stored
    assert decode(codec, stored, len(data)) == data


@given(st.binary(max_size=2000))
def test_best_is_smallest_and_of_equals_the_first(data):
    wire_id, stored = encode_best(data)
    sizes = {codec.wire_id: len(codec.encode(data)) for codec in BYTES_CODECS.values()}
    assert len(stored) == min(sizes.values())
    assert wire_id == min(i for i, size in sizes.items() if size == len(stored))
    assert decode_bytes(wire_id, stored, len(data), "", 0) == data


def test_each_codec_is_best_for_something():
    cases = {Stored: b"xyz", Zstd: bytes(range(256)) + bytes(range(256)), Brotli: b"the cat and the dog and the " * 9}
    assert {kind.wire_id for kind in cases} == {encode_best(data)[0] for data in cases.values()}


def test_short_sections_are_compressed_once_and_long_ones_not_kept(monkeypatch):
    tried = []
    monkeypatch.setattr(
        Brotli, "encode", lambda self, data: tried.append(len(data)) or brotli.compress(data, quality=0)
    )
    short, long = b"compressed once " * 9, bytes(REMEMBERED_BYTES + 1)
    for data in (short, long, short, long):
        assert encode_best(data) == encode_best(bytes(bytearray(data)))
    assert tried == [len(short), *[len(long)] * 4]


@pytest.mark.parametrize("codec", [BYTES_CODECS[1], BYTES_CODECS[2]], ids=lambda codec: codec.name)
def test_compressed_bytes_decode_to_exactly_the_declared_length(codec):
    stored = codec.encode(CONTENT)
    for length in (0, 1, len(CONTENT) - 1, len(CONTENT) + 1, 1 << 20):
        assert refused(codec, stored, length) in ("R-BYT-1", "R-BYT-2")


@pytest.mark.parametrize("codec", [BYTES_CODECS[1], BYTES_CODECS[2]], ids=lambda codec: codec.name)
def test_nothing_is_missing_or_left_over(codec):
    stored = codec.encode(CONTENT)
    for length in range(len(stored)):
        refused(codec, stored[:length], len(CONTENT))
    for more in (b"\0", b"x" * 100, stored):
        assert refused(codec, stored + more, len(CONTENT)) == "R-BYT-2"


@pytest.mark.parametrize(
    ("stored", "rule"),
    [
        (frame(300, repeat_block(300, 7, last=True)), None),
        (frame(299, repeat_block(300, 7, last=True)), "R-BYT-1"),
        (frame(2**32 - 1, repeat_block(300, 7, last=True)), "R-BYT-1"),
        (zstandard.ZstdCompressor(write_content_size=False).compress(bytes(300)), "R-BYT-1"),
        (zstandard.ZstdCompressor(write_checksum=True).compress(bytes(300)), "R-BYT-1"),
        (frame(300, repeat_block(300, 7, last=True), dictionary=5), "R-BYT-1"),
        (frame(300, repeat_block(300, 7, last=True), window=0), None),
        (frame(300, repeat_block(300, 7, last=True), window=8), "R-BYT-1"),
        (frame(300, repeat_block(300, 7)), "R-BYT-2"),
        (frame(300, repeat_block(150, 7), repeat_block(149, 7, last=True)), "R-BYT-2"),
        (frame(300, repeat_block(150, 7), repeat_block(151, 7, last=True)), "R-BYT-2"),
        (frame(300, repeat_block(301, 7, last=True)), "R-BYT-2"),
        (frame(300, raw_block(bytes(300), last=True))[:-1], "R-BYT-2"),
        (bytes.fromhex("502a4d18 2c010000") + bytes(300), "R-BYT-2"),  # a skippable frame of 300 bytes
        (bytes.fromhex("502a4d18 00000000") + frame(300, repeat_block(300, 7, last=True)), "R-BYT-2"),
        (b"", "R-BYT-2"),
        (b"\x28\xb5\x2f\xfd", "R-BYT-2"),
        (b"not zstd", "R-BYT-2"),
    ],
)
def test_zstd_frames(stored, rule):
    codec = BYTES_CODECS[Zstd.wire_id]
    if rule is None:
        assert decode(codec, stored, 300) == bytes([7]) * 300
    else:
        assert refused(codec, stored, 300) == rule


@pytest.mark.parametrize(
    "stored",
    [b"", b"\x11", b"\x91\x1e", b"\x11" + bytes(300), b"\xff" * 40],
    ids=["empty", "reserved-window", "large-window", "zeros-after", "ones"],
)
def test_reject_what_is_no_brotli_stream(stored):
    assert refused(BYTES_CODECS[Brotli.wire_id], stored, 300) == "R-BYT-2"


def peak_while_refusing(codec, stored, length) -> int:
    tracemalloc.start()
    try:
        refused(codec, stored, length)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_bombs_stop_at_the_declared_length():
    zeros = bytes(1 << 26)
    assert peak_while_refusing(BYTES_CODECS[2], brotli.compress(zeros, quality=9, lgwin=24), 100_000) < 1_000_000
    blocks = [repeat_block(131_072)] * 5000
    for window in (None, 0x38):
        assert peak_while_refusing(BYTES_CODECS[1], frame(200_000, *blocks, window=window), 200_000) < 1_000_000
    assert peak_while_refusing(BYTES_CODECS[1], frame(2**32 - 1, *blocks), 200_000) < 1_000_000


@pytest.mark.parametrize("codec", BYTES_CODECS.values(), ids=lambda codec: codec.name)
def test_lack_of_memory_is_an_answer(codec, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(type(codec), "decode", fail)
    with pytest.raises(LimitExceeded, match=r"\[R-SEC-6\]"):
        decode(codec, b"x", 1)


def test_the_library_runs_out_of_memory():
    """A frame that truly declares 2**45 bytes: the library raises MemoryError, and the reader says LimitExceeded."""
    stored = b"\x28\xb5\x2f\xfd" + bytes([0b11100000]) + (1 << 45).to_bytes(8, "little") + repeat_block(300, last=True)
    with pytest.raises(LimitExceeded, match=r"\[R-SEC-6\]"):
        decode(BYTES_CODECS[1], stored, 1 << 45)
