"""`rescued-rows`: the rows of most loss with a grid of their own.

Strategy: rows whose scale or importance no other row shares cost the others less when they are apart;
subsets.py does the work.
"""

from __future__ import annotations

from typing import ClassVar

from .subsets import ROWS, LinesKind


class RescuedRowsKind(LinesKind):
    """The strongest rows, how many and how: `Selection`."""

    name: ClassVar[str] = "rescued-rows"
    axis: ClassVar[int] = ROWS


KIND = RescuedRowsKind()
