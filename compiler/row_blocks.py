"""The rows of a matrix, some at a time, where what is made of all of them would be several times as large as it is.

Strategy: most matrices have no more rows than a block has; a token table has many blocks.
"""

from __future__ import annotations

from collections.abc import Iterator

BLOCK_ROWS = 1 << 14  # of which float64 numbers are made at once


def row_blocks(rows: int, at_once: int = 0) -> Iterator[slice]:
    """So many rows, some at a time, BLOCK_ROWS unless another number is given."""
    step = at_once or BLOCK_ROWS
    return (slice(start, start + step) for start in range(0, rows, step))
