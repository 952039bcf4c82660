"""The CODES section: its table and payloads both ways, limits at the edge, and how many integers bytes may claim."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytecap.errors import ArtifactError, LimitExceeded, MalformedArtifact, TruncatedArtifact, UnsupportedArtifact
from bytecap.format.codecs import INTEGER_CODECS
from bytecap.format.container.limits import DEFAULT_LIMITS
from bytecap.format.tensors.streams import (
    MAX_SYMBOLS_PER_BYTE,
    Stream,
    check_amplification,
    read_streams,
    write_streams,
)

# streams, the section's bytes, where each payload starts
SECTION_BYTES = [
    ([], "00", []),
    ([b""], "01 01 00", [3]),
    ([b"abcd"], "01 01 04 61626364", [3]),
    ([b"ab", b"", b"c"], "03 01 02 01 00 01 01 6162 63", [7, 9, 9]),
    ([b"x" * 300], "01 01 ac02" + "78" * 300, [4]),
]

# bytes, error, rule, offset
BROKEN = {
    "no bytes": ("", TruncatedArtifact, "R-END-1", 0),
    "more streams than bytes": ("02 01 00 01", LimitExceeded, "R-STR-1", 0),
    "a huge number of streams": ("ffffffff0f 01 00", LimitExceeded, "R-STR-1", 0),
    "unknown codec": ("01 00 00", UnsupportedArtifact, "R-STR-2", 1),
    "unknown codec of a later stream": ("02 01 00 ff 00", UnsupportedArtifact, "R-STR-2", 3),
    "a payload that ends early": ("01 01 03 6162", TruncatedArtifact, "R-END-1", 3),
    "a huge payload": ("01 01 ffffffff0f 61", TruncatedArtifact, "R-END-1", 7),
    "bytes after the last payload": ("01 01 01 61 62", MalformedArtifact, "R-END-2", 4),
    "a length not in its shortest form": ("01 01 8100 61", MalformedArtifact, "R-VAR-2", 2),
}


@pytest.mark.parametrize(("payloads", "data", "offsets"), SECTION_BYTES)
def test_a_section_is_these_bytes(payloads, data: str, offsets) -> None:
    data = bytes.fromhex(data)
    assert write_streams([Stream(1, payload) for payload in payloads]) == data
    streams = read_streams(data, DEFAULT_LIMITS)
    assert streams == tuple(Stream(1, payload, offset) for payload, offset in zip(payloads, offsets, strict=True))


@pytest.mark.parametrize("case", BROKEN)
def test_reject_a_broken_section(case: str) -> None:
    data, error, rule, offset = BROKEN[case]
    with pytest.raises(error) as caught:
        read_streams(bytes.fromhex(data), DEFAULT_LIMITS)
    assert (type(caught.value), caught.value.rule, caught.value.offset) == (error, rule, offset)
    assert caught.value.where.startswith("codes")


def test_an_error_in_a_stream_names_it() -> None:
    with pytest.raises(UnsupportedArtifact, match="stream 1"):
        read_streams(bytes.fromhex(BROKEN["unknown codec of a later stream"][0]), DEFAULT_LIMITS)


def test_limit_on_streams() -> None:
    data = write_streams([Stream(1, b"abcd")] * 3)
    assert len(read_streams(data, replace(DEFAULT_LIMITS, streams=3))) == 3
    with pytest.raises(LimitExceeded) as caught:
        read_streams(data, replace(DEFAULT_LIMITS, streams=2))
    assert caught.value.rule == "R-STR-1"


@pytest.mark.parametrize("count", [DEFAULT_LIMITS.streams, DEFAULT_LIMITS.streams + 1])
def test_default_limit_on_streams(count: int) -> None:
    data = write_streams([Stream(1, b"")] * count)
    if count <= DEFAULT_LIMITS.streams:
        assert len(read_streams(data, DEFAULT_LIMITS)) == count
    else:
        with pytest.raises(LimitExceeded):
            read_streams(data, DEFAULT_LIMITS)


@pytest.mark.parametrize("length", [0, 1, 7])
def test_integers_that_a_payload_may_claim(length: int) -> None:
    stream = Stream(1, bytes(length), offset=11)
    check_amplification(MAX_SYMBOLS_PER_BYTE * length, stream, 2)
    with pytest.raises(MalformedArtifact, match="codes / stream 2") as caught:
        check_amplification(MAX_SYMBOLS_PER_BYTE * length + 1, stream, 2)
    assert (caught.value.rule, caught.value.offset) == ("R-STR-3", 11)


def test_the_bound_is_the_one_of_the_specification() -> None:
    assert MAX_SYMBOLS_PER_BYTE == 16_384


@given(st.lists(st.tuples(st.sampled_from(sorted(INTEGER_CODECS)), st.binary(max_size=9)), max_size=8))
def test_round_trip(drawn) -> None:
    streams = [Stream(codec, payload) for codec, payload in drawn]
    data = write_streams(streams)
    read = read_streams(data, DEFAULT_LIMITS)
    assert [(stream.codec, stream.payload) for stream in read] == drawn
    assert all(data[s.offset : s.offset + len(s.payload)] == s.payload for s in read)


@given(st.binary(max_size=30))
def test_whatever_is_read_is_written_back(data: bytes) -> None:
    try:
        streams = read_streams(data, DEFAULT_LIMITS)
    except ArtifactError:
        return
    assert write_streams(streams) == data
