"""`protected-columns`: the input channels of most loss with a grid of their own.

Strategy: as AWQ (arXiv:2306.00978) and PTQ1.61 (arXiv:2502.13179) keep theirs apart; subsets.py does the work.
"""

from __future__ import annotations

from typing import ClassVar

from .subsets import COLUMNS, LinesKind


class ProtectedColumnsKind(LinesKind):
    """The strongest columns, how many and how: `Selection`."""

    name: ClassVar[str] = "protected-columns"
    axis: ClassVar[int] = COLUMNS


KIND = ProtectedColumnsKind()
