"""General compression of a section's bytes: stored, zstd or brotli, by wire id (spec/container.md, chapter 4).

Strategy: a decoder is told how many bytes must come out and produces no more than that, whatever the stored bytes
say. zstd: the size its frame declares is compared first, then the frame is decoded in one call into a buffer of exactly
that size, which libzstd never overruns and which needs no window. brotli declares no size, so its output is drawn in
pieces and counted. Errors of the libraries, and lack of memory, leave here as ArtifactError only.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

import brotli
import zstandard

from ...errors import LimitExceeded, MalformedArtifact
from ..registry import keyed

PIECE_BYTES = 1 << 16  # brotli's output limit a call; the library may return about twice as much
REMEMBERED_BYTES, REMEMBERED_SECTIONS = 1 << 16, 32  # at most 4 MiB in all
MINIMUM_WINDOW_BYTES = 1 << 10  # the smallest window a zstd frame can express

Fail = Callable[[str, str], MalformedArtifact]


class BytesCodec(Protocol):
    """One general compressor."""

    wire_id: int
    name: str

    def encode(self, data: bytes) -> bytes:
        """The stored form of `data`; deterministic for one version of the library."""

    def decode(self, stored: bytes, decoded_length: int, fail: Fail) -> bytes:
        """At most about `decoded_length` bytes; raises `fail(message, rule)` or the library's own error."""


class Stored:
    """The bytes themselves."""

    wire_id = 0
    name = "stored"

    def encode(self, data: bytes) -> bytes:
        return data

    def decode(self, stored: bytes, decoded_length: int, fail: Fail) -> bytes:
        return stored


class Zstd:
    """One zstd frame (RFC 8878), level 22, that declares its content size and nothing else."""

    wire_id = 1
    name = "zstd"

    def encode(self, data: bytes) -> bytes:
        compressor = zstandard.ZstdCompressor(
            level=22, write_checksum=False, write_content_size=True, write_dict_id=False
        )
        return compressor.compress(data)

    def decode(self, stored: bytes, decoded_length: int, fail: Fail) -> bytes:
        """[R-BYT-1] for the frame's header; the library refuses content of another size and bytes after the frame."""
        if not stored.startswith(zstandard.FRAME_HEADER):
            raise fail("the bytes do not begin with a zstd frame", "R-BYT-2")
        frame = zstandard.get_frame_parameters(stored)
        if frame.content_size != decoded_length:
            raise fail(f"the zstd frame declares {frame.content_size} bytes, the table {decoded_length}", "R-BYT-1")
        window = max(decoded_length, MINIMUM_WINDOW_BYTES)
        if frame.dict_id or frame.has_checksum or frame.window_size > window:
            raise fail("the zstd frame has a dictionary, a checksum or a window larger than its content", "R-BYT-1")
        decompressor = zstandard.ZstdDecompressor(max_window_size=min(window, 1 << zstandard.WINDOWLOG_MAX))
        return decompressor.decompress(stored, read_across_frames=False, allow_extra_data=False)


class Brotli:
    """One brotli stream (RFC 7932), quality 11 and a window of 16 MiB."""

    wire_id = 2
    name = "brotli"

    def encode(self, data: bytes) -> bytes:
        return brotli.compress(data, quality=11, lgwin=24)

    def decode(self, stored: bytes, decoded_length: int, fail: Fail) -> bytes:
        """[R-BYT-2]; stops within a few pieces of the declared length. The library refuses bytes after the stream."""
        decompressor = brotli.Decompressor()
        pieces, length, pending = io.BytesIO(), 0, stored
        while not decompressor.is_finished():
            piece = decompressor.process(pending, output_buffer_limit=PIECE_BYTES)
            pending = b""
            length += len(piece)
            if length > decoded_length:
                raise fail(f"more than the declared {decoded_length} bytes", "R-BYT-2")
            if not piece and decompressor.can_accept_more_data() and not decompressor.is_finished():
                raise fail(f"the brotli stream ends early, after {length} of {decoded_length} bytes", "R-BYT-2")
            pieces.write(piece)
        return pieces.getvalue()  # which is the same memory


BYTES_CODECS: dict[int, BytesCodec] = keyed((Stored(), Zstd(), Brotli()), "wire_id", "name")


def encode_best(data: bytes) -> tuple[int, bytes]:
    """(wire id, stored bytes) of the codec with the fewest stored bytes; of equals the one with the lowest id.

    Landing on a cap writes the same program and the same small sections again and again: what was compressed lately is
    remembered, as far as it is short.
    """
    return _encode_again(data) if len(data) <= REMEMBERED_BYTES else _encode(data)


def _encode(data: bytes) -> tuple[int, bytes]:
    encoded = {wire_id: BYTES_CODECS[wire_id].encode(data) for wire_id in sorted(BYTES_CODECS)}
    return min(encoded.items(), key=lambda item: len(item[1]))


_encode_again = lru_cache(REMEMBERED_SECTIONS)(_encode)


def decode_bytes(codec_id: int, stored: bytes, decoded_length: int, where: str, offset: int) -> bytes:
    """The `decoded_length` bytes that `stored` holds under a registered codec.

    `offset` is where the stored bytes start in the file. Raises MalformedArtifact [R-BYT-1, R-BYT-2] for stored bytes
    that are anything else, LimitExceeded [R-SEC-6] when there is no memory for them. Allocates at most
    `decoded_length`, an eighth more with brotli while it grows, plus its window of 16 MiB.
    """

    def fail(message: str, rule: str) -> MalformedArtifact:
        return MalformedArtifact(message, rule=rule, offset=offset, where=where)

    codec = BYTES_CODECS[codec_id]
    try:
        decoded = codec.decode(stored, decoded_length, fail)
    except (zstandard.ZstdError, brotli.error) as error:
        raise fail(f"no {codec.name} data of {decoded_length} bytes: {error}", "R-BYT-2") from error
    except MemoryError as error:
        message = f"not enough memory for {decoded_length} bytes"
        raise LimitExceeded(message, rule="R-SEC-6", offset=offset, where=where) from error
    if len(decoded) != decoded_length:
        raise fail(f"{len(decoded)} bytes, the table declares {decoded_length}", "R-BYT-2")
    return decoded
