"""Byte counts as people write them.

Strategy: only spellings with one meaning. Decimal units are powers of 1000 and binary units (with
the i) powers of 1024; a bare letter as in "16M", which different programs read differently, is
refused rather than guessed.
"""

from __future__ import annotations

import re
from decimal import Decimal

UNITS = {"": 1, "b": 1, **{f"{prefix}b": 1000**power for power, prefix in enumerate("kmgt", 1)}}
UNITS |= {f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", 1)}
_SIZE = re.compile(r"([0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?)\s*([a-z]*)", re.ASCII)
_BARE = re.compile(r"([0-9][0-9_.]*)\s*([kmgt])i?", re.ASCII | re.IGNORECASE)
_GROUPED = re.compile(r"[0-9]{1,3}(?:[,.' ][0-9]{3})+", re.ASCII)
_MAX_DIGITS = 30


def parse_size(text: str) -> int:
    """The number of bytes that `text` names.

    "16_000_000", "16MB" = 16,000,000, "16MiB" = 16,777,216, "500KB", "1.5 MB".
    Upper and lower case are the same. Raises ValueError, with a message for the user, for any other
    spelling, for a fraction of a byte and for less than one byte.
    """
    match = _SIZE.fullmatch(text.strip().lower()) if len(text) <= _MAX_DIGITS else None
    if match is None or match[2] not in UNITS:
        raise ValueError(f"{text!r} is not a size in bytes; write {_way_out(text)}")
    size = Decimal(match[1]) * UNITS[match[2]]
    if size != int(size):
        raise ValueError(f"{text!r} is {size.normalize():f} bytes, not a whole number of bytes")
    if size < 1:
        raise ValueError(f"{text!r} is no room at all; a size is at least 1 byte")
    return int(size)


def _way_out(text: str) -> str:
    """How the size that was probably meant is written."""
    bare = _BARE.fullmatch(text.strip())
    if bare is not None:
        number, prefix = bare[1], bare[2].upper()
        return f"{number}{prefix}B (decimal) or {number}{prefix}iB (binary)"
    if _GROUPED.fullmatch(text.strip()):
        return re.sub(r"[,.' ]", "_", text.strip())
    return "for example 16_000_000, 16MB (decimal) or 16MiB (binary)"
