"""The CODES section: a table of integer streams, then their payloads (spec/codecs.md).

Strategy: streams share nothing, so they decode in parallel. Stream 0 holds the step exponents of every grid (they set
the expectations for everything else); streams 1.. hold the codes, each grid in the stream its record names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...errors import LimitExceeded, MalformedArtifact, UnsupportedArtifact
from ..codecs import unknown_codec
from ..container.cursor import Cursor, Writer
from ..container.limits import Limits

# The cheapest symbol costs more than 2**-11 bit (spec/codecs.md), so a stream can hold no more symbols
# a byte than this.
MAX_SYMBOLS_PER_BYTE = 1 << 14


@dataclass(frozen=True, slots=True)
class Stream:
    """One coded stream: wire id of its integer codec, its bytes, and where they start in the CODES section."""

    codec: int
    payload: bytes = field(repr=False)
    offset: int = 0


def write_streams(streams: Sequence[Stream]) -> bytes:
    """Serialize the CODES section."""
    writer = Writer()
    writer.varint(len(streams))
    for stream in streams:
        writer.u8(stream.codec)
        writer.varint(len(stream.payload))
    for stream in streams:
        writer.raw(stream.payload)
    return writer.bytes()


def read_streams(data: bytes, limits: Limits) -> tuple[Stream, ...]:
    """Parse the CODES section; ArtifactError [R-STR-1, R-STR-2] or a number rule when it cannot be."""
    return read_streams_at(Cursor(data, where="codes"), limits)


def read_streams_at(cursor: Cursor, limits: Limits) -> tuple[Stream, ...]:
    """`read_streams` of all that a cursor has left."""
    count = cursor.varint("streams")
    if count > limits.streams or count * 2 > cursor.remaining:
        message = f"{count} streams, the limit is {limits.streams} and {cursor.remaining} bytes are left"
        raise LimitExceeded(message, rule="R-STR-1", offset=0, where="codes")
    table = []
    for index in range(count):
        start, cursor.where = cursor.offset, f"codes / stream {index}"
        codec, length = cursor.u8("codec"), cursor.varint("bytes")
        unknown = unknown_codec(codec)
        if unknown:
            raise UnsupportedArtifact(unknown, rule="R-STR-2", offset=start, where=f"codes / stream {index}")
        table.append((codec, length))
    streams = []
    for index, (codec, length) in enumerate(table):
        cursor.where = f"codes / stream {index}"
        offset = cursor.offset
        streams.append(Stream(codec, bytes(cursor.take(length, "payload")), offset))
    cursor.where = "codes"
    cursor.expect_end()
    return tuple(streams)


def check_amplification(symbols: int, stream: Stream, index: int) -> None:
    """A few bytes may not declare millions of integers (R-STR-3); checked before the integers are allocated."""
    allowed = MAX_SYMBOLS_PER_BYTE * len(stream.payload)
    if symbols > allowed:
        message = f"{len(stream.payload)} bytes for {symbols} integers, at most {allowed} are possible"
        raise MalformedArtifact(message, rule="R-STR-3", offset=stream.offset, where=f"codes / stream {index}")
