"""Reading and writing the variable-size fields of a decoded section (spec/container.md, chapter 5).

Strategy: `Cursor` and `Writer` mirror each other field by field. A cursor never reads past its end, never skips a byte
it has not compared, and decides with Python integers only; whatever it meets it raises as an ArtifactError that names
the offset of the field, the place and the rule. `where` may be set by the caller while it walks through a structure.
"""

from __future__ import annotations

import re
import struct

from ...errors import MalformedArtifact, TruncatedArtifact

VARINT_BYTES = 5
VARINT_BOUND = 1 << 32
TEXT_BYTES = 255

# Control characters, line and paragraph separators, direction marks and the byte order mark: a name is printed on
# terminals, where they would move the cursor or show another name than the one compared. Listed by code point, because
# a property of the Unicode database would change with the version of the reader's language.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class Cursor:
    """A position in bytes that moves forward field by field. A field may be given a name, which a FieldRecorder keeps.

    Parameters
    ----------
    data : bytes or memoryview   the bytes to read; not copied
    origin : int                 offset of data[0] in what `offset` counts in
    where : str                  place in words, for errors
    """

    __slots__ = ("_data", "_position", "origin", "where")

    def __init__(self, data: bytes | memoryview, *, origin: int = 0, where: str = "") -> None:
        self._data = memoryview(data).cast("B")
        self._position = 0
        self.origin = origin
        self.where = where

    @property
    def offset(self) -> int:
        """Offset of the next byte."""
        return self.origin + self._position

    @property
    def remaining(self) -> int:
        """Bytes not yet read."""
        return len(self._data) - self._position

    def take(self, count: int, name: str = "") -> memoryview:
        """The next `count` bytes, not copied; TruncatedArtifact [R-END-1] when fewer are left."""
        if count > self.remaining:
            message = f"{count} bytes needed, {self.remaining} are left"
            raise TruncatedArtifact(message, rule="R-END-1", offset=self.offset, where=self.where)
        start = self._position
        self._position += count
        return self._data[start : self._position]

    def u8(self, name: str = "") -> int:
        """One byte."""
        return self.take(1)[0]

    def f32(self, name: str = "") -> float:
        """IEEE 754 binary32, little-endian; any value, also infinities and NaN."""
        return struct.unpack("<f", self.take(4))[0]

    def varint(self, name: str = "") -> int:
        """A number below 2**32, seven bits a byte, least significant first [R-VAR-1, R-VAR-2, R-END-1]."""
        start, value, shift = self.offset, 0, 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift == 7 * VARINT_BYTES:
                raise self._malformed(f"a number longer than {VARINT_BYTES} bytes", "R-VAR-1", start)
        if value >= VARINT_BOUND:
            raise self._malformed(f"number {value} is not below 2**32", "R-VAR-1", start)
        if byte == 0 and shift:
            raise self._malformed(f"number {value} is not in its shortest form", "R-VAR-2", start)
        return value

    def signed_varint(self, name: str = "") -> int:
        """A number in [-2**31, 2**31) as a zigzag varint: 0, -1, 1, -2, ... are 0, 1, 2, 3, ... [R-VAR-1, R-VAR-2]."""
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def text(self, name: str = "") -> str:
        """A name: varint length, then 1 to 255 bytes of printable UTF-8 [R-TXT-1, R-TXT-2, R-TXT-3]."""
        start = self.offset
        length = self.varint()
        if not 1 <= length <= TEXT_BYTES:
            raise self._malformed(f"a text of {length} bytes, expected 1 to {TEXT_BYTES}", "R-TXT-1", start)
        raw = bytes(self.take(length))
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._malformed(f"text {raw!r} is not UTF-8", "R-TXT-2", start) from error
        if UNPRINTABLE.search(text):
            raise self._malformed(f"text {text!r} has a character that does not print", "R-TXT-3", start)
        return text

    def expect_end(self) -> None:
        """MalformedArtifact [R-END-2] unless every byte has been read."""
        if self.remaining:
            raise self._malformed(f"{self.remaining} bytes after the last field", "R-END-2", self.offset)

    def _malformed(self, message: str, rule: str, offset: int) -> MalformedArtifact:
        return MalformedArtifact(message, rule=rule, offset=offset, where=self.where)


class Writer:
    """The fields a Cursor reads, appended to a buffer; a value outside its field's domain is a ValueError."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def u8(self, value: int) -> None:
        """One byte."""
        if not 0 <= value < 256:
            raise ValueError(f"{value} does not fit a byte")
        self._buffer.append(value)

    def f32(self, value: float) -> None:
        """IEEE 754 binary32, little-endian; `value` is rounded to it."""
        try:
            self._buffer += struct.pack("<f", value)
        except OverflowError as error:
            raise ValueError(f"{value} is beyond binary32") from error

    def varint(self, value: int) -> None:
        """The shortest form of a number below 2**32."""
        if not 0 <= value < VARINT_BOUND:
            raise ValueError(f"{value} is not in 0..2**32 - 1")
        while value >= 0x80:
            self._buffer.append(0x80 | (value & 0x7F))
            value >>= 7
        self._buffer.append(value)

    def signed_varint(self, value: int) -> None:
        """A number in [-2**31, 2**31), zigzag."""
        self.varint(2 * value if value >= 0 else -2 * value - 1)

    def text(self, text: str) -> None:
        """A name of 1 to 255 bytes of printable UTF-8."""
        raw = text.encode("utf-8")
        if not 1 <= len(raw) <= TEXT_BYTES:
            raise ValueError(f"text {text!r} takes {len(raw)} bytes, not 1 to {TEXT_BYTES}")
        if UNPRINTABLE.search(text):
            raise ValueError(f"text {text!r} has a character that does not print")
        self.varint(len(raw))
        self._buffer += raw

    def raw(self, data: bytes | memoryview) -> None:
        """Bytes as they are."""
        self._buffer += data

    def bytes(self) -> bytes:
        """Everything written so far."""
        return bytes(self._buffer)
