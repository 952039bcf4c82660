"""Names and counts in a message: the first few names, and how many more there are."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, noun: str = "tensor") -> str:
    """`1 tensor`, `12 tensors`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def listed(names: Sequence[str], most: int = 5) -> str:
    """At most so many names, separated by commas."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
