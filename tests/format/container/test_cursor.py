"""Fields of decoded sections: one table of bytes and values drives reading and writing; then what is
refused, and where.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytecap.errors import ArtifactError, MalformedArtifact, TruncatedArtifact
from bytecap.format.container.cursor import Cursor, Writer

FIELDS = [
    ("u8", 0, "00"),
    ("u8", 255, "ff"),
    ("f32", 1.0, "00 00 80 3f"),
    ("f32", -0.0, "00 00 00 80"),
    ("f32", math.inf, "00 00 80 7f"),
    ("varint", 0, "00"),
    ("varint", 127, "7f"),
    ("varint", 128, "80 01"),
    ("varint", 300, "ac 02"),
    ("varint", 16_383, "ff 7f"),
    ("varint", 16_384, "80 80 01"),
    ("varint", 2**28 - 1, "ff ff ff 7f"),
    ("varint", 2**28, "80 80 80 80 01"),
    ("varint", 2**32 - 1, "ff ff ff ff 0f"),
    ("signed_varint", 0, "00"),
    ("signed_varint", -1, "01"),
    ("signed_varint", 1, "02"),
    ("signed_varint", -64, "7f"),
    ("signed_varint", 64, "80 01"),
    ("signed_varint", 2**31 - 1, "fe ff ff ff 0f"),
    ("signed_varint", -(2**31), "ff ff ff ff 0f"),
    ("text", "ab", "02 61 62"),
    ("text", "wte.weight", "0a 77 74 65 2e 77 65 69 67 68 74"),
    ("text", "é ☃\U0001f600", "0a c3 a9 20 e2 98 83 f0 9f 98 80"),
    ("text", "x" * 255, "ff 01" + " 78" * 255),
]

REFUSED = [
    ("varint", "80 80 80 80 80 01", MalformedArtifact, "R-VAR-1", 0),
    ("varint", "80 80 80 80 80 00", MalformedArtifact, "R-VAR-1", 0),
    ("varint", "80 80 80 80 10", MalformedArtifact, "R-VAR-1", 0),
    ("varint", "ff ff ff ff 7f", MalformedArtifact, "R-VAR-1", 0),
    ("varint", "80 00", MalformedArtifact, "R-VAR-2", 0),
    ("varint", "ff 80 80 80 00", MalformedArtifact, "R-VAR-2", 0),
    ("signed_varint", "81 00", MalformedArtifact, "R-VAR-2", 0),
    ("varint", "", TruncatedArtifact, "R-END-1", 0),
    ("varint", "ff ff", TruncatedArtifact, "R-END-1", 2),
    ("f32", "00 00 80", TruncatedArtifact, "R-END-1", 0),
    ("text", "00", MalformedArtifact, "R-TXT-1", 0),
    ("text", "80 02" + " 78" * 256, MalformedArtifact, "R-TXT-1", 0),
    ("text", "ff ff ff ff 0f", MalformedArtifact, "R-TXT-1", 0),
    ("text", "03 61 62", TruncatedArtifact, "R-END-1", 1),
    ("text", "01 ff", MalformedArtifact, "R-TXT-2", 0),
    ("text", "02 c0 80", MalformedArtifact, "R-TXT-2", 0),
    ("text", "03 ed a0 80", MalformedArtifact, "R-TXT-2", 0),
    ("text", "02 61 c3", MalformedArtifact, "R-TXT-2", 0),
]
UNPRINTABLE = [
    0x00,
    0x0A,
    0x1B,
    0x1F,
    0x7F,
    0x85,
    0x9F,
    0x200E,
    0x200F,
    0x2028,
    0x2029,
    0x202A,
    0x202E,
    0x2066,
    0x2069,
    0xFEFF,
]
PRINTABLE = [0x20, 0x7E, 0xA0, 0xAD, 0x200D, 0x2010, 0x2027, 0x202F, 0x2065, 0x206A, 0xFEFE, 0xE000, 0x10FFFF]


@pytest.mark.parametrize(("field", "value", "encoding"), FIELDS)
def test_fields_and_their_bytes(field, value, encoding):
    data = bytes.fromhex(encoding)
    writer = Writer()
    getattr(writer, field)(value)
    assert writer.bytes() == data
    cursor = Cursor(data)
    read = getattr(cursor, field)()
    assert (read, math.copysign(1, read) if field == "f32" else 0) == (
        value,
        math.copysign(1, value) if field == "f32" else 0,
    )
    cursor.expect_end()


@pytest.mark.parametrize(("field", "value", "encoding"), FIELDS)
def test_every_prefix_of_a_field_is_truncated(field, value, encoding):
    data = bytes.fromhex(encoding)
    for length in range(len(data)):
        with pytest.raises(TruncatedArtifact) as caught:
            getattr(Cursor(data[:length]), field)()
        assert caught.value.rule == "R-END-1"


@pytest.mark.parametrize(("field", "encoding", "error", "rule", "offset"), REFUSED)
def test_reject_field(field, encoding, error, rule, offset):
    cursor = Cursor(memoryview(bytes.fromhex(encoding)), origin=1000, where="a place")
    with pytest.raises(ArtifactError) as caught:
        getattr(cursor, field)()
    found = caught.value
    assert (type(found), found.rule, found.offset, found.where) == (error, rule, 1000 + offset, "a place")


@pytest.mark.parametrize("code_point", UNPRINTABLE)
def test_reject_characters_that_do_not_print(code_point):
    raw = ("a" + chr(code_point)).encode("utf-8")
    with pytest.raises(MalformedArtifact, match=r"\[R-TXT-3\]"):
        Cursor(bytes([len(raw)]) + raw).text()
    with pytest.raises(ValueError, match="does not print"):
        Writer().text("a" + chr(code_point))


@pytest.mark.parametrize("code_point", PRINTABLE)
def test_accept_characters_at_the_edges(code_point):
    writer = Writer()
    writer.text(chr(code_point))
    assert Cursor(writer.bytes()).text() == chr(code_point)


def test_the_writer_takes_every_byte_and_no_more():
    writer = Writer()
    for value in (0, 255):
        writer.u8(value)
    assert writer.bytes() == b"\x00\xff"
    for value in (-1, 256):
        with pytest.raises(ValueError, match="does not fit a byte"):
            writer.u8(value)


def test_the_offset_moves_with_the_fields():
    cursor = Cursor(bytes(10), origin=100)
    assert (cursor.offset, cursor.remaining) == (100, 10)
    cursor.take(2)
    assert bytes(cursor.take(3)) == bytes(3)
    assert (cursor.offset, cursor.remaining) == (105, 5)
    with pytest.raises(MalformedArtifact) as caught:
        cursor.expect_end()
    assert (caught.value.rule, caught.value.offset) == ("R-END-2", 105)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("u8", 256),
        ("u8", -1),
        ("varint", -1),
        ("varint", 2**32),
        ("signed_varint", 2**31),
        ("signed_varint", -(2**31) - 1),
        ("f32", 1e39),
        ("text", ""),
        ("text", "x" * 256),
        ("text", "\ud800"),
    ],
)
def test_the_writer_refuses_what_the_cursor_would(field, value):
    with pytest.raises(ValueError):
        getattr(Writer(), field)(value)


@given(st.lists(st.tuples(st.sampled_from(["varint", "signed_varint"]), st.integers(0, 2**31 - 1), st.booleans())))
def test_numbers_survive(fields):
    values = [(field, -value if field == "signed_varint" and negative else value) for field, value, negative in fields]
    writer = Writer()
    for field, value in values:
        getattr(writer, field)(value)
    cursor = Cursor(writer.bytes())
    assert [(field, getattr(cursor, field)()) for field, _ in values] == values
    cursor.expect_end()


@given(st.binary(max_size=8))
def test_a_varint_has_one_encoding(data):
    """Whatever is accepted is what the writer would have written."""
    cursor = Cursor(data)
    try:
        value = cursor.varint()
    except ArtifactError:
        return
    writer = Writer()
    writer.varint(value)
    assert data.startswith(writer.bytes())
    assert len(writer.bytes()) == len(data) - cursor.remaining
