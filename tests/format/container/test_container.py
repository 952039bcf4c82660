"""The container: round trips, damage, limits at n and n + 1, and memory. Single rules are proved by spec/vectors."""

from __future__ import annotations

import dataclasses
import random
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytecap.errors import (
    ArtifactError,
    ChecksumMismatch,
    LimitExceeded,
    NotAnArtifact,
    TruncatedArtifact,
    UnsupportedArtifact,
)
from bytecap.format.container.bytes_codecs import BYTES_CODECS, Brotli, Stored, Zstd
from bytecap.format.container.container import (
    CODES,
    DIGEST,
    DIRECTORY,
    PROGRAM,
    PROVENANCE,
    RAW,
    Section,
    make_section,
    read_container,
    read_minor_version,
    section_name,
    write_container,
)
from bytecap.format.container.layout import HEADER_BYTES, MAGIC, SECTION_ENTRY_BYTES, table_end
from bytecap.format.container.limits import Limits


def example_sections() -> list[Section]:
    return [
        make_section(PROGRAM, b"program" * 9),
        make_section(DIRECTORY, random.Random(7).randbytes(200)),
        make_section(RAW, bytes(4000)),
        make_section(CODES, bytes(30)),
        make_section(DIGEST, bytes(range(32))),
        make_section(PROVENANCE, b'{"made":"here"}'),
    ]


EXAMPLE = write_container(example_sections())


def with_codec(section_id: int, decoded: bytes, codec: int) -> Section:
    """The section under a codec of our choice where the rules allow it, else stored."""
    stored = BYTES_CODECS[codec].encode(decoded)
    if section_id in (CODES, DIGEST) or len(stored) >= len(decoded):
        return Section(section_id, Stored.wire_id, decoded, decoded)
    return Section(section_id, codec, stored, decoded)


contents = st.one_of(
    st.binary(max_size=60), st.builds(lambda piece, count: piece * count, st.binary(max_size=20), st.integers(0, 30))
)
codecs = st.sampled_from(sorted(BYTES_CODECS))


@st.composite
def containers(draw) -> list[Section]:
    """Valid sections: arbitrary contents, codecs and ancillary ids."""
    ancillary = draw(st.sets(st.integers(128, 255), max_size=4))
    sections = []
    for section_id in (PROGRAM, DIRECTORY, RAW, CODES, DIGEST, *sorted(ancillary)):
        decoded = draw(st.binary(min_size=32, max_size=32) if section_id == DIGEST else contents)
        sections.append(with_codec(section_id, decoded, draw(codecs)))
    return sections


@given(containers())
def test_what_was_written_is_read(sections):
    data = write_container(sections)
    assert read_container(data) == tuple(sections)
    assert write_container(read_container(data)) == data


@given(containers(), st.data())
def test_what_is_accepted_is_written_again(sections, draw):
    """Also for bytes that no writer of ours made: change a byte, repair the checksums, and look at what is accepted."""
    data = bytearray(write_container(sections))
    position = draw.draw(st.integers(8, table_end(len(sections)) - 5))
    data[position] = draw.draw(st.integers(0, 255))
    end = table_end(data[10])
    if end <= len(data):
        data[end - 4 : end] = zlib.crc32(data[: end - 4]).to_bytes(4, "little")
    try:
        found = read_container(bytes(data))
    except ArtifactError:
        return
    assert write_container(found, read_minor_version(data)) == bytes(data)


def test_reading_takes_any_view_of_the_bytes():
    assert (
        read_container(EXAMPLE) == read_container(memoryview(EXAMPLE)) == read_container(memoryview(bytearray(EXAMPLE)))
    )
    assert all(
        type(part) is bytes
        for section in read_container(memoryview(EXAMPLE))
        for part in (section.stored, section.decoded)
    )


def test_writing_is_deterministic():
    assert write_container(example_sections()) == EXAMPLE


def test_sections_are_compressed_when_it_helps():
    by_id = {section.id: section for section in read_container(EXAMPLE)}
    assert {by_id[PROGRAM].codec, by_id[RAW].codec} <= {Zstd.wire_id, Brotli.wire_id}
    assert {by_id[DIRECTORY].codec, by_id[CODES].codec, by_id[DIGEST].codec} == {Stored.wire_id}
    assert make_section(RAW, bytes(1000), compress=False).codec == Stored.wire_id


def test_names():
    assert [section_name(i) for i in (1, 5, 128, 77)] == ["program", "digest", "provenance", "77"]


def test_every_prefix_is_rejected():
    for length in range(len(EXAMPLE)):
        with pytest.raises(TruncatedArtifact) as caught:
            read_container(EXAMPLE[:length])
        assert caught.value.offset == length
        assert caught.value.rule == ("R-HDR-2" if length < table_end(6) else "R-SEC-8")


def test_every_single_bit_flip_is_rejected():
    kinds = set()
    for bit in range(8 * len(EXAMPLE)):
        data = bytearray(EXAMPLE)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ArtifactError) as caught:
            read_container(bytes(data))
        unsupported = bit < 80 and bit not in (72, 73)  # which make it 1.1 and 1.2, versions that are known
        expected = (
            NotAnArtifact if bit < 64 else UnsupportedArtifact if unsupported else (ChecksumMismatch, TruncatedArtifact)
        )
        assert isinstance(caught.value, expected), bit
        kinds.add(type(caught.value))
    assert len(kinds) == 4


def test_every_extra_byte_is_rejected():
    for more in (b"\0", b"\n", EXAMPLE):
        with pytest.raises(ArtifactError, match=r"bytes after the last section, which ends at byte \d+ \[R-SEC-9\]"):
            read_container(EXAMPLE + more)


@given(st.binary(max_size=300), st.booleans())
def test_whatever_the_bytes_only_artifact_errors(data, with_magic):
    with pytest.raises(ArtifactError):
        read_container(MAGIC + data if with_magic else data)


def test_errors_say_where():
    with pytest.raises(NotAnArtifact, match="50 4b 03 04") as caught:
        read_container(b"PK\x03\x04 some archive")
    assert str(caught.value).startswith("0x0000: not an artifact: header: begins with")
    damaged = bytearray(EXAMPLE)
    damaged[-1] ^= 1
    with pytest.raises(ChecksumMismatch, match="section provenance: CRC-32"):
        read_container(bytes(damaged))


def over(limits: Limits, data: bytes = EXAMPLE):
    with pytest.raises(LimitExceeded) as caught:
        read_container(data, limits)
    return caught.value.rule, caught.value.offset


def test_limits_at_the_limit_and_one_below():
    assert len(read_container(EXAMPLE, Limits(sections=6, section_bytes=4000, metadata_bytes=200))) == 6
    assert over(Limits(sections=5)) == ("R-HDR-6", 10)
    entry = HEADER_BYTES + 6
    assert over(Limits(metadata_bytes=199)) == ("R-SEC-6", entry + SECTION_ENTRY_BYTES)
    assert over(Limits(section_bytes=3999)) == ("R-SEC-6", entry + 2 * SECTION_ENTRY_BYTES)
    assert over(Limits(section_bytes=29)) == ("R-SEC-6", entry + 2 * SECTION_ENTRY_BYTES)


@pytest.mark.parametrize("codec", [Zstd.wire_id, Brotli.wire_id])
def test_memory_stays_within_the_limits(codec):
    """Sections that expand a thousandfold: refused above the limit without being decompressed, cheap below it."""
    zeros = bytes(1 << 22)
    sections = [dataclasses.replace(s) for s in example_sections()]
    sections[2] = Section(RAW, codec, BYTES_CODECS[codec].encode(zeros), zeros)
    data = write_container(sections)
    del sections, zeros
    tracemalloc.start()
    try:
        over(Limits(section_bytes=(1 << 22) - 1), data)
        assert tracemalloc.get_traced_memory()[1] < 100_000
        read_container(data, Limits(section_bytes=1 << 22))
        assert tracemalloc.get_traced_memory()[1] < 2.1 * (1 << 22)
    finally:
        tracemalloc.stop()
