"""Records of terms: bytes both ways, and every rule that a term can break."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_artifacts import terms

from bytecap.errors import InvalidArtifact, MalformedArtifact, TruncatedArtifact, UnsupportedArtifact
from bytecap.format.container.cursor import Cursor, Writer
from bytecap.format.tensors.grid import MAX_BASE, MAX_STEP_OCTAVES, MIN_BASE
from bytecap.format.tensors.member_sets import MemberSet
from bytecap.format.tensors.terms import (
    TERMS,
    TERMS_BY_ID,
    Alias,
    Codebook,
    Grid,
    Indices,
    LowRank,
    Raw,
    Sparse,
    Subset,
    read_term,
    write_term,
)

SHAPE = 6, 4
PLAIN = Grid(1.0, 0, 0, None, None, 0, 1)

# term, its bytes field by field
TERM_BYTES = [
    (Raw("float32"), "00 00"),
    (Raw("float16"), "00 01"),
    (Raw("bfloat16"), "00 02"),
    (PLAIN, "01 0000803f 00 00 00 00 00 01"),
    (replace(PLAIN, base=0.5, resolution=3), "01 0000003f 03 00 00 00 00 01"),
    (replace(PLAIN, trellis_states=8), "01 0000803f 00 08 00 00 00 01"),
    (replace(PLAIN, trellis_states=64, row_offset=1), "01 0000803f 00 40 01 02 00 00 01"),
    (replace(PLAIN, row_offset=0), "01 0000803f 00 00 01 00 00 00 01"),
    (replace(PLAIN, column_offset=-1), "01 0000803f 00 00 00 01 01 00 01"),
    (replace(PLAIN, row_offset=20, column_offset=-20), "01 0000803f 00 00 01 28 01 27 00 01"),
    (replace(PLAIN, resolution=3, row_offset=-160, column_offset=160), "01 0000803f 03 00 01 bf02 01 c002 00 01"),
    (replace(PLAIN, initial_scale=-3, stream=300), "01 0000803f 00 00 00 00 05 ac02"),
    (replace(PLAIN, initial_scale=256), "01 0000803f 00 00 00 00 8004 01"),
    (replace(PLAIN, base=MIN_BASE), "01 0000802b 00 00 00 00 00 01"),
    (replace(PLAIN, base=MAX_BASE), "01 00008053 00 00 00 00 00 01"),
    (Alias(0), "02 00"),
    (Alias(300), "02 ac02"),
    (LowRank(1, PLAIN, replace(PLAIN, stream=2)), "03 01  0000803f 00 00 00 00 00 01  0000803f 00 00 00 00 00 02"),
    (Subset(0, MemberSet("prefix", 5), Raw("float16")), "04 00 00 05 00 01"),
    (Subset(1, MemberSet("finest", 1), PLAIN), "04 01 01 01 01 0000803f 00 00 00 00 00 01"),
    (Subset(0, MemberSet("bitmap", 3, b"\x31"), Raw("float32")), "04 00 02 31 00 00"),
    (Subset(1, MemberSet("gaps", 3), Raw("float32")), "04 01 03 03 00 00"),
    (Subset(0, MemberSet("same", 2, named=(300, 7)), Raw("float32")), "04 00 04 ac02 07 02 00 00"),
    (Subset(0, MemberSet("difference", 2, named=(1, 0), changes=6), Raw("float32")), "04 00 05 01 00 02 06 00 00"),
    (Sparse(MemberSet("gaps", 23), PLAIN), "05 03 17 01 0000803f 00 00 00 00 00 01"),
    (Sparse(MemberSet("bitmap", 2, b"\x00\x01\x80"), Raw("float16")), "05 02 000180 00 01"),
    (Codebook(2, 1, Raw("float32"), Indices(0, None, 0, 1)), "06 02 01 00 00  00 00 00 01"),
    (
        Codebook(65536, 4, PLAIN, Indices(3, -160, -256, 300)),
        "06 808004 04 01 0000803f 00 00 00 00 00 01  03 01 bf02 ff03 ac02",
    ),
    (Codebook(300, 2, (5, 1), Indices(1, 2, 12, 1)), "06 ac02 02 02 05 01  01 01 04 18 01"),
    (LowRank(4, PLAIN, PLAIN), "03 04  0000803f 00 00 00 00 00 01  0000803f 00 00 00 00 00 01"),
]

# bytes, error, rule, offset of the field at fault
BROKEN = {
    "unknown kind": ("07 00", UnsupportedArtifact, "R-REC-1", 0),
    "largest kind": ("ff", UnsupportedArtifact, "R-REC-1", 0),
    "unknown storage": ("00 03", MalformedArtifact, "R-RAW-1", 1),
    "base 0": ("01 00000000 00 00 00 00 00 01", InvalidArtifact, "R-GRD-1", 1),
    "negative base": ("01 000080bf 00 00 00 00 00 01", InvalidArtifact, "R-GRD-1", 1),
    "infinite base": ("01 0000807f 00 00 00 00 00 01", InvalidArtifact, "R-GRD-1", 1),
    "base that is no number": ("01 0000c07f 00 00 00 00 00 01", InvalidArtifact, "R-GRD-1", 1),
    "base just below 2^-40": ("01 ffff7f2b 00 00 00 00 00 01", InvalidArtifact, "R-GRD-1", 1),
    "base just above 2^40": ("01 01008053 00 00 00 00 00 01", InvalidArtifact, "R-GRD-1", 1),
    "resolution 4": ("01 0000803f 04 00 00 00 00 01", InvalidArtifact, "R-GRD-1", 5),
    "a trellis of 1 state": ("01 0000803f 00 01 00 00 00 01", UnsupportedArtifact, "R-GRD-4", 6),
    "a trellis of 16 states": ("01 0000803f 00 10 00 00 00 01", UnsupportedArtifact, "R-GRD-4", 6),
    "row step mode 2": ("01 0000803f 00 00 02 00 00 01", MalformedArtifact, "R-GRD-2", 7),
    "column step mode 255": ("01 0000803f 00 00 00 ff 00 01", MalformedArtifact, "R-GRD-2", 8),
    "row offset of 21 octaves": ("01 0000803f 00 00 01 2a 00 00 01", InvalidArtifact, "R-GRD-2", 7),
    "column offset of -161 eighths": ("01 0000803f 03 00 00 01 c102 00 01", InvalidArtifact, "R-GRD-2", 8),
    "initial scale 257": ("01 0000803f 00 00 00 00 8204 01", InvalidArtifact, "R-GRD-3", 9),
    "initial scale -257": ("01 0000803f 00 00 00 00 8104 01", InvalidArtifact, "R-GRD-3", 9),
    "stream not in its shortest form": ("01 0000803f 00 00 00 00 00 8100", MalformedArtifact, "R-VAR-2", 10),
    "alias beyond 2^32": ("02 ffffffff1f", MalformedArtifact, "R-VAR-1", 1),
    "axis 2": ("04 02 00 01 00 00", MalformedArtifact, "R-REC-8", 1),
    "a grid's kind that is an alias": ("04 00 00 01 02 00", MalformedArtifact, "R-REC-7", 4),
    "a set told in way 6": ("04 00 06 01 00 00", UnsupportedArtifact, "R-SET-1", 2),
    "an empty set": ("04 00 00 00 00 00", InvalidArtifact, "R-SET-2", 3),
    "a set of all rows": ("04 00 00 06 00 00", InvalidArtifact, "R-SET-2", 3),
    "a set of all columns": ("04 01 03 04 00 00", InvalidArtifact, "R-SET-2", 3),
    "a set that is the same and has too many": ("04 00 04 00 00 06 00 00", InvalidArtifact, "R-SET-2", 5),
    "a difference of no changes": ("04 00 05 00 00 02 00 00 00", InvalidArtifact, "R-SET-2", 6),
    "a difference of too many changes": ("04 00 05 00 00 02 07 00 00", InvalidArtifact, "R-SET-2", 6),
    "a bitmap of nothing": ("04 00 02 00 00 00", InvalidArtifact, "R-SET-2", 3),
    "a bitmap of everything": ("04 00 02 3f 00 00", InvalidArtifact, "R-SET-2", 3),
    "a bit after the last": ("04 00 02 41 00 00", MalformedArtifact, "R-SET-3", 3),
    "a set of all elements": ("05 03 18 00 00", InvalidArtifact, "R-SET-2", 2),
    "elements that are another tensor's": ("05 03 01 02 00", MalformedArtifact, "R-REC-7", 3),
    "one codeword": ("06 01 01 00 00 00 00 00 01", InvalidArtifact, "R-CBK-1", 1),
    "65,537 codewords": ("06 818004 01 00 00 00 00 00 01", InvalidArtifact, "R-CBK-1", 1),
    "codewords of nothing": ("06 02 00 00 00 00 00 00 01", InvalidArtifact, "R-CBK-2", 2),
    "codewords of 3 in rows of 4": ("06 02 03 00 00 00 00 00 01", InvalidArtifact, "R-CBK-2", 2),
    "codewords of 65,540 in rows of 4": ("06 02 848004 00 00 00 00 00 01", InvalidArtifact, "R-CBK-2", 2),
    "codewords of 4 in two bytes": ("06 02 8400 00 00 00 00 00 01", MalformedArtifact, "R-VAR-2", 2),
    "codewords of kind 3": ("06 02 01 03 00 00 00 00 01", MalformedArtifact, "R-REC-7", 3),
    "indices at resolution 4": ("06 02 01 00 00 04 00 00 01", InvalidArtifact, "R-GRD-1", 5),
    "indices with step mode 2": ("06 02 01 00 00 00 02 00 01", MalformedArtifact, "R-GRD-2", 6),
    "indices at scale 257": ("06 02 01 00 00 00 00 8204 01", InvalidArtifact, "R-GRD-3", 7),
    "rank 0": ("03 00 0000803f 00 00 00 00 00 01 0000803f 00 00 00 00 00 01", InvalidArtifact, "R-REC-5", 1),
    "rank 5 of 6 by 4": ("03 05 0000803f 00 00 00 00 00 01 0000803f 00 00 00 00 00 01", InvalidArtifact, "R-REC-5", 1),
}


def written(term) -> bytes:
    writer = Writer()
    write_term(writer, term)
    return writer.bytes()


@pytest.mark.parametrize(("term", "data"), TERM_BYTES)
def test_a_term_is_these_bytes(term, data: str) -> None:
    data = bytes.fromhex(data)
    assert written(term) == data
    cursor = Cursor(data)
    assert read_term(cursor, SHAPE) == term
    cursor.expect_end()


@pytest.mark.parametrize("case", BROKEN)
def test_reject_a_broken_term(case: str) -> None:
    data, error, rule, offset = BROKEN[case]
    with pytest.raises(error) as caught:
        read_term(Cursor(bytes.fromhex(data), where="directory / tensor 'w'"), SHAPE)
    assert (type(caught.value), caught.value.rule, caught.value.offset) == (error, rule, offset)
    assert caught.value.where == "directory / tensor 'w'"


@pytest.mark.parametrize(("term", "data"), TERM_BYTES)
def test_reject_every_truncation(term, data: str) -> None:
    data = bytes.fromhex(data)
    for length in range(len(data)):
        with pytest.raises(TruncatedArtifact) as caught:
            read_term(Cursor(data[:length]), SHAPE)
        assert caught.value.rule == "R-END-1" and caught.value.offset <= length


@pytest.mark.parametrize("resolution", range(4))
def test_offsets_at_and_beyond_the_bound(resolution: int) -> None:
    bound = MAX_STEP_OCTAVES << resolution
    for sign in (-1, 1):
        inside = replace(PLAIN, resolution=resolution, row_offset=sign * bound, column_offset=-sign * bound)
        assert read_term(Cursor(written(inside)), SHAPE) == inside
        for side in ("row_offset", "column_offset"):
            with pytest.raises(InvalidArtifact) as caught:
                read_term(Cursor(written(replace(inside, **{side: sign * (bound + 1)}))), SHAPE)
            assert caught.value.rule == "R-GRD-2"


def test_the_kinds_are_those_of_the_specification() -> None:
    names = ["raw", "grid", "alias", "low-rank", "subset", "sparse", "codebook"]
    assert [(kind.wire_id, kind.name) for kind in TERMS] == list(enumerate(names))
    assert list(TERMS_BY_ID.items()) == list(enumerate(TERMS))


@given(terms(SHAPE, sources=st.integers(0, 2**32 - 1)))
def test_round_trip(term) -> None:
    cursor = Cursor(written(term))
    assert read_term(cursor, SHAPE) == term
    cursor.expect_end()


@given(st.binary(max_size=30))
def test_whatever_is_read_is_written_back(data: bytes) -> None:
    """A term has one encoding: what the reader accepts is what the writer writes."""
    cursor = Cursor(data)
    try:
        term = read_term(cursor, SHAPE)
    except (InvalidArtifact, MalformedArtifact, TruncatedArtifact, UnsupportedArtifact) as error:
        assert error.rule.startswith(("R-REC", "R-RAW", "R-GRD", "R-SET", "R-CBK", "R-VAR", "R-END"))
        return
    assert written(term) == data[: len(data) - cursor.remaining]


def test_the_base_is_the_float32_that_was_written() -> None:
    term = read_term(Cursor(written(replace(PLAIN, base=0.1))), SHAPE)
    assert term.base == float(np.float32(0.1)) and struct.pack("<f", term.base) == struct.pack("<f", 0.1)
