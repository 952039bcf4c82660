"""zstd frames assembled by hand (RFC 8878, 3.1.1): what no compressor writes, the same bytes in every version."""

from __future__ import annotations


def repeat_block(length: int, value: int = 0, *, last: bool = False) -> bytes:
    """A block of type 1: one byte, repeated."""
    return (length << 3 | 1 << 1 | last).to_bytes(3, "little") + bytes([value])


def raw_block(content: bytes, *, last: bool = False) -> bytes:
    """A block of type 0: the content itself."""
    return (len(content) << 3 | last).to_bytes(3, "little") + content


def frame(content_size: int, *blocks: bytes, window: int | None = None, dictionary: int | None = None) -> bytes:
    """A frame with a content size of 4 bytes; a single segment unless `window` gives the window descriptor byte."""
    descriptor = 2 << 6 | (window is None) << 5 | (dictionary is not None)
    head = b"\x28\xb5\x2f\xfd" + bytes([descriptor])
    head += b"" if window is None else bytes([window])
    head += b"" if dictionary is None else bytes([dictionary])
    return head + content_size.to_bytes(4, "little") + b"".join(blocks)
